package dict

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"sync"
	"testing"
)

// item is an element as the keyspace has them: 24 bytes with pointers.
type item struct {
	key string
	val *int
}

func (it item) Key() string { return it.key }

// model is what a table must be like: a sorted slice, copied to take a snapshot.
type model []entry

type entry struct {
	pos uint64
	it  item
}

func (m model) find(pos uint64, key string) (int, bool) {
	return slices.BinarySearchFunc(m, entry{pos, item{key: key}}, func(a, b entry) int {
		if a.pos != b.pos {
			if a.pos < b.pos {
				return -1
			}
			return 1
		}
		return strings.Compare(a.it.key, b.it.key)
	})
}

func (m *model) put(pos uint64, it item) (old item, replaced bool) {
	i, found := m.find(pos, it.key)
	if found {
		old, (*m)[i].it = (*m)[i].it, it
		return old, true
	}
	*m = slices.Insert(*m, i, entry{pos, it})
	return old, false
}

func (m *model) delete(pos uint64, key string) (old item, ok bool) {
	i, found := m.find(pos, key)
	if found {
		old = (*m)[i].it
		*m = slices.Delete(*m, i, i+1)
	}
	return old, found
}

func entries(t *Table[item]) model {
	var got model
	t.Ascend(0, func(pos uint64, it item) bool {
		got = append(got, entry{pos, it})
		return true
	})
	return got
}

func equal(tb testing.TB, what string, tab *Table[item], want model) {
	tb.Helper()
	if got := entries(tab); !slices.Equal(got, want) {
		tb.Fatalf("%s: table holds %d elements, model %d, or they differ", what, len(got), len(want))
	}
	if tab.Len() != len(want) {
		tb.Fatalf("%s: Len = %d, want %d", what, tab.Len(), len(want))
	}
	check(tb, tab)
}

// check tests what the comments of node promise.
func check[E Element](tb testing.TB, t *Table[E]) {
	tb.Helper()
	if t.size == 0 {
		if t.root.in != nil || len(t.root.slots) != 0 || t.root.slots != nil && t.root.epoch == t.epoch {
			tb.Fatal("an empty table holds memory")
		}
		return
	}
	depth := -1
	var walk func(n node[E], d int, newest uint64) int
	walk = func(n node[E], d int, newest uint64) int {
		if n.epoch > newest {
			tb.Fatalf("node of epoch %d below one of %d", n.epoch, newest)
		}
		if n.in == nil {
			if depth >= 0 && d != depth {
				tb.Fatalf("leaves at depth %d and %d", depth, d)
			}
			depth = d
			if len(n.slots) == 0 || len(n.slots) > maxLeaf {
				tb.Fatalf("leaf with %d elements", len(n.slots))
			}
			for _, s := range n.slots[len(n.slots):cap(n.slots)] {
				if any(s) != any(slot[E]{}) {
					tb.Fatal("a freed slot still holds its element")
				}
			}
			return len(n.slots)
		}
		in := n.in
		k := len(in.kids)
		if k < 2 || k > maxInner || len(in.pos) != k || len(in.keys) != k || len(in.counts) != k || d > 0 && k < minInner {
			tb.Fatalf("inner node with %d children, %d separators, %d counts", k, len(in.pos), len(in.counts))
		}
		for _, kid := range in.kids[k:cap(in.kids)] {
			if kid.in != nil || kid.slots != nil {
				tb.Fatal("a freed child slot still holds its node")
			}
		}
		sum := 0
		for i, kid := range in.kids {
			if got := walk(kid, d+1, n.epoch); got != in.counts[i] {
				tb.Fatalf("counts[%d] = %d, the child holds %d", i, in.counts[i], got)
			}
			sum += in.counts[i]
		}
		return sum
	}
	if got := walk(t.root, 0, t.epoch); got != t.size {
		tb.Fatalf("size = %d, leaves hold %d", t.size, got)
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

// Phases of growing and shrinking, with snapshots in between that must stay as they were.
func TestAgainstModel(t *testing.T) {
	for _, p := range pickers {
		t.Run(p.name, func(t *testing.T) {
			r := rand.New(rand.NewSource(1))
			var tab Table[item]
			var want model
			type shot struct {
				tab  *Table[item]
				want model
			}
			var shots []shot
			for i := range 16000 {
				pos, key := p.pick(r)
				grow := i/4000%2 == 0
				if r.Intn(10) < 7 == grow {
					it := item{key, new(int)}
					old, replaced := tab.Put(pos, it)
					wantOld, wantReplaced := want.put(pos, it)
					if old != wantOld || replaced != wantReplaced {
						t.Fatalf("Put(%d, %q) = %v, %v, want %v, %v", pos, key, old, replaced, wantOld, wantReplaced)
					}
				} else {
					old, ok := tab.Delete(pos, []byte(key))
					wantOld, wantOK := want.delete(pos, key)
					if old != wantOld || ok != wantOK {
						t.Fatalf("Delete(%d, %q) = %v, %v, want %v, %v", pos, key, old, ok, wantOld, wantOK)
					}
				}
				queries(t, r, &tab, want, p.pick)
				if r.Intn(1000) == 0 {
					shots = append(shots, shot{tab.Snapshot(), slices.Clone(want)})
				}
				if i%5000 == 0 {
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

func queries(t *testing.T, r *rand.Rand, tab *Table[item], want model, pick picker) {
	t.Helper()
	pos, key := pick(r)
	got, ok := tab.Get(pos, []byte(key))
	i, wantOK := want.find(pos, key)
	if ok != wantOK || ok && got != want[i].it {
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
	if wantOK = rank >= 0 && rank < len(want); ok != wantOK || ok && (entry{pos, got} != want[rank]) {
		t.Fatalf("At(%d) = %d, %v, %v", rank, pos, got, ok)
	}
	pos, got, ok = tab.Min()
	if ok != (len(want) > 0) || ok && (entry{pos, got} != want[0]) {
		t.Fatalf("Min = %d, %v, %v", pos, got, ok)
	}
	n := 0
	tab.Ascend(from, func(pos uint64, it item) bool {
		if (entry{pos, it}) != want[lo+n] {
			t.Fatalf("Ascend(%d): element %d is %d %q", from, n, pos, it.key)
		}
		n++
		return n < 5
	})
	if n != min(5, len(want)-lo) {
		t.Fatalf("Ascend(%d) gave %d elements, want %d", from, n, min(5, len(want)-lo))
	}
}

func emptyOut(t *testing.T, r *rand.Rand, tab *Table[item], want model) {
	t.Helper()
	for _, i := range r.Perm(len(want)) {
		if _, ok := tab.Delete(want[i].pos, []byte(want[i].it.key)); !ok {
			t.Fatalf("Delete(%d, %q) found nothing", want[i].pos, want[i].it.key)
		}
		if i%64 == 0 {
			check(t, tab)
		}
	}
	equal(t, "emptied", tab, nil)
	if _, replaced := tab.Put(1, item{key: "again"}); replaced || tab.Len() != 1 {
		t.Errorf("after a Put into the emptied table: replaced %v, Len %d", replaced, tab.Len())
	}
}

func TestEmpty(t *testing.T) {
	tab := New[item]()
	if _, ok := tab.Get(0, nil); ok {
		t.Error("Get found something")
	}
	if _, ok := tab.Delete(0, nil); ok {
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
	tab.Put(0, item{})
	equal(t, "snapshot of the empty table", s, nil)
	equal(t, "empty key", tab, model{{}})
}

// Leaves and inner nodes stay well filled, whatever the order of inserts.
func TestOccupancy(t *testing.T) {
	const n = 100_000
	cases := []struct {
		name string
		pos  func(i int) uint64
		want float64 // elements per leaf, as a share of maxLeaf
	}{
		{"ascending", func(i int) uint64 { return uint64(i) }, 0.99},
		{"descending", func(i int) uint64 { return uint64(n - i) }, 0.99},
		{"random", func(i int) uint64 { return Hasher{}.Hash(fmt.Append(nil, i)) }, 0.65},
		{"one position", func(int) uint64 { return 7 }, 0.45},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var tab Table[item]
			for i := range n {
				tab.Put(c.pos(i), item{key: fmt.Sprintf("%08d", i)})
			}
			check(t, &tab)
			if got := float64(n) / float64(leaves(tab.root)) / maxLeaf; got < c.want {
				t.Errorf("leaves are filled to %.2f, want %.2f", got, c.want)
			}
			for i := range n {
				if i%10 != 0 {
					tab.Delete(c.pos(i), fmt.Appendf(nil, "%08d", i))
				}
			}
			check(t, &tab)
			if got := float64(n/10) / float64(leaves(tab.root)) / maxLeaf; got < 0.25 {
				t.Errorf("after the deletes leaves are filled to %.2f", got)
			}
		})
	}
}

func leaves(n node[item]) int {
	if n.in == nil {
		return 1
	}
	sum := 0
	for _, kid := range n.in.kids {
		sum += leaves(kid)
	}
	return sum
}

// A separator that aliased an element's key would keep the whole value alive.
func TestSeparatorsKeepNothingAlive(t *testing.T) {
	long := strings.Repeat("x", 1000)
	var tab Table[item]
	for i := range 500 {
		tab.Put(1, item{key: fmt.Sprintf("%03d", i) + long})
	}
	for _, k := range tab.root.in.keys[1:] {
		if len(k) > 3 {
			t.Errorf("separator of %d bytes, want at most 3", len(k))
		}
	}
}

func TestSnapshotIsReadOnly(t *testing.T) {
	var tab Table[item]
	tab.Put(1, item{key: "a"})
	s := tab.Snapshot()
	for name, write := range map[string]func(){
		"Put":    func() { s.Put(1, item{key: "b"}) },
		"Delete": func() { s.Delete(1, []byte("a")) },
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
	if s.Snapshot().Len() != 1 || tab.Epoch() != 1 {
		t.Errorf("a snapshot's snapshot: epoch %d", tab.Epoch())
	}
}

// Readers of snapshots run while the writer goes on; -race does the checking.
func TestReadersBesideWriter(t *testing.T) {
	var tab Table[item]
	var wg sync.WaitGroup
	for i := range 30_000 {
		pos := uint64(i) * 0x9E3779B97F4A7C15
		tab.Put(pos, item{key: fmt.Sprint(i)})
		if i%3 == 0 {
			j := i / 2
			tab.Delete(uint64(j)*0x9E3779B97F4A7C15, []byte(fmt.Sprint(j)))
		}
		if i%2000 == 1999 {
			s := tab.Snapshot()
			want := tab.Len()
			wg.Go(func() {
				n := 0
				s.Ascend(0, func(uint64, item) bool { n++; return true })
				if n != want || s.CountRange(0, ^uint64(0)) != want {
					t.Errorf("a snapshot of %d elements shows %d", want, n)
				}
				s.Snapshot().At(n / 2)
			})
		}
	}
	wg.Wait()
}

// After a snapshot a write copies one path, not the table.
func TestWriteAfterSnapshotCopiesOnlyAPath(t *testing.T) {
	var tab Table[item]
	for i := range 100_000 {
		tab.Put(uint64(i)*0x9E3779B97F4A7C15, item{key: fmt.Sprint(i)})
	}
	s := tab.Snapshot()
	pos := uint64(12345)
	tab.Put(pos*0x9E3779B97F4A7C15, item{key: "12345", val: new(int)})
	fresh := 0
	var compare func(a, b node[item])
	compare = func(a, b node[item]) {
		switch {
		case a.in == nil && &a.slots[0] != &b.slots[0]:
			fresh++
		case a.in != b.in:
			fresh++
			for i := range a.in.kids {
				compare(a.in.kids[i], b.in.kids[i])
			}
		}
	}
	compare(s.root, tab.root)
	if fresh > 4 {
		t.Errorf("one write copied %d nodes", fresh)
	}
}

func TestGetDoesNotAllocate(t *testing.T) {
	var tab Table[item]
	long := strings.Repeat("k", 100)
	for i := range 1000 {
		tab.Put(uint64(i%3), item{key: long + fmt.Sprint(i)})
	}
	key := []byte(long + "777")
	if n := testing.AllocsPerRun(100, func() { tab.Get(0, key) }); n != 0 {
		t.Errorf("Get allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { tab.Put(0, item{key: long + "777"[:3]}) }); n > 1 {
		t.Errorf("a replacing Put allocates %v times, want only the key's", n)
	}
}

func FuzzTable(f *testing.F) {
	f.Add([]byte("0123456789abcdefghij"))
	f.Add(bytes.Repeat([]byte{3, 1, 4, 1, 5, 9, 2, 6}, 200))
	f.Fuzz(func(t *testing.T, ops []byte) {
		var tab Table[item]
		var want model
		var shots []*Table[item]
		var wants []model
		for ; len(ops) >= 4; ops = ops[4:] {
			pos := uint64(ops[1] % 16)
			key := string(ops[2:4])
			switch ops[0] % 8 {
			case 0, 1, 2, 3: // a run of inserts, so that nodes split
				for i := range int(ops[0] / 4) {
					it := item{key: key + string(rune(i))}
					tab.Put(pos, it)
					want.put(pos, it)
				}
			case 4, 5, 6:
				for i := range int(ops[0] / 4) {
					tab.Delete(pos, []byte(key+string(rune(i))))
					want.delete(pos, key+string(rune(i)))
				}
			case 7:
				if len(shots) < 10 {
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
