package cluster

import (
	"io"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// slowFSM takes its time for each entry.
type slowFSM struct{}

func (slowFSM) Apply(*raft.Log) any {
	time.Sleep(20 * time.Millisecond)
	return nil
}
func (slowFSM) Snapshot() (raft.FSMSnapshot, error) { return nil, io.EOF }
func (slowFSM) Restore(r io.ReadCloser) error       { return r.Close() }

// Entries that are committed, and wait for the FSM when the node is stopped, are answered:
// whoever waits for one would otherwise wait for ever, and Stop for him.
func TestStopAnswersWhatIsCommitted(t *testing.T) {
	conf := raft.DefaultConfig()
	conf.LocalID, conf.Logger = "n", hclog.NewNullLogger()
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	store := raft.NewInmemStore()
	addr, trans := raft.NewInmemTransport("")
	servers := raft.Configuration{Servers: []raft.Server{{ID: conf.LocalID, Address: addr}}}
	if err := raft.BootstrapCluster(conf, store, store, raft.NewDiscardSnapshotStore(), trans, servers); err != nil {
		t.Fatal(err)
	}
	lib, err := raft.NewRaft(conf, slowFSM{}, store, store, raft.NewDiscardSnapshotStore(), trans)
	if err != nil {
		t.Fatal(err)
	}
	r := &raftNode{Raft: lib, stopped: make(chan struct{})}
	for r.State() != raft.Leader {
		time.Sleep(time.Millisecond)
	}
	var waiting sync.WaitGroup
	for range 20 {
		waiting.Go(func() {
			if err := r.ask(func() raft.Future { return r.Apply([]byte("x"), 0) }); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(time.Millisecond) // each is committed by itself
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	answered := make(chan struct{})
	go func() {
		waiting.Wait()
		close(answered)
	}()
	select {
	case <-answered:
	case <-time.After(5 * time.Second):
		t.Fatal("an entry was never answered")
	}
	if err := r.ask(func() raft.Future { return r.Apply(nil, 0) }); err != raft.ErrRaftShutdown {
		t.Errorf("after the end: %v", err)
	}
}
