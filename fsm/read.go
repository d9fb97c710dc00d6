package fsm

import (
	"sync"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

// Read runs a proposal that only reads, in the state as it is, beside other reads.
// now is the clock that times to live are told by: the leader's, on a follower
// Machine.Now; what is before the logged clock counts as that. Its only error is
// system.ErrTickNeeded: something is due by now but not yet by the logged clock,
// so read again when that has reached now. w is unchanged then.
func (m *Machine) Read(p *entry.Proposal, now int64, w *resp.Writer) error {
	r := readers.Get().(*reader)
	defer r.release()
	m.mu.RLock()
	defer m.mu.RUnlock()
	logged := m.shown.now // it is replaced by who holds mu only
	r.m, r.w, r.at = m, w, keyspace.Instant{Logged: logged, Now: max(now, logged)}
	mark, proto := w.Mark(), w.Proto()
	switch {
	case !isDB(p.DB):
		w.Error(resp.ErrDBRange)
	case p.Atomic && !r.unchanged(p.Watches):
		w.NullArray()
	default:
		if p.Atomic {
			w.Array(len(p.Commands))
		}
		r.commands(p)
	}
	if r.tick {
		w.Truncate(mark)
		w.SetProto(proto)
		return system.ErrTickNeeded
	}
	m.looked(r.hits, r.misses)
	return nil
}

// drawChance returns a number that no other read gets.
func (m *Machine) drawChance() uint64 {
	m.brief.Lock()
	defer m.brief.Unlock()
	m.reads++
	return mix(m.reads)
}

// reader answers one proposal, under the Machine's read lock.
type reader struct {
	m    *Machine
	at   keyspace.Instant
	w    *resp.Writer
	tick bool

	hits, misses uint64 // keys found and not found

	// What is kept from one proposal to the next.
	view   keyspace.View
	finder finder
	ahead  ahead

	recaller recaller
}

// readers are those at rest: each read needs one, for a moment.
var readers = sync.Pool{New: func() any { return new(reader) }}

// release puts a reader to rest, with nothing of what it has read.
func (r *reader) release() {
	r.ahead.drop()
	r.view.Look(nil, 0, keyspace.Instant{})
	r.recaller = recaller{}
	r.m, r.w, r.tick, r.hits, r.misses = nil, nil, false, 0, 0
	readers.Put(r)
}

// unchanged checks the watches. A watched key that is due, or a field of it, counts as
// changed once the log says so, which the tick will bring about.
func (r *reader) unchanged(watches []entry.Watch) bool {
	for i := range watches {
		if w := &watches[i]; isDB(w.DB) {
			v := r.m.keys.View(w.DB, r.at)
			v.Watch(w.Key)
			r.tick = r.tick || v.TickNeeded()
		}
	}
	return r.m.unchanged(watches, r.at.Logged)
}

func (r *reader) commands(p *entry.Proposal) {
	v := &r.view
	r.look(p.DB)
	for i := range p.Commands {
		if p.Commands[i].Proto != 0 {
			r.w.SetProto(int(p.Commands[i].Proto))
		}
		if db := p.DBOf(i); db != v.DB() {
			if !isDB(db) {
				r.w.Error(resp.ErrDBRange)
				continue
			}
			r.done()
			r.look(db)
		}
		if len(p.Commands) > 1 {
			v.Expect(&r.ahead.keys, r.ahead.hint(r.m.keys, p, i, nil))
		}
		mark := r.w.Mark()
		c, err := r.finder.find(p.Commands[i].Args, v.ClusterVersion)
		if err == nil {
			err = c.read(v, p.Commands[i].Args, r.w)
		}
		if err != nil {
			writeError(r.w, mark, err)
		}
	}
	r.done()
}

// look opens the view of a database.
func (r *reader) look(db int) {
	r.view.Look(r.m.keys, db, r.at)
	r.view.Draw, r.view.ClusterVersion = r.m.draw, r.version()
	r.recaller = recaller{&r.m.memory, r.m.keys}
	r.view.Memory = &r.recaller
}

// version is the one that commands go by. What is shown is replaced by who holds mu only.
func (r *reader) version() uint64 { return r.m.shown.system.Effective() }

// done takes up what the view has come upon.
func (r *reader) done() {
	v := &r.view
	r.tick = r.tick || v.TickNeeded()
	r.hits, r.misses = r.hits+v.Hits, r.misses+v.Misses
}
