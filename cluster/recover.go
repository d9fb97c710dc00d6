package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	// Unfinished is the old cluster of a recovery that was cut off behind its one-way
	// step: the directory is the new cluster's already, and Apply only puts the rest
	// in order. Empty where there is none.
	Unfinished string

	dir     string
	old     identity     // what is replaced, or was
	machine *fsm.Machine // all that the directory holds, applied
	release func()
	crash   func(step string) error // tests end Apply before any of its steps; nil otherwise
}

// recoveredPrefix and a cluster's UUID is the directory, below the data directory, of
// a recovered node's stores.
const recoveredPrefix = "recovered-"

// Around is what is known of the other members beside what the directory says.
type Around struct {
	Ask []string // more addresses at which a member may live
	// Foreign are addresses at which something else answers by now: it counts as
	// nobody, unless it says that it is a member.
	Foreign []string
}

// askTime is how long a member may take to answer that it lives.
const askTime = 3 * time.Second

// OpenRecovery reads the data directory of a stopped node, which must be sound,
// and asks the other voters whether they live, at the addresses that the directory
// knows and at those that it is told. It refuses where this node and those that
// answer are a majority. Close it at the end.
func OpenRecovery(ctx context.Context, dir string, around Around) (_ *Recovery, err error) {
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
	case r.Report.State == left:
		return nil, fmt.Errorf("%s was removed from cluster %s, which went on without it: what %s holds is out of date, and its voters may all be others by now; recover the data dir of a member, nothing was changed",
			r.Report.NodeID, r.Report.ClusterID, dir)
	case r.Report.State == pristine || r.Report.Last().Index == 0:
		return nil, fmt.Errorf("%s holds nothing to recover: its node never took part in a cluster", dir)
	}
	if err := r.resume(); err != nil || r.Unfinished != "" {
		return r, err
	}
	if err := r.replay(); err != nil {
		return nil, err
	}
	return r, r.askAround(ctx, around)
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
			return withWayOut(fmt.Errorf("%s: %w", r.stores(snapshotDir), err))
		}
		newest = meta.Index
	}
	logs, err := r.Report.id.logKind().Read(r.stores(""), r.Report.ClusterID)
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

// askAround asks who lives, and refuses where a majority does. What answers without
// saying who it is counts as the voter of that address: taken for dead, it would
// form the old majority beside the new cluster.
func (r *Recovery) askAround(ctx context.Context, around Around) error {
	owners := r.owners(around.Ask)
	found, err := whoLives(ctx, slices.Sorted(maps.Keys(owners)))
	if err != nil {
		return err
	}
	alive, nameless := map[string]string{}, []string{}
	for addr, peer := range found {
		switch {
		case peer.ID == "":
			if !slices.Contains(around.Foreign, addr) && owners[addr] != "" {
				nameless = append(nameless, addr)
			}
		case peer.Cluster != r.Report.ClusterID:
		case peer.ID == r.Report.NodeID:
			return fmt.Errorf("a node runs at %s under this node's id, %s, in the same cluster: this data dir is a copy of another one; nothing was changed", addr, peer.ID)
		case slices.Contains(r.Report.Configuration.Voters, peer.ID):
			alive[peer.ID] = addr
		}
	}
	nameless = slices.DeleteFunc(nameless, func(addr string) bool { return alive[owners[addr]] != "" })
	for _, addr := range nameless {
		alive[owners[addr]] = addr + ", which does not say who it is"
	}
	return r.judge(alive, nameless)
}

// owners are the addresses to ask, each with the other voter that is known to have
// it, or "". One that was asked for and nobody is known to have is a voter too.
func (r *Recovery) owners(ask []string) map[string]string {
	owners := map[string]string{}
	note := func(id, addr string) {
		voter := id != r.Report.NodeID && slices.Contains(r.Report.Configuration.Voters, id)
		switch old := owners[addr]; {
		case addr == "":
		case voter && (old == "" || id < old):
			owners[addr] = id
		default:
			owners[addr] = old
		}
	}
	for _, m := range r.machine.Members() {
		note(m.ID, m.Raft)
	}
	for id, addr := range r.Report.Addresses {
		note(id, addr)
	}
	for _, addr := range ask {
		if addr != "" && owners[addr] == "" {
			owners[addr] = addr
		}
	}
	return owners
}

// judge refuses where this node and those that live are enough.
func (r *Recovery) judge(alive map[string]string, nameless []string) error {
	voters, me := r.Report.Configuration.Voters, r.Report.NodeID
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
	case len(nameless) > 0:
		slices.Sort(nameless)
		return fmt.Errorf("a quorum may be reached: with this node, what answered is enough of %d voters (%s); "+
			"a node of another version, or one that hangs, answers like that: stop it or start this node instead; if it is no member, name it with --foreign %s; nothing was changed",
			len(voters), strings.Join(r.Alive, "; "), strings.Join(nameless, ","))
	}
	return fmt.Errorf("a quorum can be reached: %d of %d voters answered (%s), and with this node they are enough; start this node instead, nothing was changed",
		len(alive), len(voters), strings.Join(r.Alive, ", "))
}

// Apply does it and returns the new cluster's UUID. Everything is made beside what
// is there; one rename of identity.json then switches over. So after a crash the
// directory is either as it was, or recovered; what then is left to do is done by
// the next Recovery (Unfinished).
func (r *Recovery) Apply() (string, error) {
	if r.Unfinished != "" {
		return r.Report.ClusterID, r.take(r.tidying(r.Report.id.StoresIn))
	}
	old := r.Report.id
	id := identity{Format: old.Format, NodeID: old.NodeID, UUID: uuid.NewString(), State: founded, Stores: true, Bootstrapped: true, LogStore: old.LogStore}
	// The directory's UUID is the cluster's, as with every founder: with its old one
	// it would be a proof that the old cluster was never founded (voids).
	id.Cluster, id.StoresIn = id.UUID, recoveredPrefix+id.UUID
	if id.Former = old.Former; old.UUID != old.Cluster {
		id.Former = append(slices.Clone(id.Former), old.UUID) // that proof has to last
	}
	steps := []step{
		{"clean", func() error { return r.clean() }},
		{"vote", func() error { return r.writeVote(id) }},
		{"log", func() error { return r.writeLog(id) }},
		{"snapshot", func() error { return r.writeSnapshot(id) }},
		{"note", func() error { return r.note(id.StoresIn) }},
		{"sync", func() error { return errors.Join(syncDir(filepath.Join(r.dir, id.StoresIn)), syncDir(r.dir)) }},
		{"identity", func() error { return (&dataDir{path: r.dir}).save(id) }},
	}
	return id.Cluster, r.take(append(steps, r.tidying(id.StoresIn)...))
}

// step is a part of Apply. A crash may come between any two of them.
type step struct {
	name string
	run  func() error
}

// take takes the steps until one fails.
func (r *Recovery) take(steps []step) error {
	for _, s := range steps {
		if r.crash != nil {
			if err := r.crash(s.name); err != nil {
				return err
			}
		}
		if err := s.run(); err != nil {
			return fmt.Errorf("recover, %s: %w", s.name, err)
		}
	}
	return nil
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
	logs, err := id.logKind().Create(filepath.Join(r.dir, id.StoresIn), id.Cluster)
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
