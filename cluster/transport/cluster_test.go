package transport

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// journal is a state machine that keeps every command.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) Apply(l *raft.Log) any {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, string(l.Data))
	return nil
}

func (j *journal) read() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

func (j *journal) Snapshot() (raft.FSMSnapshot, error) { return nil, fmt.Errorf("not asked for") }
func (j *journal) Restore(io.ReadCloser) error         { return fmt.Errorf("not asked for") }

// member is a Raft node in memory, which can be stopped and started again over the
// same stores, as a process that restarts.
type member struct {
	id    string
	book  *book
	addr  string
	store *raft.InmemStore
	trans *Transport
	raft  *raft.Raft
	log   *journal
}

func (m *member) start(t *testing.T) {
	t.Helper()
	m.trans = start(t, m.book, Identity{m.id, "X"}, m.addr)
	m.addr = m.trans.Addr()
	m.log = &journal{}
	cfg := raft.DefaultConfig()
	cfg.LocalID = raft.ServerID(m.id)
	cfg.HeartbeatTimeout, cfg.ElectionTimeout = 300*time.Millisecond, 300*time.Millisecond
	cfg.LeaderLeaseTimeout, cfg.CommitTimeout = 250*time.Millisecond, 10*time.Millisecond
	cfg.LogOutput = io.Discard
	var err error
	if m.raft, err = raft.NewRaft(cfg, m.log, m.store, m.store, raft.NewDiscardSnapshotStore(), m.trans.Raft()); err != nil {
		t.Fatal(err)
	}
}

func (m *member) stop() {
	m.raft.Shutdown().Error()
	m.trans.Close()
}

func leaderOf(t *testing.T, ms []*member) (leader *member) {
	t.Helper()
	wait(t, "there is a leader that all know", func() bool {
		for _, m := range ms {
			if m.raft.State() == raft.Leader {
				leader = m
			}
		}
		return leader != nil && leader.raft.VerifyLeader().Error() == nil && !slices.ContainsFunc(ms, func(m *member) bool {
			addr, id := m.raft.LeaderWithID()
			return string(id) != leader.id || string(addr) != leader.id
		})
	})
	return leader
}

// TestCluster: three nodes whose addresses are their ids elect, replicate entries
// that need shortening, hand over, and take back a member that restarts, once at
// its address and once at another.
func TestCluster(t *testing.T) {
	b := newBook()
	var ms []*member
	var conf raft.Configuration
	for _, id := range []string{"node1", "node2", "node3"} {
		m := &member{id: id, book: b, store: raft.NewInmemStore()}
		m.start(t)
		ms = append(ms, m)
		conf.Servers = append(conf.Servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(id)})
	}
	t.Cleanup(func() {
		for _, m := range ms {
			m.stop()
		}
	})
	if err := ms[0].raft.BootstrapCluster(conf).Error(); err != nil {
		t.Fatal(err)
	}
	var want []string
	apply := func(n, size int) {
		t.Helper()
		leader := leaderOf(t, ms)
		var futures []raft.ApplyFuture
		for range n {
			line := fmt.Sprintf("%d %0*d", len(want), size, 0)
			want = append(want, line)
			futures = append(futures, leader.raft.Apply([]byte(line), 10*time.Second))
		}
		for _, f := range futures {
			if err := f.Error(); err != nil {
				t.Fatal(err)
			}
		}
		for _, m := range ms {
			wait(t, m.id+" has applied all", func() bool { return slices.Equal(m.log.read(), want) })
		}
	}
	apply(200, 1)
	apply(20, 1<<20)
	for round := range 3 {
		old := leaderOf(t, ms)
		if err := old.raft.LeadershipTransfer().Error(); err != nil {
			t.Fatal(err)
		}
		wait(t, "another leads", func() bool { return old.raft.State() != raft.Leader })
		victim := ms[round]
		victim.stop()
		if round == 2 {
			victim.addr = "" // comes back elsewhere
		}
		victim.start(t)
		apply(10, 1)
	}
}
