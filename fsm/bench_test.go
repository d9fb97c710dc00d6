package fsm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/resp"
)

// BenchmarkApply applies batches of SETs to a Machine of 1 M keys, as a proposer
// (with replies) and as a follower.
func BenchmarkApply(b *testing.B) {
	r := newRig(b)
	const keys = 1_000_000
	fill(b, r, keys)
	value := []byte(strings.Repeat("v", 100))
	for _, size := range []int{1, 16, 128} {
		batches := make([]*entry.Batch, 64)
		for i := range batches {
			batches[i] = &entry.Batch{Version: entry.Version, ID: uint64(i), Now: r.now}
			for j := range size {
				key := fmt.Appendf(nil, "key:%012d", (i*size+j)*7919%keys)
				batches[i].Proposals = append(batches[i].Proposals, entry.Proposal{
					Commands: []entry.Command{{Args: [][]byte{[]byte("SET"), key, value}}},
				})
			}
		}
		writers := make([]*resp.Writer, size)
		for i := range writers {
			writers[i] = resp.NewWriter(2, make([]byte, 0, 64))
		}
		for name, ws := range map[string][]*resp.Writer{"follower": nil, "proposer": writers} {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				b.ReportAllocs()
				n := 0
				for b.Loop() {
					for _, w := range ws {
						w.Reset(2)
					}
					r.index++
					r.m.Apply(Position{Index: r.index, Term: 1}, batches[n%len(batches)], ws)
					n++
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*size), "ns/cmd")
			})
		}
	}
}

func BenchmarkRead(b *testing.B) {
	r := newRig(b)
	fill(b, r, 1_000_000)
	ps := make([]entry.Proposal, 1024)
	for i := range ps {
		ps[i].Commands = []entry.Command{{Args: [][]byte{[]byte("GET"), fmt.Appendf(nil, "key:%012d", i*7919%1_000_000)}, Read: true}}
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		w := resp.NewWriter(2, nil)
		for i := 0; pb.Next(); i++ {
			w.Reset(2)
			if err := r.m.Read(&ps[i%len(ps)], start, w); err != nil {
				b.Fatal(err)
			}
		}
	})
}
