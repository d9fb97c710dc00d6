package dict

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"sync"
	"testing"
)

// model is what a table must be like: a sorted slice, copied to take a snapshot.
type model []entry

type entry struct {
	pos       uint64
	key, data string
	ref       *int
}

func (m model) find(pos uint64, key string) (int, bool) {
	return slices.BinarySearchFunc(m, entry{pos: pos, key: key}, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.pos, b.pos), strings.Compare(a.key, b.key))
	})
}

func (m *model) put(e entry) {
	i, found := m.find(e.pos, e.key)
	if found {
		(*m)[i] = e
		return
	}
	*m = slices.Insert(*m, i, e)
}

func (m *model) delete(pos uint64, key string) (ok bool) {
	i, found := m.find(pos, key)
	if found {
		*m = slices.Delete(*m, i, i+1)
	}
	return found
}

func asEntry(pos uint64, r Record[int]) entry {
	return entry{pos, string(r.Key), string(r.Data), r.Ref}
}

func entries(t *Table[int]) model {
	var got model
	t.Ascend(0, func(pos uint64, r Record[int]) bool {
		got = append(got, asEntry(pos, r))
		return true
	})
	return got
}

func equal(tb testing.TB, what string, tab *Table[int], want model) {
	tb.Helper()
	if got := entries(tab); !slices.Equal(got, want) {
		tb.Fatalf("%s: table holds %d records, model %d, or they differ", what, len(got), len(want))
	}
	if tab.Len() != len(want) {
		tb.Fatalf("%s: Len = %d, want %d", what, tab.Len(), len(want))
	}
	check(tb, tab)
}

// check tests what the comments of node and inner promise.
func check(tb testing.TB, t *Table[int]) {
	tb.Helper()
	if t.size == 0 {
		if t.root.in != nil || t.root.n != 0 || t.root.page != nil && t.root.epoch == t.epochs.now {
			tb.Fatal("an empty table holds memory")
		}
		return
	}
	depth := -1
	var walk func(n *node[int], d int, newest uint64) int
	walk = func(n *node[int], d int, newest uint64) int {
		if n.epoch > newest {
			tb.Fatalf("node of epoch %d below one of %d", n.epoch, newest)
		}
		if n.in == nil {
			if depth >= 0 && d != depth {
				tb.Fatalf("leaves at depth %d and %d", depth, d)
			}
			depth = d
			checkLeaf(tb, n)
			return int(n.n)
		}
		in := n.in
		k := len(in.kids)
		if k < 2 || k > maxInner || len(in.pos) != k || len(in.keys) != k || len(in.counts) != k || d > 0 && k < minInner {
			tb.Fatalf("inner node with %d children, %d separators, %d counts", k, len(in.pos), len(in.counts))
		}
		for _, kid := range in.kids[k:cap(in.kids)] {
			if kid.in != nil || kid.page != nil || kid.refs != nil {
				tb.Fatal("a freed child slot still holds its node")
			}
		}
		sum := 0
		for i := range in.kids {
			if got := walk(&in.kids[i], d+1, n.epoch); got != in.counts[i] {
				tb.Fatalf("counts[%d] = %d, the child holds %d", i, in.counts[i], got)
			}
			sum += in.counts[i]
		}
		return sum
	}
	newest := t.epochs.now
	if t.frozen {
		newest = t.last
	}
	if got := walk(&t.root, 0, newest); got != t.size {
		tb.Fatalf("size = %d, leaves hold %d", t.size, got)
	}
}

// checkLeaf looks at every byte of a page: each belongs to a slot, to one record, is
// free or dead.
func checkLeaf(tb testing.TB, n *node[int]) {
	tb.Helper()
	if n.n == 0 || n.n > 1 && n.used() > maxPage || n.n > 1 && len(n.page) > maxPage {
		tb.Fatalf("leaf of %d records with %d bytes in use, its page has %d", n.n, n.used(), len(n.page))
	}
	if n.refs != nil && len(n.refs.of) != int(n.n) {
		tb.Fatalf("%d records, %d pointers", n.n, len(n.refs.of))
	}
	taken := make([]bool, len(n.page))
	records := 0
	for i := range int(n.n) {
		from := len(n.page) - len(n.raw(i))
		if from < int(n.low) {
			tb.Fatalf("a record at %d, below %d", from, n.low)
		}
		for at := from; at < from+n.sizeOf(i); at++ {
			if taken[at] {
				tb.Fatal("two records share a byte")
			}
			taken[at] = true
			records++
		}
	}
	if free := int(n.low) - int(n.n)*slotSize; free < 0 {
		tb.Fatalf("slots and records overlap by %d", -free)
	}
	if dead := len(n.page) - int(n.low) - records; dead != int(n.dead) {
		tb.Fatalf("%d dead bytes, counted as %d", dead, n.dead)
	}
}

// picker chooses what a random operation works on.
type picker func(r *rand.Rand) (pos uint64, key string)

var pickers = []struct {
	name string
	pick picker
}{
	{"hashed", func(r *rand.Rand) (uint64, string) {
		k := r.Intn(5000)
		return uint64(k) * 0x9E3779B97F4A7C15 >> 11, fmt.Sprint("key", k)
	}},
	{"few positions", func(r *rand.Rand) (uint64, string) {
		k := r.Intn(5000)
		return uint64(k % 7), fmt.Sprint("key", k)
	}},
	{"one position", func(r *rand.Rand) (uint64, string) { return 42, fmt.Sprint(r.Intn(3000)) }},
	{"extremes", func(r *rand.Rand) (uint64, string) {
		return []uint64{0, 1, 1 << 63, ^uint64(0)}[r.Intn(4)], strings.Repeat("a", r.Intn(300))
	}},
	{"binary keys", func(r *rand.Rand) (uint64, string) {
		k := make([]byte, r.Intn(4))
		r.Read(k)
		return uint64(r.Intn(3)), string(k)
	}},
}

// randomData is of any length, now and then one that no page shares.
func randomData(r *rand.Rand) string {
	n := []int{0, 8, 8, 64, 64, 64, r.Intn(130), r.Intn(300), r.Intn(3000)}[r.Intn(9)]
	if r.Intn(100) == 0 {
		n = maxPage/2 + r.Intn(4*maxPage)
	}
	return strings.Repeat(string(rune('a'+r.Intn(26))), n)
}

// Phases of growing and shrinking, with snapshots in between that must stay as they
// were until they are released, in any order.
func TestAgainstModel(t *testing.T) {
	for _, p := range pickers {
		t.Run(p.name, func(t *testing.T) {
			r := rand.New(rand.NewSource(1))
			var tab Table[int]
			var c Cursor[int]
			var want model
			type shot struct {
				tab  *Table[int]
				want model
			}
			var shots []shot
			for i := range 16000 {
				pos, key := p.pick(r)
				grow := i/4000%2 == 0
				checkSeek(t, &c, &tab, want, pos, key)
				if i, found := want.find(pos, key); found && r.Intn(3) == 0 {
					e := want[i]
					head, tail := strings.Repeat("H", r.Intn(min(len(e.data), 20)+1)), randomData(r)
					if r.Intn(2) == 0 {
						c.Append([]byte(key), []byte(head), []byte(tail))
						e.data = head + e.data[len(head):] + tail
					} else {
						at := r.Intn(len(e.data) + 1)
						part := strings.Repeat("P", r.Intn(len(e.data)-at+1))
						c.Patch([]byte(head), at, []byte(part))
						e.data = head + e.data[len(head):]
						e.data = e.data[:at] + part + e.data[at+len(part):]
					}
					want.put(e)
					checkSeek(t, &c, &tab, want, pos, key)
				} else if r.Intn(10) < 7 == grow {
					e := entry{pos, key, randomData(r), nil}
					if r.Intn(4) == 0 {
						e.ref = new(int)
					}
					cut := r.Intn(len(e.data) + 1)
					c.Put([]byte(key), []byte(e.data[:cut]), []byte(e.data[cut:]), e.ref)
					want.put(e)
					checkSeek(t, &c, &tab, want, pos, key)
				} else if ok, wantOK := c.Delete(), want.delete(pos, key); ok != wantOK {
					t.Fatalf("Delete of (%d, %q) = %v, want %v", pos, key, ok, wantOK)
				}
				queries(t, r, &tab, want, p.pick)
				if r.Intn(1000) == 0 {
					shots = append(shots, shot{tab.Snapshot(), slices.Clone(want)})
				}
				if len(shots) > 0 && r.Intn(1500) == 0 {
					i := r.Intn(len(shots))
					equal(t, "released snapshot", shots[i].tab, shots[i].want)
					shots[i].tab.Release()
					shots = slices.Delete(shots, i, i+1)
				}
				if i%1000 == 0 {
					equal(t, "table", &tab, want)
				}
			}
			equal(t, "table", &tab, want)
			for i, s := range shots {
				equal(t, fmt.Sprint("snapshot ", i), s.tab, s.want)
				queries(t, r, s.tab, s.want, p.pick)
			}
			emptyOut(t, r, &tab, want)
			for i, s := range shots {
				equal(t, fmt.Sprint("snapshot after the deletes ", i), s.tab, s.want)
			}
		})
	}
}

// checkSeek seeks, now and then by a probe among others, which may be outdated.
func checkSeek(t *testing.T, c *Cursor[int], tab *Table[int], want model, pos uint64, key string) {
	t.Helper()
	var p *Probe[int]
	if tab.writes%3 > 0 {
		probes := []Probe[int]{{Table: tab, Pos: pos + 1}, {Table: tab, Pos: pos}, {Table: New[int](), Pos: pos}}
		Warm(probes[:1+tab.writes%3])
		p = &probes[1]
		if r, ok := tab.GetWarm(p, []byte(key)); ok != c.Seek(tab, pos, []byte(key), nil) || ok && asEntry(pos, r) != asEntry(pos, c.Record()) {
			t.Fatalf("GetWarm(%d, %q) = %v, %v", pos, key, r, ok)
		}
		*c = Cursor[int]{}
	}
	var got Record[int]
	ok := c.Seek(tab, pos, []byte(key), p)
	if ok {
		got = c.Record()
	}
	i, wantOK := want.find(pos, key)
	if ok != wantOK || ok && asEntry(pos, got) != want[i] {
		t.Fatalf("Seek(%d, %q) = %v, %v, want ok = %v", pos, key, got, ok, wantOK)
	}
}

func queries(t *testing.T, r *rand.Rand, tab *Table[int], want model, pick picker) {
	t.Helper()
	pos, key := pick(r)
	got, ok := tab.Get(pos, []byte(key))
	i, wantOK := want.find(pos, key)
	if ok != wantOK || ok && asEntry(pos, got) != want[i] {
		t.Fatalf("Get(%d, %q) = %v, %v, want ok = %v", pos, key, got, ok, wantOK)
	}
	from, _ := pick(r)
	to, _ := pick(r)
	lo, _ := want.find(from, "")
	hi, _ := want.find(to, "")
	if got, n := tab.CountRange(from, to), max(hi-lo, 0); got != n {
		t.Fatalf("CountRange(%d, %d) = %d, want %d", from, to, got, n)
	}
	rank := r.Intn(len(want)+2) - 1
	pos, got, ok = tab.At(rank)
	if wantOK = rank >= 0 && rank < len(want); ok != wantOK || ok && asEntry(pos, got) != want[rank] {
		t.Fatalf("At(%d) = %d, %v, %v", rank, pos, got, ok)
	}
	pos, got, ok = tab.Min()
	if ok != (len(want) > 0) || ok && asEntry(pos, got) != want[0] {
		t.Fatalf("Min = %d, %v, %v", pos, got, ok)
	}
	n := 0
	tab.Ascend(from, func(pos uint64, r Record[int]) bool {
		if asEntry(pos, r) != want[lo+n] {
			t.Fatalf("Ascend(%d): record %d is %d %q", from, n, pos, r.Key)
		}
		n++
		return n < 5
	})
	if n != min(5, len(want)-lo) {
		t.Fatalf("Ascend(%d) gave %d records, want %d", from, n, min(5, len(want)-lo))
	}
	walks(t, tab, want, r.Intn(len(want)+2)-1, r.Intn(50))
	at, key := pick(r)
	i, wantOK = want.find(at, key)
	if rank, ok := tab.Rank(at, []byte(key)); rank != i || ok != wantOK {
		t.Fatalf("Rank(%d, %q) = %d, %v, want %d, %v", at, key, rank, ok, i, wantOK)
	}
}

// walks goes up to so many steps from a rank in both directions.
func walks(t *testing.T, tab *Table[int], want model, rank, steps int) {
	t.Helper()
	for _, by := range []int{1, -1} {
		walk, at := tab.AscendAt, rank
		if by < 0 {
			walk = tab.DescendAt
		}
		n := 0
		walk(rank, func(pos uint64, r Record[int]) bool {
			if asEntry(pos, r) != want[at] {
				t.Fatalf("from rank %d by %d: record %d is %d %q", rank, by, n, pos, r.Key)
			}
			at += by
			n++
			return n < steps
		})
		most := len(want) - rank
		if by < 0 {
			most = rank + 1
		}
		if rank < 0 || rank >= len(want) {
			most = 0
		}
		if n != min(max(steps, 1), most) {
			t.Fatalf("from rank %d by %d: %d records, want %d", rank, by, n, min(max(steps, 1), most))
		}
	}
}

// put stores a record, wherever it belongs.
func put(tab *Table[int], pos uint64, key, data string) {
	var c Cursor[int]
	c.Seek(tab, pos, []byte(key), nil)
	c.Put([]byte(key), nil, []byte(data), nil)
}

// remove deletes a record and says whether it was there.
func remove(tab *Table[int], pos uint64, key string) bool {
	var c Cursor[int]
	c.Seek(tab, pos, []byte(key), nil)
	return c.Delete()
}

func emptyOut(t *testing.T, r *rand.Rand, tab *Table[int], want model) {
	t.Helper()
	for _, i := range r.Perm(len(want)) {
		if !remove(tab, want[i].pos, want[i].key) {
			t.Fatalf("Delete of (%d, %q) found nothing", want[i].pos, want[i].key)
		}
		if i%64 == 0 {
			check(t, tab)
		}
	}
	equal(t, "emptied", tab, nil)
	if put(tab, 1, "again", ""); tab.Len() != 1 {
		t.Errorf("after a Put into the emptied table: Len %d", tab.Len())
	}
}

func TestEmpty(t *testing.T) {
	tab := New[int]()
	if _, ok := tab.Get(0, nil); ok {
		t.Error("Get found something")
	}
	if remove(tab, 0, "") {
		t.Error("Delete found something")
	}
	if _, _, ok := tab.Min(); ok {
		t.Error("Min found something")
	}
	if n := tab.CountRange(0, 10); n != 0 {
		t.Errorf("CountRange = %d", n)
	}
	equal(t, "empty", tab, nil)
	s := tab.Snapshot()
	put(tab, 0, "", "")
	equal(t, "snapshot of the empty table", s, nil)
	equal(t, "empty key", tab, model{{}})
}

// A cursor that stands where the table was changed meanwhile by another one, or that
// deleted its record, must not write there.
func TestCursorAfterOtherWrites(t *testing.T) {
	var tab Table[int]
	var a, b Cursor[int]
	for i := range 100 {
		put(&tab, uint64(i), "k", "")
	}
	a.Seek(&tab, 50, []byte("k"), nil)
	b.Seek(&tab, 10, []byte("k"), nil)
	if !b.Delete() || b.Delete() || a.Delete() {
		t.Error("of three deletes, the first alone is right")
	}
	if ok := a.Seek(&tab, 50, []byte("k"), nil); !ok || !a.Delete() || tab.Len() != 98 {
		t.Errorf("after another Seek: found %v, %d left", ok, tab.Len())
	}
	// A key of a position that nobody has belongs there whatever it is; one of a
	// position that somebody has does not.
	a.Seek(&tab, 50, []byte("a"), nil)
	a.Put([]byte("a"), nil, nil, nil)
	if a.Seek(&tab, 50, []byte("b"), nil) {
		t.Error("found what is not there")
	}
	a.Put([]byte("b"), nil, nil, nil)
	if pos, r, _ := tab.At(tab.CountRange(0, 50) + 1); pos != 50 || string(r.Key) != "b" {
		t.Errorf("the second of position 50 is (%d, %q)", pos, r.Key)
	}
	check(t, &tab)
}

// Probes that were warmed together are used one after the other, while what is done
// at each moves, copies and splits what the later ones found.
func TestOutdatedProbes(t *testing.T) {
	r := rand.New(rand.NewSource(7))
	var tab Table[int]
	var c Cursor[int]
	var want model
	pick := pickers[0].pick
	for round := range 3000 {
		var probes []Probe[int]
		var keys []string
		for range 16 {
			pos, key := pick(r)
			probes, keys = append(probes, Probe[int]{Table: &tab, Pos: pos}), append(keys, key)
		}
		Warm(probes)
		for i := range probes {
			p, key := &probes[i], keys[i]
			got, ok := tab.GetWarm(p, []byte(key))
			at, wantOK := want.find(p.Pos, key)
			if ok != wantOK || ok && asEntry(p.Pos, got) != want[at] {
				t.Fatalf("GetWarm(%d, %q) = %v, %v, want ok = %v", p.Pos, key, got, ok, wantOK)
			}
			if c.Seek(&tab, p.Pos, []byte(key), p) != ok {
				t.Fatalf("Seek(%d, %q) = %v", p.Pos, key, !ok)
			}
			if ok && r.Intn(4) == round/500%2 {
				c.Delete()
				want.delete(p.Pos, key)
			} else {
				e := entry{p.Pos, key, randomData(r), nil}
				c.Put([]byte(key), nil, []byte(e.data), nil)
				want.put(e)
			}
		}
		if r.Intn(20) == 0 {
			tab.Snapshot()
		}
		if round%100 == 0 {
			equal(t, "table", &tab, want)
		}
	}
}

// appendTo stores a record behind all others, if it belongs there.
func appendTo(c *Cursor[int], t *Table[int], e entry) bool {
	if !c.SeekEnd(t, e.pos, []byte(e.key)) {
		return false
	}
	c.Put([]byte(e.key), []byte(e.data), nil, e.ref)
	return true
}

// A table that is built from its end is the one that Put builds, and what is out of
// order is refused.
func TestSeekEnd(t *testing.T) {
	r := rand.New(rand.NewSource(3))
	var tab Table[int]
	var c Cursor[int]
	var want model
	pos := uint64(0)
	for i := range 30_000 {
		if r.Intn(3) > 0 {
			pos += uint64(r.Intn(1000))
		}
		e := entry{pos, fmt.Sprintf("%06d", i), randomData(r), nil}
		if r.Intn(50) == 0 {
			e.ref = new(int)
		}
		if !appendTo(&c, &tab, e) {
			t.Fatalf("record %d was refused", i)
		}
		want = append(want, e)
		if r.Intn(100) == 0 {
			old := want[r.Intn(len(want))]
			if c.SeekEnd(&tab, old.pos, []byte(old.key)) {
				t.Fatal("a record of before was taken")
			}
			checkSeek(t, &c, &tab, want, old.pos, old.key)
		}
		if r.Intn(3000) == 0 {
			s := tab.Snapshot()
			defer equal(t, "snapshot", s, slices.Clone(want))
		}
	}
	equal(t, "appended", &tab, want)
	last := entry{pos: ^uint64(0), key: "z"}
	for _, e := range []entry{{pos: last.pos}, last} {
		if !appendTo(&c, &tab, e) || appendTo(&c, &tab, e) {
			t.Errorf("%v is to be taken once", e)
		}
	}
	if c.SeekEnd(&tab, last.pos, []byte("y")) {
		t.Error("taken before the last one")
	}
	emptyOut(t, r, &tab, entries(&tab))
}

// Pages stay well filled, whatever the order of inserts.
func TestOccupancy(t *testing.T) {
	const n = 100_000
	cases := []struct {
		name string
		pos  func(i int) uint64
		want float64 // of the pages' bytes
	}{
		{"ascending", func(i int) uint64 { return uint64(i) }, 0.98},
		{"descending", func(i int) uint64 { return uint64(n - i) }, 0.85},
		{"random", func(i int) uint64 { return Hasher{}.Hash(fmt.Append(nil, i)) }, 0.88},
		{"one position", func(int) uint64 { return 7 }, 0.85},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var tab Table[int]
			for i := range n {
				put(&tab, c.pos(i), fmt.Sprintf("%08d", i), strings.Repeat("v", 64))
			}
			check(t, &tab)
			if got, _ := filling(&tab.root); got < c.want {
				t.Errorf("pages are filled to %.2f, want %.2f", got, c.want)
			}
			for i := range n {
				if i%10 != 0 {
					remove(&tab, c.pos(i), fmt.Sprintf("%08d", i))
				}
			}
			check(t, &tab)
			if got, used := filling(&tab.root); got < 0.5 || used < maxPage/4 {
				t.Errorf("after the deletes pages are filled to %.2f, with %.0f bytes each", got, used)
			}
		})
	}
}

// filling is which part of the pages is in use, and how much of a page.
func filling(n *node[int]) (part, bytes float64) {
	pages, used, size := 0, 0, 0
	var walk func(n *node[int])
	walk = func(n *node[int]) {
		if n.in == nil {
			pages, used, size = pages+1, used+n.used(), size+len(n.page)
			return
		}
		for i := range n.in.kids {
			walk(&n.in.kids[i])
		}
	}
	walk(n)
	return float64(used) / float64(size), float64(used) / float64(pages)
}

// A record whose length keeps changing must neither let its page grow without end nor
// cost a new page each time.
func TestChangingLengths(t *testing.T) {
	var tab Table[int]
	var c Cursor[int]
	for i := range 1000 {
		put(&tab, uint64(i), "key", strings.Repeat("v", 64))
	}
	r := rand.New(rand.NewSource(1))
	data := make([]byte, 128)
	one := func() {
		c.Seek(&tab, uint64(r.Intn(1000)), []byte("key"), nil)
		c.Put([]byte("key"), nil, data[:60+r.Intn(10)], nil)
	}
	for range 100_000 {
		one()
	}
	check(t, &tab)
	if got, _ := filling(&tab.root); got < 0.7 {
		t.Errorf("pages are filled to %.2f", got)
	}
	if n := testing.AllocsPerRun(10_000, one); n > 0 { // rounded down
		t.Errorf("a change of length allocates %v times", n)
	}
}

// A separator that were longer than it must be would cost memory, and one that
// aliased a record's key would keep its page alive.
func TestSeparatorsAreShort(t *testing.T) {
	long := strings.Repeat("x", 1000)
	var tab Table[int]
	for i := range 500 {
		put(&tab, 1, fmt.Sprintf("%03d", i)+long, "")
	}
	for _, k := range tab.root.in.keys[1:] {
		if len(k) > 3 {
			t.Errorf("separator of %d bytes, want at most 3", len(k))
		}
	}
}

func TestSnapshotIsReadOnly(t *testing.T) {
	var tab Table[int]
	put(&tab, 1, "a", "")
	s := tab.Snapshot()
	for name, write := range map[string]func(){
		"Put":     func() { put(s, 1, "b", "") },
		"Delete":  func() { remove(s, 1, "a") },
		"SeekEnd": func() { appendTo(new(Cursor[int]), s, entry{pos: 2}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s on a snapshot did not panic", name)
				}
			}()
			write()
		}()
	}
}

// What a snapshot showed is not copied any more once that and all others that showed
// it are released.
func TestReleaseEndsCopying(t *testing.T) {
	var tab Table[int]
	for i := range 10_000 {
		put(&tab, uint64(i)*0x9E3779B97F4A7C15, fmt.Sprint(i), "data")
	}
	// copied says whether a write, which fits in its place, goes to another page.
	copied := func(i int) bool {
		pos, key := uint64(i)*0x9E3779B97F4A7C15, fmt.Sprint(i)
		before, _ := tab.Get(pos, []byte(key))
		put(&tab, pos, key, "Data")
		after, _ := tab.Get(pos, []byte(key))
		return &before.Key[0] != &after.Key[0]
	}
	first, second := tab.Snapshot(), tab.Snapshot()
	for i, step := range []struct {
		what string
		do   func()
		want bool
	}{
		{"two snapshots", func() {}, true},
		{"the newer one is released", func() { second.Release() }, true},
		{"and once more", func() { second.Release() }, true},
		{"both are released", func() { first.Release() }, false},
		{"a third one", func() { first = tab.Snapshot() }, true},
		{"and a fourth one", func() { second = tab.Snapshot() }, true},
		{"the older one is released", func() { first.Release() }, true},
		{"all are released", func() { second.Release() }, false},
	} {
		step.do()
		if got := copied(i * 1000); got != step.want {
			t.Errorf("%s: a write copies: %v, want %v", step.what, got, step.want)
		}
		check(t, &tab)
	}
	if first.Len() != 0 {
		t.Error("a released snapshot shows something")
	}
}

// Readers of snapshots run while the writer goes on; -race does the checking.
func TestReadersBesideWriter(t *testing.T) {
	var tab Table[int]
	var wg sync.WaitGroup
	read := make(chan *Table[int], 15)
	for i := range 30_000 {
		select {
		case s := <-read:
			s.Release() // from here on what it showed is changed in place
		default:
		}
		put(&tab, uint64(i)*0x9E3779B97F4A7C15, fmt.Sprint(i), "data")
		j := i / 2
		put(&tab, uint64(j)*0x9E3779B97F4A7C15, fmt.Sprint(j), "Data")
		if i%3 == 0 {
			remove(&tab, uint64(j)*0x9E3779B97F4A7C15, fmt.Sprint(j))
		}
		if i%2000 == 1999 {
			s := tab.Snapshot()
			want := tab.Len()
			wg.Go(func() {
				n := 0
				s.Ascend(0, func(_ uint64, r Record[int]) bool { n += len(r.Data) / 4; return true })
				if n != want || s.CountRange(0, ^uint64(0)) != want {
					t.Errorf("a snapshot of %d records shows %d", want, n)
				}
				s.At(n / 2)
				read <- s
			})
		}
	}
	wg.Wait()
}

// After a snapshot a write copies one path, not the table.
func TestWriteAfterSnapshotCopiesOnlyAPath(t *testing.T) {
	var tab Table[int]
	for i := range 100_000 {
		put(&tab, uint64(i)*0x9E3779B97F4A7C15, fmt.Sprint(i), "data")
	}
	s := tab.Snapshot()
	pos := uint64(12345)
	put(&tab, pos*0x9E3779B97F4A7C15, "12345", "Data")
	fresh := 0
	var compare func(a, b *node[int])
	compare = func(a, b *node[int]) {
		switch {
		case a.in == nil && &a.page[0] != &b.page[0]:
			fresh++
		case a.in != b.in:
			fresh++
			for i := range a.in.kids {
				compare(&a.in.kids[i], &b.in.kids[i])
			}
		}
	}
	compare(&s.root, &tab.root)
	if fresh > 4 {
		t.Errorf("one write copied %d nodes", fresh)
	}
}

func TestAllocations(t *testing.T) {
	var tab Table[int]
	var c Cursor[int]
	long := strings.Repeat("k", 100)
	for i := range 1000 {
		put(&tab, uint64(i%3), long+fmt.Sprint(i), "data")
	}
	key, data := []byte(long+"777"), []byte("Data")
	if n := testing.AllocsPerRun(100, func() { tab.Get(0, key) }); n != 0 {
		t.Errorf("Get allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		c.Seek(&tab, 0, key, nil)
		c.Put(key, nil, data, nil)
	}); n != 0 {
		t.Errorf("a replacing Put allocates %v times", n)
	}
}

// A record that made its page larger than maxPage gives that back when it shrinks, so that
// such a page is never shared.
func TestLargePageShrinks(t *testing.T) {
	var tab Table[int]
	put(&tab, 1, "k", strings.Repeat("x", maxPage+100))
	put(&tab, 1, "k", strings.Repeat("x", 3000))
	put(&tab, 2, "l", "y")
	checkLeaf(t, &tab.root)
}

func FuzzTable(f *testing.F) {
	f.Add([]byte("0123456789abcdefghij"))
	f.Add(bytes.Repeat([]byte{3, 1, 4, 1, 5, 9, 2, 6}, 200))
	f.Fuzz(func(t *testing.T, ops []byte) {
		var tab Table[int]
		var want model
		var shots []*Table[int]
		var wants []model
		for ; len(ops) >= 5; ops = ops[5:] {
			pos := uint64(ops[1] % 16)
			key := string(ops[2:4])
			data := strings.Repeat("d", int(ops[4])*int(ops[4])/8)
			switch ops[0] % 8 {
			case 0, 1, 2, 3: // a run of inserts, so that nodes split
				for i := range int(ops[0] / 4) {
					e := entry{pos, key + string(rune(i)), data, nil}
					put(&tab, pos, e.key, data)
					want.put(e)
				}
			case 4:
				for i := range int(ops[0] / 4) {
					k := key + string(rune(i))
					at, found := want.find(pos, k)
					if !found {
						continue
					}
					var c Cursor[int]
					c.Seek(&tab, pos, []byte(k), nil)
					c.Append([]byte(k), nil, []byte(data))
					want[at].data += data
				}
			case 5, 6:
				for i := range int(ops[0] / 4) {
					remove(&tab, pos, key+string(rune(i)))
					want.delete(pos, key+string(rune(i)))
				}
			case 7:
				if i := int(ops[1]) / 16; i < len(shots) && ops[2]%2 == 0 {
					equal(t, "released snapshot", shots[i], wants[i])
					shots[i].Release()
					shots, wants = slices.Delete(shots, i, i+1), slices.Delete(wants, i, i+1)
				} else if len(shots) < 10 {
					shots, wants = append(shots, tab.Snapshot()), append(wants, slices.Clone(want))
				}
			}
		}
		equal(t, "table", &tab, want)
		for i, s := range shots {
			equal(t, "snapshot", s, wants[i])
		}
	})
}

// SipHash-1-3 of 00 01 02 … under the key 00 … 0f, from the published vectors (as
// the Rust standard library's tests print them).
func TestHash(t *testing.T) {
	want := map[int]uint64{
		0: 0xabac0158050fc4dc, 1: 0xc9f49bf37d57ca93, 2: 0x82cb9b024dc7d44d, 3: 0x8bf80ab8e7ddf7fb,
		4: 0xcf75576088d38328, 5: 0xdef9d52f49533b67, 6: 0xc50d2b50c59f22a7, 7: 0xd3927d989bb11140,
		8: 0x369095118d299a8e, 9: 0x25a48eb36c063de4, 15: 0xd320d86d2a519956, 16: 0xcc4fdd1a7d908b66,
		17: 0x9cf29063dbd80c, 31: 0x4d54b9e57a8ff9bf, 32: 0x759f12781f2a753e, 63: 0x9d199062b7bbb3a8,
	}
	want[17] = binary.LittleEndian.Uint64([]byte{0x0c, 0xd8, 0xdb, 0x63, 0x90, 0x68, 0xf2, 0x9c})
	want[31] = binary.LittleEndian.Uint64([]byte{0xbc, 0xd1, 0x21, 0x8c, 0x1f, 0xdd, 0x70, 0x23})
	want[32] = binary.LittleEndian.Uint64([]byte{0x0d, 0xb6, 0xa7, 0x16, 0x6c, 0x7b, 0x15, 0x81})
	var key [16]byte
	var data []byte
	for i := range 64 {
		if i < 16 {
			key[i] = byte(i)
		}
		data = append(data, byte(i))
	}
	h := NewHasher(key)
	for n, w := range want {
		if got := h.Hash(data[:n]); got != w {
			t.Errorf("Hash of %d bytes = %#016x, want %#016x", n, got, w)
		}
	}
}

// firstAt against a plain count, for every size and place.
func TestFirstAt(t *testing.T) {
	for size := 1; size <= maxInner; size++ {
		n := &inner[int]{pos: make([]uint64, size)}
		n.pos[0] = ^uint64(0) // never looked at
		for i := 1; i < size; i++ {
			n.pos[i] = uint64(i) / 2 * 10
		}
		for x := range uint64(5*size + 20) {
			want := 1
			for want < size && n.pos[want] < x {
				want++
			}
			if got := n.firstAt(x); got != want {
				t.Fatalf("among %d the first at %d is %d, want %d", size, x, got, want)
			}
		}
	}
}
