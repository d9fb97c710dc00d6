//go:build linux

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// reign is who leads and in which term, once somebody does.
func (r *run) reign(t *testing.T) string {
	t.Helper()
	var text string
	err := proc.Poll(10*time.Second, func() error {
		leader, s := r.fleet.Leader()
		if leader == nil {
			return fmt.Errorf("no leader")
		}
		text = fmt.Sprintf("%s in term %d", leader.Name, s.Term)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A firewall between one follower and the leader that rejects makes the leader look
// gone from there. The other follower knows better, so nothing changes.
func TestFollowerThatIsRefusedChangesNothing(t *testing.T) {
	r := started(t)
	before := r.reign(t)
	f, err := r.env.Inject("refuse-leader", rand.New(rand.NewPCG(1, 0)))
	if err != nil {
		t.Fatal(err)
	}
	refused := r.fleet.Nodes[0]
	for _, n := range r.fleet.Nodes {
		if n.Name == f.Nodes[0] {
			refused = n
		}
	}
	// It has noticed once it names no leader any more.
	err = proc.Poll(10*time.Second, func() error {
		s, err := refused.Status()
		if err == nil && s.LeaderID != "" {
			err = fmt.Errorf("%s still names %s", refused.Name, s.LeaderID)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // many elections would be over
	if after := r.reign(t); after != before {
		t.Errorf("%s leads, want %s", after, before)
	}
	if err := r.env.Heal(f); err != nil {
		t.Fatal(err)
	}
	if err := proc.Poll(10*time.Second, refused.Ready); err != nil {
		t.Error(err)
	}
	if after := r.reign(t); after != before {
		t.Errorf("healed: %s leads, want %s", after, before)
	}
}

// A leader that all followers are refused by cannot lead; they replace it, and what it
// acknowledges stays.
func TestLeaderThatAllAreRefusedByIsReplaced(t *testing.T) {
	r := started(t)
	old := r.fleet.AwaitLeader(10 * time.Second)
	if _, err := old.Do(context.Background(), "SET", "k", "v"); err != nil {
		t.Fatal(err)
	}
	f, err := r.env.Inject("refuse-leader-all", rand.New(rand.NewPCG(1, 0)))
	if err != nil {
		t.Fatal(err)
	}
	err = proc.Poll(10*time.Second, func() error {
		if now, _ := r.fleet.Leader(); now == nil || now == old {
			return fmt.Errorf("no new leader")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Do(context.Background(), "GET", "k"); err == nil {
		t.Error("the old leader still answers")
	}
	now, _ := r.fleet.Leader()
	if got, err := now.Do(context.Background(), "GET", "k"); err != nil || got != "v" {
		t.Errorf("GET k = %v, %v", got, err)
	}
	if err := r.env.Heal(f); err != nil {
		t.Fatal(err)
	}
	if err := r.fleet.AwaitCaughtUp(10 * time.Second); err != nil {
		t.Error(err)
	}
}
