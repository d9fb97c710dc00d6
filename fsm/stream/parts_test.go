package stream

import (
	"math"
	"slices"
	"testing"

	"github.com/raftkv/raftkv/fsm/dict"
	"github.com/raftkv/raftkv/fsm/pack"
)

// sample is a stream with everything in it.
func sample() *Stream {
	s := New(&dict.Kit{})
	limits := Limits{Entries: 3}
	for i := range uint64(10) {
		s.Append(ID{i + 1, i * 300}, asBytes([]string{"f", "v", "g", "w"}), limits)
	}
	s.Append(ID{99, 0}, asBytes([]string{"other", "v"}), limits)
	s.Delete(ID{2, 300})
	s.Trim(Trim{MaxLen: 8})
	for _, name := range []string{"g", "h"} {
		s.Create([]byte(name), ID{3, 0}, 2)
		e, _ := s.Edit([]byte(name))
		for _, name := range []string{"alice", "bob"} {
			c := e.Create([]byte(name), 7)
			e.Assign(Pending{ID: ID{uint64(len(name)), 0}, Time: 8, Count: 1}, c)
		}
	}
	return s
}

// FuzzLoader feeds it what is no snapshot form: an error, or a stream that is sound.
func FuzzLoader(f *testing.F) {
	list := func(s *Stream) []byte {
		var all pack.Seq
		_ = s.Parts(func(part []byte) error { all = all.Append(part); return nil })
		return all
	}
	f.Add(list(sample()))
	f.Add(list(New(&dict.Kit{})))
	f.Fuzz(func(t *testing.T, data []byte) {
		parts := pack.Seq(data)
		if _, ok := parts.Count(); !ok {
			return
		}
		kit := &dict.Kit{}
		l := NewLoader(kit)
		for at := 0; at < len(parts); {
			var part []byte
			part, at = parts.Next(at)
			if l.Add(part) != nil {
				return
			}
		}
		s, err := l.Done()
		if err != nil {
			return
		}
		reload(t, s, kit)
		if bytes := counted(s); s.Size() != EmptySize+bytes {
			t.Fatalf("%d bytes, counted are %d", s.Size(), EmptySize+bytes)
		}
		n := 0
		s.Ascend(ID{}, func(e Entry) bool {
			if got, ok := s.Get(e.ID); !ok || !sameEntries([]modelEntry{read(got)}, []modelEntry{read(e)}) {
				t.Fatalf("Get(%v) = %v, want %v", e.ID, got, e)
			}
			n++
			return true
		})
		if n != s.Len() {
			t.Fatalf("%d entries of %d", n, s.Len())
		}
		// It must be fit for further use.
		if next, ok := s.Last().Next(); ok {
			s.Append(next, asBytes([]string{"f", "v"}), Limits{Entries: 2})
		}
		s.EachGroup(func(name []byte, _ *Group) {
			e, _ := s.Clone().Edit(name)
			e.EachConsumer(func(c *Consumer) bool {
				e.Remove(c)
				return false
			})
		})
		s.Trim(Trim{MaxLen: 1})
		if s.Len() > 1 {
			t.Fatalf("%d entries after a Trim to one", s.Len())
		}
	})
}

// What is not a stream's form is refused.
func TestLoaderRefuses(t *testing.T) {
	good := pieces(t, sample())
	load := func(list []string) error {
		l := NewLoader(&dict.Kit{})
		for _, part := range list {
			if err := l.Add([]byte(part)); err != nil {
				return err
			}
		}
		_, err := l.Done()
		return err
	}
	if err := load(good); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		if err := load(slices.Insert(slices.Clone(good), i, good[i])); err == nil {
			t.Errorf("piece %d twice (%q) is taken", i, good[i])
		}
		if err := load(slices.Insert(slices.Clone(good), i, "")); err == nil {
			t.Errorf("an empty piece before %d is taken", i)
		}
	}
	if err := load(good[1:]); err == nil {
		t.Error("a stream without a beginning is taken")
	}
}

// TestPartsReadOverflow: a group's count of entries may go over the end of its numbers,
// as in Redis; a snapshot with it must be one that can be read.
func TestPartsReadOverflow(t *testing.T) {
	s := New(&dict.Kit{})
	s.Create([]byte("g"), ID{}, math.MaxInt64)
	e, _ := s.Edit([]byte("g"))
	s.added = 1
	e.Deliver(ID{1, 0})
	if e.Read() != math.MinInt64 {
		t.Fatalf("read %d, want the lowest number", e.Read())
	}
	l := NewLoader(&dict.Kit{})
	if err := s.Parts(l.Add); err != nil {
		t.Fatal(err)
	}
	loaded, err := l.Done()
	if err != nil {
		t.Fatal(err)
	}
	if g, ok := loaded.Group([]byte("g")); !ok || g.Read() != math.MinInt64 {
		t.Errorf("the group is %v, %v", g, ok)
	}
}
