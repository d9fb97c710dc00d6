package dict

import (
	"fmt"
	"math/rand"
	"runtime"
	"slices"
	"testing"
)

// TestPoolSizes: whatever was kept before, a page is large enough, and none is there twice.
func TestPoolSizes(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	var p pool
	out := map[*byte][]byte{}
	for range 100_000 {
		least := 1 + r.Intn(maxPage*5/4)
		size := least + r.Intn(least+1)
		b := p.page(size, least)
		if len(b) < least {
			t.Fatalf("a page of %d bytes for at least %d", len(b), least)
		}
		if most := max(least, min(size, maxPage)); len(b) > most+most/4+64 {
			t.Fatalf("a page of %d bytes for %d", len(b), size)
		}
		if out[&b[0]] != nil {
			t.Fatal("a page is given out that is in use")
		}
		out[&b[0]] = b
		for start, b := range out { // one or two of those in use go
			if delete(out, start); r.Intn(2) == 0 {
				p.keep(b)
			}
			if len(out) < 50 {
				break
			}
		}
	}
	for i, have := range p.spare {
		if len(have) > maxSpare {
			t.Errorf("%d pages of %d bytes are kept", len(have), i*grain)
		}
	}
}

// TestPoolHasNothingInUse overwrites all pages in the pool, all the time: neither the
// table nor a snapshot must notice.
func TestPoolHasNothingInUse(t *testing.T) {
	type copied struct {
		snap *Table[int]
		want map[string]string
	}
	r := rand.New(rand.NewSource(2))
	table, model := New[int](), map[string]string{}
	var c Cursor[int]
	var copies []copied
	check := func(t2 *Table[int], want map[string]string) {
		t.Helper()
		seen := 0
		t2.Ascend(0, func(_ uint64, rec Record[int]) bool {
			if want[string(rec.Key)] != string(rec.Data) {
				t.Fatalf("%q: got %q, want %q", rec.Key, rec.Data, want[string(rec.Key)])
			}
			seen++
			return true
		})
		if seen != len(want) {
			t.Fatalf("%d records, want %d", seen, len(want))
		}
	}
	pooled := 0
	for step := range 60_000 {
		key := fmt.Sprintf("key:%05d", r.Intn(4000))
		c.Seek(table, NewHasher([16]byte{}).Hash([]byte(key)), []byte(key), nil)
		if r.Intn(4) == 0 || step/15_000%2 == 1 && r.Intn(3) > 0 { // it grows and shrinks
			c.Delete()
			delete(model, key)
		} else {
			data := fmt.Sprintf("%d-%*d", step, r.Intn(150), 0)
			c.Put([]byte(key), nil, []byte(data), nil)
			model[key] = data
		}
		for _, have := range c.pages.spare {
			if len(have) > 0 { // the one that came last: the others had their turn
				pooled++
				for b, i := have[len(have)-1], 0; i < len(b); i++ {
					b[i] = 0xff
				}
			}
		}
		if r.Intn(2000) == 0 {
			want := make(map[string]string, len(model))
			for k, v := range model {
				want[k] = v
			}
			copies = append(copies, copied{table.Snapshot(), want})
		}
	}
	check(table, model)
	for _, c := range copies {
		check(c.snap, c.want)
	}
	if pooled == 0 || len(copies) == 0 {
		t.Errorf("%d pages met in the pool, %d snapshots", pooled, len(copies))
	}
}

// TestInsertsAllocateLittle: records that come in random order cost little more memory
// than they take in the end.
func TestInsertsAllocateLittle(t *testing.T) {
	const n = 50_000
	keys, pos := make([][]byte, n), make([]uint64, n)
	h := NewHasher([16]byte{1})
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key:%012d", i)
		pos[i] = h.Hash(keys[i])
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	table := New[int]()
	var c Cursor[int]
	for i := range keys {
		c.Seek(table, pos[i], keys[i], nil)
		c.Put(keys[i], nil, benchData, nil)
	}
	runtime.ReadMemStats(&after)
	record := float64(slotSize + recordSize(len(keys[0]), len(benchData)))
	if got := float64(after.TotalAlloc-before.TotalAlloc) / n; got > 3*record {
		t.Errorf("%.0f bytes were allocated for each record of %.0f", got, record)
	}
	runtime.KeepAlive(table)
	runtime.KeepAlive(slices.Clip(keys))
}
