package cluster

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/cluster/logstore"
	"github.com/raftkv/raftkv/fsm/system"
)

// fullLog is a log on a full disk.
type fullLog struct{ raft.LogStore }

func (fullLog) StoreLogs([]*raft.Log) error { return logstore.ErrNoSpace }

// A full disk refuses an entry and the node goes on, but not where the entry is a
// configuration that this leader made: the library works by it all the same, and
// two nodes would count different majorities.
func TestFullDiskAndConfigurations(t *testing.T) {
	n := newNode(t, "n1")
	n.run(t, "n1")
	n.write(t, "SET k v")
	g := &guardedLog{LogStore: fullLog{}, d: n.disk}
	if err := g.StoreLog(&raft.Log{Type: raft.LogCommand}); !errors.Is(err, logstore.ErrNoSpace) {
		t.Errorf("a command: %v, want that there is no space", err)
	}
	go g.StoreLog(&raft.Log{Type: raft.LogConfiguration}) // never returns; Stop ends it
	select {
	case err := <-n.Fatal():
		if !strings.Contains(err.Error(), "cannot be written") {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("a configuration that could not be stored does not end the node")
	}
	n.disk.short.Store(true)
	if err := n.Join(t.Context(), system.JoinRequest{ID: "n2", Raft: freeAddr(t)}); err == nil || !strings.Contains(err.Error(), "nearly full") {
		t.Errorf("join with the disk nearly full: %v, want a refusal", err)
	}
}

// Whoever wants to answer a flight that another has put back must not wait for
// an answer that never comes.
func TestGivingUpWhatWasPutBack(t *testing.T) {
	n := newNode(t, "n1")
	n.run(t, "n1")
	f := &flight{done: make(chan struct{})}
	n.flight.Store(f)
	n.putBack(f)
	ended := make(chan struct{})
	go func() {
		n.giveUp(f, system.ErrUnknownOutcome)
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Fatal("it waits for ever")
	}
}
