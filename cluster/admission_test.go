package cluster

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/cluster/logstore"
	"github.com/raftkv/raftkv/fsm/system"
)

// wantFatal waits for the error that is to end the process.
func wantFatal(t *testing.T, tn *testNode, part string) {
	t.Helper()
	select {
	case err := <-tn.Fatal():
		if !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
			t.Errorf("it ends with %q, want one line about %q", err, part)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("it goes on; want an end that names %q", part)
	}
}

// What asking again cannot mend ends the process of a node that was told to join.
func TestJoinEndsWhereItIsRefusedForGood(t *testing.T) {
	nodes := trio(t)
	for _, id := range []string{"n1", "n2"} { // the seed's own, and another member's
		twin := newNode(t, id)
		twin.run(t, id, nodes[0].addr)
		wantFatal(t, twin, "in use")
		twin.stop(t)
	}
	other := newNode(t, "n7")
	other.run(t, "n7")
	promised := newNode(t, "n8")
	promised.run(t, "n8")
	if _, err := promised.pledge(pledgeRequest{Cluster: other.state.Load().UUID, Inviter: "n7", ID: "n8"}); err != nil {
		t.Fatal(err)
	}
	promised.stop(t)
	promised.run(t, "n8", nodes[1].addr)
	wantFatal(t, promised, "already holds cluster")
	if got := promised.state.Load().State; got != pledged {
		t.Errorf("state = %s, want pledged", got)
	}
	if got := len(nodes[0].Members()); got != 3 {
		t.Errorf("%d members, want 3", got)
	}
}

// A seed that is this node itself under another name, or that is not there yet,
// ends nothing.
func TestJoinGoesOnAsking(t *testing.T) {
	a, b := newNode(t, "n1"), newNode(t, "n2")
	_, port, _ := strings.Cut(b.addr, ":")
	b.run(t, "n2", "localhost:"+port, a.addr)
	reasons, final := b.askSeeds(b.state.Load())
	if final != nil || !strings.Contains(reasons, "cannot reach "+a.addr) || strings.Contains(reasons, "localhost") {
		t.Errorf("reasons %q, final %v", reasons, final)
	}
	a.run(t, "n1")
	eventually(t, "it joins once the seed is there", func() bool { return len(a.otherVoters()) == 1 })
}

func TestBadNodeIDIsNotDialled(t *testing.T) {
	a := newNode(t, "n1")
	a.run(t, "n1")
	err := a.Join(background(t), system.JoinRequest{ID: "n@", Raft: freeAddr(t)})
	var refused *system.RefusedError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "letters, digits") {
		t.Errorf("got %v, want the rule for ids", err)
	}
}

func TestComplaint(t *testing.T) {
	var c complaint
	start := time.Unix(1000, 0)
	for i, step := range []struct {
		after time.Duration
		text  string
		want  bool
	}{
		{0, "a", false}, {500 * time.Millisecond, "a", false}, {time.Second, "a", true}, {2 * time.Second, "a", false},
		{3 * time.Second, "b", true}, {4 * time.Second, "b", false}, {62 * time.Second, "b", false}, {63 * time.Second, "b", true},
	} {
		if got := c.due(step.text, start.Add(step.after)); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
}

func TestVoids(t *testing.T) {
	for _, tt := range []struct {
		name string
		id   identity
		want bool
	}{
		{"pristine: may yet found it", identity{UUID: "x", State: pristine}, false},
		{"founded it", identity{UUID: "x", State: founded, Cluster: "x"}, false},
		{"founded it and left", identity{UUID: "x", State: left, Cluster: "x"}, false},
		{"joined another", identity{UUID: "x", State: pledged, Cluster: "y"}, true},
		{"joined another and left", identity{UUID: "x", State: left, Cluster: "y"}, true},
		{"gave the UUID up", identity{UUID: "z", State: pristine, Former: []string{"w", "x"}}, true},
		{"somebody else", identity{UUID: "z", State: pledged, Cluster: "y"}, false},
	} {
		if got := tt.id.voids("x"); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// lostPledge has n2 pledge itself to the cluster that n1 might found, as if n1 had
// asked and the answer had been lost.
func lostPledge(t *testing.T) (a, b *testNode, cluster string) {
	t.Helper()
	a, b = newNode(t, "n1"), newNode(t, "n2")
	a.run(t, "n1")
	b.run(t, "n2")
	cluster = a.state.Load().UUID
	r := pledgeRequest{Cluster: cluster, Inviter: "n1", ID: "n2", Seeds: []string{a.addr}}
	if _, err := b.pledge(r); err != nil {
		t.Fatal(err)
	}
	return a, b, cluster
}

// A lost answer heals itself while the inviter is what it was.
func TestLostPledgeIsTakenUp(t *testing.T) {
	a, b, _ := lostPledge(t)
	eventually(t, "n2 is a voter of n1's cluster", func() bool { return len(a.otherVoters()) == 1 })
	a.write(t, "SET k v")
	if got := b.read(t, "GET k"); got != "$1\r\nv\r\n" {
		t.Errorf("GET k = %q", got)
	}
}

// Where the inviter has joined another cluster meanwhile, the pledge is void: the
// node is fresh again, in the running process and after a restart, and can be used.
func TestLostPledgeIsReleased(t *testing.T) {
	for _, restart := range []bool{false, true} {
		a, b, cluster := lostPledge(t)
		b.stop(t)
		c := newNode(t, "n3")
		c.run(t, "n3")
		c.write(t, "SET k v")
		if err := c.Join(background(t), system.JoinRequest{ID: "n1", Raft: a.addr}); err != nil {
			t.Fatal(err)
		}
		// From its start it asks, and may be released at once; so it is looked at before.
		if id, err := readIdentity(b.dir); err != nil || id.State != pledged {
			t.Fatalf("what the restart finds: %+v, %v, want it pledged", id, err)
		}
		b.run(t, "n2")
		eventually(t, "n2 is released", func() bool { return b.state.Load().State == pristine && b.raft.Load() == nil })
		if restart {
			b.stop(t)
			b.run(t, "n2")
		}
		id := b.state.Load()
		if id.UUID == "" || len(id.Former) != 1 || id.Former[0] == id.UUID || id.Former[0] == cluster {
			t.Errorf("identity after the release: %+v", id)
		}
		if restart {
			b.write(t, "SET own v")
			if got := b.read(t, "GET own"); got != "$1\r\nv\r\n" {
				t.Errorf("GET own = %q", got)
			}
			continue
		}
		if err := c.Join(background(t), system.JoinRequest{ID: "n2", Raft: b.addr}); err != nil {
			t.Fatal(err)
		}
		if got := b.read(t, "GET k"); got != "$1\r\nv\r\n" {
			t.Errorf("GET k = %q", got)
		}
	}
}

// A node that has state of the cluster never takes back its pledge, whoever says
// that there is no such cluster.
func TestPledgeWithStateStays(t *testing.T) {
	_, b, cluster := lostPledge(t)
	b.stop(t)
	votes, err := logstore.OpenVote(b.dir+"/"+voteFile, cluster)
	if err != nil {
		t.Fatal(err)
	}
	if err := votes.SetUint64([]byte("CurrentTerm"), 1); err != nil {
		t.Fatal(err)
	}
	votes.Close()
	b.run(t, "n2")
	if err := b.release(cluster); err == nil {
		t.Error("released in spite of a term")
	}
	if got := b.state.Load().State; got != pledged {
		t.Errorf("state = %s, want pledged", got)
	}
	if _, err := os.Stat(b.dir + "/" + voteFile); err != nil {
		t.Error(err)
	}
}
