package keyspace

import "github.com/raftkv/raftkv/resp"

// MaxString is the longest string there may be, Redis's default of
// proto-max-bulk-len.
const MaxString = 512 << 20

// Txn reads and writes one database at one logged time. A key whose time has come
// is absent to it, whether it was removed already or not.
type Txn struct{ View }

// Get returns the entry of a key that exists. The entry is valid until the next
// change; a change of the same key that follows costs no second search.
func (t *Txn) Get(key []byte) (Entry, bool) {
	d := t.data()
	if !d.seek(t.place(key), key) {
		return Entry{}, false
	}
	e := entryOf(d.at.Record())
	if !t.exists(e) {
		return Entry{}, false
	}
	return e, true
}

// Exists says whether a key exists.
func (t *Txn) Exists(key []byte) bool {
	_, ok := t.Get(key)
	return ok
}

// String returns the value of a string key as View.String does. It is valid until the
// next change.
func (t *Txn) String(key []byte) (text Text, ok bool, err error) {
	e, ok := t.Get(key)
	if !ok {
		return Text{}, false, nil
	}
	return e.text()
}

// SetString stores a string with an expiry time (0 for none), whatever was there
// before. A time that has come already leaves the key absent.
func (t *Txn) SetString(key, value []byte, expireAt int64) {
	if t.gone(expireAt) {
		t.comeAndGo(key)
		return
	}
	var obj *object
	if len(value) > InlineMax {
		obj, value = t.newObject(newRope(value)), nil
	}
	t.store(key, value, obj, expireAt)
}

// SetLong stores a string that came in pieces, without an expiry time, whatever was there
// before. Nothing must be appended to it any more.
func (t *Txn) SetLong(key []byte, s *LongString) {
	if s.r.size <= InlineMax {
		t.SetString(key, s.r.appendTo(nil, 0, s.r.size), 0)
		return
	}
	t.store(key, nil, t.newObject(&s.r), 0)
}

// Set stores a value with an expiry time (0 for none), whatever was there before.
// The value belongs to the space from now on.
func (t *Txn) Set(key []byte, value Value, expireAt int64) {
	if t.gone(expireAt) {
		t.comeAndGo(key)
		return
	}
	if h, is := value.(HashValue); is {
		t.space.given += h.Fading()
	}
	t.store(key, nil, t.newObject(value), expireAt)
}

// gone says whether an expiry time has come.
func (t *Txn) gone(expireAt int64) bool { return expireAt != 0 && expireAt <= t.at.Logged }

func (t *Txn) newObject(v Value) *object {
	return &object{value: v, epoch: t.space.epochs.Now(), size: v.Size()}
}

func (t *Txn) store(key, inline []byte, obj *object, expireAt int64) {
	m := meta{version: t.space.nextVersion(), expireAt: expireAt}
	at := t.place(key)
	oldEnd, replaced := t.data().put(at, key, content{m, inline, obj})
	if !replaced || t.gone(oldEnd) {
		t.data().noteCreation(at.pos%buckets, m.version)
	}
}

// comeAndGo leaves a key absent that was given a time to live of nothing: it was
// there for a moment, which counts as a change of it.
func (t *Txn) comeAndGo(key []byte) {
	at := t.place(key)
	t.data().remove(at, key)
	t.data().noteCreation(at.pos%buckets, t.space.nextVersion())
}

// Edit returns a value for changing in place. After the change Changed must be
// called. ok is false where there is no such key or its value is a short string.
func (t *Txn) Edit(key []byte) (v Value, ok bool) {
	e, ok := t.Get(key)
	if !ok || e.obj == nil {
		return nil, false
	}
	return t.edit(e).obj.value, true
}

// edit makes the object of a stored entry safe to change in place.
func (t *Txn) edit(e Entry) Entry {
	if !t.space.epochs.Owns(e.obj.epoch) {
		key := t.space.hold(e.key)
		obj := &object{value: e.obj.value.Clone(), epoch: t.space.epochs.Now(), size: e.obj.size}
		t.data().put(t.place(key), key, content{e.head(), nil, obj})
		e, _ = t.Get(key)
	}
	return e
}

// Changed stamps a key after its value was changed in place, and counts its memory
// again. A collection that has no members any more goes, but for a stream.
func (t *Txn) Changed(key []byte) {
	e, ok := t.Get(key)
	if !ok {
		return
	}
	if c, is := e.obj.value.(Collection); is && c.Len() == 0 && c.Type() != Stream {
		t.drop(key)
		return
	}
	t.changed(key, e)
}

// changed is Changed for an entry with an object.
func (t *Txn) changed(key []byte, e Entry) { t.recount(key, e, t.space.nextVersion()) }

// recount stores a key after its value was changed in place.
func (t *Txn) recount(key []byte, e Entry, version uint64) {
	size := e.obj.value.Size()
	t.data().bytes += int64(size - e.obj.size)
	e.obj.size = size
	m := meta{version: version, expireAt: e.ExpireAt()}
	t.data().put(t.place(key), key, content{m, nil, e.obj})
}

// AtEnd is the offset behind all that a string has.
const AtEnd = -1

// WriteString puts data into a string at an offset, which may be AtEnd; zeros fill a gap
// before it. An absent key counts as the empty string. It returns the string's new length. The
// expiry time stays. The work grows with the length of data, not of the string.
func (t *Txn) WriteString(key []byte, offset int, data []byte) (n int, err error) {
	e, exists := t.Get(key)
	old, isText := Text{}, true
	if exists {
		old, isText = e.Text()
	}
	if !isText {
		return 0, resp.ErrWrongType
	}
	if offset == AtEnd {
		offset = old.Len()
	}
	if offset > MaxString || offset+len(data) > MaxString {
		return 0, resp.ErrStringTooLong
	}
	n = max(old.Len(), offset+len(data))
	switch {
	case old.long != nil:
		e = t.edit(e)
		e.obj.value.(*rope).write(offset, data)
		t.changed(key, e)
	case n > InlineMax:
		r := newRope(old.short)
		r.write(offset, data)
		t.store(key, nil, t.newObject(r), e.ExpireAt())
	case exists && offset == old.Len():
		t.data().extend(key, meta{version: t.space.nextVersion(), expireAt: e.ExpireAt()}, data)
	case exists && n == old.Len():
		t.data().patch(meta{version: t.space.nextVersion(), expireAt: e.ExpireAt()}, offset, data)
	default:
		buf := t.space.hold(old.short)
		buf = append(buf, make([]byte, n-len(buf))...)
		copy(buf[offset:], data)
		t.store(key, buf, nil, e.ExpireAt())
	}
	return n, nil
}

// Hold returns a copy of a string that is about to change, for whoever makes the new one
// of it. It is good until the next Hold, or until any key was changed.
func (t *Txn) Hold(text Text) []byte {
	if text.long != nil {
		return text.AppendTo(nil, 0, text.Len())
	}
	return t.space.hold(text.short)
}

// Delete removes a key and says whether it existed.
func (t *Txn) Delete(key []byte) bool {
	if !t.Exists(key) {
		return false
	}
	t.drop(key)
	return true
}

// drop removes a key that exists.
func (t *Txn) drop(key []byte) { t.data().remove(t.place(key), key) }

// SetExpiry gives a key an expiry time, 0 for none, and says whether the key
// existed. A time that has come already removes it.
func (t *Txn) SetExpiry(key []byte, expireAt int64) bool {
	e, ok := t.Get(key)
	switch {
	case !ok:
		return false
	case t.gone(expireAt):
		t.drop(key)
	default:
		m := meta{version: t.space.nextVersion(), expireAt: expireAt}
		t.data().put(t.place(key), key, content{m, t.space.lift(e), e.obj})
	}
	return true
}

// lift copies what stands inline in an entry whose table is about to change.
func (s *Space) lift(e Entry) []byte {
	if e.obj != nil {
		return nil
	}
	return s.hold(e.inline())
}

// Rename moves a key's value and expiry time to another key of the same database,
// whatever was there before, and says whether the key existed.
func (t *Txn) Rename(from, to []byte) bool { return t.MoveTo(t.index, from, to) }

// MoveTo moves a key's value and expiry time to a key of any database, whatever
// was there before, and says whether the key existed.
func (t *Txn) MoveTo(db int, from, to []byte) bool {
	e, ok := t.Get(from)
	if !ok {
		return false
	}
	inline, obj, expireAt := t.space.lift(e), e.obj, e.ExpireAt()
	t.drop(from)
	t.in(db).store(to, inline, obj, expireAt)
	return true
}

// CopyTo gives a key of any database the value and expiry time of another one,
// whatever was there before, and says whether the source existed.
func (t *Txn) CopyTo(db int, from, to []byte) bool {
	e, ok := t.Get(from)
	if !ok {
		return false
	}
	inline, obj, m := t.space.lift(e), e.obj, e.head()
	if obj != nil {
		// Both ends get a clone, because the original may not change any more.
		t.data().put(t.place(from), from, content{m, nil, t.newObject(obj.value.Clone())})
		obj = t.newObject(obj.value.Clone())
	}
	t.in(db).store(to, inline, obj, m.expireAt)
	return true
}

// in is a Txn of the same time in another database.
func (t *Txn) in(db int) *Txn { return t.space.Txn(db, t.at.Logged, t.Seed) }

// In is a View of the same time of another database.
func (t *Txn) In(db int) *View { return &t.in(db).View }

// FlushDB removes all keys of this database, in constant time.
func (t *Txn) FlushDB() {
	t.space.flush(t.index)
}

// FlushAll removes all keys of all databases, in constant time.
func (t *Txn) FlushAll() {
	for i := range t.space.dbs {
		t.space.flush(i)
	}
}

func (s *Space) flush(db int) {
	fresh, old := newDatabase(), s.dbs[db]
	fresh.created, fresh.base = old.created, old.base // absent keys have not changed
	s.dbs[db] = fresh
}

// SwapDB exchanges the contents of two databases, in constant time. It counts as
// a change of every key of both, also of absent ones.
func (t *Txn) SwapDB(a, b int) {
	s := t.space
	if a == b {
		return
	}
	s.dbs[a], s.dbs[b] = s.dbs[b], s.dbs[a]
	version := s.nextVersion()
	s.dbs[a].base, s.dbs[b].base = version, version
}
