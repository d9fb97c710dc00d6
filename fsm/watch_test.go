package fsm

import (
	"fmt"
	"testing"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

// TestWatch: each case sets up keys, watches k of database 0, does something, and
// says whether the EXEC that follows runs. Every case is asked in three ways: in
// an entry, as a read, and after a snapshot between WATCH and what was done.
func TestWatch(t *testing.T) {
	const runs, aborts = true, false
	tests := []struct {
		name          string
		before, after []string
		wait          int64 // ms between WATCH and after
		want          bool
	}{
		{"nothing", []string{"SET k 1"}, nil, 0, runs},
		{"absent, nothing", nil, nil, 0, runs},
		{"read", []string{"SET k 1"}, []string{"GET k", "TTL k", "EXISTS k"}, 0, runs},
		{"another key", []string{"SET k 1"}, []string{"SET other 1", "DEL other"}, 0, runs},
		{"another database", []string{"SET k 1"}, []string{"COPY k k DB 1"}, 0, runs},
		{"set", []string{"SET k 1"}, []string{"SET k 2"}, 0, aborts},
		{"set to the same", []string{"SET k 1"}, []string{"SET k 1"}, 0, aborts},
		{"changed in place", []string{"SET k 1"}, []string{"APPEND k 1"}, 0, aborts},
		{"deleted", []string{"SET k 1"}, []string{"DEL k"}, 0, aborts},
		{"deleted and set again", []string{"SET k 1"}, []string{"DEL k", "SET k 1"}, 0, aborts},
		{"absent, set", nil, []string{"SET k 1"}, 0, aborts},
		{"absent, set and deleted", nil, []string{"SET k 1", "DEL k"}, 0, aborts},
		{"absent, deleted", nil, []string{"DEL k"}, 0, runs},
		{"failed write", []string{"SET k x"}, []string{"INCR k", "SETNX k y"}, 0, runs},
		{"expiry set", []string{"SET k 1"}, []string{"EXPIRE k 100"}, 0, aborts},
		{"expiry of an absent key", nil, []string{"EXPIRE k 100", "PERSIST k"}, 0, runs},
		{"persisted", []string{"SET k 1 EX 100"}, []string{"PERSIST k"}, 0, aborts},
		{"expired since", []string{"SET k 1 PX 50"}, nil, 50, aborts},
		{"not yet expired", []string{"SET k 1 PX 50"}, nil, 49, runs},
		{"absent, set and expired", nil, []string{"SET k 1 PX 0", "SET k 1 PXAT 5"}, 0, aborts},
		{"flushed", []string{"SET k 1"}, []string{"FLUSHDB"}, 0, aborts},
		{"all flushed", []string{"SET k 1"}, []string{"FLUSHALL"}, 0, aborts},
		{"flushed and set again", []string{"SET k 1"}, []string{"FLUSHALL", "SET k 1"}, 0, aborts},
		{"absent, flushed", nil, []string{"FLUSHDB", "FLUSHALL"}, 0, runs},
		{"absent, set and flushed", nil, []string{"SET k 1", "FLUSHALL"}, 0, aborts},
		{"absent, a neighbour of its slot came and went", []string{"SET {k}1 1"}, []string{"DEL {k}1", "SET {k}2 1", "DEL {k}2"}, 0, runs},
		{"renamed away", []string{"SET k 1"}, []string{"RENAME k other"}, 0, aborts},
		{"renamed away and back", []string{"SET k 1"}, []string{"RENAME k other", "RENAME other k"}, 0, aborts},
		{"renamed over", []string{"SET k 1", "SET other 2"}, []string{"RENAME other k"}, 0, aborts},
		{"absent, renamed over", []string{"SET other 2"}, []string{"RENAME other k"}, 0, aborts},
		{"moved away", []string{"SET k 1"}, []string{"MOVE k 1"}, 0, aborts},
		{"copied from", []string{"SET k 1"}, []string{"COPY k other"}, 0, runs},
		{"copied over", []string{"SET k 1", "SET other 2"}, []string{"COPY other k REPLACE"}, 0, aborts},
		{"swapped", []string{"SET k 1"}, []string{"SWAPDB 0 1"}, 0, aborts},
		{"absent, swapped with one that has it", []string{"SET k 1", "SWAPDB 0 1"}, []string{"SWAPDB 1 0"}, 0, aborts},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.do("SET unrelated 1") // so that no version is 0
			r.do(tt.before...)
			watches := r.watch(0, "k")
			cut := &rig{t: t, m: r.copy(), index: r.index}
			r.now += tt.wait
			for _, r := range []*rig{r, cut} {
				r.now = start + tt.wait
				r.do(tt.after...)
				w := resp.NewWriter(2, nil)
				p := entry.Proposal{Atomic: true, Watches: watches, Commands: writes("GET unrelated")}
				if err := r.m.Read(&p, r.now, w); err != nil {
					t.Fatal(err)
				}
				p.Commands = append(p.Commands, writes("SET done 1")...)
				read, exec := short(w) != "*-1", r.apply(p)[0] != "*-1"
				if done := r.do("EXISTS done") == ":1"; read != tt.want || exec != tt.want || done != tt.want {
					t.Errorf("read ran: %v, EXEC ran: %v, did something: %v; want %v", read, exec, done, tt.want)
				}
			}
		})
	}
}

// TestWatchExpired: a key that was gone already at WATCH, removed or not, has not
// changed by being removed; Redis 7 sees it so too.
func TestWatchExpired(t *testing.T) {
	r := newRig(t)
	for i := range mostDue + moreDue { // these are due earlier and go first
		r.do(fmt.Sprintf("SET x%d v PX 10", i))
	}
	r.do("SET k 1 PX 20")
	r.now += 20
	r.apply()
	watches := r.watch(0, "k")
	if keys := r.m.Stats().Databases[0].Due; keys != 1 {
		t.Fatalf("%d due keys stored, want k alone", keys)
	}
	r.apply()
	if keys := r.m.Stats().Databases[0].Due; keys != 0 {
		t.Fatalf("%d due keys stored, want none", keys)
	}
	p := entry.Proposal{Atomic: true, Watches: watches, Commands: writes("SET k 2")}
	r.want("EXEC", r.apply(p)[0], "*1 +OK")
}

func TestWatchSeveral(t *testing.T) {
	r := newRig(t)
	r.do("SET a 1")
	watches := append(r.watch(0, "a", "b"), r.watch(5, "a")...)
	p := entry.Proposal{DB: 2, Atomic: true, Watches: watches, Commands: writes("INCR n")}
	r.want("first", r.apply(p)[0], "*1 :1")
	r.doIn(5, "SET a 1")
	r.want("one of them changed", r.apply(p)[0], "*-1")
	r.want("nothing done", r.doIn(2, "GET n"), "$1 1")
	p.Watches = []entry.Watch{{DB: 99, Key: []byte("k")}}
	r.want("no such database", r.apply(p)[0], "*-1")
}

// TestWatchAcrossFounding: founding makes a new keyspace, which must not make an
// old version true again.
func TestWatchAcrossFounding(t *testing.T) {
	r := &rig{t: t, m: New(), now: start}
	watches := r.watch(0, "k")
	r.system(system.ClusterInit("u"))
	r.do("SET k 1", "DEL k")
	p := entry.Proposal{Atomic: true, Watches: watches, Commands: writes("SET k 2")}
	r.want("EXEC", r.apply(p)[0], "*-1")
}
