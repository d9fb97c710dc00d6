package set

import (
	"fmt"
	"math"
	"math/rand"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/dict"
)

var limits = Limits{Ints: 12, Entries: 8, Value: 30}

// model is what a set must be like: members in the order of their coming.
type model []string

func (m *model) add(member string) bool {
	if slices.Contains(*m, member) {
		return false
	}
	*m = append(*m, member)
	return true
}

func (m *model) delete(member string) bool {
	i := slices.Index(*m, member)
	if i >= 0 {
		*m = slices.Delete(*m, i, i+1)
	}
	return i >= 0
}

func members(s *Set) (list model) {
	s.Each(func(member []byte) bool {
		list = append(list, string(member))
		return true
	})
	return list
}

func sorted(m model) model {
	m = slices.Clone(m)
	slices.Sort(m)
	return m
}

// equal compares everything that can be asked of a set.
func equal(t *testing.T, s *Set, want model) {
	t.Helper()
	got := members(s)
	if !slices.Equal(sorted(got), sorted(want)) || s.Len() != len(want) {
		t.Fatalf("it holds %q, %d members; want %q", got, s.Len(), want)
	}
	size := 0
	for i, member := range got {
		if at := s.At(i); string(at) != member {
			t.Fatalf("At(%d) = %q, want %q", i, at, member)
		}
		if !s.Has([]byte(member)) {
			t.Fatalf("it has no %q", member)
		}
		size += cost(len(member))
	}
	if s.form == formLarge && size != s.bytes {
		t.Fatalf("%d bytes were counted, it has %d", s.bytes, size)
	}
	if s.form == formInts {
		number := func(text string) int64 { n, _ := strconv.ParseInt(text, 10, 64); return n }
		if !slices.IsSortedFunc(got, func(a, b string) int { return int(max(-1, min(1, number(a)/2-number(b)/2))) }) {
			t.Fatalf("a row that is not sorted: %v", got)
		}
	}
	seen := model{}
	for cursor := uint64(0); ; {
		cursor = s.Scan(cursor, 3, func(member []byte) { seen.add(string(member)) })
		if cursor == 0 {
			break
		}
	}
	if !slices.Equal(seen, got) {
		t.Fatalf("a scan shows %q, want %q", seen, got)
	}
}

// reload returns what comes out of the snapshot form.
func reload(t *testing.T, s *Set, kit *dict.Kit) *Set {
	t.Helper()
	l := NewLoader(kit)
	if err := s.Parts(l.Add); err != nil {
		t.Fatal(err)
	}
	back, err := l.Done()
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// pool returns a source of members: integers of all widths, texts, or both.
func pool(r *rand.Rand) func() string {
	kind, size := r.Intn(4), 1+r.Intn(40)
	return func() string {
		i := r.Intn(size)
		switch {
		case kind == 0, kind == 1 && r.Intn(60) > 0:
			return fmt.Sprint(i - 10)
		case kind == 1, kind == 2 && r.Intn(3) == 0:
			return []string{"32768", "-2147483649", "9223372036854775807", "-9223372036854775808", "0", "-0", "+1", "01", "", "x"}[r.Intn(10)]
		}
		return strings.Repeat("m", []int{0, 0, 0, 25, 40}[r.Intn(5)]*r.Intn(2)) + fmt.Sprint("m", i)
	}
}

// Random changes against a model, with clones that must stay as they were, and with
// replicas that go through the snapshot form, into a keyspace of another hash too.
func TestAgainstModel(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	kit := &dict.Kit{Hasher: dict.NewHasher([16]byte{1})}
	other := &dict.Kit{Hasher: dict.NewHasher([16]byte{2})}
	forms := [4]int{}
	for range 300 {
		s, member := New(kit), pool(r)
		var want model
		type shot struct {
			s    *Set
			want model
		}
		var shots []shot
		for range 120 {
			m := member()
			if r.Intn(3) == 0 {
				if got, w := s.Delete([]byte(m)), want.delete(m); got != w {
					t.Fatalf("Delete(%q) = %v", m, got)
				}
			} else {
				most := s.Size() + s.Enlarging()
				if got, w := s.Add([]byte(m), limits), want.add(m); got != w {
					t.Fatalf("Add(%q) = %v", m, got)
				}
				if s.Size() > most+96+len(m) {
					t.Fatalf("it has %d bytes, foretold were %d and those of %q", s.Size(), most, m)
				}
			}
			if s.Has([]byte(m)) != slices.Contains(want, m) {
				t.Fatalf("Has(%q) = %v", m, s.Has([]byte(m)))
			}
			forms[s.form]++
			switch r.Intn(40) {
			case 0:
				shots = append(shots, shot{s, slices.Clone(want)})
				s = s.Clone()
			case 1:
				if len(want) > 0 {
					old := s
					equal(t, reload(t, s, other), want)
					if s = reload(t, s, kit); s.form != old.form || s.Size() != old.Size() || !slices.Equal(members(s), members(old)) {
						t.Fatal("another set came out of the snapshot")
					}
				}
			}
		}
		equal(t, s, want)
		if s.form == formPacked && !slices.Equal(members(s), want) && slices.ContainsFunc(want, func(m string) bool { _, ok := parse([]byte(m)); return !ok }) {
			// What came while it was a row of integers stands in their order.
			rest := slices.DeleteFunc(slices.Clone(want), func(m string) bool { _, ok := parse([]byte(m)); return ok })
			have := slices.DeleteFunc(members(s), func(m string) bool { _, ok := parse([]byte(m)); return ok })
			if !slices.Equal(rest, have) {
				t.Fatalf("the order is %q, want %q", have, rest)
			}
		}
		for _, s := range shots {
			equal(t, s.s, s.want)
		}
	}
	if forms[formInts] < 1000 || forms[formPacked] < 1000 || forms[formLarge] < 1000 {
		t.Errorf("how often each form was there: %v", forms[1:])
	}
}

// The limits and the members decide the form, and a set never goes back to an earlier
// one.
func TestForms(t *testing.T) {
	kit := &dict.Kit{}
	of := func(from, to int, more ...string) *Set {
		s := New(kit)
		for i := from; i < to; i++ {
			s.Add([]byte(strconv.Itoa(i)), limits)
		}
		for _, m := range more {
			s.Add([]byte(m), limits)
		}
		return s
	}
	for _, tt := range []struct {
		s     *Set
		form  uint8
		width uint8
	}{
		{of(0, 0), formInts, 2},
		{of(0, 12), formInts, 2},
		{of(0, 12, "3"), formInts, 2},
		{of(0, 13), formLarge, 0},
		{of(0, 3, "32767", "-32768"), formInts, 2},
		{of(0, 3, "32768"), formInts, 4},
		{of(0, 3, "-32769"), formInts, 4},
		{of(0, 3, "2147483648"), formInts, 8},
		{of(0, 3, strconv.Itoa(math.MinInt64)), formInts, 8},
		{of(0, 3, "9223372036854775808"), formPacked, 0},
		{of(0, 3, "x"), formPacked, 0},
		{of(0, 8, "x"), formLarge, 0},
		{of(0, 9, "x"), formLarge, 0},
		{of(0, 7, "x"), formPacked, 0},
		{of(0, 3, strings.Repeat("x", 30)), formPacked, 0},
		{of(0, 3, strings.Repeat("x", 31)), formLarge, 0},
	} {
		if tt.s.form != tt.form || tt.s.width != tt.width {
			t.Errorf("%v has the form %d of width %d, want %d, %d", members(tt.s), tt.s.form, tt.s.width, tt.form, tt.width)
		}
	}
	s := of(0, 3, "x")
	if s.Delete([]byte("x")); s.Ints() {
		t.Error("it became one of integers again")
	}
}

// FuzzLoader feeds it what is no snapshot form: an error, or a set that is sound.
func FuzzLoader(f *testing.F) {
	f.Add([]byte{1, 2}, []byte{1, 0, 2, 0}, []byte{})
	f.Add([]byte{1, 4}, []byte{0, 0, 0, 128, 1, 0, 0, 0}, []byte{})
	f.Add([]byte{2}, []byte{1, 'a', 0}, []byte{})
	f.Add([]byte{3}, []byte{1, 'a'}, []byte{0})
	f.Add([]byte{3}, []byte{1, 'a'}, []byte{1, 'a'})
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		kit := &dict.Kit{}
		l := NewLoader(kit)
		for _, part := range [][]byte{a, b, c} {
			if len(part) > 0 && l.Add(part) != nil {
				return
			}
		}
		s, err := l.Done()
		if err != nil {
			return
		}
		seen := model{}
		for _, m := range members(s) {
			if !seen.add(m) {
				t.Fatalf("%q is there twice", m)
			}
		}
		equal(t, s, seen)
		if again := reload(t, s, kit); !slices.Equal(members(again), members(s)) || again.Size() != s.Size() {
			t.Fatal("another set came out of its snapshot")
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	for _, n := range []int{100, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			kit := &dict.Kit{}
			var s *Set
			for i := range b.N {
				if i%n == 0 {
					s = New(kit)
				}
				s.Add(fmt.Appendf(nil, "member:%d", i), Limits{512, 128, 64})
			}
		})
	}
}

func full(n int, format string) *Set {
	s := New(&dict.Kit{})
	for i := range n {
		s.Add(fmt.Appendf(nil, format, i), Limits{512, 128, 64})
	}
	return s
}

var sizes = []struct {
	n      int
	format string
}{{100, "%d"}, {100, "member:%d"}, {1_000_000, "member:%d"}}

func BenchmarkHas(b *testing.B) {
	for _, size := range sizes {
		s := full(size.n, size.format)
		b.Run(fmt.Sprintf("%d of %s", size.n, size.format), func(b *testing.B) {
			var m []byte
			for i := range b.N {
				m = fmt.Appendf(m[:0], size.format, i*7919%size.n)
				if !s.Has(m) {
					b.Fatal(m)
				}
			}
		})
	}
}

func BenchmarkAt(b *testing.B) {
	for _, size := range sizes {
		s := full(size.n, size.format)
		b.Run(fmt.Sprintf("%d of %s", size.n, size.format), func(b *testing.B) {
			for i := range b.N {
				s.At(i * 7919 % size.n)
			}
		})
	}
}

func BenchmarkEach(b *testing.B) {
	for _, size := range sizes {
		s := full(size.n, size.format)
		b.Run(fmt.Sprintf("%d of %s", size.n, size.format), func(b *testing.B) {
			b.ReportMetric(float64(s.Size())/float64(size.n), "bytes/member")
			for range b.N {
				s.Each(func([]byte) bool { return true })
			}
		})
	}
}

func BenchmarkClone(b *testing.B) {
	for _, size := range sizes {
		s := full(size.n, size.format)
		b.Run(fmt.Sprintf("%d of %s", size.n, size.format), func(b *testing.B) {
			for range b.N {
				s = s.Clone()
			}
		})
	}
}
