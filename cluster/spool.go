package cluster

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/raftkv/raftkv/cluster/transport"
	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/fsm/system"
)

const (
	spoolPattern = "rebuild-*.tmp"
	// spoolLasts is how long the leader's state lies ready while nobody fetches of it.
	spoolLasts = 5 * time.Minute
	maxChunk   = 1 << 20
)

// spoolRequest asks the leader to mark a place in the log, and to lay its state of
// that place ready for a node.
type spoolRequest struct{ ID, Nonce string }

// spooled says what lies ready.
type spooled struct {
	From  string // the node that has it
	Index uint64 // of the place
	Size  int64  // in bytes
	Sum   string // SHA-256 in hexadecimal
}

// chunkRequest asks for a part of it. Done says that it is needed no more.
type chunkRequest struct {
	Nonce        string
	Offset, Size int64
	Done         bool
}

var (
	errNoSpool = errors.New("nothing lies ready any more")
	errNoRoom  = errors.New("the disk has no room for it above the reserve")
)

// spools are the states that lie ready in files, one for each node at the most.
type spools struct {
	n    *Node
	free func() (int64, error) // bytes that the disk has left

	mu     sync.Mutex
	byNode map[string]*spool // guarded by mu
	closed bool              // guarded by mu
}

// spool is one of them.
type spool struct {
	nonce  string
	taken  bool          // guarded by spools.mu; its place in the log was reached
	ready  chan struct{} // closed once what follows is set
	err    error
	result spooled
	file   *os.File
	idle   *time.Timer
}

// openSpools removes what a crash left.
func openSpools(n *Node) (*spools, error) {
	left, err := filepath.Glob(n.dir.file(spoolPattern))
	if err != nil {
		return nil, err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("data dir: %w", err)
		}
	}
	return &spools{n: n, free: n.disk.free, byNode: map[string]*spool{}}, nil
}

// spoolHere lays this node's state ready for another one, on the leader.
func (n *Node) spoolHere(ctx context.Context, r spoolRequest) (spooled, error) {
	switch _, ok := n.serving(); {
	case !ok:
		return spooled{}, system.ErrNoLeader
	case r.ID == n.cfg.NodeID || !n.configured(r.ID):
		return spooled{}, refusedf("%s leads, and %q is no other member", n.cfg.NodeID, r.ID)
	}
	if size := n.machine.Stats().Bytes; n.disk.isShort() || n.spools.room(size) != nil {
		return spooled{}, refusedf("the disk of the leader, %s, has no room for its state of %d MiB, which has to be laid ready there", n.cfg.NodeID, size>>20)
	}
	s := n.spools.expect(r)
	err := n.logMark(ctx, r.Nonce, r.ID)
	if err == nil && !n.spools.reached(s) { // the applier took the place for an old one
		err = refusedf("%s was not ready to be copied from; run it again", n.cfg.NodeID)
	}
	if err != nil {
		n.spools.drop(r.Nonce)
		return spooled{}, err
	}
	n.log.Info("laying the state ready for a node to be rebuilt", "rebuilds", r.ID)
	select {
	case <-s.ready:
	case <-ctx.Done():
		n.spools.drop(r.Nonce)
		return spooled{}, ctx.Err()
	}
	if s.err != nil {
		n.spools.drop(r.Nonce)
		return spooled{}, refusedf("the leader, %s, cannot lay its state ready: %v", n.cfg.NodeID, s.err)
	}
	return s.result, nil
}

// expect makes room for a node's spool; an older one of the same node goes.
func (sp *spools) expect(r spoolRequest) *spool {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if old := sp.byNode[r.ID]; old != nil {
		sp.discard(old)
	}
	s := &spool{nonce: r.Nonce, ready: make(chan struct{})}
	sp.byNode[r.ID] = s
	return s
}

// reach takes the state of a place that somebody here waits for.
func (sp *spools) reach(nonce string) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if s := sp.find(nonce); s != nil && !s.taken {
		s.taken = true
		state := sp.n.machine.Snapshot()
		sp.n.wg.Go(func() { sp.fill(s, state) })
	}
}

// reached reports whether the place of a spool in the log was.
func (sp *spools) reached(s *spool) bool {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	return s.taken
}

// room returns an error unless so many bytes may be written and the reserve is left.
func (sp *spools) room(size int64) error {
	free, err := sp.free()
	if err == nil && free < size+sp.n.cfg.DiskReserve {
		err = errNoRoom
	}
	return err
}

// frugal is a spool's file that leaves the reserve alone: what others write
// meanwhile takes space too.
type frugal struct {
	sp   *spools
	file *os.File
}

func (f frugal) Write(b []byte) (int, error) {
	if err := f.sp.room(int64(len(b))); err != nil {
		return 0, err
	}
	return f.file.Write(b)
}

// fill writes a state to its file.
func (sp *spools) fill(s *spool, state *fsm.Snapshot) {
	file, err := os.CreateTemp(sp.n.cfg.DataDir, spoolPattern) // mode 0600
	sum := sha256.New()
	var size int64
	if err == nil {
		b := bufio.NewWriterSize(frugal{sp, file}, maxChunk)
		if size, err = state.WriteTo(until{sp.n.ctx, io.MultiWriter(b, sum)}); err == nil {
			err = b.Flush()
		}
	}
	state.Release()
	sp.mu.Lock()
	defer sp.mu.Unlock()
	s.file, s.err = file, err
	s.result = spooled{From: sp.n.cfg.NodeID, Index: state.Position().Index, Size: size, Sum: hex.EncodeToString(sum.Sum(nil))}
	s.idle = time.AfterFunc(spoolLasts, func() { sp.drop(s.nonce) })
	close(s.ready)
	if sp.find(s.nonce) != s || sp.closed { // nobody waits any more
		sp.discard(s)
	}
}

// answerChunk is the other side of fetcher.fetch.
func (n *Node) answerChunk(_ context.Context, _ transport.Peer, text []byte) ([]byte, error) {
	var r chunkRequest
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, err
	}
	if r.Done {
		n.spools.drop(r.Nonce)
		return nil, nil
	}
	file := n.spools.open(r.Nonce)
	if file == nil || r.Offset < 0 || r.Size < 0 || r.Size > maxChunk {
		return nil, errNoSpool
	}
	chunk := make([]byte, r.Size)
	if _, err := file.ReadAt(chunk, r.Offset); err != nil {
		return nil, err
	}
	return chunk, nil
}

// open returns the file of a spool, which is being used; nil where there is none.
func (sp *spools) open(nonce string) *os.File {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	s := sp.find(nonce)
	if s == nil || s.file == nil || s.err != nil {
		return nil
	}
	s.idle.Reset(spoolLasts)
	return s.file
}

// find returns the spool of that nonce; mu is held.
func (sp *spools) find(nonce string) *spool {
	for _, s := range sp.byNode {
		if s.nonce == nonce {
			return s
		}
	}
	return nil
}

// drop lets a spool go.
func (sp *spools) drop(nonce string) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	for id, s := range sp.byNode {
		if s.nonce == nonce {
			delete(sp.byNode, id)
			sp.discard(s)
		}
	}
}

// discard removes a spool's file, if there is one yet; mu is held.
func (sp *spools) discard(s *spool) {
	if s.idle != nil {
		s.idle.Stop()
	}
	if s.file == nil {
		return
	}
	s.file.Close()
	if err := os.Remove(s.file.Name()); err != nil {
		sp.n.log.Warn("a file of a rebuild was not removed", "file", s.file.Name(), "error", err)
	}
	s.file = nil
}

// close lets all go; Node.wg has ended.
func (sp *spools) close() {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	sp.closed = true
	for _, s := range sp.byNode {
		sp.discard(s)
	}
	clear(sp.byNode)
}
