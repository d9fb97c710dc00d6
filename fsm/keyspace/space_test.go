package keyspace

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/raftkv/raftkv/fsm/dict"
	"github.com/raftkv/raftkv/resp"
)

func newSpace() *Space { return New([16]byte{7}) }

// checkSums recomputes what a database keeps as sums and indexes.
func checkSums(t *testing.T, s *Space) {
	t.Helper()
	for i, d := range s.dbs {
		var size int64
		ending, fading, fieldsOnly := 0, 0, 0
		d.keys.Ascend(0, func(pos uint64, r dict.Record[object]) bool {
			e := entryOf(r)
			size += int64(e.Size())
			if want := s.position(e.Key()); pos != want {
				t.Errorf("db %d: %q at %d, want %d", i, e.Key(), pos, want)
			}
			if e.obj != nil && e.obj.size != e.obj.value.Size() {
				t.Errorf("db %d: %q counts %d bytes, has %d", i, e.Key(), e.obj.size, e.obj.value.Size())
			}
			at := e.ExpireAt()
			if h, is := e.Value().(HashValue); is {
				first, last := h.Times()
				if first != 0 {
					fading++
					if _, ok := d.fading.Get(uint64(first), e.Key()); !ok {
						t.Errorf("db %d: %q is not in the index of hashes", i, e.Key())
					}
				}
				if at == 0 && last != 0 {
					fieldsOnly++
				}
				if last != 0 && (at == 0 || last < at) {
					at = last
				}
			}
			if at != e.end() {
				t.Errorf("db %d: %q ends at %d, want %d", i, e.Key(), e.end(), at)
			}
			if at != 0 {
				ending++
				if _, ok := d.due.Get(uint64(at), e.Key()); !ok {
					t.Errorf("db %d: %q is not in the index by expiry time", i, e.Key())
				}
			}
			return true
		})
		got, want := [...]int{int(d.bytes), d.due.Len(), d.fading.Len(), d.fieldsOnly}, [...]int{int(size), ending, fading, fieldsOnly}
		if got != want {
			t.Errorf("db %d: bytes, ending, fading, by fields only are counted as %v, want %v", i, got, want)
		}
	}
}

// modelValue is what the model of TestAgainstModel knows of a key.
type modelValue struct {
	text     string
	expireAt int64
}

// TestAgainstModel runs random changes on a Space and on plain maps.
func TestAgainstModel(t *testing.T) {
	s := newSpace()
	var model [3]map[string]modelValue
	for i := range model {
		model[i] = map[string]modelValue{}
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	now := int64(1000)
	key := func() []byte { return []byte(strings.Repeat("k", rnd.IntN(3)) + strconv.Itoa(rnd.IntN(12))) }
	live := func(db int, k []byte) (modelValue, bool) {
		v, ok := model[db][string(k)]
		return v, ok && (v.expireAt == 0 || v.expireAt > now)
	}
	steps := 60000
	if testing.Short() {
		steps = 10000
	}
	for step := range steps {
		now += int64(rnd.IntN(2))
		db, k, k2 := rnd.IntN(3), key(), key()
		tx := s.Txn(db, now, 0)
		value, exists := live(db, k)
		if !exists {
			value = modelValue{}
		}
		switch op := rnd.IntN(24); op {
		case 0, 1, 2, 3:
			text := strings.Repeat("v", []int{3, 5000, 70000}[rnd.IntN(3)]) + strconv.Itoa(step)
			at := []int64{0, 0, now - 1, now, now + 1, now + 50}[rnd.IntN(6)]
			tx.SetString(k, []byte(text), at)
			model[db][string(k)] = modelValue{text, at}
		case 4, 5, 6, 7, 8, 9:
			model[db][string(k)] = writeModel(t, rnd, tx, k, value)
		case 10, 11:
			if got := tx.Delete(k); got != exists {
				t.Fatalf("step %d: Delete = %v", step, got)
			}
			delete(model[db], string(k))
		case 12, 13:
			at := []int64{0, now, now + 1, now + 30}[rnd.IntN(4)]
			if got := tx.SetExpiry(k, at); got != exists {
				t.Fatalf("step %d: SetExpiry = %v", step, got)
			}
			if exists {
				model[db][string(k)] = modelValue{value.text, at}
			}
		case 14, 15:
			to := rnd.IntN(3)
			if to == db && string(k) == string(k2) {
				continue
			}
			if got := tx.MoveTo(to, k, k2); got != exists {
				t.Fatalf("step %d: MoveTo = %v", step, got)
			}
			if exists {
				delete(model[db], string(k))
				model[to][string(k2)] = value
			}
		case 16, 17:
			to := rnd.IntN(3)
			if to == db && string(k) == string(k2) {
				continue
			}
			if got := tx.CopyTo(to, k, k2); got != exists {
				t.Fatalf("step %d: CopyTo = %v", step, got)
			}
			if exists {
				model[to][string(k2)] = value
			}
		case 18:
			if rnd.IntN(100) == 0 {
				tx.FlushDB()
				model[db] = map[string]modelValue{}
			}
		case 19:
			other := rnd.IntN(3)
			tx.SwapDB(db, other)
			model[db], model[other] = model[other], model[db]
		case 20:
			s.RemoveDue(now, 3)
		case 21:
			s.Snapshot()
		case 22:
			if got, want := tx.Len(), countLive(model[db], now); got != want {
				t.Fatalf("step %d: Len = %d, want %d", step, got, want)
			}
		default:
			text, ok, err := tx.String(k)
			if ok != exists || err != nil || ok && text.String() != value.text {
				t.Fatalf("step %d: String(%s) = %.20q, %v, %v; want %.20q, %v", step, k, text.String(), ok, err, value.text, exists)
			}
		}
		if step%5000 == 0 {
			checkSums(t, s)
		}
	}
}

// writeModel writes into a string at a random offset and returns what the model
// must hold then. old is zero for an absent key.
func writeModel(t *testing.T, rnd *rand.Rand, tx *Txn, k []byte, old modelValue) modelValue {
	t.Helper()
	offset := []int{0, len(old.text), len(old.text) / 2, len(old.text) + 10, 9000}[rnd.IntN(5)]
	data := strings.Repeat("w", 1+rnd.IntN(100))
	text := []byte(old.text)
	if need := offset + len(data); need > len(text) {
		text = append(text, make([]byte, need-len(text))...)
	}
	copy(text[offset:], data)
	at := offset
	if offset == len(old.text) && rnd.IntN(2) == 0 {
		at = AtEnd
	}
	n, err := tx.WriteString(k, at, []byte(data))
	if n != len(text) || err != nil {
		t.Fatalf("writing at %d of %d = %d, %v; want %d", offset, len(old.text), n, err, len(text))
	}
	return modelValue{string(text), old.expireAt}
}

func countLive(m map[string]modelValue, now int64) int {
	n := 0
	for _, v := range m {
		if v.expireAt == 0 || v.expireAt > now {
			n++
		}
	}
	return n
}

func TestParseInt(t *testing.T) {
	for _, tc := range []struct {
		text string
		n    int64
		ok   bool
	}{
		{"0", 0, true}, {"1", 1, true}, {"-1", -1, true}, {"10", 10, true},
		{"9223372036854775807", 1<<63 - 1, true}, {"-9223372036854775808", -1 << 63, true},
		{"9223372036854775808", 0, false}, {"-9223372036854775809", 0, false}, {"18446744073709551616", 0, false},
		{"9999999999999999999", 0, false}, {"99999999999999999999", 0, false},
		{"", 0, false}, {"-", 0, false}, {"-0", 0, false}, {"00", 0, false}, {"01", 0, false}, {"+1", 0, false},
		{" 1", 0, false}, {"1 ", 0, false}, {"1.0", 0, false}, {"1e3", 0, false}, {"0x1", 0, false}, {"1\x00", 0, false}, {"/", 0, false}, {":", 0, false},
	} {
		if n, ok := ParseInt(tc.text); n != tc.n || ok != tc.ok {
			t.Errorf("ParseInt(%q) = %d, %v; want %d, %v", tc.text, n, ok, tc.n, tc.ok)
		}
	}
}

// TestVersions checks for many changes whether WATCH would notice them.
func TestVersions(t *testing.T) {
	key, now := []byte("k"), int64(1000)
	set := func(s *Space) { s.Txn(0, now, 0).SetString(key, []byte("v"), 0) }
	expiring := func(s *Space) { s.Txn(0, now, 0).SetString(key, []byte("v"), now+10) }
	for _, tc := range []struct {
		name    string
		before  func(*Space)
		between func(*Space)
		changed bool
	}{
		{"nothing, absent", nil, nil, false},
		{"nothing, present", set, nil, false},
		{"created", nil, set, true},
		{"created and deleted", nil, func(s *Space) { set(s); s.Txn(0, now, 0).Delete(key) }, true},
		{"created and moved away", nil, func(s *Space) { set(s); s.Txn(0, now, 0).MoveTo(1, key, key) }, true},
		{"written again", set, set, true},
		{"deleted", set, func(s *Space) { s.Txn(0, now, 0).Delete(key) }, true},
		{"deleted and written", set, func(s *Space) { s.Txn(0, now, 0).Delete(key); set(s) }, true},
		{"appended", set, func(s *Space) { _, _ = s.Txn(0, now, 0).WriteString(key, AtEnd, []byte("x")) }, true},
		{"written into", set, func(s *Space) { _, _ = s.Txn(0, now, 0).WriteString(key, 0, []byte("x")) }, true},
		{"expiry set", set, func(s *Space) { s.Txn(0, now, 0).SetExpiry(key, now+9) }, true},
		{"overwritten by rename", set, func(s *Space) {
			s.Txn(0, now, 0).SetString([]byte("o"), nil, 0)
			s.Txn(0, now, 0).Rename([]byte("o"), key)
		}, true},
		{"copied from", set, func(s *Space) { s.Txn(0, now, 0).CopyTo(0, key, []byte("o")) }, false},
		{"flushed", set, func(s *Space) { s.Txn(0, now, 0).FlushDB() }, true},
		{"flushed and written", set, func(s *Space) { s.Txn(1, now, 0).FlushAll(); set(s) }, true},
		{"flushed elsewhere", set, func(s *Space) { s.Txn(1, now, 0).FlushDB() }, false},
		{"absent, flushed", nil, func(s *Space) { s.Txn(1, now, 0).FlushAll(); s.Txn(0, now, 0).FlushDB() }, false},
		{"created and flushed", nil, func(s *Space) { set(s); s.Txn(0, now, 0).FlushDB() }, true},
		{"created and flushed twice", nil, func(s *Space) { set(s); s.Txn(1, now, 0).FlushAll(); s.Txn(1, now, 0).FlushAll() }, true},
		{"absent, flushed after a swap", func(s *Space) { s.Txn(0, now, 0).SwapDB(0, 1) }, func(s *Space) { s.Txn(0, now, 0).FlushDB() }, false},
		{"absent, came and went by swaps", func(s *Space) { set(s); s.Txn(0, now, 0).SwapDB(0, 1) },
			func(s *Space) { s.Txn(0, now, 0).SwapDB(0, 1); s.Txn(0, now, 0).SwapDB(0, 1) }, true},
		{"created and swapped away", nil, func(s *Space) { set(s); s.Txn(0, now, 0).SwapDB(0, 1) }, true},
		{"created with a time that has come", nil, func(s *Space) { s.Txn(0, now, 0).SetString(key, nil, now) }, true},
		{"created and given a time that has come", nil, func(s *Space) { set(s); s.Txn(0, now, 0).SetExpiry(key, now) }, true},
		{"was due, given a time that has come", func(s *Space) { expiring(s); now += 10 }, func(s *Space) { s.Txn(0, now, 0).SetString(key, nil, now) }, true},
		{"absent, neighbours deleted and expired", func(s *Space) {
			for i := range 100 {
				s.Txn(0, now, 0).SetString(fmt.Appendf(nil, "{k}%d", i), nil, now+int64(i%2)*10)
			}
		}, func(s *Space) {
			for i := range 100 {
				s.Txn(0, now, 0).Delete(fmt.Appendf(nil, "{k}%d", i))
			}
			now += 10
			s.RemoveDue(now, 100)
		}, false},
		{"absent, neighbours of its slot created", nil, func(s *Space) {
			for i := range 100 {
				s.Txn(0, now, 0).SetString(fmt.Appendf(nil, "{k}%d", i), nil, 0)
			}
		}, false},
		{"was due, removed and a neighbour created", func(s *Space) { expiring(s); now += 10 }, func(s *Space) {
			s.RemoveDue(now, 9)
			s.Txn(0, now, 0).SetString([]byte("{k}"), nil, 0)
		}, false},
		{"swapped", set, func(s *Space) { s.Txn(0, now, 0).SwapDB(0, 1) }, true},
		{"swapped twice", set, func(s *Space) { s.Txn(0, now, 0).SwapDB(0, 1); s.Txn(0, now, 0).SwapDB(0, 1) }, true},
		{"swapped with itself", set, func(s *Space) { s.Txn(0, now, 0).SwapDB(0, 0) }, false},
		{"neighbour written", set, func(s *Space) { s.Txn(0, now, 0).SetString([]byte("o"), nil, 0) }, false},
		{"time passes, not due", expiring, func(*Space) { now += 9 }, false},
		{"time passes, due", expiring, func(*Space) { now += 10 }, true},
		{"due and removed", expiring, func(s *Space) { now += 10; s.RemoveDue(now, 9) }, true},
		{"due after a swap", func(s *Space) { expiring(s); s.Txn(1, now, 0).SwapDB(0, 2); s.Txn(0, now, 0).SwapDB(0, 2) }, func(*Space) { now += 10 }, true},
		{"was due, removed meanwhile", func(s *Space) { expiring(s); now += 10 }, func(s *Space) { s.RemoveDue(now, 9) }, false},
		{"was due, written again", func(s *Space) { expiring(s); now += 10 }, set, true},
		{"was due, written and due again", func(s *Space) { expiring(s); now += 10 }, func(s *Space) { expiring(s); now += 10; s.RemoveDue(now, 9) }, true},
		{"was due and removed, written and due again", func(s *Space) { expiring(s); now += 10; s.RemoveDue(now, 9) }, func(s *Space) { expiring(s); now += 10 }, true},
	} {
		now = 1000
		s := newSpace()
		if tc.before != nil {
			tc.before(s)
		}
		v := s.Version(0, key, now)
		if tc.between != nil {
			tc.between(s)
		}
		if got := s.Version(0, key, now) != v; got != tc.changed {
			t.Errorf("%s: changed = %v", tc.name, got)
		}
	}
}

func TestRemoveDueOrder(t *testing.T) {
	s := newSpace()
	for _, k := range []struct {
		db  int
		key string
		at  int64
	}{{1, "a", 20}, {0, "z", 20}, {0, "b", 20}, {3, "first", 10}, {0, "later", 30}, {0, "never", 0}} {
		s.Txn(k.db, 1, 0).SetString([]byte(k.key), nil, k.at)
	}
	if ms, ok := s.NextDue(); ms != 10 || !ok {
		t.Errorf("NextDue = %d, %v", ms, ok)
	}
	if n := s.RemoveDue(9, 10); n != 0 {
		t.Errorf("removed %d before their time", n)
	}
	if n := s.RemoveDue(20, 2); n != 2 || s.Stats(3, 20) != (Stats{}) || s.Stats(0, 20) != (Stats{Keys: 2, Expires: 1, AvgTTL: 10, Due: 1}) {
		t.Errorf("removed %d; want the oldest, then database 0", n)
	}
	if _, ok := s.dbs[0].keys.Get(s.position([]byte("b")), []byte("b")); ok {
		t.Error(`"b" is left, want it removed before "z"`)
	}
	if n := s.RemoveDue(25, 10); n != 2 {
		t.Errorf("removed %d, want 2", n)
	}
	if st := s.Stats(0, 25); st != (Stats{Keys: 2, Expires: 1, AvgTTL: 5}) {
		t.Errorf("stats %+v", st)
	}
}

// TestTickNeeded checks that a view tells when what it saw depends on a clock that
// the log has not reached.
func TestTickNeeded(t *testing.T) {
	s := newSpace()
	s.Txn(0, 1, 0).SetString([]byte("due"), nil, 100)
	s.Txn(0, 1, 0).SetString([]byte("other"), nil, 500)
	for _, tc := range []struct {
		name        string
		logged, now int64
		read        func(*View)
		want        bool
	}{
		{"before", 50, 99, func(v *View) { v.Get([]byte("due")) }, false},
		{"between", 50, 100, func(v *View) { v.Get([]byte("due")) }, true},
		{"logged", 100, 200, func(v *View) { v.Get([]byte("due")) }, false},
		{"another key", 50, 100, func(v *View) { v.Get([]byte("other")) }, false},
		{"len", 50, 100, func(v *View) { v.Len() }, true},
		{"len, logged", 100, 400, func(v *View) { v.Len() }, false},
		{"scan", 50, 100, func(v *View) { v.Scan(0, 1, func(Entry) {}) }, true},
		{"each", 50, 100, func(v *View) { v.Each(func(Entry) bool { return false }) }, true},
		{"random", 50, 100, func(v *View) { v.RandomKey() }, true},
	} {
		v := s.View(0, Instant{Logged: tc.logged, Now: tc.now})
		if tc.read(v); v.TickNeeded() != tc.want {
			t.Errorf("%s: TickNeeded = %v", tc.name, v.TickNeeded())
		}
	}
}

// TestScanSeesAllThatStays walks while other keys come and go.
func TestScanSeesAllThatStays(t *testing.T) {
	s := newSpace()
	for i := range 2000 {
		s.Txn(0, 1, 0).SetString(fmt.Appendf(nil, "stay%d", i), nil, 0)
		s.Txn(0, 1, 0).SetString(fmt.Appendf(nil, "{stay%d}", i%10), nil, 0)
	}
	seen := map[string]int{}
	for cursor, i := uint64(0), 0; ; i++ {
		cursor = s.View(0, Instant{1, 1}).Scan(cursor, 7, func(e Entry) { seen[string(e.Key())]++ })
		if cursor == 0 {
			break
		}
		if cursor >= 1<<53 {
			t.Fatalf("cursor %d has more than 53 bits", cursor)
		}
		s.Txn(0, 1, 0).SetString(fmt.Appendf(nil, "new%d", i), nil, 0)
		s.Txn(0, 1, 0).Delete(fmt.Appendf(nil, "new%d", i-3))
	}
	for i := range 2000 {
		if n := seen[fmt.Sprintf("stay%d", i)]; n != 1 {
			t.Fatalf("stay%d was seen %d times", i, n)
		}
	}
}

func TestRandomKeyIsEvenAndAlive(t *testing.T) {
	s := newSpace()
	for i := range 300 {
		at := int64(50)
		if i < 10 {
			at = 0
		}
		s.Txn(0, 1, 0).SetString([]byte(strconv.Itoa(i)), nil, at)
	}
	seen := map[string]int{}
	for seed := range uint64(5000) {
		v := s.View(0, Instant{60, 60})
		v.Seed = seed
		k, ok := v.RandomKey()
		if i, _ := strconv.Atoi(string(k)); !ok || i >= 10 {
			t.Fatalf("picked %q, %v", k, ok)
		}
		seen[string(k)]++
	}
	for k, n := range seen {
		if n < 350 || n > 650 {
			t.Errorf("%s was picked %d times of 5000 among 10", k, n)
		}
	}
	if k, ok := s.View(1, Instant{60, 60}).RandomKey(); ok {
		t.Errorf("picked %q of an empty database", k)
	}
}

// TestRandomKeyAmongTheDue: where nearly all that is stored is due, those that have an
// expiry time are still picked evenly, and all others have their share.
func TestRandomKeyAmongTheDue(t *testing.T) {
	const due, live, picks = 20_000, 10, 3000
	for _, stay := range []int{0, 10} {
		s := newSpace()
		for i := range due {
			s.Txn(0, 1, 0).SetString(fmt.Appendf(nil, "due%d", i), nil, 50)
		}
		for i := range live {
			s.Txn(0, 1, 0).SetString(fmt.Appendf(nil, "live%d", i), nil, int64(100+i%3))
		}
		for i := range stay {
			s.Txn(0, 1, 0).SetString(fmt.Appendf(nil, "stay%d", i), nil, 0)
		}
		seen, stayed := map[string]int{}, 0
		for seed := range uint64(picks) {
			v := s.View(0, Instant{60, 60})
			v.Seed = seed
			k, ok := v.RandomKey()
			switch {
			case !ok || strings.HasPrefix(string(k), "due"):
				t.Fatalf("picked %q, %v", k, ok)
			case strings.HasPrefix(string(k), "stay"):
				stayed++
			default:
				seen[string(k)]++
			}
		}
		each := picks / (live + stay)
		for k, n := range seen {
			if len(seen) != live || n < each*7/10 || n > each*13/10 {
				t.Errorf("%s was picked %d times, want about %d; %d different ones", k, n, each, len(seen))
			}
		}
		if want := stay * each; stayed < want*8/10 || stayed > want*12/10 {
			t.Errorf("%d times one that stays, want about %d", stayed, want)
		}
	}
}

// TestSlots: what waits for its removal is in no slot, whether there is more of it or
// less of it than there is in the slot.
func TestSlots(t *testing.T) {
	for _, elsewhere := range []int{0, 20, 1000} {
		s := newSpace()
		for i := range 50 {
			s.Txn(0, 1, 0).SetString(fmt.Appendf(nil, "{a}%d", i), nil, int64(i%2)*10)
			s.Txn(0, 1, 0).SetString(fmt.Appendf(nil, "%d", i), nil, 0)
		}
		for i := range elsewhere {
			s.Txn(0, 1, 0).SetString(fmt.Appendf(nil, "due%d", i), nil, 10)
		}
		slot := resp.Slot("a")
		for now, want := range map[int64]int{9: 50, 10: 25} {
			if n := s.CountInSlot(0, slot, now); n != want {
				t.Errorf("CountInSlot = %d at %d, want %d", n, now, want)
			}
			if got := s.ListSlot(0, slot, 20, now); len(got) != 20 || resp.Slot(got[19]) != slot {
				t.Errorf("ListSlot = %q", got)
			}
			if n := len(s.ListSlot(0, slot, 1000, now)); n != want {
				t.Errorf("ListSlot gave %d at %d, want %d", n, now, want)
			}
		}
	}
}

// dump is a snapshot as text.
func dump(t *testing.T, s *Snapshot) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintln(&b, s.Counter(), s.Databases())
	for _, db := range s.Databases() {
		_ = s.EachCreation(db, func(bucket int, v uint64) error {
			fmt.Fprintln(&b, db, bucket, v)
			return nil
		})
		_ = s.Each(db, func(it Item) error {
			value := append(slices.Clone(it.Value), it.Long.String()...)
			fmt.Fprintf(&b, "%d %q %d %d %x %d %d\n", db, it.Key, it.Type, len(value), sha256.Sum256(value), it.ExpireAt, it.Version)
			return nil
		})
	}
	return b.String()
}

// change makes random changes, of short and of long strings.
func change(s *Space, rnd *rand.Rand, steps int) {
	for i := range steps {
		tx := s.Txn(rnd.IntN(2), int64(1000+i), 0)
		key := fmt.Appendf(nil, "k%d", rnd.IntN(60))
		switch rnd.IntN(8) {
		case 0:
			tx.SetString(key, bytes.Repeat([]byte{byte(i)}, rnd.IntN(200)), int64(rnd.IntN(2)*(2000+i)))
		case 1:
			tx.SetString(key, bytes.Repeat([]byte{byte(i)}, rnd.IntN(200000)), 0)
		case 2, 3, 4:
			_, _ = tx.WriteString(key, rnd.IntN(150000), []byte("changed"))
		case 5:
			tx.CopyTo(rnd.IntN(2), key, fmt.Appendf(nil, "k%d", rnd.IntN(60)))
		case 6:
			tx.Delete(key)
		case 7:
			tx.Rename(key, fmt.Appendf(nil, "k%d", rnd.IntN(60)))
		}
	}
}

// TestSnapshotStaysAndRestores reads snapshots while the space changes (under
// -race this also shows that nothing shared is written), some of which are then
// released, and loads one.
func TestSnapshotStaysAndRestores(t *testing.T) {
	s := newSpace()
	rnd := rand.New(rand.NewPCG(5, 5))
	var wg sync.WaitGroup
	read := make(chan *Snapshot, 10)
	for i := range 10 {
		select {
		case snap := <-read:
			snap.Release()
		default:
		}
		change(s, rnd, 300)
		snap := s.Snapshot()
		want := dump(t, snap)
		wg.Go(func() {
			for range 3 {
				if got := dump(t, snap); got != want {
					t.Error("a snapshot changed")
				}
			}
			if i%3 > 0 {
				read <- snap
			}
		})
	}
	change(s, rnd, 300)
	wg.Wait()
	checkSums(t, s)

	snap := s.Snapshot()
	back := newSpace()
	back.SetCounter(snap.Counter())
	for _, db := range snap.Databases() {
		if err := snap.EachCreation(db, func(bucket int, v uint64) error { return back.LoadCreation(db, bucket, v) }); err != nil {
			t.Fatal(err)
		}
		if err := snap.Each(db, func(it Item) error { return back.LoadItem(db, rebuilt(it)) }); err != nil {
			t.Fatal(err)
		}
	}
	checkSums(t, back)
	if dump(t, back.Snapshot()) != dump(t, snap) {
		t.Error("the restored space differs")
	}
	if back.Bytes() != s.Bytes() {
		t.Errorf("the restored space counts %d bytes, the original %d", back.Bytes(), s.Bytes())
	}
	// What follows must be the same too, versions included.
	change(s, rand.New(rand.NewPCG(6, 6)), 500)
	change(back, rand.New(rand.NewPCG(6, 6)), 500)
	if dump(t, back.Snapshot()) != dump(t, s.Snapshot()) {
		t.Error("the restored space goes another way")
	}
	if back.Bytes() != s.Bytes() {
		t.Errorf("afterwards the restored space counts %d bytes, the original %d", back.Bytes(), s.Bytes())
	}
}

// rebuilt is an item as a reader makes it: a long string shares nothing with the one
// it was written from.
func rebuilt(it Item) Item {
	if it.Long.Len() == 0 {
		return it
	}
	text := it.Long.AppendTo(nil, 0, it.Long.Len())
	long := NewLongString(len(text))
	for piece := range slices.Chunk(text, 50_000) {
		long.Append(piece)
	}
	it.Long = long.Text()
	return it
}

// TestLoadFromAnotherSpace: a space made of another one's snapshot shares long strings
// with it, and neither sees the other's changes.
func TestLoadFromAnotherSpace(t *testing.T) {
	old, fresh := newSpace(), newSpace()
	key := []byte("k")
	old.Txn(0, 1, 0).SetString(key, bytes.Repeat([]byte("x"), chunkSize+10), 0)
	snap := old.Snapshot()
	want := dump(t, snap)
	if err := snap.Each(0, func(it Item) error { return fresh.LoadItem(0, it) }); err != nil {
		t.Fatal(err)
	}
	for offset, s := range []*Space{old, fresh} {
		for _, at := range []int{offset, chunkSize + offset, chunkSize + 10} {
			if _, err := s.Txn(0, 1, 0).WriteString(key, at, []byte{byte('0' + offset)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if dump(t, snap) != want {
		t.Error("the snapshot changed")
	}
	for offset, want := range []string{"0xx", "x1x"} {
		s := []*Space{old, fresh}[offset]
		text, _, _ := s.View(0, Instant{}).String(key)
		if got := string(text.AppendTo(nil, 0, 3)); got != want {
			t.Errorf("space %d holds %q, want %q", offset, got, want)
		}
	}
}

func TestLoadRefusesNonsense(t *testing.T) {
	s := newSpace()
	for name, err := range map[string]error{
		"database":       s.LoadItem(16, Item{}),
		"below":          s.LoadItem(-1, Item{}),
		"type":           s.LoadItem(0, Item{Type: 77}),
		"expiry":         s.LoadItem(0, Item{ExpireAt: -1}),
		"long inline":    s.LoadItem(0, Item{Value: make([]byte, InlineMax+1)}),
		"short long":     s.LoadItem(0, rebuilt(Item{Long: Text{long: newRope([]byte("x"))}})),
		"creation db":    s.LoadCreation(16, 0, 2),
		"creation slot":  s.LoadCreation(0, buckets, 2),
		"creation below": s.LoadCreation(0, -2, 2),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestStringLimit(t *testing.T) {
	tx := newSpace().Txn(0, 1, 0)
	for _, tc := range []struct {
		offset, n int
		want      error
	}{
		{MaxString, 1, resp.ErrStringTooLong}, {1 << 62, 1, resp.ErrStringTooLong}, {1<<63 - 1, 1, resp.ErrStringTooLong},
		{MaxString - 3, 4, resp.ErrStringTooLong}, {MaxString - 3, 3, nil},
	} {
		if _, err := tx.WriteString([]byte("k"), tc.offset, make([]byte, tc.n)); err != tc.want {
			t.Errorf("WriteString at %d of %d bytes: %v, want %v", tc.offset, tc.n, err, tc.want)
		}
	}
}

func TestBulkOfLongText(t *testing.T) {
	tx := newSpace().Txn(0, 1, 0)
	text := make([]byte, 3*chunkSize+5)
	for i := range text {
		text[i] = byte(i * 7 / 3)
	}
	tx.SetString([]byte("k"), text, 0)
	got, _, _ := tx.String([]byte("k"))
	for _, r := range [][2]int{{0, len(text)}, {0, 0}, {chunkSize - 1, chunkSize + 1}, {chunkSize, 2 * chunkSize}, {5, 2*chunkSize + 9}} {
		var w, want resp.Writer
		got.BulkRange(&w, r[0], r[1])
		want.Bulk(text[r[0]:r[1]])
		if !bytes.Equal(w.Bytes(), want.Bytes()) {
			t.Errorf("range %v differs", r)
		}
	}
	if !slices.Equal(got.AppendTo(nil, 3, len(text)), text[3:]) {
		t.Error("AppendTo differs")
	}
	got.Bulk(nil)
}
