package cluster

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/cluster/logstore"
)

const (
	// maxAppend is how many entries one message has at the most; the transport shortens
	// it to 4 MiB. Only who catches up gets more than one or two, but the library makes
	// room for as many each time, at three places: for 1,024 that is 24 KiB of garbage
	// for each entry of the log.
	maxAppend     = 64
	trailingLogs  = 4096 // kept after a snapshot, so that a short absence needs none
	snapshotsKept = 2
)

// startRaft opens the stores, making them first where the data directory has
// none yet, and starts the library's node. A founder that has not done so yet
// bootstraps. n.mu is held.
func (n *Node) startRaft() error {
	n.disk.armed.Store(false)
	logs, votes, err := n.openStores()
	if err != nil {
		return err
	}
	closeStores := func(err error) error { return errors.Join(err, logs.Close(), votes.Close()) }
	snaps, err := logstore.OpenSnapshots(n.dir.store(snapshotDir), snapshotsKept, n.log)
	if err != nil {
		return closeStores(err)
	}
	if err := snaps.Guard(votes); err != nil {
		return closeStores(err)
	}
	last, err := logs.LastIndex()
	if err != nil {
		return closeStores(err)
	}
	metas, err := snaps.List()
	if err == nil {
		err = logs.Verify(newestIndex(metas))
	}
	if err != nil {
		return closeStores(err)
	}
	n.boot.Store(last)
	store, stable := n.disk.guard(logs, votes)
	if err := n.bootstrap(store, stable, snaps); err != nil {
		return closeStores(err)
	}
	notify := make(chan bool, 16)
	conf := n.raftConfig()
	conf.NotifyCh = notify
	machine := &applier{n: n, start: newestIndex(metas)}
	r, err := raft.NewRaft(conf, machine, store, stable, snaps, n.trans.Raft())
	if err != nil && machine.unreadable != nil {
		return closeStores(machine.unreadable)
	}
	if err != nil {
		return closeStores(fmt.Errorf("start Raft: %w", err))
	}
	n.disk.armed.Store(true)
	node := &raftNode{Raft: r, logs: logs, votes: votes, snaps: snaps, stopped: make(chan struct{})}
	n.raft.Store(node)
	observed := make(chan raft.Observation, 16)
	r.RegisterObserver(raft.NewObserver(observed, true, func(o *raft.Observation) bool {
		switch o.Data.(type) {
		case raft.LeaderObservation, raft.RaftState:
			return true
		}
		return false
	}))
	n.wg.Go(func() { n.watchLeadership(node, notify, observed) })
	n.changed.Broadcast()
	return nil
}

// replicates reports whether this node leads in a term and another is in its
// configuration.
func (n *Node) replicates(id string, term uint64) bool {
	r := n.raft.Load()
	return r != nil && r.State() == raft.Leader && r.CurrentTerm() == term && n.configured(id)
}

// configured reports whether a node is in the latest configuration.
func (n *Node) configured(id string) bool {
	return slices.ContainsFunc(n.servers(), func(s raft.Server) bool { return string(s.ID) == id })
}

func newestIndex(metas []*raft.SnapshotMeta) uint64 {
	if len(metas) == 0 {
		return 0
	}
	return metas[0].Index
}

// openStores opens log and vote store. They are created once in a data
// directory's life: from then on a missing or empty one is an error, since a node
// that forgot its vote could vote twice.
func (n *Node) openStores() (logstore.Store, *logstore.Vote, error) {
	id := n.dir.id
	openLog, openVote := id.logKind().Open, logstore.OpenVote
	if !id.Stores {
		if n.cfg.LogStore != "" {
			id.LogStore = n.cfg.LogStore
		} else if id.LogStore == "" {
			id.LogStore = logstore.DefaultKind
		}
		openLog, openVote = id.logKind().Create, logstore.CreateVote
	}
	logs, err := openLog(n.dir.stores(), id.Cluster)
	if err != nil {
		return nil, nil, err
	}
	votes, err := openVote(n.dir.store(voteFile), id.Cluster)
	if err == nil && !id.Stores {
		id.Stores = true
		if err = n.dir.save(id); err == nil {
			n.publish()
			return logs, votes, nil
		}
		votes.Close()
	}
	if err != nil {
		logs.Close()
		return nil, nil, err
	}
	return logs, votes, nil
}

// bootstrap writes the founder's first configuration, once.
func (n *Node) bootstrap(logs raft.LogStore, votes raft.StableStore, snaps raft.SnapshotStore) error {
	id := n.dir.id
	if id.State != founded {
		return nil
	}
	has, err := raft.HasExistingState(logs, votes, snaps)
	if err != nil {
		return err
	}
	switch {
	case has && id.Bootstrapped:
		return nil
	case id.Bootstrapped:
		return fmt.Errorf("data dir %s has lost its Raft state; start this node anew under another --node-id and --data-dir, and remove the old id with RAFT.LEAVE", n.dir.path)
	case !has:
		if err := raft.BootstrapCluster(n.raftConfig(), logs, votes, snaps, n.trans.Raft(), n.firstConfiguration()); err != nil {
			return fmt.Errorf("bootstrap: %w", err)
		}
	default:
		if err := n.finishBootstrap(logs); err != nil {
			return fmt.Errorf("bootstrap: %w", err)
		}
	}
	id.Bootstrapped = true
	if err := n.dir.save(id); err != nil {
		return err
	}
	n.publish()
	return nil
}

// finishBootstrap takes up a bootstrap that a crash cut off: the library stores
// the term first, then the configuration as the first entry, and takes a term
// alone for existing state.
func (n *Node) finishBootstrap(logs raft.LogStore) error {
	last, err := logs.LastIndex()
	if err != nil || last > 0 {
		return err
	}
	return logs.StoreLog(&raft.Log{
		Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(n.firstConfiguration()),
	})
}

// firstConfiguration has the founder as its only voter.
func (n *Node) firstConfiguration() raft.Configuration {
	me := raft.Server{Suffrage: raft.Voter, ID: raft.ServerID(n.cfg.NodeID), Address: raft.ServerAddress(n.cfg.NodeID)}
	return raft.Configuration{Servers: []raft.Server{me}}
}

func (n *Node) raftConfig() *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(n.cfg.NodeID)
	n.timing.set(c)
	c.MaxAppendEntries = maxAppend
	c.TrailingLogs = trailingLogs
	// Snapshots are due by bytes, see snapshots; the library's count is a backstop.
	c.SnapshotThreshold = 1 << 20
	c.ShutdownOnRemove = false
	c.NoLegacyTelemetry = true
	c.Logger = &raftLogger{log: n.log}
	return c
}
