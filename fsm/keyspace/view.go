package keyspace

import (
	"github.com/raftkv/raftkv/fsm/dict"
	"github.com/raftkv/raftkv/fsm/prng"
	"github.com/raftkv/raftkv/resp"
)

// View reads one database as of an instant. It never changes anything, so any
// number of Views may read at once.
type View struct {
	// Seed is the source of all chance in what is read (RANDOMKEY). Whoever makes
	// the View sets it, from the position of the read.
	Seed uint64
	// Draw, if set, gives the seed in place of Seed, where one is needed.
	Draw func() uint64
	// Hits and Misses count the keys that Get found and did not find. A Txn's own
	// Get does not count, only its View's: as in Redis, looking up what is then
	// changed is no read of it.
	Hits, Misses uint64
	// ClusterVersion is what a command that does something else from some version on
	// goes by. Whoever makes the View sets it.
	ClusterVersion uint64
	// Memory, if set, has what reads computed from values before.
	Memory Memory

	space *Space
	index int
	at    Instant
	tick  bool

	expected []byte // a key whose place is known (see Ahead)
	found    *dict.Probe[object]
}

// Memory keeps numbers that follow from a value, by the version of its key: no two values
// of a keyspace share one. It forgets as it likes.
type Memory interface {
	Recall(version uint64) (n uint64, ok bool)
	Remember(version, n uint64)
}

// data is the database, which FLUSHDB and SWAPDB exchange for another one.
func (v *View) data() *database { return v.space.dbs[v.index] }

func (v *View) seed() uint64 {
	if v.Draw != nil {
		return v.Draw()
	}
	return v.Seed
}

// Chance is the source of what a command picks at random, the same on all replicas.
func (v *View) Chance() *prng.Source { return prng.New(v.seed()) }

// DB is the number of the database.
func (v *View) DB() int { return v.index }

// Within calls fn with a View of another database, of the same instant.
func (v *View) Within(db int, fn func(v *View)) {
	other := *v
	other.index, other.expected, other.found = db, nil, nil
	fn(&other)
	v.tick, v.Hits, v.Misses = other.tick, other.Hits, other.Misses
}

// Counts is how many keys exist, and how many of them go at a known time: those with an
// expiry time, and hashes whose fields all expire.
func (v *View) Counts() (keys, expire int) {
	d := v.data()
	return v.Len(), d.due.Len() - d.due.CountRange(0, uint64(v.at.Logged)+1)
}

// Now is the time that remaining times to live are told by, Unix milliseconds.
func (v *View) Now() int64 { return v.at.Now }

// Logged is the time that decides which keys exist, Unix milliseconds.
func (v *View) Logged() int64 { return v.at.Logged }

// TickNeeded says that something read so far is due by Now but not by Logged:
// what was read must be thrown away and read again once the log has caught up.
func (v *View) TickNeeded() bool { return v.tick }

// Get returns the entry of a key that exists.
func (v *View) Get(key []byte) (Entry, bool) {
	e, ok := v.Peek(key)
	if ok {
		v.Hits++
	} else {
		v.Misses++
	}
	return e, ok
}

// Peek is Get, uncounted.
func (v *View) Peek(key []byte) (Entry, bool) {
	r, ok := v.lookUp(key)
	if !ok {
		return Entry{}, false
	}
	e := entryOf(r)
	if !v.exists(e) {
		return Entry{}, false
	}
	return e, true
}

// lookUp finds the record of a key.
func (v *View) lookUp(key []byte) (dict.Record[object], bool) {
	at := v.place(key)
	if at.probe != nil && at.probe.Table == v.data().keys {
		return v.data().keys.GetWarm(at.probe, key)
	}
	return v.data().keys.Get(at.pos, key)
}

// exists says whether a stored entry exists at the view's instant.
func (v *View) exists(e Entry) bool {
	at := e.end()
	if at == 0 {
		return true
	}
	if at <= v.at.Logged {
		return false
	}
	if at <= v.at.Now {
		v.tick = true
	}
	return true
}

// Watch looks at all that a key holds, for an EXEC that watches it: TickNeeded tells
// whether any of it is due.
func (v *View) Watch(key []byte) {
	if e, ok := v.Peek(key); ok && e.obj != nil {
		if m, is := e.obj.value.(HashValue); is {
			HashView{v, m.Map}.lookAtAll()
		}
	}
}

// Exists says whether a key exists.
func (v *View) Exists(key []byte) bool {
	_, ok := v.Get(key)
	return ok
}

// String returns the value of a string key; ok is false where there is no such
// key, the error is resp.ErrWrongType where it holds something else.
func (v *View) String(key []byte) (t Text, ok bool, err error) {
	e, ok := v.Get(key)
	if !ok {
		return Text{}, false, nil
	}
	return e.text()
}

// text is String's answer for an entry.
func (e Entry) text() (t Text, ok bool, err error) {
	t, isText := e.Text()
	if !isText {
		return Text{}, false, resp.ErrWrongType
	}
	return t, true, nil
}

// Len is the number of keys that exist.
func (v *View) Len() int {
	d := v.data()
	v.checkAll()
	return d.keys.Len() - d.dueBy(v.at.Logged)
}

// checkAll notes whether any key at all is due by Now but not by Logged.
func (v *View) checkAll() {
	if v.at.Now > v.at.Logged && v.data().due.CountRange(uint64(v.at.Logged)+1, uint64(v.at.Now)+1) > 0 {
		v.tick = true
	}
}

// Each calls fn for every key that exists, in the order of their positions, until
// fn returns false.
func (v *View) Each(fn func(Entry) bool) {
	v.checkAll()
	v.data().keys.Ascend(0, func(_ uint64, r dict.Record[object]) bool {
		e := entryOf(r)
		return !v.exists(e) || fn(e)
	})
}

// Scan looks at count keys from a cursor on, calls fn for each that exists, and
// returns the cursor to go on from, 0 at the end. Cursors are positions: they
// mean the same on every node and after a restart, and whatever was there during
// the whole walk is seen. Keys that share a position are never torn apart, so a
// few more than count may come.
func (v *View) Scan(cursor uint64, count int, fn func(Entry)) (next uint64) {
	v.checkAll()
	seen, last := 0, uint64(0)
	v.data().keys.Ascend(cursor, func(pos uint64, r dict.Record[object]) bool {
		if seen >= count && pos != last {
			next = pos
			return false
		}
		seen, last = seen+1, pos
		if e := entryOf(r); v.exists(e) {
			fn(e)
		}
		return true
	})
	return next
}

// RandomKey picks one of the keys that exist: evenly, unless nearly all that are stored
// are due. Then those that have an expiry time are picked by their number behind what is
// due in the index by time, and one that has none is the next one from a random place on,
// for which it may have to walk far.
func (v *View) RandomKey() (key []byte, ok bool) {
	if v.Len() == 0 {
		return nil, false
	}
	const tries = 100 // then at least 95 of 100 are gone, or it was very bad luck
	rnd, d := v.Chance(), v.data()
	stored := uint64(d.keys.Len())
	var pos uint64
	for range tries {
		var r dict.Record[object]
		pos, r, _ = d.keys.At(int(rnd.Below(stored)))
		if v.exists(entryOf(r)) {
			return r.Key, true
		}
	}
	due := d.dueBy(v.at.Logged)
	if n := int(rnd.Below(stored - uint64(due))); n < d.due.Len()-due {
		_, r, _ := d.due.At(due + n)
		return r.Key, true
	}
	take := func(_ uint64, r dict.Record[object]) bool {
		if entryOf(r).end() == 0 {
			key, ok = r.Key, true
		}
		return !ok
	}
	if d.keys.Ascend(pos, take); !ok {
		d.keys.Ascend(0, take)
	}
	return key, ok
}
