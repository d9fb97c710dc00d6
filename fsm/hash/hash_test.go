package hash

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/dict"
)

type pair struct {
	name, value string
	expires     int64
}

func (p pair) alive(now int64) bool { return p.expires == 0 || p.expires > now }

func (p pair) field() Field {
	return Field{Name: []byte(p.name), Value: []byte(p.value), Expires: p.expires}
}

func pairOf(f Field) pair { return pair{string(f.Name), string(f.Value), f.Expires} }

// model is what a hash must be like: pairs in the order of their coming. It forgets at
// once what has expired.
type model []pair

func (m model) find(name string) int {
	return slices.IndexFunc(m, func(p pair) bool { return p.name == name })
}

func (m *model) set(p pair) (created bool) {
	if i := m.find(p.name); i >= 0 {
		(*m)[i] = p
		return false
	}
	*m = append(*m, p)
	return true
}

func (m *model) delete(name string) bool {
	i := m.find(name)
	if i >= 0 {
		*m = slices.Delete(*m, i, i+1)
	}
	return i >= 0
}

func (m *model) expire(now int64) {
	*m = slices.DeleteFunc(slices.Clone(*m), func(p pair) bool { return !p.alive(now) })
}

func pairs(m *Map, now int64) (list model) {
	m.Each(now, func(f Field) bool {
		list = append(list, pairOf(f))
		return true
	})
	return list
}

func sorted(m model) model {
	m = slices.Clone(m)
	slices.SortFunc(m, func(a, b pair) int { return strings.Compare(a.name, b.name) })
	return m
}

// equal compares everything that can be asked of a hash at a time.
func equal(t *testing.T, m *Map, want model, now int64) {
	t.Helper()
	got := pairs(m, now)
	if m.Small() && !slices.Equal(got, want) || !slices.Equal(sorted(got), sorted(want)) || m.Count(now) != len(want) {
		t.Fatalf("it holds %v, %d fields; want %v", got, m.Count(now), want)
	}
	p := m.Pick(now)
	var picked model
	for i := range p.Len() {
		picked = append(picked, pairOf(p.At(i)))
	}
	if !slices.Equal(sorted(picked), sorted(want)) {
		t.Fatalf("Pick has %v, want %v", picked, want)
	}
	for _, p := range want {
		if f, ok := m.Get([]byte(p.name), now); !ok || pairOf(f) != p {
			t.Fatalf("Get(%q) = %v, %v, want %v", p.name, f, ok, p)
		}
	}
	var walked model
	for cursor, first := uint64(0), true; first || cursor != 0; first = false {
		cursor = m.Scan(cursor, 7, now, func(f Field) { walked = append(walked, pairOf(f)) })
	}
	if !slices.Equal(sorted(walked), sorted(got)) {
		t.Fatalf("Scan shows %v, want %v", walked, got)
	}
	sound(t, m)
}

// sound checks the sums and what is known of times against all that is stored.
func sound(t *testing.T, m *Map) {
	t.Helper()
	size, n, fading := 0, 0, 0
	var first, last int64
	stays := false
	m.all(func(f Field) bool {
		n++
		if f.Expires == 0 {
			stays = true
			size += cost(len(f.Name), len(f.Value))
			return true
		}
		fading++
		if size += fadingCost(len(f.Name), len(f.Value)); first == 0 {
			first = f.Expires
		}
		first, last = min(first, f.Expires), max(last, f.Expires)
		return true
	})
	if stays {
		last = 0
	}
	if n != m.Len() {
		t.Fatalf("%d fields are counted, %d stored", m.Len(), n)
	}
	if !m.Small() && m.bytes != size {
		t.Fatalf("%d bytes are counted, it has %d", m.bytes, size)
	}
	if a, b := m.Times(); a != first || b != last {
		t.Fatalf("Times = %d, %d, want %d, %d", a, b, first, last)
	}
	if !m.Small() && (m.due != nil) != (fading > 0) {
		t.Fatalf("%d fields expire, and the index is %v", fading, m.due)
	}
	if first > 0 && (!m.Due(first-1, first) || m.Due(0, first-1)) {
		t.Fatalf("Due does not find the first time, %d", first)
	}
}

// reload returns what comes out of the snapshot form.
func reload(t *testing.T, m *Map, kit *dict.Kit) *Map {
	t.Helper()
	l := NewLoader(kit)
	if err := m.Parts(l.Add); err != nil {
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
// Fields expire on the way; when they are removed must not show.
func TestAgainstModel(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	kit := &dict.Kit{Hasher: dict.NewHasher([16]byte{1})}
	other := &dict.Kit{Hasher: dict.NewHasher([16]byte{2})}
	limits := &Limits{Entries: 20, Value: 30}
	for round := range 120 {
		m, lazy := New(kit), New(kit) // lazy removes nothing that is due
		var want model
		type shot struct {
			m    *Map
			want model
			now  int64
		}
		var shots []shot
		fields, now := 1+r.Intn(60), int64(1000)
		for range 300 {
			now += int64(r.Intn(3))
			want.expire(now)
			name := []byte(fmt.Sprint("f", r.Intn(fields)))
			expires := int64(0)
			if round%2 == 0 && r.Intn(3) > 0 {
				expires = now + 1 + int64(r.Intn(80))
			}
			switch r.Intn(6) {
			case 0, 1:
				w := want.delete(string(name))
				if got, also := m.Delete(name, now), lazy.Delete(name, now); got != w || also != w {
					t.Fatalf("Delete(%q) = %v, %v, want %v", name, got, also, w)
				}
			case 2:
				grow := m.Size() + m.Timing()
				m.SetExpiry(name, expires, now)
				lazy.SetExpiry(name, expires, now)
				if i := want.find(string(name)); i >= 0 {
					want[i].expires = expires
				}
				if m.Size() > grow+96+8+len(name) {
					t.Fatalf("it has %d bytes, foretold were %d", m.Size(), grow)
				}
			default:
				most := m.Size() + m.Enlarging() + m.Timing()
				value := strings.Repeat("v", []int{0, 1, 29, 30, 31, 500}[min(r.Intn(40), 5)*r.Intn(2)])
				p := pair{string(name), value, expires}
				w := want.set(p)
				if got, also := m.Set(p.field(), now, limits), lazy.Set(p.field(), now, limits); got != w || also != w {
					t.Fatalf("Set(%v) = %v, %v, want %v", p, got, also, w)
				}
				if added := 2 * (96 + len(name) + len(value)); m.Size() > most+added {
					t.Fatalf("it has %d bytes, foretold were %d and %d", m.Size(), most, added)
				}
			}
			before := m.Expired(now)
			if m.RemoveDue(now, 1+r.Intn(3)); m.Expired(now) != before {
				t.Fatalf("Expired is %d before a removal and %d after it", before, m.Expired(now))
			}
			switch r.Intn(60) {
			case 0:
				shots = append(shots, shot{m, slices.Clone(want), now})
				m = m.Clone()
			case 1:
				if m.Len() > 0 {
					small, timed := m.Small(), m.Timed()
					equal(t, reload(t, m, other), pairs(m, now), now)
					if m = reload(t, m, kit); m.Small() != small || m.Timed() != timed || m.Expired(now) != before {
						t.Fatal("another kind came out of the snapshot")
					}
				}
			case 2:
				if m.Small() != lazy.Small() || !slices.Equal(sorted(pairs(m, now)), sorted(pairs(lazy, now))) {
					t.Fatalf("a removal shows: %v and %v, %v and %v", m.Small(), lazy.Small(), pairs(m, now), pairs(lazy, now))
				}
				equal(t, m, want, now)
				equal(t, lazy, want, now)
			}
		}
		equal(t, m, want, now)
		for _, s := range shots {
			equal(t, s.m, s.want, s.now)
		}
	}
}

// The limits decide when a hash becomes a large one, and it stays one.
func TestLimits(t *testing.T) {
	kit := &dict.Kit{}
	limits := &Limits{Entries: 2, Value: 3}
	set := func(m *Map, pairs ...string) *Map {
		for i := 0; i < len(pairs); i += 2 {
			m.Set(Field{Name: []byte(pairs[i]), Value: []byte(pairs[i+1])}, 0, limits)
		}
		return m
	}
	for _, tt := range []struct {
		m     *Map
		small bool
	}{
		{set(New(kit), "a", "123", "123", "b"), true},
		{set(New(kit), "a", "1", "b", "1", "a", "2"), true},
		{set(New(kit), "a", "1", "b", "1", "c", "1"), false},
		{set(New(kit), "a", "1234"), false},
		{set(New(kit), "1234", "a"), false},
	} {
		if tt.m.Small() != tt.small {
			t.Errorf("%v is small: %v", pairs(tt.m, 0), tt.m.Small())
		}
	}
	m := set(New(kit), "a", "1234")
	if m.Delete([]byte("a"), 0); m.Small() || m.Len() != 0 {
		t.Error("it became a small one again")
	}
}

// What is there during a whole walk is seen, although fields come and go, and get and
// lose expiry times, which moves them from one table to the other.
func TestScanSeesWhatStays(t *testing.T) {
	r := rand.New(rand.NewSource(3))
	limits := &Limits{}
	for range 50 {
		m := New(&dict.Kit{})
		for i := range 300 {
			m.Set(pair{fmt.Sprint("stays", i), "v", int64(r.Intn(2) * 1000)}.field(), 1, limits)
		}
		seen := map[string]bool{}
		for cursor, first := uint64(0), true; first || cursor != 0; first = false {
			cursor = m.Scan(cursor, 1+r.Intn(20), 1, func(f Field) { seen[string(f.Name)] = true })
			for range 30 {
				m.SetExpiry([]byte(fmt.Sprint("stays", r.Intn(300))), int64(r.Intn(2)*1000), 1)
				m.Set(pair{fmt.Sprint("new", r.Intn(300)), "v", int64(r.Intn(2) * 1000)}.field(), 1, limits)
				m.Delete([]byte(fmt.Sprint("new", r.Intn(300))), 1)
			}
		}
		for i := range 300 {
			if !seen[fmt.Sprint("stays", i)] {
				t.Fatalf("field %d was not seen", i)
			}
		}
	}
}

// A large hash is walked in pages of about what was asked for.
func TestScanPages(t *testing.T) {
	m := New(&dict.Kit{})
	for i := range 10_000 {
		m.Set(pair{fmt.Sprint(i), "v", int64(i % 2 * 1000)}.field(), 1, &Limits{})
	}
	pages, most := 0, 0
	for cursor, first := uint64(0), true; first || cursor != 0; first = false {
		n := 0
		cursor = m.Scan(cursor, 100, 1, func(Field) { n++ })
		pages, most = pages+1, max(most, n)
	}
	if pages < 50 || pages > 110 || most > 210 {
		t.Errorf("%d pages, the largest of %d fields", pages, most)
	}
}

// FuzzLoader feeds it what is no snapshot form: an error, or a hash that is sound.
func FuzzLoader(f *testing.F) {
	f.Add([]byte{1}, []byte{1, 'a', 1, 'b'}, []byte{})
	f.Add([]byte{2}, []byte{1, 'a', 1, 'b'}, []byte{1, 'c', 0})
	f.Add([]byte{2}, []byte{1, 'a', 1, 'b'}, []byte{1, 'a', 0})
	f.Add([]byte{2, 9, 0, 0, 0, 0, 0, 0, 0}, []byte{1, 'a', 1, 'b', 8, 1, 2, 3, 0, 0, 0, 0, 0}, []byte{1, 'a', 0})
	f.Add([]byte{2}, []byte{1, 'a', 1, 'b', 8, 1, 2, 3, 0, 0, 0, 0, 0}, []byte{1, 'b', 0, 8, 1, 2, 3, 0, 0, 0, 0, 0})
	f.Add([]byte{3}, []byte{1, 'a', 1, 'b', 8, 1, 2, 3, 0, 0, 0, 0, 0, 1, 'c', 0, 0}, []byte{})
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		kit := &dict.Kit{}
		l := NewLoader(kit)
		for _, part := range [][]byte{a, b, c} {
			if len(part) > 0 && l.Add(part) != nil {
				return
			}
		}
		m, err := l.Done()
		if err != nil {
			return
		}
		seen := model{}
		for _, p := range pairs(m, 0) {
			if !seen.set(p) {
				t.Fatalf("%q is there twice", p.name)
			}
		}
		equal(t, m, seen, 0)
		again := reload(t, m, kit)
		if !slices.Equal(pairs(again, 0), pairs(m, 0)) || again.Timed() != m.Timed() || again.Expired(0) != m.Expired(0) {
			t.Fatal("another hash came out of its snapshot")
		}
		m.RemoveDue(1<<62, 2)
		sound(t, m)
	})
}
