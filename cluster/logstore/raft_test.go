package logstore

import (
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// counter is a state machine that counts the entries it was given.
type counter struct{ n uint64 }

func (c *counter) Apply(*raft.Log) any { c.n++; return c.n }

func (c *counter) Snapshot() (raft.FSMSnapshot, error) { return &counter{c.n}, nil }

func (c *counter) Restore(r io.ReadCloser) error {
	data, err := io.ReadAll(r)
	c.n = uint64(len(data))
	return err
}

func (c *counter) Persist(sink raft.SnapshotSink) error {
	_, err := sink.Write(make([]byte, c.n))
	return err
}

func (c *counter) Release() {}

// One hashicorp/raft node on these stores: writes, snapshots, cuts its log,
// and comes back with everything, at each start.
func TestRaftRunsOnTheseStores(t *testing.T) {
	dir := t.TempDir()
	l, err := CreateLog(filepath.Join(dir, "raft.log"), uuid)
	check(t, err)
	check(t, l.Close())
	v, err := CreateVote(filepath.Join(dir, "raft.vote"), uuid)
	check(t, err)
	check(t, v.Close())
	var want uint64
	for start := range 3 {
		want = runRaft(t, dir, start == 0, want)
	}
}

// runRaft starts the node, expects have entries, adds 50, and stops it.
func runRaft(t *testing.T, dir string, bootstrap bool, have uint64) uint64 {
	t.Helper()
	l, err := OpenLog(filepath.Join(dir, "raft.log"), uuid)
	check(t, err)
	defer l.Close()
	v, err := OpenVote(filepath.Join(dir, "raft.vote"), uuid)
	check(t, err)
	defer v.Close()
	s := openSnapshots(t, filepath.Join(dir, "snapshots"), 2)
	if m := newest(t, s); m != nil {
		check(t, l.Verify(m.Index))
	}

	conf := raft.DefaultConfig()
	conf.LocalID, conf.Logger, conf.TrailingLogs = "node1", hclog.NewNullLogger(), 10
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	_, trans := raft.NewInmemTransport("node1")
	if bootstrap {
		check(t, raft.BootstrapCluster(conf, l, v, s, trans, raft.Configuration{Servers: []raft.Server{{ID: "node1", Address: "node1"}}}))
	}
	fsm := &counter{}
	r, err := raft.NewRaft(conf, fsm, l, v, s, trans)
	check(t, err)
	defer func() { check(t, r.Shutdown().Error()) }()
	<-r.LeaderCh()
	check(t, r.Barrier(10*time.Second).Error())
	if fsm.n != have {
		t.Errorf("%d entries after the start, want %d", fsm.n, have)
	}
	for range 50 {
		check(t, r.Apply([]byte("x"), time.Second).Error())
	}
	check(t, r.Snapshot().Error())
	if first, _ := l.FirstIndex(); first < 30 {
		t.Errorf("the log begins at %d: it was not cut", first)
	}
	check(t, r.Apply([]byte("after the snapshot"), time.Second).Error())
	return have + 51
}
