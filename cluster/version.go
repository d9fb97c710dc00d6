package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/raftkv/raftkv/cluster/batch"
	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
)

const versionPause = 250 * time.Millisecond

// version is the cluster's; of a fresh node that of the cluster that it would found.
func (n *Node) version() uint64 {
	if v := n.machine.Version(); v != 0 {
		return v
	}
	return n.cfg.knows
}

// batchVersion is the version of an entry of these proposals: that of the cluster as
// applied here, or the one that it is raised to by it.
func (n *Node) batchVersion(ps []entry.Proposal) uint16 {
	v := max(n.machine.Version(), system.FirstVersion)
	for i := range ps {
		if !ps[i].System {
			continue
		}
		for j := range ps[i].Commands {
			v = max(v, system.RaisesTo(&ps[i].Commands[j]))
		}
	}
	return uint16(v)
}

// refuseNewer refuses the system commands that not all members would understand, and
// returns the rest.
func (n *Node) refuseNewer(items []*batch.Item) (rest []*batch.Item) {
	if n.machine.Version() >= system.NewestVersion {
		return items
	}
	return slices.DeleteFunc(items, func(it *batch.Item) bool {
		for i := range it.Commands {
			if !it.System {
				break
			}
			if why := n.machine.Admits(it.Commands[i].Args); why != nil {
				n.queue.Refuse([]*batch.Item{it}, &system.RefusedError{Reason: why.Error()})
				return true
			}
		}
		return false
	})
}

// raise has the cluster go to a newer version, on the leader, once the programs of all
// members know it.
func (n *Node) raise() {
	var c complaint
	for n.ctx.Err() == nil {
		pause(n.ctx, versionPause)
		if _, ok := n.serving(); !ok || n.machine.Version() >= n.cfg.knows {
			c = complaint{}
			continue
		}
		ctx, cancel := context.WithTimeout(n.ctx, adminWait)
		to, behind, err := n.raiseOnce(ctx)
		cancel()
		switch {
		case err != nil:
			n.log.Warn("cluster version not raised", "error", err)
			pause(n.ctx, time.Second)
		case to != 0:
			n.log.Info("cluster version raised", "version", to)
		case behind != "" && c.due(behind, time.Now()):
			n.log.Info("the cluster version rises once all members run a program that knows a newer one",
				"version", n.machine.Version(), "known-here", n.cfg.knows, "missing", behind)
		}
	}
}

// raiseOnce raises the version as far as all members know; to is 0 and behind says who
// does not know more than the cluster has where that is not further.
func (n *Node) raiseOnce(ctx context.Context) (to uint64, behind string, err error) {
	// Asked without the lock first: one member that is away must not hold up changes of
	// membership again and again.
	if to, behind = n.commonVersion(ctx); to == 0 {
		return 0, behind, nil
	}
	if err := n.members.lock(ctx); err != nil {
		return 0, "", err
	}
	defer n.members.unlock()
	if to, behind = n.commonVersion(ctx); to == 0 {
		return 0, behind, nil
	}
	if _, ok := n.serving(); !ok {
		return 0, "", nil
	}
	err = n.logSystem(ctx, system.ClusterVersion(to))
	var moved *system.NotLeaderError
	if errors.As(err, &moved) || errors.Is(err, system.ErrNoLeader) {
		return 0, "", nil // its successor does it
	}
	if err != nil {
		return 0, "", err
	}
	return to, "", nil
}

// commonVersion asks all members, whether they vote or not, and whether their join is
// done or not, what they know just now. It returns the newest version that all of them
// know, 0 if the cluster is there already, and then who holds it up, if anybody does.
func (n *Node) commonVersion(ctx context.Context) (to uint64, behind string) {
	ctx, cancel := context.WithTimeout(ctx, roundWait)
	defer cancel()
	var (
		ids   = n.everybody()
		knows = make([]uint64, len(ids))
		heard = make([]bool, len(ids))
		wg    sync.WaitGroup
	)
	for i, id := range ids {
		wg.Go(func() {
			p, err := n.askProgress(ctx, id)
			knows[i], heard[i] = p.Knows, err == nil
		})
	}
	wg.Wait()
	have := n.machine.Version()
	to = n.cfg.knows
	var names []string
	for i, id := range ids {
		to = min(to, knows[i])
		switch {
		case !heard[i]:
			names = append(names, id+" (no answer)")
		case knows[i] == 0:
			names = append(names, id+" (does not say)")
		case knows[i] <= have:
			names = append(names, fmt.Sprintf("%s (knows %d)", id, knows[i]))
		}
	}
	if to <= have {
		return 0, strings.Join(names, ", ")
	}
	return to, ""
}

// everybody are the ids of all members: those in the configuration, and those that were
// logged as members and are on their way into it, or out.
func (n *Node) everybody() []string {
	var ids []string
	for _, s := range n.servers() {
		ids = append(ids, string(s.ID))
	}
	for _, m := range n.machine.Members() {
		ids = append(ids, m.ID)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// tooOld refuses a cluster whose version this node's program does not know.
func (n *Node) tooOld(cluster uint64) error {
	if cluster <= n.cfg.knows {
		return nil
	}
	return refusedForGood("%s runs a version of raftkv that knows cluster versions up to %d, and the cluster is at %d: start it with the version that the members run", n.cfg.NodeID, n.cfg.knows, cluster)
}

// withWayOut adds to the error of a program that met what a newer one wrote what to do.
func withWayOut(err error) error {
	if fsm.Newer(err) {
		return fmt.Errorf("%w; start this node with the version of raftkv that wrote it, or a newer one", err)
	}
	return err
}
