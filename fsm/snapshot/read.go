package snapshot

import (
	"errors"
	"fmt"
	"io"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/system"
)

// Read reads a state up to the end mark. The error is one line: ErrVersion or
// ErrCorrupt, wrapped, or that of r.
func Read(r io.Reader) (*Loaded, error) {
	l := &loader{chunkReader: newChunkReader(r)}
	l.opening()
	if l.next() != secHeader {
		l.corrupt("it does not start with its header")
	}
	l.header()
	for l.err == nil && l.section(l.next()) {
	}
	if l.err == nil && !l.atEnd() {
		l.corrupt("its end mark holds something")
	}
	l.expectEOF()
	if l.err == nil {
		l.finish()
	}
	if l.err != nil {
		return nil, l.err
	}
	loaded := l.Loaded // a copy: the loader's buffers must not live as long as the state
	return &loaded, nil
}

// loader builds a state from sections.
type loader struct {
	*chunkReader
	Loaded
	clusterID string
	version   uint64
	counter   uint64
	members   []system.Member
	departed  []system.Departure
	users     *system.Users
	settings  []system.Value              // nil before its section
	tokens    []system.Token              // nil before its section
	needed    bool                        // who joins needs a token
	seen      [2][keyspace.Databases]bool // databases and their creations
	key, text []byte                      // for what lies over several chunks
}

// section reads one section and says whether another one follows.
func (l *loader) section(tag byte) bool {
	switch {
	case l.err != nil || tag == secEnd:
		return false
	case tag == secMembers:
		l.readMembers()
	case tag == secDeparted:
		l.readDeparted()
	case tag == secUsers:
		l.readUsers()
	case tag == secSettings:
		l.readSettings()
	case tag == secTokens:
		l.readTokens()
	case tag == secDatabase:
		l.database()
	case tag == secCreated:
		l.created()
	case l.flags&flagOptional != 0:
		l.pass()
	default:
		l.fail(fmt.Errorf("%w: it has a section %d, which this program does not know", ErrVersion, tag))
	}
	return l.err == nil
}

func (l *loader) header() {
	l.version = l.number()
	l.clusterID = string(l.bytes(&l.text))
	l.Index, l.Term = l.number(), l.number()
	l.Now = l.signed()
	l.counter = l.number()
	if l.err != nil {
		return
	}
	// The hash key follows from the cluster's id, so the space can be made now.
	state, err := system.NewState(l.clusterID, l.version, nil, nil)
	if err != nil {
		l.fail(fmt.Errorf("%w: %w", ErrVersion, err))
		return
	}
	l.Space = keyspace.New(state.HashKey())
	l.Space.SetCounter(l.counter)
}

func (l *loader) readMembers() {
	if l.members != nil {
		l.corrupt("it has its members twice")
		return
	}
	n := l.number()
	l.members = []system.Member{}
	for i := uint64(0); i < n && l.err == nil; i++ {
		l.members = append(l.members, system.Member{
			Learner: l.flag(flagLearner, "member"),
			ID:      l.string(), Raft: l.string(), RESP: l.string(), HTTP: l.string(), Dir: l.string(),
		})
	}
}

func (l *loader) readDeparted() {
	if l.departed != nil {
		l.corrupt("it has its former members twice")
		return
	}
	n := l.number()
	l.departed = []system.Departure{}
	for i := uint64(0); i < n && l.err == nil; i++ {
		l.departed = append(l.departed, system.Departure{ID: l.string(), Dir: l.string()})
	}
}

func (l *loader) readUsers() {
	if l.users != nil {
		l.corrupt("it has its users twice")
		return
	}
	l.users = &system.Users{Revision: l.number()}
	n := l.number()
	for i := uint64(0); i < n && l.err == nil; i++ {
		l.users.List = append(l.users.List, system.User{Name: l.string(), Rules: l.string(), Born: l.number()})
	}
}

func (l *loader) readSettings() {
	if l.settings != nil {
		l.corrupt("it has its settings twice")
		return
	}
	n := l.number()
	l.settings = []system.Value{}
	for i := uint64(0); i < n && l.err == nil; i++ {
		l.settings = append(l.settings, system.Value{Name: l.string(), N: l.signed()})
	}
}

func (l *loader) readTokens() {
	if l.tokens != nil {
		l.corrupt("it has its join tokens twice")
		return
	}
	l.needed = l.flag(flagNeeded, "list of join tokens")
	n := l.number()
	l.tokens = []system.Token{}
	for i := uint64(0); i < n && l.err == nil; i++ {
		l.tokens = append(l.tokens, system.Token{Hash: l.string(), Expires: l.signed()})
	}
}

// flag reads the flags of a thing, of which only one is known, and says whether
// that is set.
func (l *loader) flag(known byte, thing string) bool {
	flags := l.byte()
	if l.err == nil && flags&^known != 0 {
		l.fail(fmt.Errorf("%w: a %s with unknown flags %#x", ErrVersion, thing, flags))
	}
	return flags&known != 0
}

func (l *loader) string() string { return string(l.bytes(&l.text)) }

// dbOnce reads a database's number, which may come once for each kind of section.
func (l *loader) dbOnce(kind int) int {
	db := l.number()
	if l.err == nil && (db >= keyspace.Databases || l.seen[kind][db]) {
		l.corrupt(fmt.Sprintf("it has database %d twice, or there is none", db))
	}
	if l.err != nil {
		return 0
	}
	l.seen[kind][db] = true
	return int(db)
}

func (l *loader) database() {
	db := l.dbOnce(0)
	n := l.number()
	for i := uint64(0); i < n && l.err == nil; i++ {
		l.item(db)
	}
	if l.err == nil && uint64(l.Space.Stats(db, 0).Keys) != n {
		l.corrupt("it has a key twice")
	}
}

func (l *loader) item(db int) {
	it := keyspace.Item{Type: l.byte()}
	expires := l.flag(flagExpiry, "key")
	it.Version = l.number()
	if expires {
		it.ExpireAt = int64(l.number())
	}
	// The key must not lie in the chunk's buffer, which reading the value may refill.
	l.key = append(l.key[:0], l.bytes(&l.text)...)
	it.Key = l.key
	l.value(&it)
	switch {
	case l.err != nil:
	case it.Version > l.counter:
		l.corrupt("a key has a version that was never given out")
	default:
		if err := l.Space.LoadItem(db, it); err != nil {
			l.corrupt(err.Error())
		}
	}
}

// value reads an item's value. A long string and a collection's members go where they
// stay: they are not put together before.
func (l *loader) value(it *keyspace.Item) {
	if keyspace.Type(it.Type) != keyspace.String {
		l.collection(it)
		return
	}
	n := l.number()
	if n <= keyspace.InlineMax {
		it.Value = l.sized(n, &l.text)
		return
	}
	if n > keyspace.MaxString {
		l.corrupt(fmt.Sprintf("it has a string of %d bytes", n))
		return
	}
	long := keyspace.NewLongString(int(n))
	l.pieces(n, long.Append)
	it.Long = long.Text()
}

// collection reads the pieces of a collection's form up to the empty one.
func (l *loader) collection(it *keyspace.Item) {
	load, err := l.Space.NewLoader(keyspace.Type(it.Type))
	for err == nil && l.err == nil {
		n := l.number()
		if n == 0 {
			break
		}
		if n > keyspace.MaxString {
			err = fmt.Errorf("it has a member of %d bytes", n)
		} else if part := l.sized(n, &l.text); l.err == nil {
			err = load.Add(part)
		}
	}
	if err == nil && l.err == nil {
		it.Members, err = load.Done()
	}
	if err != nil {
		l.corrupt(err.Error())
	}
}

func (l *loader) created() {
	db := l.dbOnce(1)
	for l.err == nil && !l.atEnd() {
		bucket, version := l.number(), l.number()
		switch {
		case l.err != nil:
		case bucket > 1<<20 || version == 0 || version > l.counter:
			l.corrupt("the version of a creation cannot be")
		default:
			if err := l.Space.LoadCreation(db, int(bucket)+keyspace.WholeDatabase, version); err != nil {
				l.corrupt(err.Error())
			}
		}
	}
}

// expectEOF makes sure that nothing follows the end mark.
func (l *loader) expectEOF() {
	if l.err != nil {
		return
	}
	switch _, err := l.r.ReadByte(); {
	case err == nil:
		l.corrupt("something follows its end mark")
	case !errors.Is(err, io.EOF):
		l.fail(fmt.Errorf("read snapshot: %w", err))
	}
}

func (l *loader) finish() {
	state, err := system.NewState(l.clusterID, l.version, l.members, l.departed)
	if err == nil {
		state, err = state.WithUsers(l.users)
	}
	if err == nil {
		state, err = state.WithSettings(l.settings)
	}
	if err == nil && l.tokens != nil {
		state, err = state.WithTokens(l.tokens, l.needed)
	}
	if err != nil {
		l.corrupt(err.Error())
		return
	}
	l.System = state
}
