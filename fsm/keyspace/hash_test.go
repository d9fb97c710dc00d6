package keyspace

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/hash"
)

// hashes is what the model of TestHashesAgainstModel knows of a database.
type hashes map[string]map[string]modelValue

// live forgets what has expired.
func (m hashes) live(now int64) {
	for key, fields := range m {
		maps.DeleteFunc(fields, func(_ string, f modelValue) bool { return f.expireAt != 0 && f.expireAt <= now })
		if len(fields) == 0 {
			delete(m, key)
		}
	}
}

func (m hashes) String() string {
	var lines []string
	for key, fields := range m {
		for name, f := range fields {
			lines = append(lines, fmt.Sprintln(key, name, len(f.text), f.expireAt))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// hashesOf is what a client can see of a database.
func hashesOf(t *testing.T, s *Space, db int, now int64) hashes {
	t.Helper()
	m := hashes{}
	v := s.View(db, Instant{now, now})
	v.Each(func(e Entry) bool {
		h, err := FindHash(s.View(db, Instant{now, now}), e.Key())
		if err != nil || !h.Exists() || h.Len() == 0 {
			t.Fatalf("%q: %v, %d fields", e.Key(), err, h.Len())
		}
		fields := map[string]modelValue{}
		h.Each(func(f hash.Field) { fields[string(f.Name)] = modelValue{string(f.Value), f.Expires} })
		if len(fields) != h.Len() {
			t.Fatalf("%q: %d fields of %d", e.Key(), len(fields), h.Len())
		}
		m[string(e.Key())] = fields
		return true
	})
	if v.Len() != len(m) {
		t.Fatalf("%d keys are counted, %d are there", v.Len(), len(m))
	}
	return m
}

// Random changes of hashes whose fields expire, on three Spaces: one removes what is due
// at once, one a little at a time, one nothing. What can be seen must be the model's in
// all, and versions the same, through snapshots, moves and copies.
func TestHashesAgainstModel(t *testing.T) {
	spaces := []*Space{newSpace(), newSpace(), newSpace()}
	for _, s := range spaces {
		s.limits.Hash = hash.Limits{Entries: 4, Value: 20}
	}
	var model [2]hashes
	for i := range model {
		model[i] = hashes{}
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	now := int64(1000)
	steps := 30000
	if testing.Short() {
		steps = 5000
	}
	key := func() []byte { return fmt.Appendf(nil, "k%d", rnd.IntN(6)) }
	for step := range steps {
		now += int64(rnd.IntN(3))
		for _, m := range model {
			m.live(now)
		}
		db, k, k2, name := rnd.IntN(2), key(), key(), fmt.Appendf(nil, "f%d", rnd.IntN(8))
		value, at, kind := make([]byte, rnd.IntN(30)), now+int64(rnd.IntN(60)), rnd.IntN(9)
		if kind == 2 && rnd.IntN(3) == 0 {
			at = 0
		}
		for _, s := range spaces {
			tx := s.Txn(db, now, 0)
			switch kind {
			case 0, 1, 2, 3:
				h, _ := EditHash(tx, k)
				if kind < 2 {
					h.Set(hash.Field{Name: name, Value: value})
				} else if f, ok := h.Get(name); ok && f.Expires != at {
					h.SetExpiry(name, at)
				}
				h.Done()
			case 4:
				h, _ := EditHash(tx, k)
				h.Delete(name)
				h.Done()
			case 5:
				tx.CopyTo(1-db, k, k2)
			case 6:
				if string(k) != string(k2) {
					tx.Rename(k, k2)
				}
			case 7:
				tx.MoveTo(1-db, k, k)
			}
		}
		m := model[db]
		fields := m[string(k)]
		switch kind {
		case 0, 1:
			if fields == nil {
				fields = map[string]modelValue{}
				m[string(k)] = fields
			}
			fields[string(name)] = modelValue{text: string(value)}
		case 2, 3:
			if f, ok := fields[string(name)]; ok {
				fields[string(name)] = modelValue{f.text, at}
			}
		case 4:
			delete(fields, string(name))
		case 5:
			if fields != nil {
				model[1-db][string(k2)] = maps.Clone(fields)
			}
		case 6:
			if fields != nil && string(k) != string(k2) {
				m[string(k2)] = fields
				delete(m, string(k))
			}
		case 7:
			if fields != nil {
				model[1-db][string(k)] = fields
				delete(m, string(k))
			}
		}
		for _, m := range model {
			m.live(now)
		}
		spaces[0].RemoveDue(now, 1000)
		spaces[1].RemoveDue(now, 1)
		if due, ok := spaces[0].NextDue(); ok && due <= now {
			t.Fatalf("step %d: something is due still", step)
		}
		switch rnd.IntN(100) {
		case 0:
			for _, s := range spaces {
				defer s.Snapshot().Release()
			}
		case 1:
			for i, s := range spaces {
				spaces[i] = reloaded(t, s)
			}
		case 2:
			for _, s := range spaces {
				checkSums(t, s)
			}
		}
		if step%5 > 0 {
			continue
		}
		for i, s := range spaces {
			for db := range model {
				if got := hashesOf(t, s, db, now); got.String() != model[db].String() {
					t.Fatalf("step %d, space %d, db %d at %d: got\n%swant\n%s", step, i, db, now, got, model[db])
				}
			}
			if a, b := s.Version(db, k, now), spaces[0].Version(db, k, now); a != b {
				t.Fatalf("step %d, space %d: version %d, %d where all is removed", step, i, a, b)
			}
		}
	}
}

// reloaded is what comes out of a Space's snapshot.
func reloaded(t *testing.T, s *Space) *Space {
	t.Helper()
	back := newSpace()
	back.limits = s.limits
	snap := s.Snapshot()
	defer snap.Release()
	back.SetCounter(snap.Counter())
	for _, db := range snap.Databases() {
		err := snap.Each(db, func(it Item) (err error) {
			if it.Members, err = back.Adopt(it.Members); err == nil {
				err = back.LoadItem(db, it)
			}
			return err
		})
		if err == nil {
			err = snap.EachCreation(db, func(bucket int, v uint64) error { return back.LoadCreation(db, bucket, v) })
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if a, b := s.Bytes(), back.Bytes(); a != b {
		t.Fatalf("%d bytes before, %d after", a, b)
	}
	return back
}

// One entry removes no more than it may, and what waits is gone for everybody.
func TestRemoveDueIsBounded(t *testing.T) {
	s := newSpace()
	tx := s.Txn(0, 1, 0)
	h, _ := EditHash(tx, []byte("h"))
	for i := range 1000 {
		h.Set(hash.Field{Name: fmt.Appendf(nil, "f%d", i), Value: []byte("v"), Expires: int64(10 + i%2*1000)})
	}
	h.Done()
	tx.SetString([]byte("s"), []byte("v"), 10)
	if n := s.RemoveDue(9, 100); n != 0 {
		t.Errorf("%d keys removed too early", n)
	}
	for left := 500; left > 0; {
		before := s.dbs[0]
		stored := h.m.Len()
		n := s.RemoveDue(10, 100)
		stored -= h.m.Len()
		if stored+n > 100 || stored+n < min(100, left) {
			t.Fatalf("%d keys and %d fields removed at once", n, stored)
		}
		left -= stored
		view, err := FindHash(s.View(0, Instant{10, 10}), []byte("h"))
		if err != nil || view.Len() != 500 || before.keys.Len() != 1 {
			t.Fatalf("%d fields, %d keys, %v", view.Len(), before.keys.Len(), err)
		}
	}
	checkSums(t, s)
	if due, ok := s.NextDue(); !ok || due != 1010 {
		t.Errorf("next due at %d, %v", due, ok)
	}
	// A hash whose fields have all expired goes as a whole.
	if n := s.RemoveDue(1010, 1); n != 1 || s.Stats(0, 1010) != (Stats{}) || s.Bytes() != 0 {
		t.Errorf("%d keys removed, %+v, %d bytes", n, s.Stats(0, 1010), s.Bytes())
	}
	if _, ok := s.NextDue(); ok {
		t.Error("something is due in an empty database")
	}
}

// Which reads need to know whether a field is there that is due by Now only.
func TestFieldsNeedTicks(t *testing.T) {
	s := newSpace()
	h, _ := EditHash(s.Txn(0, 1, 0), []byte("h"))
	h.Set(hash.Field{Name: []byte("due"), Expires: 100})
	h.Set(hash.Field{Name: []byte("later"), Expires: 300})
	h.Set(hash.Field{Name: []byte("stays")})
	h.Done()
	h, _ = EditHash(s.Txn(0, 1, 0), []byte("ends"))
	h.Set(hash.Field{Name: []byte("due"), Expires: 100})
	h.Done()
	find := func(v *View, key string) HashView {
		h, _ := FindHash(v, []byte(key))
		return h
	}
	for _, tc := range []struct {
		name        string
		logged, now int64
		read        func(*View)
		want        bool
	}{
		{"before", 50, 99, func(v *View) { find(v, "h").Get([]byte("due")) }, false},
		{"between", 50, 100, func(v *View) { find(v, "h").Get([]byte("due")) }, true},
		{"logged", 100, 200, func(v *View) { find(v, "h").Get([]byte("due")) }, false},
		{"another field", 50, 100, func(v *View) { find(v, "h").Get([]byte("later")) }, false},
		{"one that stays", 50, 400, func(v *View) { find(v, "h").Get([]byte("stays")) }, false},
		{"no such field", 50, 400, func(v *View) { find(v, "h").Get([]byte("none")) }, false},
		{"len", 50, 100, func(v *View) { find(v, "h").Len() }, true},
		{"len, logged", 100, 200, func(v *View) { find(v, "h").Len() }, false},
		{"each", 50, 100, func(v *View) { find(v, "h").Each(func(hash.Field) {}) }, true},
		{"scan", 50, 100, func(v *View) { find(v, "h").Scan(0, 1, func(hash.Field) {}) }, true},
		{"pick", 50, 100, func(v *View) { find(v, "h").Pick() }, true},
		{"watch", 50, 100, func(v *View) { v.Watch([]byte("h")) }, true},
		{"exists", 50, 100, func(v *View) { v.Exists([]byte("h")) }, false},
		{"exists, at its end", 50, 100, func(v *View) { v.Exists([]byte("ends")) }, true},
		{"keys, at its end", 50, 100, func(v *View) { v.Len() }, true},
	} {
		v := s.View(0, Instant{Logged: tc.logged, Now: tc.now})
		if tc.read(v); v.TickNeeded() != tc.want {
			t.Errorf("%s: TickNeeded = %v", tc.name, v.TickNeeded())
		}
	}
}

// INFO's figures are of keys, not of fields.
func TestStatsLeaveFieldsOut(t *testing.T) {
	s := newSpace()
	for i := range 100 {
		h, _ := EditHash(s.Txn(0, 1, 0), fmt.Appendf(nil, "h%d", i))
		h.Set(hash.Field{Name: []byte("f"), Expires: 1_000_000})
		h.Done()
	}
	if st := s.Stats(0, 0); st != (Stats{Keys: 100}) {
		t.Errorf("%+v", st)
	}
	for i := range 50 {
		s.Txn(0, 1, 0).SetExpiry(fmt.Appendf(nil, "h%d", i), 5000)
	}
	if st := s.Stats(0, 1000); st != (Stats{Keys: 100, Expires: 50, AvgTTL: 4000}) {
		t.Errorf("%+v", st)
	}
}

// A snapshot is written by one goroutine while another changes the same hashes, large
// ones and small ones; it must give what was there (and the race detector nothing).
func TestSnapshotBesideEdits(t *testing.T) {
	s := newSpace()
	s.limits.Hash = hash.Limits{Entries: 20, Value: 64}
	rnd := rand.New(rand.NewPCG(2, 2))
	edit := func(steps int, now int64) {
		for range steps {
			key := []byte("large")
			if rnd.IntN(4) == 0 {
				key = fmt.Appendf(nil, "small%d", rnd.IntN(20))
			}
			h, _ := EditHash(s.Txn(0, now, 0), key)
			name := fmt.Appendf(nil, "f%d", rnd.IntN(3000))
			if string(key) != "large" {
				name = name[:2]
			}
			switch rnd.IntN(4) {
			case 0:
				h.Delete(name)
			case 1:
				h.Set(hash.Field{Name: name, Value: make([]byte, rnd.IntN(40)), Expires: now + 1 + int64(rnd.IntN(50))})
			default:
				h.Set(hash.Field{Name: name, Value: make([]byte, rnd.IntN(40))})
			}
			h.Done()
		}
		s.RemoveDue(now, 100)
	}
	edit(8000, 1000)
	for round := range int64(20) {
		now := 1010 + round*10
		want := hashesOf(t, s, 0, now).String()
		snap := s.Snapshot()
		read := make(chan hashes)
		go func() {
			back := newSpace()
			_ = snap.Each(0, func(it Item) (err error) {
				if it.Members, err = back.Adopt(it.Members); err == nil {
					err = back.LoadItem(0, it)
				}
				return err
			})
			read <- hashesOf(t, back, 0, now)
		}()
		edit(1000, now)
		if got := (<-read).String(); got != want {
			t.Fatalf("round %d: another state came out of the snapshot", round)
		}
		if round%3 > 0 {
			snap.Release()
		}
	}
	checkSums(t, s)
}
