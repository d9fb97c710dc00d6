package hash

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/dict"
)

type pair struct{ field, value string }

// model is what a hash must be like: pairs in the order of their coming.
type model []pair

func (m model) find(field string) int {
	return slices.IndexFunc(m, func(p pair) bool { return p.field == field })
}

func (m *model) set(field, value string) (created bool) {
	if i := m.find(field); i >= 0 {
		(*m)[i].value = value
		return false
	}
	*m = append(*m, pair{field, value})
	return true
}

func (m *model) delete(field string) bool {
	i := m.find(field)
	if i >= 0 {
		*m = slices.Delete(*m, i, i+1)
	}
	return i >= 0
}

func pairs(m *Map) (list model) {
	m.Each(func(field, value []byte) bool {
		list = append(list, pair{string(field), string(value)})
		return true
	})
	return list
}

func sorted(m model) model {
	m = slices.Clone(m)
	slices.SortFunc(m, func(a, b pair) int { return strings.Compare(a.field, b.field) })
	return m
}

// equal compares everything that can be asked of a hash.
func equal(t *testing.T, m *Map, want model) {
	t.Helper()
	got := pairs(m)
	if m.Small() && !slices.Equal(got, want) || !slices.Equal(sorted(got), sorted(want)) || m.Len() != len(want) {
		t.Fatalf("it holds %v, %d fields; want %v", got, m.Len(), want)
	}
	size := 0
	for i, p := range got {
		if f, v, ok := m.At(i); !ok || string(f) != p.field || string(v) != p.value {
			t.Fatalf("At(%d) = %q, %q, %v; want %v", i, f, v, ok, p)
		}
		if v, ok := m.Get([]byte(p.field)); !ok || string(v) != p.value {
			t.Fatalf("Get(%q) = %q, %v", p.field, v, ok)
		}
		size += cost(len(p.field), len(p.value))
	}
	if !m.Small() && m.bytes != size {
		t.Fatalf("%d bytes are counted, it has %d", m.bytes, size)
	}
	if _, _, ok := m.At(len(got)); ok {
		t.Fatalf("there is a field at %d", len(got))
	}
	var walked model
	for cursor, first := uint64(0), true; first || cursor != 0; first = false {
		cursor = m.Scan(cursor, 7, func(f, v []byte) { walked = append(walked, pair{string(f), string(v)}) })
	}
	if !slices.Equal(walked, got) {
		t.Fatalf("Scan shows %v, want %v", walked, got)
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
func TestAgainstModel(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	kit := &dict.Kit{Hasher: dict.NewHasher([16]byte{1})}
	other := &dict.Kit{Hasher: dict.NewHasher([16]byte{2})}
	limits := Limits{Entries: 20, Value: 30}
	for range 60 {
		m := New(kit)
		var want model
		type shot struct {
			m    *Map
			want model
		}
		var shots []shot
		fields := 1 + r.Intn(60)
		for range 300 {
			field := fmt.Sprint("f", r.Intn(fields))
			if r.Intn(3) == 0 {
				if got, w := m.Delete([]byte(field)), want.delete(field); got != w {
					t.Fatalf("Delete(%q) = %v", field, got)
				}
			} else {
				most := m.Size() + m.Enlarging()
				value := strings.Repeat("v", []int{0, 1, 29, 30, 31, 500}[min(r.Intn(40), 5)*r.Intn(2)])
				if got, w := m.Set([]byte(field), []byte(value), limits), want.set(field, value); got != w {
					t.Fatalf("Set(%q) = %v", field, got)
				}
				if added := 2 * (96 + len(field) + len(value)); m.Size() > most+added {
					t.Fatalf("it has %d bytes, foretold were %d and %d", m.Size(), most, added)
				}
			}
			switch r.Intn(60) {
			case 0:
				shots = append(shots, shot{m, slices.Clone(want)})
				m = m.Clone()
			case 1:
				if len(want) > 0 {
					small := m.Small()
					equal(t, reload(t, m, other), pairs(m))
					if m = reload(t, m, kit); m.Small() != small {
						t.Fatal("another kind came out of the snapshot")
					}
				}
			}
		}
		equal(t, m, want)
		for _, s := range shots {
			equal(t, s.m, s.want)
		}
	}
}

// The limits decide when a hash becomes a large one, and it stays one.
func TestLimits(t *testing.T) {
	kit := &dict.Kit{}
	limits := Limits{Entries: 2, Value: 3}
	set := func(m *Map, pairs ...string) *Map {
		for i := 0; i < len(pairs); i += 2 {
			m.Set([]byte(pairs[i]), []byte(pairs[i+1]), limits)
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
			t.Errorf("%v is small: %v", pairs(tt.m), tt.m.Small())
		}
	}
	m := set(New(kit), "a", "1234")
	if m.Delete([]byte("a")); m.Small() || m.Len() != 0 {
		t.Error("it became a small one again")
	}
}

// FuzzLoader feeds it what is no snapshot form: an error, or a hash that is sound.
func FuzzLoader(f *testing.F) {
	f.Add([]byte{1}, []byte{1, 'a', 1, 'b'}, []byte{})
	f.Add([]byte{2}, []byte{1, 'a', 1, 'b'}, []byte{1, 'c', 0})
	f.Add([]byte{2}, []byte{1, 'a', 1, 'b'}, []byte{1, 'a', 0})
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
		for _, p := range pairs(m) {
			if !seen.set(p.field, p.value) {
				t.Fatalf("%q is there twice", p.field)
			}
		}
		equal(t, m, seen)
		if again := reload(t, m, kit); !slices.Equal(pairs(again), pairs(m)) {
			t.Fatal("another hash came out of its snapshot")
		}
	})
}
