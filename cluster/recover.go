package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/cluster/logstore"
	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
)

// Recovery makes the node of one data directory the only voter of a new cluster,
// when a majority of the old one is lost for good. The new cluster has its own
// UUID, so that no handshake ever lets in what is left of the old one, which might
// still form a majority of its own. Until Apply the directory is not changed.
type Recovery struct {
	Report *Report  // of the directory
	Alive  []string // other voters that answered, as "id at address"

	dir     string
	machine *fsm.Machine // all that the directory holds, applied
	release func()
	crash   func(step string) error // tests end Apply before any of its steps; nil otherwise
}

// The directories, below the data directory, of a recovered node's stores and of
// those that it had before. A cluster's UUID follows.
const (
	recoveredPrefix = "recovered-"
	beforePrefix    = "before-recover-"
)

// askTime is how long a member may take to answer that it lives.
const askTime = 3 * time.Second

// OpenRecovery reads the data directory of a stopped node, which must be sound,
// and asks the other voters whether they live, at the addresses that the directory
// knows and at those of ask. It refuses where this node and those that answer are
// a majority. Close it at the end.
func OpenRecovery(ctx context.Context, dir string, ask []string) (_ *Recovery, err error) {
	release, err := holdStopped(dir, syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			release()
		}
	}()
	r := &Recovery{dir: dir, machine: fsm.New(), release: release}
	if r.Report, err = check(dir); err != nil {
		return nil, err
	}
	switch {
	case len(r.Report.Findings) > 0:
		return nil, fmt.Errorf("this data dir is not sound: %s", r.Report.Findings[0])
	case r.Report.State == pristine || r.Report.Last().Index == 0:
		return nil, fmt.Errorf("%s holds nothing to recover: its node never took part in a cluster", dir)
	}
	if err := r.replay(); err != nil {
		return nil, err
	}
	return r, r.askAround(ctx, ask)
}

// Close lets the directory go.
func (r *Recovery) Close() { r.release() }

func (r *Recovery) stores(name string) string {
	return filepath.Join(r.dir, r.Report.id.StoresIn, name)
}

// replay brings the Machine to the end of the log: the newest snapshot, and every
// entry behind it, committed or not.
func (r *Recovery) replay() error {
	snaps, ids, err := logstore.ReadSnapshots(r.stores(snapshotDir))
	if err != nil {
		return err
	}
	newest := uint64(0)
	if len(ids) > 0 {
		meta, in, err := snaps.Open(ids[0])
		if err != nil {
			return err
		}
		defer in.Close()
		if err := r.machine.Restore(in); err != nil {
			return fmt.Errorf("%s: %w", r.stores(snapshotDir), err)
		}
		newest = meta.Index
	}
	logs, err := logstore.ReadLog(r.stores(logFile), r.Report.ClusterID)
	if err != nil {
		return err
	}
	defer logs.Close()
	return logs.Each(newest, func(l *raft.Log) error {
		if l.Index <= newest || l.Type != raft.LogCommand {
			return nil
		}
		return r.apply(l)
	})
}

// apply applies one entry. One that breaks the Machine broke every replica.
func (r *Recovery) apply(l *raft.Log) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("log entry %d cannot be applied: %v", l.Index, p)
		}
	}()
	b, err := entry.Decode(l.Data)
	if err == nil {
		r.machine.Apply(fsm.Position{Index: l.Index, Term: l.Term}, b, nil)
	}
	return err
}

// askAround asks who lives, and refuses where a majority does.
func (r *Recovery) askAround(ctx context.Context, ask []string) error {
	voters, me := r.Report.Configuration.Voters, r.Report.NodeID
	addrs := slices.Clone(ask)
	for _, addr := range r.Report.Addresses {
		addrs = append(addrs, addr)
	}
	for _, m := range r.machine.Members() {
		addrs = append(addrs, m.Raft)
	}
	found, err := whoLives(ctx, addrs)
	if err != nil {
		return err
	}
	alive := map[string]string{}
	for addr, peer := range found {
		if peer.Cluster != r.Report.ClusterID {
			continue
		}
		if peer.ID == me {
			return fmt.Errorf("a node runs at %s under this node's id, %s, in the same cluster: this data dir is a copy of another one; nothing was changed", addr, me)
		}
		if slices.Contains(voters, peer.ID) {
			alive[peer.ID] = addr
		}
	}
	for id, addr := range alive {
		r.Alive = append(r.Alive, id+" at "+addr)
	}
	slices.Sort(r.Alive)
	votes := len(alive)
	if slices.Contains(voters, me) {
		votes++
	}
	quorum := len(voters)/2 + 1
	switch {
	case votes < quorum:
		return nil
	case len(alive) == 0:
		return fmt.Errorf("%s is the only voter of its cluster: there is nothing to recover from, start it; nothing was changed", me)
	}
	return fmt.Errorf("a quorum can be reached: %d of %d voters answered (%s), and with this node they are enough; start this node instead, nothing was changed",
		len(alive), len(voters), strings.Join(r.Alive, ", "))
}

// Apply does it and returns the new cluster's UUID. Everything is made beside what
// is there; one rename of identity.json then switches over. So after a crash the
// directory is either as it was, or recovered.
func (r *Recovery) Apply() (string, error) {
	old := r.Report.id
	id := identity{Format: old.Format, NodeID: old.NodeID, UUID: uuid.NewString(), State: founded, Stores: true, Bootstrapped: true}
	// The directory's UUID is the cluster's, as with every founder: with its old one
	// it would be a proof that the old cluster was never founded (voids).
	id.Cluster, id.StoresIn = id.UUID, recoveredPrefix+id.UUID
	if id.Former = old.Former; old.UUID != old.Cluster {
		id.Former = append(slices.Clone(id.Former), old.UUID) // that proof has to last
	}
	before := beforePrefix + old.Cluster
	for _, step := range []struct {
		name string
		run  func() error
	}{
		{"clean", func() error { return r.clean() }},
		{"vote", func() error { return r.writeVote(id) }},
		{"log", func() error { return r.writeLog(id) }},
		{"snapshot", func() error { return r.writeSnapshot(id) }},
		{"sync", func() error { return errors.Join(syncDir(filepath.Join(r.dir, id.StoresIn)), syncDir(r.dir)) }},
		{"identity", func() error { return (&dataDir{path: r.dir}).save(id) }},
		{"addresses", func() error { return gone(os.Remove(filepath.Join(r.dir, peersFile))) }},
		{"directory", func() error { return os.Mkdir(filepath.Join(r.dir, before), 0o700) }},
		{"keep vote", func() error { return r.keep(voteFile, before) }},
		{"keep log", func() error { return r.keep(logFile, before) }},
		{"keep snapshots", func() error { return r.keep(snapshotDir, before) }},
		{"keep identity", func() error { return r.keepIdentity(old, before) }},
	} {
		if r.crash != nil {
			if err := r.crash(step.name); err != nil {
				return "", err
			}
		}
		if err := step.run(); err != nil {
			return "", fmt.Errorf("recover, %s: %w", step.name, err)
		}
	}
	return id.Cluster, nil
}

// clean removes what an attempt that was cut off left behind.
func (r *Recovery) clean() error {
	left, err := filepath.Glob(filepath.Join(r.dir, recoveredPrefix+"*"))
	if err != nil {
		return err
	}
	for _, path := range left {
		if filepath.Base(path) != r.Report.id.StoresIn {
			err = errors.Join(err, os.RemoveAll(path))
		}
	}
	return err
}

// writeVote carries term and vote over, so that the term never goes back.
func (r *Recovery) writeVote(id identity) error {
	if err := os.Mkdir(filepath.Join(r.dir, id.StoresIn), 0o700); err != nil {
		return err
	}
	votes, err := logstore.CreateVote(filepath.Join(r.dir, id.StoresIn, voteFile), id.Cluster)
	if err != nil {
		return err
	}
	err = votes.SetUint64([]byte("CurrentTerm"), max(r.Report.Term, r.Report.Last().Term))
	if err == nil && r.Report.Vote.Term > 0 {
		err = votes.SetUint64([]byte("LastVoteTerm"), r.Report.Vote.Term)
		if err == nil {
			err = votes.Set([]byte("LastVoteCand"), []byte(r.Report.Vote.Candidate))
		}
	}
	return errors.Join(err, votes.Close())
}

func (r *Recovery) writeLog(id identity) error {
	logs, err := logstore.CreateLog(filepath.Join(r.dir, id.StoresIn, logFile), id.Cluster)
	if err != nil {
		return err
	}
	return logs.Close()
}

// writeSnapshot makes the state that of the new cluster and writes it, with a
// configuration of one voter, at the end of the old log: indexes go on from there.
func (r *Recovery) writeSnapshot(id identity) (err error) {
	me, _ := r.machine.Member(id.NodeID) // or none, where it was added but never heard of it
	me.ID, me.Learner, me.Dir = id.NodeID, false, id.UUID
	if err := r.machine.Refound(id.Cluster, []system.Member{me}); err != nil {
		return err
	}
	votes, err := logstore.OpenVote(filepath.Join(r.dir, id.StoresIn, voteFile), id.Cluster)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, votes.Close()) }()
	snaps, err := logstore.OpenSnapshots(filepath.Join(r.dir, id.StoresIn, snapshotDir), snapshotsKept, nil)
	if err != nil {
		return err
	}
	if err := snaps.Guard(votes); err != nil {
		return err
	}
	alone := raft.Configuration{Servers: []raft.Server{{
		Suffrage: raft.Voter, ID: raft.ServerID(id.NodeID), Address: raft.ServerAddress(id.NodeID),
	}}}
	last := r.Report.Last()
	sink, err := snaps.Create(raft.SnapshotVersionMax, last.Index, last.Term, alone, last.Index, nil)
	if err != nil {
		return err
	}
	if _, err := r.machine.Snapshot().WriteTo(sink); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

// keep moves one of the old stores aside. They are of no use to the node any more,
// but may be to a human.
func (r *Recovery) keep(name, before string) error {
	return gone(os.Rename(r.stores(name), filepath.Join(r.dir, before, name)))
}

// keepIdentity makes what was kept a data directory of its own, that check can read.
func (r *Recovery) keepIdentity(old identity, before string) error {
	if old.StoresIn != "" {
		if err := gone(os.Remove(filepath.Join(r.dir, old.StoresIn))); err != nil {
			return err
		}
		old.StoresIn = ""
	}
	return (&dataDir{path: filepath.Join(r.dir, before)}).save(old)
}

// gone is err, unless that says that there was nothing.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
