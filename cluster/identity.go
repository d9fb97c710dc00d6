package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/google/uuid"

	"github.com/raftkv/raftkv/cluster/logstore"
)

// The states of a data directory. Each step is one durable write of identity.json
// and none leads back: pristine → founded or pledged → left. But a pledge to a
// cluster that can never be is void (release).
const (
	// pristine: a UUID and nothing else; no Raft state.
	pristine = "pristine"
	// founded: this node bootstraps, or has bootstrapped, a cluster under its own UUID.
	founded = "founded"
	// pledged: this node belongs to another node's cluster and never bootstraps.
	pledged = "pledged"
	// left: it was removed from its cluster.
	left = "left"
)

// identity is who the node is; it is kept in identity.json.
type identity struct {
	Format  int      `json:"format"`
	NodeID  string   `json:"node_id"`
	UUID    string   `json:"uuid"` // of this data directory
	State   string   `json:"state"`
	Cluster string   `json:"cluster,omitempty"` // the UUID of the cluster it belongs to
	Seeds   []string `json:"seeds,omitempty"`   // Raft addresses to ask after a restart
	Inviter string   `json:"inviter,omitempty"` // the node that asked for the pledge
	// Former are UUIDs that this data directory gave up: no cluster was founded under
	// them, nor ever will be.
	Former []string `json:"former,omitempty"`
	// Learner: it pledged itself as a member without a vote.
	Learner bool `json:"learner,omitempty"`
	// Stores: the log and the vote store were created. From then on a missing one is an error.
	Stores bool `json:"stores,omitempty"`
	// Bootstrapped: the founder's first configuration is in the log.
	Bootstrapped bool `json:"bootstrapped,omitempty"`
	// StoresIn is the directory below the data directory that holds log, vote and
	// snapshots; empty before a recover.
	StoresIn string `json:"stores_in,omitempty"`
	// LogStore is the kind of the log, from when it is created; empty is bbolt, as
	// it was before there were others.
	LogStore logstore.Kind `json:"log_store,omitempty"`
	// Sum is a checksum of all other fields.
	Sum string `json:"sum,omitempty"`
}

// logKind is the kind of the log that this data directory has.
func (id *identity) logKind() logstore.Kind {
	if id.LogStore == "" {
		return logstore.Bolt
	}
	return id.LogStore
}

// voids reports whether this data directory is the proof that a cluster was never
// founded and never will be: only it could have, under its own UUID, and it has
// become something else or given that UUID up. Once true it stays true.
func (id *identity) voids(cluster string) bool {
	if slices.Contains(id.Former, cluster) {
		return true
	}
	return id.UUID == cluster && id.State != pristine && id.Cluster != cluster
}

// renewed is the identity of a fresh node in the same data directory.
func (id identity) renewed() identity {
	return identity{
		Format: id.Format, NodeID: id.NodeID, UUID: uuid.NewString(), State: pristine,
		Former: append(slices.Clone(id.Former), id.UUID), LogStore: id.LogStore,
	}
}

const (
	identityFile = "identity.json"
	lockFile     = "lock"
	peersFile    = "peers.json"
	divergedFile = "diverged.json"
	voteFile     = "vote.db"
	snapshotDir  = "snapshots"
)

// dataDir is a data directory that this process holds locked.
type dataDir struct {
	path string
	lock *os.File
	id   identity // guarded by Node.mu once the node runs
}

// openDataDir opens or creates a data directory for a node. Its errors are one
// line that says what to do.
func openDataDir(path, nodeID string) (*dataDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data dir: %w", err)
	}
	d := &dataDir{path: path}
	if _, err := os.Lstat(d.file(lockFile)); errors.Is(err, fs.ErrNotExist) {
		// A directory that is not ours is left as it was.
		if _, err := d.look(nodeID); err != nil {
			return nil, err
		}
	}
	lock, err := os.OpenFile(d.file(lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data dir: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("data dir %s is in use by another process; stop it, or choose another --data-dir", path)
	}
	d.lock = lock
	if err := d.load(nodeID); err != nil {
		lock.Close()
		return nil, err
	}
	return d, nil
}

// load reads identity.json, or writes a pristine one into an empty directory.
func (d *dataDir) load(nodeID string) error {
	fresh, err := d.look(nodeID)
	if err != nil || !fresh {
		return err
	}
	return d.create(nodeID)
}

// create makes a pristine identity.
func (d *dataDir) create(nodeID string) error {
	d.id = identity{Format: 1, NodeID: nodeID, UUID: uuid.NewString(), State: pristine}
	return d.save(d.id)
}

// look reads identity.json, or finds the directory empty, which fresh says. It
// changes nothing.
func (d *dataDir) look(nodeID string) (fresh bool, err error) {
	id, err := readIdentity(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, d.foreign()
	}
	if err != nil {
		return false, err
	}
	d.id = id
	switch {
	case d.id.NodeID != nodeID:
		return false, fmt.Errorf("data dir %s belongs to node %q, not %q; start with --node-id %s, or choose another --data-dir", d.path, d.id.NodeID, nodeID, d.id.NodeID)
	case d.id.State == left:
		return false, fmt.Errorf("data dir %s: node %q has left cluster %s; start it with a fresh --data-dir and a new --node-id to join again", d.path, nodeID, d.id.Cluster)
	}
	return false, nil
}

// keepsKind refuses a kind of log that is another one than that which is there.
func (d *dataDir) keepsKind(asked logstore.Kind) error {
	if has := d.id.logKind(); asked != "" && d.id.Stores && asked != has {
		return fmt.Errorf("data dir %s keeps its log as %q, not as %q; start with --log-store %s or without it, or convert the log first: raftkv migrate --data-dir %s --log-store %s",
			d.path, has, asked, has, d.path, asked)
	}
	return nil
}

// foreign refuses a directory that holds something else than a data directory.
func (d *dataDir) foreign() error {
	files, err := os.ReadDir(d.path)
	if err != nil {
		return fmt.Errorf("data dir: %w", err)
	}
	if slices.ContainsFunc(files, func(f fs.DirEntry) bool { return f.Name() == identityFile }) {
		return nil // another process has just made it one, and holds it
	}
	for _, f := range files {
		if f.Name() != lockFile && f.Name() != identityFile+".tmp" {
			return fmt.Errorf("data dir %s holds %q but no %s: it is no RaftKV data dir, or that file was removed; restore it from a backup, or choose another --data-dir", d.path, f.Name(), identityFile)
		}
	}
	return nil
}

// save makes id durable, and only then the one in memory.
func (d *dataDir) save(id identity) error {
	sum, err := sumOf(id)
	if id.Sum = sum; err != nil {
		return err
	}
	if err := writeFileDurably(d.file(identityFile), id); err != nil {
		return err
	}
	d.id = id
	return nil
}

func (d *dataDir) file(name string) string { return filepath.Join(d.path, name) }

func (d *dataDir) close() { d.lock.Close() }

// writeFileDurably replaces a file by the JSON of v; after a crash it holds the
// old content or the new.
func writeFileDurably(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	return err
}

// syncDir makes a directory's entries durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
