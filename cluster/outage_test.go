package cluster

import (
	"os"
	"testing"
	"time"

	"github.com/raftkv/raftkv/fsm"
)

// A follower that was away for longer than the library's short pauses names its
// leader, and has the leader's data, as soon as it is back.
func TestLeaderIsNamedSoonAfterAnOutage(t *testing.T) {
	// On an idle machine it takes half a second; without the mends, four.
	const outage, soon = 6 * time.Second, 2500 * time.Millisecond
	nodes := trio(t)
	nodes[2].stop(t)
	time.Sleep(outage) // the outage itself: by then the library would pause for 5 s
	leader := leaderOf(t, nodes[:2])
	leader.write(t, "SET k v")
	start := time.Now()
	nodes[2].run(t, "n3")
	eventually(t, "the leader is named", func() bool {
		m, self, ok := nodes[2].Leader()
		return ok && !self && m.ID != "n3" && m.RESP == "127.0.0.1:6"+m.ID[1:]
	})
	if took := time.Since(start); took > soon {
		t.Errorf("the leader was named after %s, want %s at the most", took, soon)
	}
	if got := nodes[2].read(t, "GET k"); got != "$1\r\nv\r\n" {
		t.Errorf("GET k = %q", got)
	}
	if took := time.Since(start); took > soon {
		t.Errorf("the follower read after %s, want %s at the most", took, soon)
	}
}

// A node that is back knows where the others serve clients before it hears of any
// of them; what it noted of them is a hint, without which it starts as well.
func TestMembersAreKnownBeforeTheLog(t *testing.T) {
	nodes := trio(t)
	nodes[0].write(t, "SET k v")
	eventually(t, "n3 has applied it", func() bool { return nodes[2].visible.Load() >= nodes[0].visible.Load() })
	for _, tn := range nodes {
		tn.stop(t)
	}
	path := nodes[2].dir + "/" + peersFile
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the book's file: %v, %v, want mode 0600", info, err)
	}
	nodes[2].run(t, "n3")
	if got := len(nodes[2].machine.Members()); got != 0 {
		t.Fatalf("the Machine knows %d members; the test is of no use", got)
	}
	members := nodes[2].Members()
	if len(members) != 3 || members[0].RESP != "127.0.0.1:61" || members[1].HTTP != "127.0.0.1:82" {
		t.Errorf("members before anything is applied: %+v", members)
	}
	nodes[2].stop(t)
	for _, damage := range []string{"", "{", "[1]", `{"members": 7}`} {
		if err := os.WriteFile(path, []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		n, err := Open(nodes[2].cfg, fsm.New())
		if err != nil {
			t.Fatalf("a book that holds %q: %v", damage, err)
		}
		if err := n.Stop(background(t)); err != nil {
			t.Error(err)
		}
	}
	for _, tn := range nodes[:2] {
		tn.run(t, tn.cfg.NodeID)
	}
	nodes[2].run(t, "n3", nodes[0].addr)
	if got := nodes[2].read(t, "GET k"); got != "$1\r\nv\r\n" {
		t.Errorf("GET k = %q", got)
	}
}
