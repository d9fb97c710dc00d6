package cluster

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/cluster/logstore"
)

// migrateChunk is how many bytes of entries are written at once.
const migrateChunk = 1 << 20

// Migration is what Migrate did.
type Migration struct {
	From, To logstore.Kind
	Entries  int
}

// Migrate makes the log of a stopped node one of another kind. The new log is made
// whole beside the old one; one rename of identity.json switches over, and only then
// the old one goes. So after a crash the directory has either kind, whole, and
// migrating again does the rest.
func Migrate(dir string, to logstore.Kind) (*Migration, error) { return migrate(dir, to, nil) }

// migrate does it; tests end it before any of its steps by an error of crash.
func migrate(dir string, to logstore.Kind, crash func(step string) error) (*Migration, error) {
	if err := logstore.CheckKind(to); err != nil {
		return nil, err
	}
	release, err := holdStopped(dir, syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer release()
	r, err := check(dir)
	switch {
	case err != nil:
		return nil, err
	case len(r.Findings) > 0:
		return nil, fmt.Errorf("this data dir is not sound: %s", r.Findings[0])
	case !r.id.Stores:
		return nil, fmt.Errorf("%s holds no log yet: start its node with --log-store %s", dir, to)
	}
	m := &Migration{From: r.id.logKind(), To: to, Entries: r.Log.Entries}
	stores := filepath.Join(dir, r.id.StoresIn)
	id := r.id
	id.LogStore = to
	// Whatever is there of the kind that does not count is of a migration that was cut off.
	steps := []step{
		{"clean", func() error { return to.Remove(stores) }},
		{"copy", func() error { return m.copy(stores, r) }},
		{"identity", func() error { return (&dataDir{path: dir}).save(id) }},
		{"remove", func() error { return m.From.Remove(stores) }},
	}
	if m.From == to {
		steps = nil
		for _, other := range logstore.Kinds {
			if other != to {
				steps = append(steps, step{"remove", func() error { return other.Remove(stores) }})
			}
		}
	}
	for _, s := range steps {
		if crash != nil {
			if err := crash(s.name); err != nil {
				return nil, err
			}
		}
		if err := s.run(); err != nil {
			return nil, fmt.Errorf("migrate, %s: %w", s.name, err)
		}
	}
	return m, nil
}

// copy makes the new log, with all that raft will need of the old one.
func (m *Migration) copy(stores string, r *Report) error {
	from, err := m.From.Read(stores, r.ClusterID)
	if err != nil {
		return err
	}
	to, err := m.To.Create(stores, r.ClusterID)
	if err != nil {
		return errors.Join(err, from.Close())
	}
	err = copyEntries(from, to, newestOf(r))
	if last, lastErr := to.LastIndex(); err == nil && (lastErr != nil || last != r.Log.Last.Index) {
		err = errors.Join(fmt.Errorf("the new log ends at entry %d, the old one at %d", last, r.Log.Last.Index), lastErr)
	}
	return errors.Join(err, to.Close(), from.Close())
}

// newestOf is the index of the newest snapshot that a directory holds.
func newestOf(r *Report) uint64 {
	if len(r.Snapshots) == 0 {
		return 0
	}
	return r.Snapshots[0].Index
}

// copyEntries copies what follows the snapshot up to the entry after, and what is
// before without a gap.
func copyEntries(from, to logstore.Store, after uint64) error {
	var wait []*raft.Log
	size := 0
	flush := func() error {
		if len(wait) == 0 {
			return nil
		}
		err := to.StoreLogs(wait)
		wait, size = nil, 0
		return err
	}
	err := from.Each(after, func(l *raft.Log) error {
		if n := len(wait); n > 0 && wait[n-1].Index+1 != l.Index {
			wait = nil // a gap, behind which the log begins anew
		}
		entry := *l
		wait = append(wait, &entry)
		if size += len(l.Data) + len(l.Extensions); size < migrateChunk {
			return nil
		}
		return flush()
	})
	return errors.Join(err, flush())
}
