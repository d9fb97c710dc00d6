package fsm

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/resp"
)

// The benchmarks' load is that of redis-benchmark: 16-byte keys drawn evenly, values
// of 64 bytes, 50 connections of which each puts its pipeline into one proposal.
const (
	benchCallers = 50
	benchEntries = 64 // different ones, so that no branch is learnt by heart
)

var benchValue = []byte(strings.Repeat("v", 64))

// benchBatch is one entry of as many SETs as one pipeline of each caller has.
func benchBatch(rnd *rand.Rand, pipeline, keys int) *entry.Batch {
	b := &entry.Batch{Version: entry.Version, ID: rnd.Uint64(), Now: start}
	for range benchCallers {
		var p entry.Proposal
		for range pipeline {
			key := fmt.Appendf(nil, "key:%012d", rnd.IntN(keys))
			p.Commands = append(p.Commands, entry.Command{Args: [][]byte{[]byte("SET"), key, benchValue}})
		}
		b.Proposals = append(b.Proposals, p)
	}
	return b
}

// BenchmarkApply applies entries of SETs: as the followers do, from the binary form
// and without replies, and as the proposer does, which has the batch and wants
// replies. What it allocates it allocates for each entry.
func BenchmarkApply(b *testing.B) {
	for _, keys := range []int{100_000, 1_000_000} {
		r := newRig(b)
		fill(b, r, keys)
		for _, pipeline := range []int{1, 16, 128} {
			rnd := rand.New(rand.NewPCG(1, 2))
			batches := make([]*entry.Batch, benchEntries)
			data := make([][]byte, benchEntries)
			for i := range batches {
				batches[i] = benchBatch(rnd, pipeline, keys)
				data[i] = entry.Append(nil, batches[i])
			}
			size := pipeline * benchCallers
			b.Run(fmt.Sprintf("%dk/follower/%d", keys/1000, size), func(b *testing.B) {
				var d entry.Decoder
				benchEntry(b, size, func(i int) {
					batch, err := d.Decode(data[i%benchEntries])
					if err != nil {
						b.Fatal(err)
					}
					r.index++
					r.m.Apply(Position{Index: r.index, Term: 1}, batch, nil)
				})
			})
			writers := make([]*resp.Writer, benchCallers)
			for i := range writers {
				writers[i] = resp.NewWriter(2, nil)
			}
			b.Run(fmt.Sprintf("%dk/proposer/%d", keys/1000, size), func(b *testing.B) {
				benchEntry(b, size, func(i int) {
					for _, w := range writers {
						w.Reset(2)
					}
					r.index++
					r.m.Apply(Position{Index: r.index, Term: 1}, batches[i%benchEntries], writers)
				})
			})
		}
	}
}

// benchEntry runs fn over and over and tells what it costs for each command.
func benchEntry(b *testing.B, size int, fn func(i int)) {
	b.Helper()
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		fn(n)
		n++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*size), "ns/cmd")
}

// BenchmarkRead reads with GETs, alone and in pipelines, on as many goroutines as
// -cpu says.
func BenchmarkRead(b *testing.B) {
	const keys = 100_000
	r := newRig(b)
	fill(b, r, keys)
	for _, pipeline := range []int{1, 16} {
		rnd := rand.New(rand.NewPCG(1, 2))
		ps := make([]entry.Proposal, 4096)
		for i := range ps {
			for range pipeline {
				key := fmt.Appendf(nil, "key:%012d", rnd.IntN(keys))
				ps[i].Commands = append(ps[i].Commands, entry.Command{Args: [][]byte{[]byte("GET"), key}, Read: true})
			}
		}
		b.Run(fmt.Sprintf("pipeline=%d", pipeline), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				w := resp.NewWriter(2, nil)
				for i := 0; pb.Next(); i++ {
					w.Reset(2)
					if err := r.m.Read(&ps[i%len(ps)], start, w); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*pipeline), "ns/cmd")
		})
	}
}
