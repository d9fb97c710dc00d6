package fsm

import (
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
	m.mu.RLock()
	defer m.mu.RUnlock()
	logged, chance := m.beginRead()
	r := reader{m: m, at: keyspace.Instant{Logged: logged, Now: max(now, logged)}, w: w, chance: chance}
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

// beginRead returns the logged clock and a number that no other read gets.
func (m *Machine) beginRead() (logged int64, chance uint64) {
	m.brief.Lock()
	defer m.brief.Unlock()
	m.reads++
	return m.shown.now, m.reads
}

// reader answers one proposal, under the Machine's read lock.
type reader struct {
	m      *Machine
	at     keyspace.Instant
	w      *resp.Writer
	chance uint64 // of this read; no part of the state
	tick   bool

	hits, misses uint64 // keys found and not found
}

// unchanged checks the watches. A watched key that is due counts as changed once
// the log says so, which the tick will bring about.
func (r *reader) unchanged(watches []entry.Watch) bool {
	for i := range watches {
		if w := &watches[i]; isDB(w.DB) {
			v := r.m.keys.View(w.DB, r.at)
			v.Exists(w.Key)
			r.tick = r.tick || v.TickNeeded()
		}
	}
	return r.m.unchanged(watches, r.at.Logged)
}

func (r *reader) commands(p *entry.Proposal) {
	v := r.m.keys.View(p.DB, r.at)
	for i := range p.Commands {
		if p.Commands[i].Proto != 0 {
			r.w.SetProto(int(p.Commands[i].Proto))
		}
		if db := p.DBOf(i); db != v.DB() {
			if !isDB(db) {
				r.w.Error(resp.ErrDBRange)
				continue
			}
			r.done(v)
			v = r.m.keys.View(db, r.at)
		}
		v.Seed = seed(r.chance, uint64(i))
		mark := r.w.Mark()
		c, err := find(p.Commands[i].Args)
		if err == nil {
			err = c.read(v, p.Commands[i].Args, r.w)
		}
		if err != nil {
			writeError(r.w, mark, err)
		}
	}
	r.done(v)
}

// done takes up what a view has come upon.
func (r *reader) done(v *keyspace.View) {
	r.tick = r.tick || v.TickNeeded()
	r.hits, r.misses = r.hits+v.Hits, r.misses+v.Misses
}
