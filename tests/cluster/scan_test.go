package cluster

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// scanEnv is how many keys, and members of each collection, TestScanDuringWrites has.
const scanEnv = "RAFTKV_SCAN_KEYS"

// TestScanDuringWrites walks over keys, hash, set and sorted set while others add,
// delete, rename, expire and resize: what is there all the time is shown at least once.
// On the leader; begun on one leader and gone on with on the next, after kill -9 of the
// first half way; and on a READONLY follower that is killed half way, misses some of the
// log, and comes back by a snapshot.
func TestScanDuringWrites(t *testing.T) {
	total := envInt(t, scanEnv, 50_000)
	c := proc.StartCluster(t, 3)
	start := time.Now()
	fillScanned(t, c.Client(), total)
	t.Logf("%d keys and three collections of as many members: filled in %.1f s", total, time.Since(start).Seconds())
	load := startScanLoad(t, c, 2, total)
	defer load.end()

	t.Run("leader", func(t *testing.T) {
		scanAll(t, load, throughLeaders(t, c), func() { c.Leader().MustDo("RAFT.SNAPSHOT") })
	})
	t.Run("next leader", func(t *testing.T) {
		old := c.Leader()
		scanAll(t, load, throughLeaders(t, c), old.Kill)
		if now := c.Leader(); now == old {
			t.Errorf("%s leads as before", old.ID)
		}
		old.Start()
		c.WaitCaughtUp(old)
	})
	t.Run("follower", func(t *testing.T) {
		follower := c.Follower()
		via := func() *route { return throughFollower(t, c, follower) }
		scanAll(t, load, via, func() { restoreFollower(t, c, follower) })
	})
	t.Run("planted", func(t *testing.T) { scanSpoilt(t, c, total) })
}

func throughLeaders(t *testing.T, c *proc.Cluster) func() *route {
	return func() *route { return throughLeader(t, c) }
}

// scanAll runs all walks at once, does something once all are half way, and goes on.
func scanAll(t *testing.T, load *scanLoad, via func() *route, halfWay func()) {
	t.Helper()
	load.report()
	walks := allWalks(load.total)
	routes := make([]*route, len(walks))
	for i := range routes {
		routes[i] = via()
	}
	run := func(share float64) {
		errs := make([]error, len(walks))
		var wg sync.WaitGroup
		for i, w := range walks {
			wg.Go(func() { errs[i] = w.run(routes[i], share) })
		}
		wg.Wait()
		check(t, errors.Join(errs...))
	}
	start := time.Now()
	run(0.5)
	for _, w := range walks {
		if w.over {
			t.Errorf("%s ended before half of what lasts was found", w.name)
		}
	}
	halfWay()
	run(1)
	t.Logf("%.1f s. Meanwhile: %s", time.Since(start).Seconds(), load.report())
	for i, w := range walks {
		wanted, missing, twice, first := w.result()
		t.Logf("%-11s %d of %d seen, %d more than once; %d calls in %v, the longest %v; %d sent again",
			w.name, wanted-missing, wanted, twice, w.calls, w.took.Round(time.Millisecond), w.longest.Round(time.Millisecond), routes[i].again)
		if missing > 0 {
			t.Errorf("%s: %d of %d that were there all the time were not shown, first %s", w.name, missing, wanted, first)
		}
	}
}

// restoreFollower kills a follower, has the others write a snapshot and cut their logs,
// and starts it again: a snapshot is all that it can come back by.
func restoreFollower(t *testing.T, c *proc.Cluster, follower *proc.Node) {
	t.Helper()
	s, err := follower.Status()
	check(t, err)
	killedAt := s.AppliedIndex
	follower.Kill()
	proc.Eventually(t, patience, "the log goes on", func() error {
		s, err := c.Leader().Status()
		if err == nil && s.AppliedIndex < killedAt+200 {
			err = fmt.Errorf("applied %d, the follower was killed at %d", s.AppliedIndex, killedAt)
		}
		return err
	})
	for _, n := range c.Nodes {
		if n != follower {
			n.MustDo("RAFT.SNAPSHOT")
		}
	}
	follower.Start()
	c.WaitCaughtUp(follower)
	s, err = follower.Status()
	check(t, err)
	if s.SnapshotIndex <= killedAt {
		t.Errorf("%s was killed at %d and has the snapshot of %d: no snapshot was installed", follower.ID, killedAt, s.SnapshotIndex)
	}
}

// scanSpoilt checks that the walks find a cursor whose bits are off: one that skips a
// little, one that lost its lowest bits, one that two nodes understand differently.
func scanSpoilt(t *testing.T, c *proc.Cluster, total int) {
	for _, name := range []string{"skips a thousandth", "has bit 45 set", "is mirrored"} {
		for _, w := range allWalks(total) {
			shift := 53 // bits of a key's position; a member's has more
			if w.words[0] != "SCAN" {
				shift = 64
			}
			w.spoil = map[string]func(uint64) uint64{
				"skips a thousandth": func(c uint64) uint64 { return c + 1<<(shift-10) },
				"has bit 45 set":     func(c uint64) uint64 { return c | 1<<(shift-8) },
				"is mirrored":        func(c uint64) uint64 { return 1<<(shift-1) | c },
			}[name]
			check(t, w.run(throughLeader(t, c), 1))
			if wanted, missing, _, _ := w.result(); missing == 0 {
				t.Errorf("%s with a cursor that %s: all %d were seen: the test proves nothing", w.name, name, wanted)
			}
		}
	}
}
