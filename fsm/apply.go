package fsm

import (
	"errors"
	"fmt"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

// Apply runs one log entry. Positions must rise from call to call. replies is
// nil where nobody waits for them; otherwise it has one Writer for each proposal
// (each may be nil), which gets the replies of its commands, one after the other.
// A mistake of a client is an error reply; a broken invariant panics, and leaves
// the Machine locked: a node that goes on in a state that no other has is worse
// than one that is down.
func (m *Machine) Apply(at Position, b *entry.Batch, replies []*resp.Writer) {
	if b.Version == 0 || b.Version > entry.Version {
		panic(fmt.Sprintf("fsm: entry %d has version %d, this program applies up to %d", at.Index, b.Version, entry.Version))
	}
	if replies != nil && len(replies) != len(b.Proposals) {
		panic(fmt.Sprintf("fsm: %d writers for %d proposals", len(replies), len(b.Proposals)))
	}
	m.mu.Lock()
	before := m.advance(at)
	a := applier{m: m, batch: b, replies: replies, now: max(before.now, b.Now), system: before.system}
	a.removeDue(mostDue)
	for i := range b.Proposals {
		a.proposal(i)
	}
	m.ahead.drop()
	m.ahead.keys.ExpectMember(m.keys, -1) // what is read next is not expected
	a.removeMore()
	m.publish(at, a.now, a.system)
	m.mu.Unlock()
}

// Skip moves the applied position over an entry that holds no batch: Raft's own.
func (m *Machine) Skip(at Position) {
	m.mu.Lock()
	before := m.advance(at)
	m.publish(at, before.now, before.system)
	m.mu.Unlock()
}

// advance checks that a position follows the last one. Callers hold mu.
func (m *Machine) advance(at Position) *shown {
	s := m.look()
	if at.Index <= s.at.Index || at.Term < s.at.Term {
		panic(fmt.Sprintf("fsm: entry %d of term %d after entry %d of term %d", at.Index, at.Term, s.at.Index, s.at.Term))
	}
	return s
}

// applier runs the proposals of one entry, under the Machine's lock.
type applier struct {
	m       *Machine
	batch   *entry.Batch   // its ID is the seed of all chance in it
	replies []*resp.Writer // one for each proposal, or nil
	now     int64
	system  *system.State
	txn     *keyspace.Txn // of the last database used; nil before the first
	finder  finder
	// logged and local count the commands run so far. Chance in a logged command
	// must not depend on the local ones: no other node has them.
	logged, local uint64
}

// proposal runs the proposal with that index.
func (a *applier) proposal(i int) {
	p, w := &a.batch.Proposals[i], (*resp.Writer)(nil)
	if a.replies != nil {
		w = a.replies[i]
	}
	switch {
	case p.System:
		for j := range p.Commands {
			a.systemCommand(p.Commands[j].Args, w)
		}
	case !isDB(p.DB):
		w.Error(resp.ErrDBRange)
	case p.Atomic && !a.m.unchanged(p.Watches, a.now):
		w.NullArray()
	default:
		if p.Atomic {
			w.Array(len(p.Commands))
		}
		for j := range p.Commands {
			if cmd := &p.Commands[j]; w != nil || !cmd.Read { // what only reads is left out where nobody waits for it
				hint := a.m.ahead.hint(a.m.keys, p, j, a.batch.Proposals[i+1:])
				a.command(p.DBOf(j), cmd, w, hint)
			}
		}
	}
}

// unchanged says whether every watched key has its version still. Callers hold mu.
func (m *Machine) unchanged(watches []entry.Watch, now int64) bool {
	for i := range watches {
		w := &watches[i]
		if !isDB(w.DB) || m.keys.Version(w.DB, w.Key, now) != w.Version {
			return false
		}
	}
	return true
}

// command runs a command at its place in the entry. hint is the number of its key
// among those looked at ahead.
func (a *applier) command(db int, cmd *entry.Command, w *resp.Writer, hint int) {
	if cmd.Read {
		a.local++
	} else {
		a.logged++
	}
	if cmd.Proto != 0 {
		w.SetProto(int(cmd.Proto))
	}
	if !isDB(db) {
		w.Error(resp.ErrDBRange)
		return
	}
	t := a.in(db)
	if cmd.Read {
		t.Seed = seed(a.batch.ID, 1<<63|a.local)
	} else {
		t.Seed = seed(a.batch.ID, a.logged)
	}
	t.Hits, t.Misses = 0, 0
	t.Expect(&a.m.ahead.keys, hint)
	a.m.ahead.keys.ExpectMember(a.m.keys, hint)
	mark := w.Mark()
	c, err := a.finder.find(cmd.Args, a.version())
	switch {
	case err != nil:
	case c.Write == nil:
		err = c.read(&t.View, cmd.Args, w)
	case cmd.Read:
		err = errNotARead // only this node has it: it must not change anything
	default:
		err = c.Write(t, cmd.Args, w)
	}
	if err != nil {
		writeError(w, mark, err)
	}
	if w != nil { // it was asked here
		a.m.looked(t.Hits, t.Misses)
	}
}

// in returns the entry's Txn for a database.
func (a *applier) in(db int) *keyspace.Txn {
	if a.txn == nil || a.txn.DB() != db {
		a.txn = a.m.keys.Txn(db, a.now, 0)
		a.txn.ClusterVersion = a.version()
	}
	return a.txn
}

// version is the one that commands go by at this place in the log.
func (a *applier) version() uint64 { return a.system.Effective() }

func (a *applier) systemCommand(args [][]byte, w *resp.Writer) {
	next, err := a.system.Apply(args)
	if err == nil && next.ClusterID() != a.system.ClusterID() {
		err = a.found(next)
	}
	if errors.Is(err, entry.ErrVersion) { // whoever knows that version has another state from here on
		panic("fsm: " + err.Error())
	}
	if err != nil {
		w.Error(resp.Error("ERR " + err.Error()))
		return
	}
	if otherSettings(next, a.system) {
		a.m.keys.SetLimits(limits(next))
	}
	if next.Version() != a.system.Version() {
		a.txn = nil // it tells the old one
	}
	a.system = next
	w.OK()
}

// found makes the keyspace of a new cluster. Its UUID decides where keys lie, so
// there must not have been any before.
func (a *applier) found(next *system.State) error {
	if a.m.keys.Counter() != 0 {
		return fmt.Errorf("a cluster cannot be founded on keys that are there already")
	}
	a.m.replace(keyspace.New(next.HashKey()), next)
	a.m.ahead.drop() // places in the old one
	a.txn = nil
	return nil
}

// seed mixes two numbers well enough that neighbours have nothing in common. It
// is the finalizer of MurmurHash3, twice.
func seed(a, b uint64) uint64 { return mix(a ^ mix(b)) }

func mix(x uint64) uint64 {
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
