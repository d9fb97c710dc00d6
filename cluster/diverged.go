package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/fsm/system"
)

// divergence is what an audit found wrong with this node. It is kept in
// diverged.json, whose being there is what counts: the node stays diverged over
// restarts, whatever the file says.
type divergence struct {
	Index  uint64 `json:"index"`  // of the audit
	Digest string `json:"digest"` // of this node's state there
	Right  string `json:"right"`  // of the right one
	Found  int64  `json:"found"`  // Unix seconds
}

// diverged is the mark of a node whose state is not that of the others. Such a
// node answers no reads and no writes, does not lead, and neither keeps nor passes
// on its state. Its log is right, so it stores entries and votes as before. A
// rebuild takes the mark away, or an audit that finds most voters in the same state.
type diverged struct {
	n    *Node
	path string
	mark atomic.Pointer[divergence] // nil: not diverged

	mu      sync.Mutex // one change at a time
	rebuilt uint64     // guarded by mu; the state was another one before this index: what is found there is past
	replace bool       // guarded by mu; the right state was taken over since the mark was set, and may be kept
}

var errDiverged = errors.New("this node's state differs from the others'; RAFT.REBUILD replaces it")

const (
	alarmPause   = 10 * time.Second
	makeWayPause = 250 * time.Millisecond
)

// openDiverged reads the mark, if there is one.
func openDiverged(n *Node) *diverged {
	d := &diverged{n: n, path: n.dir.file(divergedFile)}
	text, err := os.ReadFile(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return d
	}
	mark := &divergence{}
	if err == nil {
		err = json.Unmarshal(text, mark)
	}
	if err != nil {
		n.log.Warn("the note of what an audit found is not readable; it counts all the same", "file", d.path, "error", err)
	}
	d.mark.Store(mark)
	return d
}

// on reports whether this node is diverged.
func (d *diverged) on() bool { return d.mark.Load() != nil }

// keeps reports whether the state may be written to disk.
func (d *diverged) keeps() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.on() || d.replace
}

// set marks this node. It serves no more from the first moment; that it returns
// nil says that this will be so after a restart too. What an audit found before the
// state was replaced, by a rebuild or by a leader's snapshot, is past.
func (d *diverged) set(mark divergence) error {
	n := d.n
	d.mu.Lock()
	past := mark.Index <= d.rebuilt
	if !past {
		d.replace = false
		d.mark.Store(&mark)
		n.abstain(hasDiverged, true)
	}
	d.mu.Unlock()
	if past {
		return nil
	}
	n.changed.Broadcast()
	if f := n.flight.Load(); f != nil {
		n.giveUp(f, system.ErrUnknownOutcome) // its replies would come from the wrong state
	}
	d.alarm()
	d.mu.Lock()
	defer d.mu.Unlock()
	if m := d.mark.Load(); m == nil || *m != mark {
		return nil // replaced meanwhile
	}
	return writeFileDurably(d.path, mark)
}

// replaced notes that the right state was taken over at an index. The mark stays
// until that state is on disk.
func (d *diverged) replaced(index uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rebuilt, d.replace = index, true
}

// installed notes that a leader's snapshot of an index is the state now. A mark
// stays: the next audit tells.
func (d *diverged) installed(index uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rebuilt, d.replace = max(index, d.rebuilt), false
}

// clear takes the mark away, now that the state of an index is on disk, unless an
// audit has found something since.
func (d *diverged) clear(index uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.on() && (d.rebuilt != index || !d.replace) {
		return refusedf("an audit has found %s diverged again", d.n.cfg.NodeID)
	}
	return d.remove()
}

// acquit takes the mark away because most voters were found to have this node's
// state at a later index. What a rebuild took over counts only once it is on disk,
// which the rebuild sees to.
func (d *diverged) acquit(index uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.mark.Load()
	if m == nil || index <= m.Index || d.replace {
		return nil
	}
	d.n.log.Warn("an audit finds this node's state to be that of most voters; it serves again", "index", index, "diverged-at", m.Index)
	return d.remove()
}

// remove removes the mark, first on disk; mu is held.
func (d *diverged) remove() error {
	err := os.Remove(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		err = syncDir(filepath.Dir(d.path))
	}
	if err != nil {
		return err
	}
	d.replace = false
	d.mark.Store(nil)
	d.n.abstain(hasDiverged, false)
	d.n.changed.Broadcast()
	return nil
}

// alarm says so loudly.
func (d *diverged) alarm() {
	if m := d.mark.Load(); m != nil {
		d.n.log.Error("THIS NODE HAS DIVERGED: its state differs from the others' at the same log index; it serves no data until RAFT.REBUILD",
			"index", m.Index, "digest", m.Digest, "right", m.Right, "found", time.Unix(m.Found, 0).UTC())
	}
}

// watch repeats the alarm, and passes leadership on where this node was handed it.
func (d *diverged) watch() {
	n := d.n
	d.alarm()
	last := time.Now()
	for n.ctx.Err() == nil {
		changed := n.changed.C()
		if !d.on() {
			select {
			case <-changed:
			case <-n.ctx.Done():
			}
			last = time.Now()
			continue
		}
		if time.Since(last) >= alarmPause {
			d.alarm()
			last = time.Now()
		}
		if r := n.raft.Load(); r != nil && r.State() == raft.Leader {
			d.makeWay()
		}
		pause(n.ctx, makeWayPause)
	}
}

// makeWay hands leadership to a voter that may serve.
func (d *diverged) makeWay() {
	n := d.n
	ctx, cancel := context.WithTimeout(n.ctx, adminWait)
	defer cancel()
	to, _ := n.fittest(ctx)
	if to == "" {
		n.log.Debug("no voter answers that could lead instead of this node")
		return
	}
	if err := n.transferLeadership(ctx, to); err != nil {
		n.log.Warn("leadership not handed over", "to", to, "error", err)
	}
}

// fittest returns the other voter that leadership is best handed to, and how far it
// is; "" where none answers that may lead.
func (n *Node) fittest(ctx context.Context) (id string, p progress) {
	ctx, cancel := context.WithTimeout(ctx, roundWait)
	defer cancel()
	return fittestOf(n.askVoters(ctx))
}

// fittestOf chooses, of the voters whose state is right, those with space first, the
// one with the longest log.
func fittestOf(voters map[string]progress) (best string, of progress) {
	for id, p := range voters {
		better := best == "" || of.Short && !p.Short || of.Short == p.Short && p.Last > of.Last
		if !p.Diverged && better {
			best, of = id, p
		}
	}
	return best, of
}

// astray is what a diverged node answers instead of data: who leads, if it knows;
// nil while this node is not diverged, or while nobody leads.
func (n *Node) astray() error {
	if !n.diverged.on() {
		return nil
	}
	if leader, self, ok := n.Leader(); ok && !self {
		return &system.NotLeaderError{Leader: leader}
	}
	return nil
}

// absent is what a node answers that has no data to read from.
func (n *Node) absent() error {
	if err := n.gone(); err != nil {
		return err
	}
	return n.astray()
}

// whyAbstain is a reason for which this node does not ask for votes.
type whyAbstain int

const (
	lacksSpace whyAbstain = iota
	hasDiverged
)

// abstention holds the reasons; with any of them this node abstains.
type abstention struct {
	mu  sync.Mutex
	why [2]bool // guarded by mu; indexed by whyAbstain
}

// abstain sets one reason, or takes it back.
func (n *Node) abstain(why whyAbstain, on bool) {
	a := &n.abstains
	a.mu.Lock()
	defer a.mu.Unlock()
	a.why[why] = on
	n.trans.Abstain(a.anyLocked())
}

// any reports whether there is a reason.
func (a *abstention) any() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.anyLocked()
}

func (a *abstention) anyLocked() bool { return a.why[lacksSpace] || a.why[hasDiverged] }
