package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/raftkv/raftkv/cluster/transport"
	"github.com/raftkv/raftkv/fsm/system"
)

const (
	askPause = 500 * time.Millisecond
	// inviterWait is how long one that was invited leaves it to the inviter to add it.
	inviterWait = 3 * time.Second
)

// join asks the Join addresses, or a pledged node's seeds, for admission whenever
// this node wants it and does not have it.
func (n *Node) join() {
	n.warnOfForeignSeeds()
	var c complaint
	invited := false
	for n.ctx.Err() == nil {
		changed := n.changed.C()
		id := n.state.Load()
		switch {
		case !n.seeks(id):
			invited = id.State == pristine
			select {
			case <-changed:
			case <-n.ctx.Done():
			}
		case invited:
			invited = false
			pause(n.ctx, inviterWait)
		default:
			n.seek(id, &c)
			pause(n.ctx, askPause)
		}
	}
}

// seeks reports whether this node is to ask for admission: it was told to join, or
// it has pledged itself and nobody has come back to it. One that Raft has reached
// once was admitted, and one that was removed since must not ask its way in again.
func (n *Node) seeks(id *identity) bool {
	switch id.State {
	case pristine:
		return len(n.cfg.Join) > 0
	case pledged:
		r := n.raft.Load()
		return r != nil && untouched(r)
	}
	return false
}

// untouched reports whether the Raft state of a pledged node is as it was made:
// nobody has counted on it for anything yet.
func untouched(r *raftNode) bool {
	return r.CurrentTerm() == 0 && r.LastIndex() == 0
}

// seek asks each seed once. What cannot be mended by asking again ends the process.
func (n *Node) seek(id *identity, c *complaint) {
	reasons, final := n.askSeeds(id)
	now := n.state.Load()
	switch {
	case reasons == "" || n.ctx.Err() != nil:
	case now.State != id.State || now.Cluster != id.Cluster || !n.seeks(now):
		// It was invited meanwhile: the answers were given to somebody else, so to say.
	case id.State == pledged && n.releaseIfVoid(id):
	case final != nil:
		n.fail(final)
	case c.due(reasons, time.Now()):
		n.log.Warn("not admitted to a cluster yet; keeps trying", n.explain(id, reasons)...)
	}
}

// askSeeds returns why no seed admitted this node, "" if one did; final is the
// error to end with, where one of them will never.
func (n *Node) askSeeds(id *identity) (reasons string, final error) {
	var all []string
	for _, seed := range n.seeds(id) {
		ctx, cancel := context.WithTimeout(n.ctx, 3*adminWait)
		err := n.askAddr(ctx, seed, request{kind: kindJoin, body: system.JoinRequest{
			ID: n.cfg.NodeID, Raft: n.trans.Addr(), Learner: id.Learner, Token: n.cfg.JoinToken,
		}})
		cancel()
		var refused *system.RefusedError
		switch {
		case err == nil:
			n.log.Info("joined", "by", seed)
			return "", nil
		case errors.Is(err, transport.ErrSelf):
			continue
		case errors.As(err, &refused) && refused.Final:
			final = fmt.Errorf("%s does not admit it: %s", seed, refused.Reason)
			if id.State == pledged {
				final = fmt.Errorf("%w (this node has pledged itself to cluster %s; to join another, start it with a fresh --data-dir)", final, id.Cluster)
			}
		}
		all = append(all, plainly(seed, err))
	}
	if len(all) == 0 {
		all = append(all, "no address but this node's own is named")
	}
	return strings.Join(all, "; "), final
}

// seeds are the addresses to ask, without this node's own.
func (n *Node) seeds(id *identity) []string {
	var all []string
	for _, seed := range append(slices.Clone(n.cfg.Join), id.Seeds...) {
		if seed != n.trans.Addr() && !slices.Contains(all, seed) {
			all = append(all, seed)
		}
	}
	return all
}

// explain is what the warning says besides its text: for a pledged node the way out
// too, for there may be nobody left who could admit or release it.
func (n *Node) explain(id *identity, reasons string) []any {
	args := []any{"reason", reasons}
	if id.State == pledged {
		args = append(args, "cluster", id.Cluster, "invited-by", id.Inviter,
			"hint", "if that cluster does not exist, stop this node, remove its data dir "+n.dir.path+", which holds nothing yet, and start it again")
	}
	return args
}

// plainly says why a seed did not help, in the same words each time.
func plainly(seed string, err error) string {
	var refused *system.RefusedError
	var handshake *transport.HandshakeError
	var op *net.OpError
	switch {
	case errors.As(err, &refused):
		return seed + " refuses: " + refused.Reason
	case errors.As(err, &handshake):
		return handshake.Error()
	case errors.Is(err, system.ErrNoLeader):
		return seed + " knows no leader"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "cannot reach " + seed + ": no answer in time"
	case errors.As(err, &op): // without the ports, which differ each time
		return "cannot reach " + seed + ": " + op.Err.Error()
	}
	return "cannot reach " + seed + ": " + err.Error()
}

// complaint is a warning that is worth another line only when it changes, or after
// a minute.
type complaint struct {
	began, said time.Time
	text        string
}

// due reports whether to say it now. At first there is a moment's patience: nodes
// that are started together wait for each other.
func (c *complaint) due(text string, now time.Time) bool {
	const patience, repeat = time.Second, time.Minute
	if c.began.IsZero() {
		c.began = now
	}
	if now.Sub(c.began) < patience || text == c.text && now.Sub(c.said) < repeat {
		return false
	}
	c.text, c.said = text, now
	return true
}

// warnOfForeignSeeds tells the operator of a node that holds a cluster of its own
// that --join names another one: it goes on serving its own.
func (n *Node) warnOfForeignSeeds() {
	id := n.state.Load()
	if id.State != founded {
		return
	}
	for _, seed := range n.cfg.Join {
		ctx, cancel := context.WithTimeout(n.ctx, roundWait)
		peer, _, err := n.trans.CallAddr(ctx, seed, kindHello, []byte("{}"))
		cancel()
		if err == nil && peer.Cluster != "" && peer.Cluster != id.Cluster {
			n.log.Warn("--join is of no effect: this node holds a cluster of its own; to join the other, start it with a fresh --data-dir and another --node-id",
				"cluster", id.Cluster, "seed", seed, "its-cluster", peer.Cluster)
		}
	}
}

// voidRequest asks a node whether it is the proof that a cluster can never be.
type voidRequest struct{ Cluster string }

// releaseIfVoid takes back this node's pledge if one of the seeds proves that the
// cluster was never founded and never will be: the inviter asked for the pledge,
// did not get the answer, and has become something else.
func (n *Node) releaseIfVoid(id *identity) bool {
	for _, seed := range n.seeds(id) {
		ctx, cancel := context.WithTimeout(n.ctx, roundWait)
		var void bool
		err := n.askAddr(ctx, seed, request{kind: kindVoid, body: voidRequest{id.Cluster}, answer: &void})
		cancel()
		if err != nil || !void {
			continue
		}
		if err := n.release(id.Cluster); err != nil {
			n.fail(fmt.Errorf("take back a void pledge: %w", err))
		}
		return true
	}
	return false
}

// release makes a node pristine again whose pledge is void, under a new UUID: what
// was said of the old one stays true. Its Raft state is as it was made; should it
// not be, the cluster exists after all, and nothing is touched.
func (n *Node) release(cluster string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	id, r := n.dir.id, n.raft.Load()
	if n.ctx.Err() != nil || id.State != pledged || id.Cluster != cluster {
		return nil
	}
	if err := r.stop(); err != nil {
		return err
	}
	if !untouched(r) {
		return fmt.Errorf("cluster %s was said never to have been founded, but this node has state of it", cluster)
	}
	n.disk.armed.Store(false)
	if err := r.close(); err != nil {
		return err
	}
	// From here on a crash leaves files of the old pledge behind, all without state,
	// which the next founding or pledge replaces.
	if err := n.step(id.renewed()); err != nil {
		return err
	}
	n.raft.Store(nil)
	n.log.Warn("the cluster to which this node had pledged itself was never founded; it is a fresh node again", "cluster", cluster, "invited-by", id.Inviter)
	n.changed.Broadcast()
	return nil
}
