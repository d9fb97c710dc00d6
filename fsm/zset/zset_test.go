package zset

import (
	"bytes"
	"fmt"
	"math"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/dict"
)

type pairing struct {
	member string
	score  float64
}

// model is what a sorted set must be like: pairs in order.
type model []pairing

func (m model) find(member string) int {
	return slices.IndexFunc(m, func(p pairing) bool { return p.member == member })
}

// plain is the model without negative zeros, as it is in a small set.
func plain(m model) model {
	m = slices.Clone(m)
	for i := range m {
		if m[i].score == 0 {
			m[i].score = 0
		}
	}
	return m
}

func (m *model) set(member string, score float64) (created bool) {
	i := m.find(member)
	if i >= 0 && (*m)[i].score == score {
		return false
	}
	if i >= 0 {
		*m = slices.Delete(*m, i, i+1)
	}
	*m = append(*m, pairing{member, score})
	slices.SortFunc(*m, func(a, b pairing) int {
		switch {
		case a.score < b.score:
			return -1
		case a.score > b.score:
			return 1
		}
		return strings.Compare(a.member, b.member)
	})
	return i < 0
}

func (m *model) delete(member string) bool {
	i := m.find(member)
	if i >= 0 {
		*m = slices.Delete(*m, i, i+1)
	}
	return i >= 0
}

func same(a, b pairing) bool {
	return a.member == b.member && math.Float64bits(a.score) == math.Float64bits(b.score)
}

func collect(list *model) func(member []byte, score float64) bool {
	return func(member []byte, score float64) bool {
		*list = append(*list, pairing{string(member), score})
		return true
	}
}

func pairs(s *Set) (list model) {
	s.Each(collect(&list))
	return list
}

// equal compares everything that can be asked of a sorted set.
func equal(t *testing.T, r *rand.Rand, s *Set, want model) {
	t.Helper()
	if s.Small() {
		want = plain(want)
	}
	if got := pairs(s); !slices.EqualFunc(got, want, same) || s.Len() != len(want) {
		t.Fatalf("it holds %v, %d members; want %v", got, s.Len(), want)
	}
	size := 0
	for i, p := range want {
		if m, f, ok := s.At(i); !ok || !same(pairing{string(m), f}, p) {
			t.Fatalf("At(%d) = %q, %v, %v; want %v", i, m, f, ok, p)
		}
		if f, ok := s.Score([]byte(p.member)); !ok || !same(pairing{p.member, f}, p) {
			t.Fatalf("Score(%q) = %v, %v", p.member, f, ok)
		}
		if rank, f, ok := s.Rank([]byte(p.member)); !ok || rank != i || f != p.score {
			t.Fatalf("Rank(%q) = %d, %v, %v; want %d", p.member, rank, f, ok, i)
		}
		size += memberCost(len(p.member)) + scoreCost(len(p.member), p.score)
	}
	if !s.Small() && s.bytes != size {
		t.Fatalf("%d bytes are counted, it has %d", s.bytes, size)
	}
	if size > Cost(len(want), lengths(want)) {
		t.Fatalf("%d bytes, Cost says %d", size, Cost(len(want), lengths(want)))
	}
	if _, _, ok := s.At(len(want)); ok {
		t.Fatalf("there is a member at %d", len(want))
	}
	if _, _, ok := s.Rank([]byte("absent")); ok {
		t.Fatal("an absent member has a rank")
	}
	if r != nil {
		equalRanges(t, r, s, want)
	}
	var walked model
	for cursor, first := uint64(0), true; first || cursor != 0; first = false {
		cursor = s.Scan(cursor, 7, func(m []byte, f float64) { collect(&walked)(m, f) })
	}
	if len(walked) != len(want) {
		t.Fatalf("Scan shows %v, want %v", walked, want)
	}
	for _, p := range walked {
		if i := want.find(p.member); i < 0 || !same(p, want[i]) {
			t.Fatalf("Scan shows %v, want %v", walked, want)
		}
	}
}

func lengths(m model) (n int) {
	for _, p := range m {
		n += len(p.member)
	}
	return n
}

// equalRanges asks for random ranges by rank, by score and by member.
func equalRanges(t *testing.T, r *rand.Rand, s *Set, want model) {
	t.Helper()
	for range 10 {
		a, b := r.Intn(len(want)+2), r.Intn(len(want)+2)
		var up, down model
		s.Ascend(a, b, collect(&up))
		s.Descend(a, b, collect(&down))
		part := want[min(a, len(want)):max(min(a, len(want)), min(b, len(want)))]
		slices.Reverse(down)
		if !slices.EqualFunc(up, part, same) || !slices.EqualFunc(down, part, same) {
			t.Fatalf("from %d to %d: %v and %v, want %v", a, b, up, down, part)
		}
		low, high := Bound{randomScore(r), r.Intn(2) == 0}, Bound{randomScore(r), r.Intn(2) == 0}
		from, to := s.Between(low, high)
		var got, inside model
		s.Ascend(from, to, collect(&got))
		for _, p := range want {
			if (p.score > low.Score || p.score == low.Score && !low.Open) && (p.score < high.Score || p.score == high.Score && !high.Open) {
				inside = append(inside, p)
			}
		}
		if !slices.EqualFunc(got, inside, same) {
			t.Fatalf("between %v and %v: %v, want %v", low, high, got, inside)
		}
	}
}

// equalLex asks for ranges by member of a set whose scores are the same.
func equalLex(t *testing.T, r *rand.Rand, s *Set, want model) {
	t.Helper()
	bound := func() *LexBound {
		return &LexBound{Edge: []int{-1, 0, 0, 0, 0, 1}[r.Intn(6)], Member: []byte(fmt.Sprint("m", r.Intn(70))), Open: r.Intn(2) == 0}
	}
	for range 100 {
		low, high := bound(), bound()
		var inside model
		for _, p := range want {
			if low.above([]byte(p.member)) && high.below([]byte(p.member)) {
				inside = append(inside, p)
			}
		}
		for _, reverse := range []bool{false, true} {
			from, to := s.BetweenLex(low, high, reverse)
			var got model
			s.Ascend(from, to, collect(&got))
			if !slices.EqualFunc(got, inside, same) {
				t.Fatalf("between %+v and %+v: %v, want %v", low, high, got, inside)
			}
		}
	}
}

func randomScore(r *rand.Rand) float64 {
	switch r.Intn(12) {
	case 0:
		return math.Inf(1)
	case 1:
		return math.Inf(-1)
	case 2:
		return math.Copysign(0, -1)
	case 3:
		return 0
	case 4:
		return math.SmallestNonzeroFloat64
	case 5:
		return -math.MaxFloat64
	case 6:
		return r.NormFloat64()
	}
	return float64(r.Intn(20) - 10)
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

// Random changes against a model, with clones that must stay as they were, and with
// replicas that go through the snapshot form, into a keyspace of another hash too.
func TestAgainstModel(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	kit := &dict.Kit{Hasher: dict.NewHasher([16]byte{1})}
	other := &dict.Kit{Hasher: dict.NewHasher([16]byte{2})}
	limits := Limits{Entries: 20, Value: 30}
	for round := range 100 {
		s := New(kit)
		var want model
		type shot struct {
			s    *Set
			want model
		}
		var shots []shot
		members := 1 + r.Intn(70)
		one := round%5 == 0 // all scores the same
		for range 300 {
			member := fmt.Sprint("m", r.Intn(members))
			if r.Intn(200) == 0 {
				member = strings.Repeat("l", 30+r.Intn(300))
			}
			score := randomScore(r)
			if one {
				score = 7
			}
			switch r.Intn(12) {
			case 0, 1, 2:
				if got, w := s.Delete([]byte(member)), want.delete(member); got != w {
					t.Fatalf("Delete(%q) = %v", member, got)
				}
			case 3:
				from := r.Intn(len(want) + 1)
				to := min(from+r.Intn(4), len(want))
				s.DeleteRange(from, to)
				want = slices.Delete(want, from, to)
			default:
				most := s.Size() + s.Enlarging() + Cost(1, len(member))
				if got, w := s.Set([]byte(member), score, limits), want.set(member, score); got != w {
					t.Fatalf("Set(%q) = %v", member, got)
				}
				if s.Small() {
					want = plain(want)
				}
				if s.Size() > most {
					t.Fatalf("it has %d bytes, foretold were %d", s.Size(), most)
				}
			}
			switch r.Intn(60) {
			case 0:
				shots = append(shots, shot{s, slices.Clone(want)})
				s = s.Clone()
			case 1:
				if len(want) > 0 {
					small, size := s.Small(), s.Size()
					equal(t, r, reload(t, s, other), want)
					if s = reload(t, s, kit); s.Small() != small || s.Size() != size {
						t.Fatal("another kind came out of the snapshot")
					}
				}
			}
		}
		equal(t, r, s, want)
		if one {
			equalLex(t, r, s, want)
		}
		for _, s := range shots {
			equal(t, r, s.s, s.want)
		}
	}
}

// The places of scores are in the scores' order, and lead back to them.
func TestOrder(t *testing.T) {
	scores := []float64{
		math.Inf(-1), -math.MaxFloat64, -1e10, -1.5, -1, -math.SmallestNonzeroFloat64, math.Copysign(0, -1), 0,
		math.SmallestNonzeroFloat64, 1, math.Nextafter(1, 2), 2, 1 << 53, math.MaxFloat64, math.Inf(1),
	}
	for i, a := range scores {
		if back := scoreOf(order(a), sign(a)); math.Float64bits(back) != math.Float64bits(a) {
			t.Errorf("%v came back as %v", a, back)
		}
		for _, b := range scores[i:] {
			if a < b != (order(a) < order(b)) || a == b != (order(a) == order(b)) {
				t.Errorf("%v and %v: %x, %x", a, b, order(a), order(b))
			}
		}
	}
}

// The limits decide when a set becomes a large one, and it stays one.
func TestLimits(t *testing.T) {
	kit := &dict.Kit{}
	limits := Limits{Entries: 2, Value: 3}
	set := func(members ...string) *Set {
		s := New(kit)
		for i, m := range members {
			s.Set([]byte(m), float64(i), limits)
		}
		return s
	}
	for _, tt := range []struct {
		s     *Set
		small bool
	}{
		{set("a", "123"), true}, {set("a", "b", "a"), true}, {set("a", "b", "c"), false}, {set("1234"), false},
	} {
		if tt.s.Small() != tt.small {
			t.Errorf("%v is small: %v", pairs(tt.s), tt.s.Small())
		}
	}
	s := set("1234")
	if s.Delete([]byte("1234")); s.Small() || s.Len() != 0 {
		t.Error("it became a small one again")
	}
}

// A Builder gives what the same changes of a set give, small if that is within the limits.
func TestBuilder(t *testing.T) {
	r := rand.New(rand.NewSource(3))
	kit := &dict.Kit{}
	limits := Limits{Entries: 20, Value: 30}
	for range 200 {
		b := NewBuilder(kit)
		var want model
		for range r.Intn(80) {
			member := fmt.Sprint("m", r.Intn(40))
			if r.Intn(40) == 0 {
				member = strings.Repeat("l", 30+r.Intn(3))
			}
			if r.Intn(3) == 0 {
				b.Delete([]byte(member))
				want.delete(member)
				continue
			}
			score := randomScore(r)
			b.Set([]byte(member), score)
			want.delete(member) // a Builder takes a -0 for a 0
			want.set(member, score)
			if got, ok := b.Score([]byte(member)); !ok || got != score {
				t.Fatalf("Score(%q) = %v, %v", member, got, ok)
			}
		}
		small := len(want) <= limits.Entries && !slices.ContainsFunc(want, func(p pairing) bool { return len(p.member) > limits.Value })
		s := b.Done(limits)
		equal(t, r, s, want)
		if s.Small() != small {
			t.Fatalf("%v is small: %v", want, s.Small())
		}
	}
}

// A small set whose scores differ answers ranges by member as a walk from either end does.
func TestLexOfDifferentScores(t *testing.T) {
	s := New(&dict.Kit{})
	for i, m := range []string{"b", "d", "a", "e", "c"} {
		s.Set([]byte(m), float64(i), Limits{10, 10})
	}
	low, high := &LexBound{Member: []byte("c")}, &LexBound{Member: []byte("d")}
	for _, tt := range []struct {
		reverse  bool
		from, to int
	}{{false, 1, 3}, {true, 3, 5}} {
		if from, to := s.BetweenLex(low, high, tt.reverse); from != tt.from || to != tt.to {
			t.Errorf("reverse %v: %d to %d, want %+v", tt.reverse, from, to, tt)
		}
	}
}

// FuzzLoader feeds it what is no snapshot form: an error, or a set that is sound.
func FuzzLoader(f *testing.F) {
	kit := &dict.Kit{}
	for _, limits := range []Limits{{10, 10}, {0, 0}} {
		s := New(kit)
		s.Set([]byte("a"), 1, limits)
		s.Set([]byte("b"), math.Copysign(0, -1), limits)
		var parts [][]byte
		_ = s.Parts(func(part []byte) error {
			parts = append(parts, bytes.Clone(part))
			return nil
		})
		parts = append(parts, nil)
		f.Add(parts[0], parts[1], parts[2])
	}
	f.Add([]byte{kindSmall}, []byte("\x010\b\x00\x00\x00\x00\x00\x00\x00\x80"), []byte{}) // a negative zero
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
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
		var want model
		for _, p := range pairs(s) {
			if !want.set(p.member, p.score) {
				t.Fatalf("%q is there twice", p.member)
			}
		}
		equal(t, nil, s, want)
		if again := reload(t, s, kit); !slices.EqualFunc(pairs(again), pairs(s), same) {
			t.Fatal("another set came out of its snapshot")
		}
	})
}
