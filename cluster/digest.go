package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"sync"

	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/fsm/system"
)

const digestsKept = 8

// audits makes the digests of this node's state where the log marks a place for it.
type audits struct {
	n       *Node
	turn    chan struct{} // held by the audit under way on this node
	changed signal        // a digest is made, or given up

	mu      sync.Mutex
	digests []*digest          // guarded by mu; the latest places, the newest last
	waiting *digest            // guarded by mu; the next to be made
	busy    bool               // guarded by mu; one is being made
	last    system.AuditReport // guarded by mu; of the last audit that this node was told of
}

// digest is that of the state at one place. Its state is set until it is made: at
// most two are held, for they keep from being freed what has been replaced since.
type digest struct {
	nonce string
	index uint64
	state *fsm.Snapshot
	sum   string // in hexadecimal; empty until it is made
	gone  bool   // it will not be made
}

var errNoDigest = errors.New("this node has no digest of that place in the log")

func newAudits(n *Node) *audits { return &audits{n: n, turn: make(chan struct{}, 1)} }

// take has the digest made of a state. One that still waits is given up: only the
// newest is of use.
func (a *audits) take(nonce string, state *fsm.Snapshot) {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := &digest{nonce: nonce, index: state.Position().Index, state: state}
	a.digests = append(a.digests[max(0, len(a.digests)-digestsKept+1):], d)
	if a.waiting != nil {
		a.waiting.state.Release()
		a.waiting.state, a.waiting.gone = nil, true
	}
	a.waiting = d
	if !a.busy {
		a.busy = true
		a.n.wg.Go(a.work)
	}
	a.changed.Broadcast()
}

// work makes the digests that wait, one at a time.
func (a *audits) work() {
	for {
		a.mu.Lock()
		d := a.waiting
		a.waiting, a.busy = nil, d != nil
		a.mu.Unlock()
		if d == nil {
			return
		}
		h := sha256.New()
		_, err := d.state.WriteTo(until{a.n.ctx, h})
		d.state.Release()
		a.mu.Lock()
		d.state = nil
		if d.gone = err != nil; !d.gone {
			d.sum = hex.EncodeToString(h.Sum(nil))
		}
		a.mu.Unlock()
		a.changed.Broadcast()
	}
}

// until is a writer that fails once ctx has ended.
type until struct {
	ctx context.Context
	w   io.Writer
}

func (u until) Write(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.w.Write(b)
}

// find returns the digest of a place as it is now; nil where there is none.
func (a *audits) find(nonce string) *digest {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range a.digests {
		if d.nonce == nonce {
			found := *d
			return &found
		}
	}
	return nil
}

// await waits until the digest of a place is made, or certain never to be.
func (a *audits) await(ctx context.Context, nonce string, index uint64) (*digest, error) {
	for {
		changed, applied := a.changed.C(), a.n.applied.C()
		passed := a.n.visible.Load() >= index
		switch d := a.find(nonce); {
		case d != nil && d.sum != "":
			return d, nil
		case d != nil && d.gone, d == nil && passed:
			return nil, errNoDigest
		}
		select {
		case <-changed:
		case <-applied:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// note takes down how an audit ended.
func (a *audits) note(r system.AuditReport) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Index > a.last.Index {
		a.last = r
	}
}

// report is the last audit that this node was told of.
func (a *audits) report() system.AuditReport {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}
