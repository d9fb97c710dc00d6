package cluster

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/fsm/system"
)

// patientTrio is three nodes whose timers elect nobody for as long as a test takes.
func patientTrio(t *testing.T) (nodes []*testNode, leader *testNode, others []*testNode) {
	t.Helper()
	nodes = trio(t)
	leader = leaderOf(t, nodes)
	eventually(t, "three voters that know the leader", func() bool {
		for _, tn := range nodes {
			if now, ok := tn.reign(); !ok || now.Leader != leader.cfg.NodeID || len(tn.voters()) != len(nodes) {
				return false
			}
		}
		return true
	})
	for _, tn := range nodes {
		bePatient(t, tn)
		if tn != leader {
			others = append(others, tn)
		}
	}
	return nodes, leader, others
}

func bePatient(t *testing.T, tn *testNode) {
	t.Helper()
	r := tn.raft.Load()
	conf := r.ReloadableConfig()
	conf.HeartbeatTimeout, conf.ElectionTimeout = time.Hour, time.Hour
	if err := r.ReloadConfig(conf); err != nil {
		t.Fatal(err)
	}
}

// A leader whose process ends is replaced although no timer has fired, and nothing
// that it acknowledged is lost.
func TestLeaderThatIsGoneIsReplacedAtOnce(t *testing.T) {
	_, leader, others := patientTrio(t)
	leader.write(t, "SET k v")
	leader.stop(t)
	next := leaderOf(t, others)
	if next.cfg.NodeID != min(others[0].cfg.NodeID, others[1].cfg.NodeID) {
		t.Logf("%s leads, whose log was longer", next.cfg.NodeID)
	}
	if got := next.read(t, "GET k"); got != "$1\r\nv\r\n" {
		t.Errorf("GET k = %q", got)
	}
	next.write(t, "SET k w")
}

// One that must not lead leaves it to the other, whose turn comes later.
func TestAbstainerDoesNotStand(t *testing.T) {
	_, leader, others := patientTrio(t)
	leader.write(t, "SET k v")
	eventually(t, "both have it", func() bool { return others[0].visible.Load() == others[1].visible.Load() })
	shy, bold := others[0], others[1]
	if bold.cfg.NodeID < shy.cfg.NodeID {
		shy, bold = bold, shy
	}
	shy.abstain(hasDiverged, true)
	leader.stop(t)
	if got := leaderOf(t, others); got != bold {
		t.Errorf("%s leads, which asks for no votes", got.cfg.NodeID)
	}
}

// One of two followers that knows the leader to be gone does nothing by itself, and a
// leader that both hear of stays.
func TestLeaderThatIsHeardStays(t *testing.T) {
	nodes, leader, others := patientTrio(t)
	now, _ := leader.reign()
	// As if its address had refused once, for a reason of the network's.
	for _, tn := range others {
		tn.succession.mu.Lock()
		tn.succession.ended, tn.succession.since = now, time.Now().Add(time.Hour)
		tn.succession.mu.Unlock()
	}
	if place, agreed := others[0].succession.canvass(background(t), now); !agreed || place > 1 {
		t.Fatalf("with evidence on both sides: place %d, agreed %v; the test is of no use", place, agreed)
	}
	others[1].succession.mu.Lock()
	others[1].succession.ended = reign{}
	others[1].succession.mu.Unlock()
	if _, agreed := others[0].succession.canvass(background(t), now); agreed {
		t.Error("one of three is a majority")
	}
	others[0].succession.succeed(now)

	// With evidence from before its last word, nobody has any.
	for _, tn := range others {
		tn.succession.mu.Lock()
		tn.succession.ended, tn.succession.since = now, time.Now()
		tn.succession.mu.Unlock()
	}
	leader.write(t, "SET k v")
	for _, tn := range others {
		eventually(t, "it hears of the write", func() bool { return tn.visible.Load() >= leader.visible.Load() })
		if tn.succession.vacant(now) {
			t.Errorf("%s takes a leader for gone that it has heard of since", tn.cfg.NodeID)
		}
		tn.succession.succeed(now)
	}
	for _, tn := range nodes {
		if after, ok := tn.reign(); !ok || after != now {
			t.Errorf("%s: %+v leads, want %+v as before", tn.cfg.NodeID, after, now)
		}
	}
}

// Evidence is of one leadership: it says nothing of the same node's next one.
func TestEvidenceIsOfOneTerm(t *testing.T) {
	_, leader, others := patientTrio(t)
	before, _ := leader.reign()
	if err := leader.Transfer(background(t), others[0].cfg.NodeID); err != nil {
		t.Fatal(err)
	}
	if leaderOf(t, others) != others[0] {
		t.Fatal("not transferred")
	}
	s := others[1].succession
	s.mu.Lock()
	s.ended, s.since = before, time.Now().Add(time.Hour)
	s.mu.Unlock()
	eventually(t, "the new leader is known", func() bool { now, ok := others[1].reign(); return ok && now.Leader == others[0].cfg.NodeID })
	if s.vacant(before) {
		t.Error("the seat of an earlier leader is vacant though another leads")
	}
	if others[0].succession.vacant(before) || s.testify(background(t), reign{others[0].cfg.NodeID, before.Term}).Gone {
		t.Error("testimony about a leadership that never was")
	}
}

// Who has no vote asks for none.
func TestLearnerDoesNotStand(t *testing.T) {
	nodes := []*testNode{newNode(t, "n1"), newNode(t, "n2")}
	for _, tn := range nodes {
		tn.run(t, tn.dir[len(tn.dir)-2:])
	}
	nodes[0].write(t, "SET k v")
	if err := nodes[0].Join(background(t), system.JoinRequest{ID: "n2", Raft: nodes[1].addr, Learner: true}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the learner knows its leader", func() bool { _, ok := nodes[1].reign(); return ok })
	now, _ := nodes[1].reign()
	nodes[0].stop(t)
	eventually(t, "it has evidence", func() bool { return nodes[1].succession.sees(background(t), now) })
	nodes[1].succession.succeed(now)
	if got := nodes[1].raft.Load().CurrentTerm(); got != now.Term || nodes[1].raft.Load().State() != raft.Follower {
		t.Errorf("the learner is at term %d, want %d", got, now.Term)
	}
}

func TestPlaceOf(t *testing.T) {
	yes := func(term, last uint64) testimony {
		return testimony{Gone: true, Able: true, LastTerm: term, Last: last}
	}
	shy := testimony{Gone: true, LastTerm: 9, Last: 99}
	for _, tt := range []struct {
		name   string
		said   map[string]testimony
		place  int
		agreed bool
	}{
		{"by id", map[string]testimony{"a": yes(2, 10), "b": yes(2, 10), "c": {}}, 1, true},
		{"the longer log first", map[string]testimony{"a": yes(2, 9), "b": yes(2, 10), "c": {}}, 0, true},
		{"the later term first", map[string]testimony{"a": yes(3, 8), "b": yes(2, 10), "c": {}}, 1, true},
		{"all but one", map[string]testimony{"a": yes(2, 10), "b": yes(2, 10), "c": yes(2, 11), "d": yes(1, 50), "e": {}}, 2, true},
		{"one that may not stand counts, and has no place", map[string]testimony{"a": shy, "b": yes(2, 10), "c": {}}, 0, true},
		{"no majority", map[string]testimony{"a": {}, "b": yes(2, 10), "c": {}}, 0, false},
		{"half is none", map[string]testimony{"a": {}, "b": yes(2, 10), "c": yes(2, 1), "d": {}}, 0, false},
		{"what has no evidence has no place", map[string]testimony{"a": {Able: true, LastTerm: 5, Last: 50}, "b": yes(2, 10), "c": yes(2, 1)}, 0, true},
		{"alone", map[string]testimony{"a": {}, "b": yes(2, 10)}, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			place, agreed := placeOf("b", tt.said)
			if place != tt.place || agreed != tt.agreed {
				t.Errorf("place %d, agreed %v; want %d, %v", place, agreed, tt.place, tt.agreed)
			}
		})
	}
}
