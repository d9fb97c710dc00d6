package keyspace

import (
	"github.com/raftkv/raftkv/fsm/hash"
	"github.com/raftkv/raftkv/resp"
)

// HashValue is the value of a hash, with all that it stores: also fields whose time has
// come. Commands see it as a HashView or a HashEdit.
type HashValue struct{ *hash.Map }

// NewHash returns an empty hash for Txn.Set.
func (t *Txn) NewHash() HashValue { return HashValue{hash.New(&t.space.kit)} }

// Type implements Value.
func (h HashValue) Type() Type { return Hash }

// Encoding implements Value. The names are Redis 7.0's, and 7.4's for a small hash with
// expiry times.
func (h HashValue) Encoding() string {
	switch {
	case !h.Small():
		return "hashtable"
	case h.Timed():
		return "listpackex"
	}
	return "listpack"
}

// Clone implements Value.
func (h HashValue) Clone() Value { return HashValue{h.Map.Clone()} }

type hashLoader struct{ *hash.Loader }

// Done implements Loader.
func (l hashLoader) Done() (Collection, error) {
	m, err := l.Loader.Done()
	if err != nil {
		return nil, err
	}
	return HashValue{m}, nil
}

// HashView is a hash as of its View's instant: fields whose time has come by the logged
// clock are not in it, and where what it shows depends on a time that the log has not
// reached, the View is told (TickNeeded). That of an absent key is an empty hash. What
// it returns is valid until the next change.
type HashView struct {
	v *View
	m *hash.Map // nil of an absent key
}

// FindHash returns the hash under a key; the error is resp.ErrWrongType where it holds
// something else.
func FindHash(v *View, key []byte) (HashView, error) {
	h, _, err := Find[HashValue](v, key)
	return HashView{v, h.Map}, err
}

// Exists says whether there is such a key.
func (h HashView) Exists() bool { return h.m != nil }

// Len is the number of fields.
func (h HashView) Len() int {
	if h.m == nil {
		return 0
	}
	h.lookAtAll()
	return h.m.Count(h.v.at.Logged)
}

// lookAtAll notes whether any field is due by Now but not by Logged.
func (h HashView) lookAtAll() {
	if at := h.v.at; at.Now > at.Logged && h.m.Due(at.Logged, at.Now) {
		h.v.tick = true
	}
}

// Get returns a field.
func (h HashView) Get(name []byte) (f hash.Field, ok bool) {
	if h.m == nil {
		return f, false
	}
	f, ok = h.m.Get(name, h.v.at.Logged)
	if f.Expires != 0 && f.Expires <= h.v.at.Now {
		h.v.tick = true
	}
	return f, ok
}

// Each calls fn for every field, in the hash's order.
func (h HashView) Each(fn func(hash.Field)) {
	if h.m == nil {
		return
	}
	h.lookAtAll()
	h.m.Each(h.v.at.Logged, func(f hash.Field) bool {
		fn(f)
		return true
	})
}

// Scan is hash.Map's.
func (h HashView) Scan(cursor uint64, count int, fn func(hash.Field)) (next uint64) {
	if h.m == nil {
		return 0
	}
	h.lookAtAll()
	return h.m.Scan(cursor, count, h.v.at.Logged, fn)
}

// Pick returns the fields by number; the hash must exist.
func (h HashView) Pick() hash.Picker {
	h.lookAtAll()
	return h.m.Pick(h.v.at.Logged)
}

// HashEdit is a hash that is to be changed, or made. Done must be called after the last
// change.
type HashEdit struct {
	HashView
	t       *Txn
	key     []byte
	entry   Entry // as it was found; the zero Entry where there was none
	changed bool
}

// EditHash returns the hash under a key for changing it, which where there is none makes
// one; the error is resp.ErrWrongType where the key holds something else.
func EditHash(t *Txn, key []byte) (h HashEdit, err error) {
	h = HashEdit{HashView: HashView{v: &t.View}, t: t, key: key}
	e, ok := t.Get(key)
	if !ok {
		return h, nil
	}
	value, ok := e.Value().(HashValue)
	if !ok {
		return h, resp.ErrWrongType
	}
	h.entry, h.m = e, value.Map
	return h, nil
}

// own makes the hash one that may be changed.
func (h *HashEdit) own() {
	switch {
	case h.changed:
		return
	case h.m == nil:
		h.m = hash.New(&h.t.space.kit)
	default:
		h.m = h.t.edit(h.entry).obj.value.(HashValue).Map
	}
	h.changed = true
}

// Set stores a field and says whether it is a new one. Its bytes must not be the hash's
// own memory, and its expiry time, if it has one, must be to come.
func (h *HashEdit) Set(f hash.Field) (created bool) {
	h.own()
	if f.Expires != 0 {
		h.t.space.given++
	}
	return h.m.Set(f, h.t.at.Logged, &h.t.space.limits.Hash)
}

// Delete removes a field and says whether it was there.
func (h *HashEdit) Delete(name []byte) bool {
	if _, ok := h.Get(name); !ok {
		return false
	}
	h.own()
	return h.m.Delete(name, h.t.at.Logged)
}

// SetExpiry gives a field that is there an expiry time, 0 for none; a time that has come
// removes it.
func (h *HashEdit) SetExpiry(name []byte, at int64) {
	if h.t.gone(at) {
		h.Delete(name)
		return
	}
	h.own()
	if at != 0 {
		h.t.space.given++
	}
	h.m.SetExpiry(name, at, h.t.at.Logged)
}

// Done stores what was changed. A hash that has no fields any more goes, with those that
// it may still store.
func (h *HashEdit) Done() {
	if !h.changed {
		return
	}
	there, before := h.m.Count(h.t.at.Logged) > 0, h.entry.obj != nil
	switch {
	case there && before:
		h.t.Changed(h.key)
	case there:
		h.t.Set(h.key, HashValue{h.m}, 0)
	case before:
		h.t.drop(h.key)
	}
}

// removeFields takes fields whose time has come out of a hash, up to most. No client can
// see it, so the version stays.
func (t *Txn) removeFields(key []byte, most int) (removed int) {
	e, ok := t.Get(key)
	if !ok {
		panic("keyspace: a hash whose fields are due is not there")
	}
	e = t.edit(e)
	value := e.obj.value.(HashValue)
	if removed = value.RemoveDue(t.at.Logged, most); removed == 0 {
		panic("keyspace: no field of a hash is due that should be")
	}
	t.recount(key, e, e.head().version)
	return removed
}

// HashGrowth is what the hash under a key, if it is one, grows by beside the arguments
// when it is made a large one, and when its first field gets an expiry time.
func HashGrowth(v *View, key []byte) (enlarging, timing int) {
	if e, ok := v.Peek(key); ok {
		if h, is := e.Value().(HashValue); is {
			return h.Enlarging(), h.Timing()
		}
	}
	return 0, 0
}
