package logstore

import (
	"fmt"
	"os"
	"testing"

	"github.com/hashicorp/raft"
)

// benchDir is on the disk that the sources are on: a temporary directory may be
// in memory, where there is nothing to wait for.
func benchDir(b *testing.B) string {
	b.Helper()
	dir, err := os.MkdirTemp(".", ".bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func benchLog(b *testing.B, k Kind, dir string) Store {
	b.Helper()
	s, err := k.Create(dir, uuid)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

func benchEntries(from uint64, n, size int) []*raft.Log {
	logs := make([]*raft.Log, n)
	for i := range logs {
		logs[i] = &raft.Log{Index: from + uint64(i), Term: 1, Type: raft.LogCommand, Data: make([]byte, size)}
	}
	return logs
}

func BenchmarkStoreLogs(b *testing.B) {
	for _, shape := range []struct{ n, size int }{{1, 100}, {50, 100}, {1000, 100}, {1, 1 << 20}} {
		for _, k := range Kinds {
			b.Run(fmt.Sprintf("%dx%d/%s", shape.n, shape.size, k), func(b *testing.B) {
				s := benchLog(b, k, benchDir(b))
				logs := benchEntries(1, shape.n, shape.size)
				b.SetBytes(int64(shape.n * shape.size))
				b.ReportAllocs()
				for b.Loop() {
					if err := s.StoreLogs(logs); err != nil {
						b.Fatal(err)
					}
					next := logs[0].Index + uint64(len(logs))
					for i := range logs { // the cache has copies of the structs
						logs[i].Index = next + uint64(i)
					}
					if next%(64<<10) < uint64(shape.n) && next > 64<<10 { // as after a snapshot
						b.StopTimer()
						if err := s.DeleteRange(1, next-(32<<10)); err != nil {
							b.Fatal(err)
						}
						b.StartTimer()
					}
				}
			})
		}
	}
}

func BenchmarkGetLog(b *testing.B) {
	for _, k := range Kinds {
		dir := benchDir(b)
		s := benchLog(b, k, dir)
		const n = 100_000
		for from := uint64(1); from < n; from += 1000 {
			if err := s.StoreLogs(benchEntries(from, 1000, 100)); err != nil {
				b.Fatal(err)
			}
		}
		read := func(b *testing.B, from, count uint64) {
			b.ReportAllocs()
			var log raft.Log
			i := uint64(0)
			for b.Loop() {
				if err := s.GetLog(from+i%count, &log); err != nil {
					b.Fatal(err)
				}
				i++
			}
		}
		b.Run("memory/"+string(k), func(b *testing.B) { read(b, n-999, 1000) })
		b.Run("disk/"+string(k), func(b *testing.B) { read(b, 1, n-2*cacheEntries) })
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, k := range Kinds {
		b.Run(fmt.Sprintf("1M/%s", k), func(b *testing.B) {
			dir := benchDir(b)
			s, err := k.Create(dir, uuid)
			if err != nil {
				b.Fatal(err)
			}
			for from := uint64(1); from < 1_000_000; from += 10_000 {
				if err := s.StoreLogs(benchEntries(from, 10_000, 100)); err != nil {
					b.Fatal(err)
				}
			}
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			for b.Loop() { // as a node does it
				s, err := k.Open(dir, uuid)
				if err == nil {
					err = s.Verify(0)
				}
				if err != nil {
					b.Fatal(err)
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
