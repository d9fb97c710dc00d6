package cluster

import (
	"testing"

	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/fsm/system"
)

func TestLiveness(t *testing.T) {
	var l liveness
	want := func(when string, want bool) {
		t.Helper()
		if got := l.alive("n2"); got != want {
			t.Errorf("%s: alive %v, want %v", when, got, want)
		}
	}
	want("never asked", false)
	l.note("n2", false, true)
	want("silent from the beginning", false)
	l.note("n2", true, false)
	want("answered", true)
	l.note("n2", false, true)
	want("silent for a moment", true)
	l.mu.Lock()
	l.answered["n2"] = l.answered["n2"].Add(-livenessLasts)
	l.mu.Unlock()
	want("silent for long", false)
	l.note("n2", true, false)
	l.note("n2", false, false)
	want("refused", false)
}

// Members that run with different timeouts say so, each once; they form a cluster all
// the same, as they do while all are restarted with another preset.
func TestOtherNetworkIsWarnedOf(t *testing.T) {
	const warning = "a member runs with another --network"
	a, b := newNode(t, "n1"), newNode(t, "n2")
	b.network = WAN
	logs := map[*testNode]*logText{a: {}, b: {}}
	for tn, log := range logs {
		tn.logs = log
		tn.run(t, tn.dir[len(tn.dir)-2:])
	}
	if err := a.Join(background(t), system.JoinRequest{ID: "n2", Raft: b.addr}); err != nil {
		t.Fatal(err)
	}
	for _, log := range logs {
		eventually(t, "a warning", func() bool { return log.count(warning) > 0 })
	}
	var seen liveness
	for step, tt := range []struct {
		its  Network
		want bool
	}{{LAN, false}, {WAN, true}, {WAN, false}, {LAN, false}, {WAN, true}, {"", false}} {
		if got := seen.differs("n2", tt.its, LAN); got != tt.want {
			t.Errorf("step %d, %q: %v, want %v", step, tt.its, got, tt.want)
		}
	}
	a.peers.round(a.Node)
	b.peers.round(b.Node)
	for tn, log := range logs {
		if n := log.count(warning); n != 1 {
			t.Errorf("%s warned %d times, want once", tn.cfg.NodeID, n)
		}
	}
}

func TestUnknownNetworkIsRefused(t *testing.T) {
	if n, err := Open(Config{NodeID: "n1", DataDir: t.TempDir(), Network: "moon"}, fsm.New()); err == nil {
		n.Stop(background(t))
		t.Error("there are timeouts for the moon")
	}
}
