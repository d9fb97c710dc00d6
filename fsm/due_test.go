package fsm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
)

// rigAt is a rig whose cluster is at a version.
func rigAt(t testing.TB, version uint64) *rig {
	r := oldRig(t)
	r.system(system.ClusterVersion(version))
	return r
}

// repeat is an entry of the same line several times.
func repeat(line string, times int) entry.Proposal {
	lines := make([]string, times)
	for i := range lines {
		lines[i] = line
	}
	return entry.Proposal{Commands: writes(lines...)}
}

// TestDueKeysGoInSteps: an entry removes some, all are gone for readers at once. How many
// is the same in all programs that are at the same cluster version.
func TestDueKeysGoInSteps(t *testing.T) {
	const commands = 10
	for _, tt := range []struct {
		version   uint64
		tick, set int // what an empty entry removes, and one of so many commands
	}{
		{2, 128, 128},
		{3, 512, 128 + 2*commands},
	} {
		t.Run(fmt.Sprint("version ", tt.version), func(t *testing.T) {
			r := rigAt(t, tt.version)
			r.now += 1000
			waiting := tt.tick + tt.set + 10
			for i := range waiting {
				r.do(fmt.Sprintf("SET k%d v PXAT %d", i, r.now+1000))
			}
			r.now += 1000
			for step, removes := range []int{tt.tick, tt.set, tt.tick} {
				p := entry.Proposal{}
				if step == 1 {
					p = repeat("DEL x", commands)
				}
				r.apply(p)
				waiting = max(0, waiting-removes)
				if got := r.m.Stats().Databases[0]; got.Due != waiting || got.Keys != 0 || got.Expires != 0 {
					t.Errorf("after entry %d: %+v, want %d that wait", step, got, waiting)
				}
				got, err := r.read(start+2000, "DBSIZE", "KEYS *", "RANDOMKEY")
				r.want("reads", got+fmt.Sprint(err), ":0 *0 $-1<nil>")
				r.now-- // a clock that is behind stops nothing
			}
		})
	}
}

// TestBacklogIsBounded: entries of thousands of commands, a hundred in a second, remove
// what is due as fast as they make it. Below version 3 they do not, and must not: that is
// what older programs do.
func TestBacklogIsBounded(t *testing.T) {
	const (
		entries, each = 60, 2000
		pause, ttl    = 10, 100 // milliseconds
	)
	fields := strings.Repeat(" f%[1]d:%[2]d:0", 1)
	for i := 1; i < 100; i++ {
		fields += fmt.Sprintf(" f%%[1]d:%%[2]d:%d", i)
	}
	pairs := strings.ReplaceAll(fields, " f", " v f")[2:] + " v"
	for _, tt := range []struct {
		name string
		add  func(entry int) (p entry.Proposal)
	}{
		{"keys", func(n int) (p entry.Proposal) {
			for i := range each {
				p.Commands = append(p.Commands, writes(fmt.Sprintf("SET k%d:%d v PX %d", n, i, ttl))...)
			}
			return p
		}},
		{"fields", func(n int) (p entry.Proposal) {
			for i := range each / 100 {
				p.Commands = append(p.Commands, writes(fmt.Sprintf("HSET h "+pairs, n, i), fmt.Sprintf("HPEXPIRE h %[3]d FIELDS 100"+fields, n, i, ttl))...)
			}
			return p
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// Where nothing waits, what lives for the time to live is stored.
			peak := func(version uint64) (most int64) {
				r := rigAt(t, version)
				r.do("HSET h stays v")
				for n := range entries {
					r.apply(tt.add(n))
					r.now += pause
					most = max(most, r.m.Bytes())
				}
				return most
			}
			r := rigAt(t, 3)
			r.do("HSET h stays v")
			for n := range ttl/pause + 1 {
				r.apply(tt.add(n))
			}
			live := r.m.Bytes()
			if got := peak(3); got > live*6/5 {
				t.Errorf("up to %d bytes stored, %d of them live", got, live)
			}
			if got := peak(2); got < 3*live {
				t.Errorf("at version 2 up to %d bytes stored, %d of them live: it removes more than it may", got, live)
			}
		})
	}
}

// TestBacklogsAgree: what an entry removes follows from what is logged of it, and not
// from the proposer's own reads, nor from whether a snapshot came in between.
func TestBacklogsAgree(t *testing.T) {
	whole, other := New(), follower{Machine: New()}
	index := uint64(0)
	apply := func(now int64, ps ...entry.Proposal) {
		index++
		applyBoth(t, Position{Index: index, Term: 1}, &entry.Batch{Version: entry.Version, ID: index, Now: now, Proposals: ps}, whole, &other)
		if a, b := whole.Stats(), other.Stats(); a.Databases[0] != b.Databases[0] || a.Bytes != b.Bytes {
			t.Fatalf("entry %d: the proposer stores %+v, %d bytes, the follower %+v, %d bytes", index, a.Databases[0], a.Bytes, b.Databases[0], b.Bytes)
		}
	}
	apply(start, entry.Proposal{System: true, Commands: []entry.Command{system.ClusterInit("agree"), system.ClusterVersion(system.NewestVersion)}})
	for i := range 100 {
		p := entry.Proposal{}
		for j := range 100 {
			p.Commands = append(p.Commands, writes(fmt.Sprintf("SET k%d:%d v PX 1000", i, j), fmt.Sprintf("HSET h stays v f%d:%d v", i, j), fmt.Sprintf("HPEXPIRE h 1000 FIELDS 1 f%d:%d", i, j))...)
		}
		apply(start, p)
	}
	reads := repeat("DBSIZE", 50)
	for i := range reads.Commands {
		reads.Commands[i].Read = true
	}
	spoilt := repeat("SET a b", 50)
	spoilt.Atomic, spoilt.Watches = true, []entry.Watch{{Key: []byte("h"), Version: 1}}
	nowhere := repeat("SET a b", 1) // one reply, whatever is in it
	nowhere.DB = 99
	wrong := repeat("SET a", 50)
	given := entry.Proposal{Commands: writes("HSET other stays v e1 v e2 v e3 v", "HEXPIRE other 100 FIELDS 3 e1 e2 e3", "COPY h copy")}
	for step := 0; ; step++ {
		apply(start+2000, [][]entry.Proposal{{reads}, {spoilt}, {nowhere}, {wrong}, {given, reads}, {reads, given}, {}}[step%7]...)
		if step%5 == 0 {
			other.Machine = cutOff(t, whole, other.Machine)
		}
		if due, ok := whole.NextDue(); !ok || due > start+2000 {
			t.Logf("all is removed after %d entries", step+1)
			return
		}
	}
}
