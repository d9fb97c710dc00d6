package commands

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/raftkv/raftkv/fsm/rdb"
)

// BenchmarkRestore makes values by RESTORE of a payload of 16 MiB or a little less, and by the
// commands that make the same, a thousand items each.
func BenchmarkRestore(b *testing.B) {
	const most = 16 << 20
	item := func(i int) string { return fmt.Sprintf("%08x-item-%08x", uint32(i)*2654435761, i) }
	for _, tt := range []struct {
		name  string
		first []string
		each  func(i int) []string
		n     int
	}{
		{"list", []string{"RPUSH", "k"}, func(i int) []string { return []string{item(i)} }, most / 24},
		{"list-of-numbers", []string{"RPUSH", "k"}, func(i int) []string { return []string{fmt.Sprint(i % 100)} }, most / 3},
		{"set", []string{"SADD", "k"}, func(i int) []string { return []string{item(i)} }, most / 24},
		{"set-of-numbers", []string{"SADD", "k"}, func(i int) []string { return []string{fmt.Sprint(i * 7)} }, most / 6},
		{"hash", []string{"HSET", "k"}, func(i int) []string { return []string{item(i), "value"} }, most / 30},
		{"hash-short", []string{"HSET", "k"}, func(i int) []string { return []string{fmt.Sprint(i), "v"} }, most / 8},
		{"zset", []string{"ZADD", "k"}, func(i int) []string { return []string{fmt.Sprint(float64(i) / 7), item(i)} }, most / 32},
		{"stream", []string{"XADD", "k", "*"}, func(i int) []string { return []string{"field", item(i)} }, most / 40},
	} {
		our := newOurs(2)
		build := func() {
			args := append([]string(nil), tt.first...)
			for i := range tt.n {
				args = append(args, tt.each(i)...)
				if i%1000 == 999 || tt.name == "stream" {
					our.do(args...)
					args = append(args[:0], tt.first...)
				}
			}
		}
		build()
		reply := our.do("DUMP", "k")
		_, payload, _ := bytes.Cut(reply, []byte("\r\n"))
		payload = bytes.TrimSuffix(payload, []byte("\r\n"))
		args := Args{[]byte("RESTORE"), []byte("k"), []byte("0"), payload, []byte("REPLACE")}
		b.Run(tt.name+"/restore", func(b *testing.B) {
			for b.Loop() {
				if err := our.run(args); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(payload))/(1<<20), "MiB")
			b.ReportMetric(float64(tt.n), "items")
		})
		b.Run(tt.name+"/decode", func(b *testing.B) {
			for b.Loop() {
				if _, err := rdb.Decode(payload, 512<<20); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(tt.name+"/commands", func(b *testing.B) {
			for b.Loop() {
				our.do("DEL", "k")
				build()
			}
		})
	}
}
