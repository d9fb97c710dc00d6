package server

import (
	"fmt"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

// nodeLines parses CLUSTER NODES as lettuce does: eight fields at least.
func nodeLines(t *testing.T, s *testServer) map[string][]string {
	t.Helper()
	v, err := resp.Parse([]byte(localDo(t, s, "CLUSTER", "NODES")))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]string)
	myself := 0
	for _, line := range strings.Split(strings.TrimSuffix(v.Text(), "\n"), "\n") {
		f := strings.Fields(line)
		if len(f) < 8 || len(f[0]) != 40 {
			t.Fatalf("%q", line)
		}
		if strings.Contains(f[2], "myself") {
			myself++
		}
		all[f[0]] = f[1:]
	}
	if myself != 1 {
		t.Errorf("myself %d times", myself)
	}
	return all
}

func TestClusterNodes(t *testing.T) {
	s := newTestServer(t)
	one, two := nodeName("node1"), nodeName("node2")
	check := func(name string, want1, want2 string) {
		t.Helper()
		all := nodeLines(t, s)
		if got := strings.Join(all[one], " "); got != want1 {
			t.Errorf("%s, node1: got %q, want %q", name, got, want1)
		}
		if got := strings.Join(all[two], " "); got != want2 {
			t.Errorf("%s, node2: got %q, want %q", name, got, want2)
		}
	}
	const at1, at2 = "127.0.0.1:6379@8000 ", "127.0.0.1:6380@8001 "
	check("leader", at1+"myself,master - 0 0 0 connected 0-16383", at2+"slave "+one+" 0 0 0 connected")
	s.fake.set(func(f *fake) { f.gone = "node2" })
	check("follower dead", at1+"myself,master - 0 0 0 connected 0-16383", at2+"slave,fail "+one+" 0 0 0 disconnected")
	s.fake.set(func(f *fake) { f.leader, f.self = system.Member{}, false })
	check("leader deposed", at1+"myself,slave - 0 0 0 connected", at2+"slave,fail? - 0 0 0 disconnected")
	s.fake.set(func(f *fake) { f.leader, f.gone = node2, "" })
	check("follower", at1+"myself,slave "+two+" 0 0 0 connected", at2+"master - 0 0 0 connected 0-16383")
	s.fake.set(func(f *fake) { f.leader = system.Member{} })
	check("no leader", at1+"myself,slave "+two+" 0 0 0 connected", at2+"master - 0 0 0 connected 0-16383")
	s.fake.set(func(f *fake) { f.gone = "node2" })
	check("leader dead", at1+"myself,slave "+two+" 0 0 0 connected", at2+"master,fail? - 0 0 0 disconnected 0-16383")
}

// TestClusterSlots: SLOTS names who leads and who is alive, and fails rather than
// name somebody else; SHARDS tells what there is.
func TestClusterSlots(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	slots := func(nodes ...string) string {
		return fmt.Sprintf("*1\r\n*%d\r\n:0\r\n:16383\r\n", 2+len(nodes)) + strings.Join(nodes, "")
	}
	c.roundTrip("CLUSTER SLOTS\r\n", slots(slotsNode("6379", "node1"), slotsNode("6380", "node2")))
	s.fake.set(func(f *fake) { f.gone = "node2" })
	c.roundTrip("CLUSTER SLOTS\r\n", slots(slotsNode("6379", "node1")))
	s.fake.set(func(f *fake) { f.leader, f.self, f.gone = node2, false, "" })
	c.roundTrip("CLUSTER SLOTS\r\n", slots(slotsNode("6380", "node2"), slotsNode("6379", "node1")))

	// Between two leaders it waits for the next one.
	s.fake.set(func(f *fake) { f.leader, f.gone = system.Member{}, "node2" })
	other := s.dial()
	other.send("CLUSTER SLOTS\r\n")
	until(t, "the wait", func() bool { return strings.Contains(localDo(t, s, "INFO", "clients"), "blocked_clients:1\r\n") })
	s.fake.set(func(f *fake) { f.leader, f.self = node1, true })
	other.expect(slots(slotsNode("6379", "node1")))

	// Where none comes, it is better to ask elsewhere.
	s.fake.set(func(f *fake) { f.leader, f.self = system.Member{}, false })
	c.roundTrip("CLUSTER SLOTS\r\n", "-CLUSTERDOWN The cluster has no leader\r\n")
	c.roundTrip("MULTI\r\nCLUSTER SLOTS\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n-CLUSTERDOWN The cluster has no leader\r\n")
	if got := localDo(t, s, "CLUSTER", "SHARDS"); !strings.HasPrefix(got, "*1\r\n*4\r\n$5\r\nslots\r\n*0\r\n") || strings.Contains(got, "master") {
		t.Errorf("SHARDS of a deposed leader: %q", got)
	}
}

// TestKeysInSlotIsLinearizable: on a follower too.
func TestKeysInSlotIsLinearizable(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	s.fake.set(func(f *fake) { f.leader, f.self = node2, false })
	c.roundTrip("CLUSTER COUNTKEYSINSLOT 1\r\n", ":0\r\n")
	c.roundTrip("CLUSTER GETKEYSINSLOT 1 1\r\n", "*0\r\n")
	s.fake.set(func(f *fake) {
		if f.followers != 2 {
			t.Errorf("%d barriers, want 2", f.followers)
		}
		f.leader = system.Member{}
	})
	c.roundTrip("CLUSTER COUNTKEYSINSLOT 1\r\n", "-CLUSTERDOWN The cluster has no leader\r\n")
}

func TestNodesOfNoMember(t *testing.T) {
	s := newTestServer(t, func(o *Options) { o.NodeID = "node9" })
	s.fake.set(func(f *fake) { f.self = false })
	until(t, "the listener", func() bool { return s.port() != 0 })
	if got := nodeLines(t, s)[nodeName("node9")]; len(got) == 0 || got[0] != fmt.Sprintf(":%d@0", s.port()) {
		t.Errorf("got %q", got)
	}
}

func TestClusterShows(t *testing.T) {
	s := newTestServer(t)
	one, two := nodeName("node1"), nodeName("node2")
	c := s.dial()
	s.fake.set(func(f *fake) { f.gone = "node2" })
	node := func(id, port, role, health string) string {
		return "*14\r\n$2\r\nid\r\n$40\r\n" + id + "\r\n$4\r\nport\r\n:" + port + "\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n$8\r\nendpoint\r\n$9\r\n127.0.0.1\r\n" +
			fmt.Sprintf("$4\r\nrole\r\n$%d\r\n%s\r\n$18\r\nreplication-offset\r\n:0\r\n$6\r\nhealth\r\n$6\r\n%s\r\n", len(role), role, health)
	}
	line := "127.0.0.1:6380@8001 slave,fail " + one + " 0 0 0 disconnected"
	for _, tt := range []struct{ in, want string }{
		{"CLUSTER REPLICAS nobody", "-ERR Unknown node nobody\r\n"},
		{"CLUSTER SLAVES " + two, "-ERR The specified node is not a master\r\n"},
		{"CLUSTER REPLICAS " + one, fmt.Sprintf("*1\r\n$%d\r\n%s %s\r\n", 41+len(line), two, line)},
		{"CLUSTER SHARDS", "*1\r\n*4\r\n$5\r\nslots\r\n*2\r\n:0\r\n:16383\r\n$5\r\nnodes\r\n*2\r\n" +
			node(one, "6379", "master", "online") + node(two, "6380", "replica", "failed")},
		{"CLUSTER MYSHARDID", "$40\r\n" + s.clusterName() + "\r\n"},
		{"CLUSTER LINKS", "*0\r\n"},
		{"CLUSTER COUNT-FAILURE-REPORTS nobody", "-ERR Unknown node nobody\r\n"},
		{"CLUSTER COUNT-FAILURE-REPORTS " + two, ":0\r\n"},
		{"CLUSTER COUNTKEYSINSLOT x", "-ERR value is not an integer or out of range\r\n"},
		{"CLUSTER COUNTKEYSINSLOT 16384", "-ERR Invalid slot\r\n"},
		{"CLUSTER GETKEYSINSLOT 1 x", "-ERR value is not an integer or out of range\r\n"},
		{"CLUSTER GETKEYSINSLOT 1 -1", "-ERR Invalid slot or number of keys\r\n"},
		{"MSET {a}1 v {a}2 v", "+OK\r\n"},
		{fmt.Sprintf("CLUSTER COUNTKEYSINSLOT %d", resp.Slot([]byte("a"))), ":2\r\n"},
		{fmt.Sprintf("CLUSTER GETKEYSINSLOT %d 0", resp.Slot([]byte("a"))), "*0\r\n"},
	} {
		c.roundTrip(tt.in+"\r\n", tt.want)
	}
	v, err := resp.Parse([]byte(localDo(t, s, "CLUSTER", "GETKEYSINSLOT", fmt.Sprint(resp.Slot([]byte("a"))), "9223372036854775807")))
	if err != nil || len(v.Elems) != 2 {
		t.Errorf("%v, %v", v, err)
	}
}
