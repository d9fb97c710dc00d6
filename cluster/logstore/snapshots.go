package logstore

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	dirMode        = 0o700
	snapshotSuffix = ".snap"
)

// Snapshots keeps Raft's snapshots (raft.SnapshotStore), one file each, in a
// directory of its own. The newest one is the node's state: its log begins
// where that ends. So if it cannot be read List and Open fail, and an older one
// is never taken instead. Safe for concurrent use.
type Snapshots struct {
	dir    string
	retain int
	logger *slog.Logger

	waste *disposal

	mu    sync.Mutex // held while files appear and go
	votes *Vote      // where the newest one's index is noted, or nil; guarded by mu
	// reading counts the readers of each file that has some; guarded by mu
	reading map[string]int
}

// OpenSnapshots opens the store in dir, which it makes (0700) if it is missing,
// and removes what a crash left half written. retain is how many snapshots are
// kept, at least 1; those before the newest are for a human's use. It fails if
// the newest snapshot's frame is damaged. logger may be nil.
func OpenSnapshots(dir string, retain int, logger *slog.Logger) (*Snapshots, error) {
	if retain < 1 {
		return nil, fmt.Errorf("%s: retain is %d, must be at least 1", dir, retain)
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s := &Snapshots{dir: dir, retain: retain, logger: logger, reading: map[string]int{}}
	s.waste = &disposal{disk: osFiles{}, step: disposalStep, failed: func(err error) {
		logger.Warn("cannot remove an old snapshot", "error", err)
	}}
	if err := s.prepareDir(); err != nil {
		return nil, err
	}
	if err := s.removeLeftovers(); err != nil {
		return nil, err
	}
	_, err := s.List()
	return s, err
}

// keySnapshot, in the vote store, holds the index of the newest snapshot.
var keySnapshot = []byte("raftkv.snapshot")

// Guard has the index of the newest snapshot noted in the vote store, before older
// ones or log entries go, and refuses a directory from which a snapshot was taken
// away: with an older one, or none, the node would begin with less than it said.
func (s *Snapshots) Guard(votes *Vote) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	newest, err := s.against(votes)
	if err == nil {
		s.votes = votes
		err = s.note(newest)
	}
	return err
}

// Against is Guard's check alone.
func (s *Snapshots) Against(votes *Vote) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.against(votes)
	return err
}

// against returns the newest snapshot's index, which must not be below the noted one.
func (s *Snapshots) against(votes *Vote) (newest uint64, err error) {
	noted, err := votes.GetUint64(keySnapshot)
	if err != nil && !errors.Is(err, errNotFound) {
		return 0, err
	}
	ids, err := s.ids()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	if len(ids) > 0 {
		newest = ids[0].index
	}
	if newest < noted {
		return 0, &FileError{s.dir, ErrMissing, fmt.Sprintf("the snapshot at entry %d is missing; put it back, or restore this node from the others", noted)}
	}
	return newest, nil
}

// note writes down the index of a complete snapshot. Callers hold mu.
func (s *Snapshots) note(index uint64) error {
	if s.votes == nil {
		return nil
	}
	noted, err := s.votes.GetUint64(keySnapshot)
	if errors.Is(err, errNotFound) {
		err = nil
	}
	if err != nil || index <= noted {
		return err
	}
	return s.votes.SetUint64(keySnapshot, index)
}

// ReadSnapshots looks at the snapshots in dir, all of them, the newest first, and
// changes nothing. A directory that is not there has none.
func ReadSnapshots(dir string) (*Snapshots, []string, error) {
	s := &Snapshots{dir: dir, retain: 1, logger: slog.New(slog.DiscardHandler), reading: map[string]int{}}
	ids, err := s.ids()
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	var list []string
	for _, id := range ids {
		list = append(list, id.String())
	}
	return s, list, err
}

func (s *Snapshots) prepareDir() error {
	if err := os.MkdirAll(s.dir, dirMode); err != nil {
		return err
	}
	if err := os.Chmod(s.dir, dirMode); err != nil {
		return err
	}
	return syncDir(filepath.Dir(s.dir))
}

func (s *Snapshots) removeLeftovers() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, ours := strings.CutSuffix(e.Name(), snapshotSuffix+tmpSuffix)
		if _, err := parseID(name); !ours || err != nil {
			continue
		}
		s.logger.Info("removing an unfinished snapshot", "file", e.Name())
		if err := os.Remove(filepath.Join(s.dir, e.Name())); err != nil {
			return err
		}
	}
	return syncDir(s.dir)
}

// Create begins a snapshot, which exists once the sink's Close has returned nil.
func (s *Snapshots) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration,
	configurationIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	if version != 1 {
		return nil, fmt.Errorf("unsupported snapshot version %d", version)
	}
	head := snapshotHead{
		Version: version, Index: index, Term: term,
		Configuration: configuration, ConfigurationIndex: configurationIndex,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := snapshotID{index: index, term: term, created: time.Now().UnixMilli()}
	for {
		there, err := Exists(s.path(id.String()))
		if err != nil {
			return nil, err
		}
		if !there {
			sink, err := newSink(s, id.String(), &head)
			if !errors.Is(err, os.ErrExist) {
				return sink, err
			}
		}
		id.created++ // two of the same index within a millisecond
	}
}

// List returns the newest snapshot, or none. It never returns an older one: raft
// goes through the list until one of them can be restored, and would then go on
// with a log that has a hole.
func (s *Snapshots) List() ([]*raft.SnapshotMeta, error) {
	s.mu.Lock() // so that reap does not take the newest away while it is opened
	defer s.mu.Unlock()
	ids, err := s.ids()
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	meta, r, err := s.open(ids[0].String())
	if err != nil {
		return nil, err
	}
	return []*raft.SnapshotMeta{meta}, r.Close()
}

// Open returns a snapshot's description and a reader of its content. The reader
// verifies each block before it hands out a byte of it, and that nothing is
// missing; errors wrap ErrDamaged.
func (s *Snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	meta, r, err := s.open(id)
	if err != nil {
		return nil, nil, err
	}
	s.reading[id]++
	return meta, &lent{snapshotReader: r, back: func() { s.back(id) }}, nil
}

// open opens a snapshot that nobody can remove meanwhile. Callers hold mu.
func (s *Snapshots) open(id string) (*raft.SnapshotMeta, *snapshotReader, error) {
	if _, err := parseID(id); err != nil {
		return nil, nil, err
	}
	r, err := openSnapshot(s.path(id))
	if err != nil {
		return nil, nil, err
	}
	return r.meta(id), r, nil
}

// lent is a reader of a snapshot that may grow old meanwhile: for as long, its file is
// not cut down.
type lent struct {
	*snapshotReader
	once sync.Once
	back func()
}

// Close ends the reading.
func (l *lent) Close() error {
	l.once.Do(l.back)
	return l.snapshotReader.Close()
}

func (s *Snapshots) back(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reading[id]--; s.reading[id] == 0 {
		delete(s.reading, id)
	}
}

// Close returns once the files of old snapshots are gone, which goes on in the
// background otherwise.
func (s *Snapshots) Close() { s.waste.finish() }

// Bytes returns the size of all snapshots on disk.
func (s *Snapshots) Bytes() (total int64, err error) {
	entries, err := os.ReadDir(s.dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil { // one that is just being removed counts no more
			total += info.Size()
		}
	}
	return total, err
}

// reap has the snapshots beyond retain removed. What cannot be removed is only
// logged: the new snapshot is safe on disk. Callers hold mu.
func (s *Snapshots) reap() {
	ids, err := s.ids()
	if err != nil {
		s.logger.Warn("cannot list snapshots", "error", err)
		return
	}
	var waste []string
	for _, id := range ids[min(s.retain, len(ids)):] {
		path := s.path(id.String())
		if s.reading[id.String()] > 0 {
			err = os.Remove(path) // whoever reads it still has all of it
		} else if err = os.Rename(path, path+tmpSuffix); err == nil {
			waste = append(waste, path+tmpSuffix)
		}
		if err != nil {
			s.logger.Warn("cannot remove an old snapshot", "error", err)
		}
	}
	if err := syncDir(s.dir); err != nil { // a start removes it, maybe whole
		s.logger.Warn("cannot remove an old snapshot", "error", err)
		return
	}
	s.waste.take(waste...)
}

// ids returns all snapshots in the directory, the newest first.
func (s *Snapshots) ids() ([]snapshotID, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var ids []snapshotID
	for _, e := range entries {
		name, is := strings.CutSuffix(e.Name(), snapshotSuffix)
		if !is {
			continue
		}
		id, err := parseID(name)
		if err != nil {
			return nil, foreign(filepath.Join(s.dir, e.Name()), "is no snapshot of raftkv; move it elsewhere")
		}
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b snapshotID) int { return strings.Compare(b.String(), a.String()) })
	return ids, nil
}

func (s *Snapshots) path(id string) string { return filepath.Join(s.dir, id+snapshotSuffix) }

// snapshotID names a snapshot. Of two, the one with the higher index is newer:
// both are prefixes of the same committed log.
type snapshotID struct {
	index, term uint64
	created     int64 // Unix milliseconds
}

// String is ordered as the snapshots are.
func (id snapshotID) String() string {
	return fmt.Sprintf("%020d-%020d-%015d", id.index, id.term, id.created)
}

func parseID(name string) (snapshotID, error) {
	var id snapshotID
	_, err := fmt.Sscanf(name, "%d-%d-%d", &id.index, &id.term, &id.created)
	if err != nil || id.String() != name { // so an id is never a path either
		return snapshotID{}, fmt.Errorf("%q is no snapshot id", name)
	}
	return id, nil
}

// parsed is parseID of an id that is one.
func parsed(name string) snapshotID {
	id, _ := parseID(name)
	return id
}
