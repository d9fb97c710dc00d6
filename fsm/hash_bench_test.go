package fsm

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/resp"
)

// BenchmarkHashes applies and reads commands on 100,000 small hashes of 10 fields, on
// small ones of 100 and on a large one of a million, beside SET and GET.
func BenchmarkHashes(b *testing.B) {
	r := newRig(b)
	rnd := rand.New(rand.NewPCG(1, 2))
	fillHash := func(key string, fields int) {
		for at := 0; at < fields; {
			args := words("HSET " + key)
			for range min(1000, fields-at) {
				args = append(args, fmt.Appendf(nil, "field:%d", at), benchValue[:20])
				at++
			}
			r.apply(entry.Proposal{Commands: []entry.Command{{Args: args}}})
		}
	}
	for i := range 100_000 {
		fillHash(fmt.Sprint("h", i), 10)
		if i < 1000 {
			fillHash(fmt.Sprint("m", i), 100)
		}
	}
	fillHash("large", 1_000_000)
	fill(b, r, 100_000)
	for _, tt := range []struct {
		name, format string
		key, field   int
	}{
		{"SET", "SET key:%012[1]d vvvvvvvvvvvvvvvvvvvv", 100_000, 1},
		{"HSET-10", "HSET h%d field:%d vvvvvvvvvvvvvvvvvvvv", 100_000, 10},
		{"HSET-large", "HSET large field:%[2]d vvvvvvvvvvvvvvvvvvvv", 1, 1_000_000},
		{"HINCRBY-new", "HINCRBY n%d n%d 1", 100_000, 1},
		{"GET", "GET key:%012[1]d", 100_000, 1},
		{"HGET-10", "HGET h%d field:%d", 100_000, 10},
		{"HGET-100", "HGET m%d field:%d", 1000, 100},
		{"HGET-large", "HGET large field:%[2]d", 1, 1_000_000},
		{"HGETALL-10", "HGETALL h%[1]d", 100_000, 1},
		{"HGETALL-100", "HGETALL m%[1]d", 1000, 1},
		{"HRANDFIELD-large", "HRANDFIELD large", 1, 1},
	} {
		batches := make([]*entry.Batch, benchEntries)
		writers := make([]*resp.Writer, 8)
		for i := range batches {
			batches[i] = &entry.Batch{Version: entry.Version, Now: start}
			for j := range writers {
				writers[j] = resp.NewWriter(2, nil)
				var p entry.Proposal
				for range 16 {
					line := tt.format
					if tt.name != "HRANDFIELD-large" {
						line = fmt.Sprintf(line, rnd.IntN(tt.key), rnd.IntN(tt.field))
					}
					p.Commands = append(p.Commands, entry.Command{Args: words(line), Read: tt.name[0] == 'G' || tt.name[:2] == "HG" || tt.name[:2] == "HR"})
				}
				batches[i].Proposals = append(batches[i].Proposals, p)
			}
		}
		b.Run(tt.name, func(b *testing.B) {
			benchEntry(b, 16*len(writers), func(i int) {
				for _, w := range writers {
					w.Reset(2)
				}
				r.index++
				r.m.Apply(Position{Index: r.index, Term: 1}, batches[i%benchEntries], writers)
			})
		})
	}
}
