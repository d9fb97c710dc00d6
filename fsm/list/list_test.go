package list

import (
	"bytes"
	"fmt"
	"math/rand"
	"slices"
	"testing"
)

// model is what a list must be like.
type model [][]byte

func (m *model) remove(v []byte, most int, last bool) (removed int) {
	if most < 0 {
		most = len(*m)
	}
	list := *m
	if last {
		slices.Reverse(list)
	}
	list = slices.DeleteFunc(list, func(w []byte) bool {
		gone := removed < most && bytes.Equal(v, w)
		if gone {
			removed++
		}
		return gone
	})
	if last {
		slices.Reverse(list)
	}
	*m = list
	return removed
}

func elements(l *List) (list model) {
	l.Ascend(0, func(v []byte) bool {
		list = append(list, bytes.Clone(v))
		return true
	})
	return list
}

// equal compares everything that can be asked of a list, and looks at its nodes.
func equal(t *testing.T, l *List, want model) {
	t.Helper()
	same := func(what string, got [][]byte, want [][]byte) {
		t.Helper()
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("%s: %d elements %.200q, want %d %.200q", what, len(got), got, len(want), want)
		}
	}
	same("all", elements(l), want)
	if l.Len() != len(want) {
		t.Fatalf("Len() = %d, want %d", l.Len(), len(want))
	}
	for i := 0; i < len(want); i += 1 + i/7 {
		if got := l.At(i); !bytes.Equal(got, want[i]) {
			t.Fatalf("At(%d) = %.50q, want %.50q", i, got, want[i])
		}
		var up, down [][]byte
		take := func(list *[][]byte) func(v []byte) bool {
			return func(v []byte) bool {
				*list = append(*list, v)
				return len(*list) < 5
			}
		}
		l.Ascend(i, take(&up))
		same("Ascend", up, want[i:min(i+5, len(want))])
		l.Descend(i, take(&down))
		slices.Reverse(down)
		same("Descend", down, want[max(0, i-4):i+1])
	}
	l.Ascend(len(want), func([]byte) bool { t.Fatal("there is an element at the end"); return false })
	l.Descend(-1, func([]byte) bool { t.Fatal("there is an element before the first"); return false })
	packed, large := 0, 0
	for _, v := range want {
		if len(v) > maxPacked {
			large++
			packed += len(v)
		} else {
			packed += itemSize(len(v))
		}
	}
	if l.bytes != packed || l.large != large {
		t.Fatalf("%d bytes and %d long elements are counted, it has %d and %d", l.bytes, l.large, packed, large)
	}
	check(t, l, &l.root, true)
}

// check looks at a node and all below it, and returns its height.
func check(t *testing.T, l *List, n *node, root bool) (height int) {
	t.Helper()
	if n.epoch > l.epoch {
		t.Fatalf("a node of epoch %d in a list of %d", n.epoch, l.epoch)
	}
	if n.in == nil {
		if n.n == 0 && !root || n.large && (n.n != 1 || len(n.buf) <= maxPacked) || !n.large && n.used() > maxPage {
			t.Fatalf("a leaf of %d elements, %d bytes, long: %v", n.n, n.used(), n.large)
		}
		if n.used() > 64 && !n.large && len(n.buf) > 4*n.used()+64 {
			t.Fatalf("%d bytes lie in a buffer of %d", n.used(), len(n.buf))
		}
		return 0
	}
	if k := len(n.in.kids); k < 1 || k > maxKids || k != len(n.in.counts) || root && k < 2 {
		t.Fatalf("an inner node of %d and %d children", k, len(n.in.counts))
	}
	for i := range n.in.kids {
		kid := &n.in.kids[i]
		if kid.epoch > n.epoch {
			t.Fatalf("epoch %d below %d", kid.epoch, n.epoch)
		}
		if kid.size() != n.in.counts[i] {
			t.Fatalf("%d elements are counted, there are %d", n.in.counts[i], kid.size())
		}
		if h := check(t, l, kid, false); i > 0 && h != height {
			t.Fatal("leaves of different heights")
		} else {
			height = h
		}
	}
	return height + 1
}

// reload returns what comes out of the snapshot form, and the form's pieces.
func reload(t *testing.T, l *List) (back *List, parts [][]byte) {
	t.Helper()
	load := NewLoader()
	err := l.Parts(func(part []byte) error {
		if len(part) == 0 || len(part) > maxPiece+16 {
			t.Fatalf("a piece of %d bytes", len(part))
		}
		parts = append(parts, bytes.Clone(part))
		return load.Add(part)
	})
	if err != nil {
		t.Fatal(err)
	}
	if back, err = load.Done(); err != nil {
		t.Fatal(err)
	}
	return back, parts
}

// element is a random one of one of a few lengths; there are few different ones.
func element(r *rand.Rand, longest int) []byte {
	lengths := []int{0, 1, 5, 10, 100, 125, 126, 127, 128, 1000, 4000, maxPacked, maxPacked + 1, 20000, 100000}
	n := lengths[r.Intn(longest)]
	return bytes.Repeat([]byte{byte('a' + r.Intn(3))}, n)
}

// step changes list and model in the same random way.
func step(t *testing.T, r *rand.Rand, l *List, want *model, longest int) {
	t.Helper()
	v := element(r, longest)
	n := len(*want)
	i, many := r.Intn(n+1), 1+r.Intn(60)
	switch r.Intn(16) {
	case 0, 1:
		for range many {
			l.PushFront(v)
			*want = slices.Insert(*want, 0, v)
		}
	case 2, 3:
		for range many {
			l.PushBack(v)
			*want = append(*want, v)
		}
	case 4, 5, 6, 7:
		l.Insert(i, v)
		*want = slices.Insert(*want, i, v)
	case 8, 9:
		if i < n {
			l.Set(i, v)
			(*want)[i] = v
		}
	case 10:
		to := min(n, i+r.Intn(50))
		l.Delete(i, to)
		*want = slices.Delete(*want, i, to)
	case 11:
		for range min(many, n) {
			l.Delete(0, 1)
			*want = (*want)[1:]
		}
	case 12:
		for range min(many, n) {
			l.Delete(l.Len()-1, l.Len())
			*want = (*want)[:len(*want)-1]
		}
	case 13, 14:
		most, last := r.Intn(12)-1, r.Intn(2) == 0
		if got, w := l.Remove(v, most, last), want.remove(v, most, last); got != w {
			t.Fatalf("Remove(%.10q, %d, %v) = %d, want %d", v, most, last, got, w)
		}
	case 15:
		if r.Intn(40) == 0 {
			to := i + r.Intn(n-i+1)
			l.Delete(i, to)
			*want = slices.Delete(*want, i, to)
		}
	}
}

// Random changes against a model, with clones that must stay as they were, and through
// the snapshot form, whose pieces must not depend on how the list came about.
func TestAgainstModel(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 15
	}
	for round := range rounds {
		r := rand.New(rand.NewSource(int64(round)))
		longest := []int{4, 9, 11, 15}[round%4]
		l := &List{}
		var want model
		type shot struct {
			l    *List
			want model
		}
		var shots []shot
		for range 600 {
			step(t, r, l, &want, longest)
			switch r.Intn(100) {
			case 0:
				shots = append(shots, shot{l, slices.Clone(want)})
				l = l.Clone()
			case 1: // two clones of one, as COPY makes them
				other, wantOther := l.Clone(), slices.Clone(want)
				l = l.Clone()
				for range 10 {
					step(t, r, other, &wantOther, longest)
				}
				shots = append(shots, shot{other, wantOther})
			case 2:
				if len(want) > 0 {
					size := l.Size()
					back, parts := reload(t, l)
					equal(t, l, want)
					l = back
					if _, again := reload(t, l); !slices.EqualFunc(parts, again, bytes.Equal) || l.Size() != size {
						t.Fatalf("the pieces of equal lists differ, or their sizes %d and %d", size, l.Size())
					}
				}
			case 3:
				equal(t, l, want)
			}
		}
		equal(t, l, want)
		for _, s := range shots {
			equal(t, s.l, s.want)
		}
	}
}

// A large tree: ranges are cut out of all its levels, and pages that got small are
// joined, so that its memory follows its contents.
func TestLarge(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	l := &List{}
	for i := range 400_000 {
		v := fmt.Appendf(nil, "%d:%0*d", i%7, 10+r.Intn(60), i)
		if i%3 == 0 {
			l.PushFront(v)
		} else {
			l.PushBack(v)
		}
	}
	want := elements(l)
	equal(t, l, want)
	if h := check(t, l, &l.root, true); h < 2 {
		t.Fatalf("a tree of height %d shows nothing", h)
	}
	for len(want) > 0 {
		old, wantOld := l, want
		l, want = l.Clone(), slices.Clone(want)
		from := r.Intn(len(want))
		to := min(len(want), from+1+r.Intn(1+len(want)/3))
		l.Delete(from, to)
		want = slices.Delete(want, from, to)
		equal(t, l, want)
		if len(want)%4 == 0 {
			equal(t, old, wantOld)
		}
	}
}

// What is left of a list whose elements went one by one takes little memory.
func TestPagesAreJoined(t *testing.T) {
	l := &List{}
	for range 50_000 {
		for _, v := range []string{"stay", "go", "go", "go", "go", "go", "go", "go", "go"} {
			l.PushBack([]byte(v))
		}
	}
	l.Remove([]byte("go"), -1, false)
	memory := func() (n int) { return buffers(&l.root) }
	if l.Len() != 50_000 || memory() > 2*l.Size() {
		t.Errorf("%d elements of %d bytes are in %d", l.Len(), l.Size(), memory())
	}
	for i := 0; i+10 < l.Len(); i++ {
		l.Delete(i, i+9)
	}
	if memory() > 3*l.Size() {
		t.Errorf("%d elements of %d bytes are in %d", l.Len(), l.Size(), memory())
	}
	equal(t, l, elements(l))
}

func buffers(n *node) (size int) {
	if n.in == nil {
		return len(n.buf)
	}
	for i := range n.in.kids {
		size += buffers(&n.in.kids[i])
	}
	return size + cap(n.in.kids)*64
}

// A long element is copied neither by a clone nor by changes of its neighbours.
func TestLongElementIsShared(t *testing.T) {
	l := &List{}
	long := bytes.Repeat([]byte("x"), 16<<20)
	for i := range 100 {
		l.PushBack(fmt.Append(nil, i))
	}
	l.Insert(50, long)
	c := l.Clone()
	c.Insert(50, []byte("before"))
	c.Insert(52, []byte("behind"))
	c.Set(49, []byte("changed"))
	if &c.At(51)[0] != &l.At(50)[0] {
		t.Error("the long element was copied")
	}
	want := elements(l)
	c.Delete(51, 52)
	equal(t, l, want)
}

// A list is read, as a snapshot is written, while its clone changes: for the race detector.
func TestReadBesideClone(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	l, want := &List{}, model{}
	for range 2000 {
		step(t, r, l, &want, 9)
	}
	for len(want) < 5000 {
		l.PushBack([]byte("more"))
		want = append(want, []byte("more"))
	}
	clone, wantClone := l.Clone(), slices.Clone(want)
	done := make(chan model)
	go func() {
		var list model
		for range 20 {
			list = elements(l)
		}
		done <- list
	}()
	for range 300 {
		step(t, r, clone, &wantClone, 9)
	}
	if got := <-done; !slices.EqualFunc(got, want, bytes.Equal) {
		t.Fatal("the list changed with its clone")
	}
	equal(t, clone, wantClone)
}

// FuzzLoader feeds it what is no snapshot form: an error, or a list that is sound.
func FuzzLoader(f *testing.F) {
	f.Add([]byte{1, 1, 'a', 0}, []byte{}, []byte{})
	long := append([]byte{2, 0x88, 0x27}, bytes.Repeat([]byte("x"), 4000)...)
	f.Add(long, append([]byte{3}, bytes.Repeat([]byte("y"), 1000)...), []byte{1, 1, 'a'})
	f.Add(long, []byte{1, 1, 'a'}, []byte{})
	f.Add([]byte{3, 'a'}, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		load := NewLoader()
		for _, part := range [][]byte{a, b, c} {
			if len(part) > 0 && load.Add(part) != nil {
				return
			}
		}
		l, err := load.Done()
		if err != nil {
			return
		}
		want := elements(l)
		equal(t, l, want)
		again, _ := reload(t, l)
		equal(t, again, want)
	})
}

// What the Loader must refuse.
func TestLoaderRefuses(t *testing.T) {
	large := append([]byte{2, 0x88, 0x27}, bytes.Repeat([]byte("x"), 4000)...) // of 5000
	for name, parts := range map[string][][]byte{
		"nothing":             {},
		"an empty piece":      {{}},
		"an unknown kind":     {{9, 1, 'a'}},
		"no element":          {{1}},
		"half an element":     {{1, 2, 'a'}},
		"more of nothing":     {{3, 'a'}},
		"a long one cut off":  {large},
		"another in between":  {large, {1, 1, 'a'}},
		"too much of it":      {large, append([]byte{3}, make([]byte, 1001)...)},
		"nothing more of it":  {large, {3}},
		"a short long one":    {{2, 1, 'a'}},
		"a long one too long": {{2, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 'a'}},
	} {
		load := NewLoader()
		var err error
		for _, part := range parts {
			if err == nil {
				err = load.Add(part)
			}
		}
		if err == nil {
			_, err = load.Done()
		}
		if err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
