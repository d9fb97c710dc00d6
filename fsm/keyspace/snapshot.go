package keyspace

import (
	"fmt"

	"github.com/raftkv/raftkv/fsm/dict"
)

// Snapshot is a space at one point in time. It may be read by any goroutine while
// the space goes on.
type Snapshot struct {
	dbs     [Databases]database
	counter uint64
	of      *Space // nil once it is released
	last    uint64 // the last epoch of objects that it shows
}

// Item is a key in the form that snapshots store.
type Item struct {
	Key      []byte
	Type     byte
	Value    []byte     // a short string
	Long     Text       // a string of more than InlineMax bytes
	Members  Collection // the value of every other type
	ExpireAt int64      // Unix milliseconds, 0 for never
	Version  uint64
}

// Snapshot returns the space as it is now, in a time that does not depend on the
// number of keys.
func (s *Space) Snapshot() *Snapshot {
	snap := &Snapshot{counter: s.counter, of: s, last: s.epochs.Copy()}
	for i, d := range s.dbs {
		snap.dbs[i] = database{
			keys:    d.keys.Snapshot(),
			created: append([]uint64(nil), d.created...), // 128 KiB at most
			base:    d.base,
		}
	}
	return snap
}

// Release says that nobody reads the snapshot any more, so the space need not copy
// what the snapshot shows before it changes it. It may be called where the space may be
// written. Without it all is right, and slower. A second call does nothing.
func (s *Snapshot) Release() {
	if s.of == nil {
		return
	}
	s.of.epochs.Release(s.last)
	s.of = nil
	for i := range s.dbs {
		s.dbs[i].keys.Release()
	}
}

// use breaks off where what is read may be changing: crash beats a wrong snapshot.
func (s *Snapshot) use() {
	if s.of == nil {
		panic("keyspace: a released snapshot is read")
	}
}

// Databases returns the numbers of the databases that hold anything to store.
func (s *Snapshot) Databases() []int {
	s.use()
	var dbs []int
	for i := range s.dbs {
		if d := &s.dbs[i]; d.keys.Len() > 0 || len(d.created) > 0 || d.base != 0 {
			dbs = append(dbs, i)
		}
	}
	return dbs
}

// Len is the number of keys in a database, as Each tells them.
func (s *Snapshot) Len(db int) int {
	s.use()
	return s.dbs[db].keys.Len()
}

// Each calls fn for every key of a database, in the order of their positions,
// until fn returns an error, which it returns. The item's slices are valid only
// during the call.
func (s *Snapshot) Each(db int, fn func(Item) error) error {
	s.use()
	var err error
	s.dbs[db].keys.Ascend(0, func(_ uint64, r dict.Record[object]) bool {
		e := entryOf(r)
		m := e.head()
		it := Item{Key: r.Key, Type: byte(e.Type()), ExpireAt: m.expireAt, Version: m.version}
		text, isText := e.Text()
		switch {
		case text.long != nil: // it may be half a gigabyte, so it is not put together
			it.Long = text
		case isText:
			it.Value = text.short
		default:
			it.Members = e.obj.value.(Collection)
		}
		err = fn(it)
		return err == nil
	})
	return err
}

// WholeDatabase stands in place of a bucket for the version below which no key of
// the database, present or absent, has one.
const WholeDatabase = -1

// EachCreation calls fn for the versions of the last creations in the buckets of a
// database, until fn returns an error, which it returns.
func (s *Snapshot) EachCreation(db int, fn func(bucket int, version uint64) error) error {
	s.use()
	d := &s.dbs[db]
	if d.base != 0 {
		if err := fn(WholeDatabase, d.base); err != nil {
			return err
		}
	}
	for bucket, version := range d.created {
		if version != 0 {
			if err := fn(bucket, version); err != nil {
				return err
			}
		}
	}
	return nil
}

// Counter is the last version given out.
func (s *Snapshot) Counter() uint64 { return s.counter }

// SetCounter restores what Snapshot.Counter returned.
func (s *Space) SetCounter(n uint64) { s.counter = n }

// Counter is the last version given out.
func (s *Space) Counter() uint64 { return s.counter }

// LoadCreation restores what EachCreation told.
func (s *Space) LoadCreation(db, bucket int, version uint64) error {
	switch {
	case db < 0 || db >= Databases:
		return fmt.Errorf("creations of database %d", db)
	case bucket == WholeDatabase:
		s.dbs[db].base = version
	case bucket < 0 || bucket >= buckets:
		return fmt.Errorf("creations of bucket %d", bucket)
	default:
		s.dbs[db].noteCreation(uint64(bucket), version)
	}
	return nil
}

// LoadItem restores what Each told. The item is not kept; a long string's bytes are
// shared with it until they are changed, so a Snapshot of another Space may give it. A
// collection must be this Space's own, made by a Loader.
func (s *Space) LoadItem(db int, it Item) error {
	if db < 0 || db >= Databases {
		return fmt.Errorf("key of database %d", db)
	}
	if it.ExpireAt < 0 {
		return fmt.Errorf("expiry time %d", it.ExpireAt)
	}
	if it.Version > maxVersion {
		return fmt.Errorf("version %d", it.Version)
	}
	var obj *object
	inline := it.Value
	switch {
	case Type(it.Type) != String:
		if it.Members == nil || it.Members.Type() != Type(it.Type) {
			return fmt.Errorf("value of unknown type %d", it.Type)
		}
		obj, inline = &object{value: it.Members, epoch: s.epochs.Now(), size: it.Members.Size()}, nil
	case it.Long.long != nil:
		r := it.Long.long
		if r.size <= InlineMax || r.size > MaxString {
			return fmt.Errorf("string of %d bytes", r.size)
		}
		obj, inline = &object{value: r.Clone(), epoch: s.epochs.Now(), size: r.Size()}, nil
	case len(it.Value) > InlineMax:
		return fmt.Errorf("string of %d bytes in one piece", len(it.Value))
	}
	m := meta{version: it.Version, expireAt: it.ExpireAt}
	s.dbs[db].load(s.position(it.Key), it.Key, content{m, inline, obj})
	return nil
}

// load is put for keys that mostly come in the table's own order.
func (d *database) load(pos uint64, key []byte, c content) {
	if !d.at.SeekEnd(d.keys, pos, key) {
		d.put(place{pos: pos}, key, c)
		return
	}
	c.measure()
	var h head
	b := h.set(c.meta)
	d.at.Put(key, b, c.inline, c.obj)
	d.bytes += c.size(key, b)
	d.reschedule(key, meta{}, c.meta)
}
