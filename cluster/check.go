package cluster

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/cluster/logstore"
	"github.com/raftkv/raftkv/fsm/entry"
)

// Report is what Check found in a data directory.
type Report struct {
	DataDir       string            `json:"data_dir"`
	NodeID        string            `json:"node_id"`
	ClusterID     string            `json:"cluster_id"` // empty while pristine
	State         string            `json:"state"`      // pristine, pledged, founded or left
	Term          uint64            `json:"term"`
	Vote          VoteReport        `json:"vote"`
	Log           LogReport         `json:"log"`
	Snapshots     []SnapshotReport  `json:"snapshots"` // the newest first
	Configuration ConfigReport      `json:"configuration"`
	Addresses     map[string]string `json:"addresses"` // the address book
	FreeBytes     uint64            `json:"free_bytes"`
	// Findings is what is damaged, one line each: file, what, and the way out.
	Findings []string `json:"findings"`

	id identity
}

// VoteReport is the last vote; term 0 is none.
type VoteReport struct {
	Term      uint64 `json:"term"`
	Candidate string `json:"candidate"`
}

// Place is a position in the log.
type Place struct {
	Index uint64 `json:"index"`
	Term  uint64 `json:"term"`
}

// LogReport is what the log holds. Zero places stand for an empty log.
type LogReport struct {
	Store   logstore.Kind `json:"store"`
	First   Place         `json:"first"`
	Last    Place         `json:"last"`
	Entries int           `json:"entries_verified"` // whole, and with content that can be read
	Bytes   int64         `json:"bytes"`
}

// SnapshotReport is one snapshot.
type SnapshotReport struct {
	File  string `json:"file"`
	Index uint64 `json:"index"`
	Term  uint64 `json:"term"`
	Bytes int64  `json:"bytes"` // of its content
	Whole bool   `json:"whole"` // all checksums fit
}

// ConfigReport is the latest configuration, committed or not.
type ConfigReport struct {
	Index    uint64   `json:"index"`
	Voters   []string `json:"voters"`
	Learners []string `json:"learners"`
}

// Last is the place up to which the directory holds the state.
func (r *Report) Last() Place {
	if len(r.Snapshots) > 0 && r.Snapshots[0].Index > r.Log.Last.Index {
		return Place{r.Snapshots[0].Index, r.Snapshots[0].Term}
	}
	return r.Log.Last
}

// Check reads the data directory of a stopped node and changes nothing in it. An
// error says that it could not be read at all.
func Check(dir string) (*Report, error) {
	release, err := holdStopped(dir, syscall.LOCK_SH)
	if err != nil {
		return nil, err
	}
	defer release()
	return check(dir)
}

func check(dir string) (*Report, error) {
	r := &Report{DataDir: dir, Snapshots: []SnapshotReport{}, Addresses: map[string]string{}, Findings: []string{}}
	id, err := readIdentity(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no %s: it is no data dir of RaftKV, or the file was removed; restore the file from a backup, or start this node anew under another --node-id and --data-dir", dir, identityFile)
	}
	if err != nil {
		r.find(err)
		id = identity{StoresIn: id.StoresIn, Stores: true}
	}
	r.id = id
	r.NodeID, r.ClusterID, r.State = id.NodeID, id.Cluster, id.State
	r.book(filepath.Join(dir, peersFile))
	if _, err := os.Stat(filepath.Join(dir, divergedFile)); err == nil {
		r.find(fmt.Errorf("%s: this node's state was found to differ from the others'; start it and rebuild it with RAFT.REBUILD, or delete the file if no other copy is left", filepath.Join(dir, divergedFile)))
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err == nil {
		r.FreeBytes = uint64(fs.Bavail) * uint64(fs.Bsize)
	}
	if id.Stores {
		r.stores(filepath.Join(dir, id.StoresIn))
	}
	return r, nil
}

func (r *Report) find(err error) { r.Findings = append(r.Findings, err.Error()) }

// book reads the address book, which is a hint: damage to it costs nothing.
func (r *Report) book(path string) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var book bookFile
	if err == nil {
		book, err = readBook(text)
	}
	if err == nil {
		r.Addresses = book.Addresses
	} else {
		r.find(fmt.Errorf("%s cannot be read (%v); delete it, the node learns the addresses anew", path, err))
	}
}

// stores looks at vote, snapshots and log.
func (r *Report) stores(dir string) {
	votes, err := logstore.ReadVote(filepath.Join(dir, voteFile), r.ClusterID)
	if err != nil {
		r.find(err)
	} else {
		defer votes.Close()
		r.votes(votes)
	}
	newest, err := r.snapshots(filepath.Join(dir, snapshotDir), votes)
	if err != nil {
		r.find(err)
	}
	r.log(dir, newest)
}

func (r *Report) votes(votes *logstore.Vote) {
	r.Term, _ = votes.GetUint64([]byte("CurrentTerm")) // not found is 0; opening it read both values
	r.Vote.Term, _ = votes.GetUint64([]byte("LastVoteTerm"))
	candidate, _ := votes.Get([]byte("LastVoteCand"))
	r.Vote.Candidate = string(candidate)
}

// snapshots reads all of them, and returns the newest one's index.
func (r *Report) snapshots(dir string, votes *logstore.Vote) (newest uint64, err error) {
	snaps, ids, err := logstore.ReadSnapshots(dir)
	if err != nil {
		return 0, err
	}
	for i, id := range ids {
		meta, in, err := snaps.Open(id)
		if err == nil {
			_, err = io.Copy(io.Discard, in)
			in.Close()
		}
		if err != nil && i > 0 {
			err = fmt.Errorf("%w; it is not the newest, so the node does not need it: delete it", err)
		}
		s := SnapshotReport{File: filepath.Join(dir, id), Whole: err == nil}
		if err != nil {
			r.find(err)
		}
		if meta != nil {
			s.Index, s.Term, s.Bytes = meta.Index, meta.Term, meta.Size
			r.configure(meta.ConfigurationIndex, meta.Configuration)
			newest = max(newest, meta.Index)
		}
		r.Snapshots = append(r.Snapshots, s)
	}
	if votes == nil {
		return newest, nil
	}
	return newest, snaps.Against(votes)
}

// logKind is the kind of log that identity.json names; where that file is damaged,
// the kind that is there.
func (r *Report) logKind(dir string) logstore.Kind {
	kind := r.id.logKind()
	if found, err := logstore.Find(dir); r.id.Sum == "" && r.id.UUID == "" && err == nil && len(found) == 1 {
		kind = found[0]
	}
	if logstore.CheckKind(kind) != nil {
		return logstore.Bolt
	}
	return kind
}

// log reads all entries.
func (r *Report) log(dir string, newest uint64) {
	kind := r.logKind(dir)
	path := kind.Path(dir)
	r.Log.Store = kind
	logs, err := kind.Read(dir, r.ClusterID)
	if err != nil {
		r.find(err)
		return
	}
	defer logs.Close()
	r.Log.Bytes, _ = logs.Bytes() // it was opened just now
	err = logs.Each(newest, func(l *raft.Log) error {
		if err := r.entry(l); err != nil {
			return fmt.Errorf("%s: entry %d cannot be read (%w); use the version of raftkv that wrote it, or restore this node from the others", path, l.Index, err)
		}
		return nil
	})
	if err != nil {
		r.find(err)
	}
}

func (r *Report) entry(l *raft.Log) error {
	switch l.Type {
	case raft.LogCommand:
		if _, err := entry.Decode(l.Data); err != nil {
			return err
		}
	case raft.LogConfiguration:
		c, err := decodeConfiguration(l.Data)
		if err != nil {
			return err
		}
		r.configure(l.Index, c)
	}
	if r.Log.Entries == 0 {
		r.Log.First = Place{l.Index, l.Term}
	}
	r.Log.Last = Place{l.Index, l.Term}
	r.Log.Entries++
	return nil
}

// decodeConfiguration is the library's, which panics over what it cannot read.
func decodeConfiguration(data []byte) (c raft.Configuration, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return raft.DecodeConfiguration(data), nil
}

func (r *Report) configure(index uint64, c raft.Configuration) {
	if index < r.Configuration.Index {
		return
	}
	r.Configuration = ConfigReport{Index: index, Voters: []string{}, Learners: []string{}}
	for _, s := range c.Servers {
		if s.Suffrage == raft.Voter {
			r.Configuration.Voters = append(r.Configuration.Voters, string(s.ID))
		} else {
			r.Configuration.Learners = append(r.Configuration.Learners, string(s.ID))
		}
	}
}
