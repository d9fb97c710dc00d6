package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/cluster/transport"
	"github.com/raftkv/raftkv/fsm/system"
)

func refusedf(format string, args ...any) error {
	return &system.RefusedError{Reason: fmt.Sprintf(format, args...)}
}

// refusedForGood is a refusal that stands however often it is asked again.
func refusedForGood(format string, args ...any) error {
	return &system.RefusedError{Reason: fmt.Sprintf(format, args...), Final: true}
}

// pledgeRequest asks a node to belong to a cluster.
type pledgeRequest struct {
	Cluster string
	Inviter string   // id of the node that asks
	ID      string   // id that the asked node is expected to have
	Seeds   []string // Raft addresses of members
	// Known: the id is in the configuration already, so a node that is still
	// pristine has lost its data and must not be taken for the old one.
	Known bool
	// Learner: it is to stay without a vote, should it have to ask again.
	Learner bool
	// Version is the cluster's.
	Version uint64
}

// pledge is the answer to a pledgeRequest: the durable promise to belong to that
// cluster and never to found one. It can be repeated.
func (n *Node) pledge(r pledgeRequest) (system.Member, error) {
	if err := n.tooOld(r.Version); err != nil {
		return system.Member{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	id := n.dir.id
	switch {
	case n.ctx.Err() != nil:
		return system.Member{}, system.ErrShutdown
	case r.ID != id.NodeID:
		return system.Member{}, refusedf("the node at that address is %q, not %q", id.NodeID, r.ID)
	case id.State != pristine && id.Cluster != r.Cluster:
		return system.Member{}, refusedForGood("%s already holds cluster %s; POST /join there", id.NodeID, id.Cluster)
	case id.State == left:
		return system.Member{}, refusedf("%s has left this cluster; start it with a fresh --data-dir and a new --node-id", id.NodeID)
	case id.State == founded || id.State == pledged:
		n.pledges.Add(1)
		return n.self(), nil
	case r.Known:
		return system.Member{}, refusedForGood("node id %q is in use by a member, and the node that asks under it has no data: start it with another --node-id; if the member is lost, remove it with RAFT.LEAVE %s", r.ID, r.ID)
	case n.inviting != "" && (n.inviting != r.Inviter || id.NodeID < r.Inviter):
		return system.Member{}, refusedf("%s is inviting a node itself; of two that invite each other the smaller id wins", id.NodeID)
	}
	id.State, id.Cluster, id.Seeds, id.Learner, id.Inviter = pledged, r.Cluster, r.Seeds, r.Learner, r.Inviter
	if err := n.step(id); err != nil {
		return system.Member{}, err
	}
	n.pledges.Add(1)
	n.log.Info("pledged to a cluster", "cluster", r.Cluster, "inviter", r.Inviter)
	if err := n.startRaft(); err != nil {
		n.fail(err)
		return system.Member{}, err
	}
	return n.self(), nil
}

// Join adds a node for an operator; see server.Replicator.
func (n *Node) Join(ctx context.Context, r system.JoinRequest) error {
	return n.admit(ctx, admission{r, false})
}

// admit has the leader add a node.
func (n *Node) admit(ctx context.Context, r admission) error {
	if err := system.CheckNodeID(r.ID); err != nil {
		return refusedForGood("%v", err)
	}
	if host, port, err := net.SplitHostPort(r.Raft); err != nil || host == "" || port == "" || port == "0" {
		return refusedf("bad Raft address %q: host:port is needed", r.Raft)
	}
	kind := kindInvite
	if r.asked {
		kind = kindJoin
	}
	return n.atLeader(ctx, kind, r.JoinRequest, func(ctx context.Context) error { return n.joinHere(ctx, r) })
}

// answerJoin serves a node that asks for admission, or a member that passes on a
// request. A fresh node that wants to join another cluster itself invites only
// one that it asked in turn, and only if its own id is the smaller.
func (n *Node) answerJoin(ctx context.Context, r system.JoinRequest) error {
	if n.state.Load().State == pristine && len(n.cfg.Join) > 0 {
		if !slices.Contains(n.cfg.Join, r.Raft) || r.ID < n.cfg.NodeID {
			return refusedf("%s is itself waiting to join a cluster", n.cfg.NodeID)
		}
	}
	return n.admit(ctx, admission{r, true})
}

// joinHere adds a node, on the leader: pledge, learner, voter once it has caught
// up. Each step can be repeated, and the last is the reconciler's, so that a
// leader that dies half way leaves nothing that the next does not finish.
func (n *Node) joinHere(ctx context.Context, r admission) error {
	if err := n.addLearner(ctx, r); err != nil || r.Learner {
		return err
	}
	return n.awaitVoter(ctx, r.ID)
}

// mayChange refuses a change of membership where the disk has no room for it: the
// library works by a configuration that it could not store.
func (n *Node) mayChange() error {
	if n.disk.isShort() {
		return refusedf("the disk of the leader, %s, is nearly full: make space first", n.cfg.NodeID)
	}
	return nil
}

// turn is a lock that is not waited for beyond a context's end.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) lock(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) unlock() { <-t }

// addLearner takes a node's pledge and adds it without a vote.
func (n *Node) addLearner(ctx context.Context, r admission) error {
	if err := n.members.lock(ctx); err != nil {
		return err
	}
	defer n.members.unlock()
	if err := n.mayChange(); err != nil {
		return err
	}
	servers := n.servers()
	at := slices.IndexFunc(servers, func(s raft.Server) bool { return string(s.ID) == r.ID })
	if r.ID == n.cfg.NodeID {
		return refusedForGood("node id %q is in use by the node at %s; start the new one with another --node-id", r.ID, n.trans.Addr())
	}
	if at >= 0 && servers[at].Suffrage == raft.Voter && r.Learner {
		return refusedf("%s is a voter already", r.ID)
	}
	if _, gone := n.machine.Departure(r.ID); gone {
		return refusedForGood("%s", system.IDIsSpent(r.ID))
	}
	// A member that is in no configuration is one whose join was cut off.
	known, ok := n.machine.Member(r.ID)
	if err := n.checkToken(r, at >= 0 || ok); err != nil {
		return err
	}
	m, err := n.invite(ctx, r.JoinRequest, at >= 0 || ok)
	if err != nil {
		return err
	}
	if ok && known.Dir != "" && known.Dir != m.Dir {
		return refusedForGood("node id %q is in use by another node, at %s; start this one with a fresh --data-dir and another --node-id; if the other is lost, remove it with RAFT.LEAVE %s", r.ID, known.Raft, r.ID)
	}
	for _, other := range n.machine.Members() {
		in := slices.ContainsFunc(servers, func(s raft.Server) bool { return string(s.ID) == other.ID })
		if in && other.ID != m.ID && other.Raft == m.Raft {
			return refusedf("address %s is in use by member %s", m.Raft, other.ID)
		}
	}
	m.Learner = r.Learner
	n.book.learn(m.ID, m.Raft)
	if err := n.logSystem(ctx, n.joinEntry(r, m)); err != nil {
		return err
	}
	if at < 0 {
		library := n.raft.Load()
		if err := membershipError(library.ask(func() raft.Future {
			return library.AddNonvoter(raft.ServerID(m.ID), raft.ServerAddress(m.ID), 0, adminWait)
		})); err != nil {
			return err
		}
		n.log.Info("node added as learner", "node", m.ID, "raft", m.Raft)
	}
	return nil
}

// invite gets the pledge of the node at an address. A pristine inviter founds its
// cluster after it has the pledge, so that a refusal leaves it pristine.
func (n *Node) invite(ctx context.Context, r system.JoinRequest, known bool) (m system.Member, err error) {
	ctx, cancel := context.WithTimeout(ctx, adminWait)
	defer cancel()
	n.mu.Lock()
	id := n.dir.id
	fresh := id.State == pristine
	if fresh {
		n.inviting = r.ID
	}
	n.mu.Unlock()
	cluster := id.Cluster
	if fresh {
		cluster = id.UUID
	}
	err = n.askAddr(ctx, r.Raft, request{kind: kindPledge, answer: &m, body: pledgeRequest{
		Cluster: cluster, Inviter: n.cfg.NodeID, ID: r.ID, Known: known, Learner: r.Learner, Version: n.version(),
		Seeds: append(n.book.addresses(r.ID), n.trans.Addr()),
	}})
	if fresh {
		defer func() {
			n.mu.Lock()
			n.inviting = ""
			n.mu.Unlock()
		}()
	}
	var refused *system.RefusedError
	switch {
	case errors.As(err, &refused):
		return m, err
	case errors.Is(err, transport.ErrSelf):
		return m, refusedf("the node at that address is %q, not %q", n.cfg.NodeID, r.ID)
	case err != nil:
		return m, refusedf("cannot reach node %s at %s: %v", r.ID, r.Raft, err)
	case !fresh:
		return m, nil
	}
	if err := n.found(); err != nil {
		return m, err
	}
	if n.state.Load().State != founded {
		return m, refusedf("%s has joined another cluster meanwhile", n.cfg.NodeID)
	}
	return m, n.awaitServing(ctx)
}

// awaitServing waits until this node leads and is ready.
func (n *Node) awaitServing(ctx context.Context) error {
	for {
		changed := n.changed.C()
		if _, ok := n.serving(); ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return system.ErrNoLeader
		}
	}
}

// awaitVoter waits until a node votes.
func (n *Node) awaitVoter(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*adminWait)
	defer cancel()
	for {
		servers := n.servers()
		for _, s := range servers {
			if string(s.ID) == id && s.Suffrage == raft.Voter {
				return nil
			}
		}
		if _, ok := n.serving(); !ok {
			return system.ErrNoLeader
		}
		if ctx.Err() != nil {
			return refusedf("%s is a learner now and will vote once it has caught up", id)
		}
		pause(ctx, retryPause)
	}
}

// reconcile finishes on the leader what another may have begun: it makes voters of
// members that are to vote and have caught up, and takes those that left out of the
// configuration.
func (n *Node) reconcile() {
	for n.ctx.Err() == nil {
		pause(n.ctx, 5*retryPause)
		term, ok := n.serving()
		if !ok {
			continue
		}
		for _, s := range n.servers() {
			if _, gone := n.machine.Departure(string(s.ID)); gone {
				n.finishLeaving(string(s.ID))
			} else if n.promotable(s) && n.caughtUp(string(s.ID), term) {
				n.promote(s.ID)
			}
		}
	}
}

// finishLeaving takes a node that has left out of the configuration.
func (n *Node) finishLeaving(id string) {
	ctx, cancel := context.WithTimeout(n.ctx, adminWait)
	defer cancel()
	if id == n.cfg.NodeID { // its successor does it
		if err := n.transferLeadership(ctx, ""); err != nil {
			n.log.Warn("this node was removed and cannot hand leadership over", "error", err)
			pause(n.ctx, time.Second)
		}
		return
	}
	if n.members.lock(ctx) != nil {
		return
	}
	defer n.members.unlock()
	if !n.configured(id) {
		return
	}
	if err := n.takeOut(ctx, id); err != nil {
		n.log.Warn("removed node still in the configuration", "node", id, "error", err)
		pause(n.ctx, time.Second)
	}
}

// promotable reports whether a server is to vote and does not yet.
func (n *Node) promotable(s raft.Server) bool {
	m, known := n.machine.Member(string(s.ID))
	return s.Suffrage != raft.Voter && known && !m.Learner
}

// promote makes a learner a voter, unless it was removed meanwhile.
func (n *Node) promote(id raft.ServerID) {
	if n.members.lock(n.ctx) != nil {
		return
	}
	defer n.members.unlock()
	if n.mayChange() != nil {
		return // reconcile tries again
	}
	for _, s := range n.servers() {
		if s.ID != id || !n.promotable(s) {
			continue
		}
		r := n.raft.Load()
		if err := r.ask(func() raft.Future { return r.AddVoter(s.ID, s.Address, 0, adminWait) }); err != nil {
			n.log.Warn("learner not made a voter", "node", id, "error", err)
			return
		}
		n.log.Info("learner made a voter", "node", id)
		n.changed.Broadcast()
	}
}

// caughtUp asks a learner whether it has applied all but the last few entries.
func (n *Node) caughtUp(id string, term uint64) bool {
	const few = 64
	target := n.raft.Load().CommitIndex()
	ctx, cancel := context.WithTimeout(n.ctx, roundWait)
	defer cancel()
	p, err := n.askProgress(ctx, id)
	return err == nil && p.Term == term && p.Commit+few >= target
}

// Leave removes a node; see server.Replicator.
func (n *Node) Leave(ctx context.Context, id string) error {
	if id == "" {
		id = n.cfg.NodeID
	}
	if n.state.Load().State == pristine {
		return refusedf("%s is alone; there is no cluster to leave", n.cfg.NodeID)
	}
	return n.atLeader(ctx, kindLeave, target{id}, func(ctx context.Context) error { return n.leaveHere(ctx, id) })
}

// leaveHere removes a node, on the leader. A leader that is to go hands over
// first and lets its successor remove it.
func (n *Node) leaveHere(ctx context.Context, id string) error {
	if _, ok := n.serving(); !ok {
		return system.ErrNoLeader
	}
	if id == n.cfg.NodeID && n.configured(id) {
		if len(n.otherVoters()) == 0 {
			return refusedf("%s is the last voter; a cluster cannot be left without one", id)
		}
		if err := n.transferLeadership(ctx, ""); err != nil {
			return err
		}
		return n.atLeader(ctx, kindLeave, target{id}, func(context.Context) error {
			return refusedf("leadership came back to %s; try again", id)
		})
	}
	if err := n.members.lock(ctx); err != nil {
		return err
	}
	defer n.members.unlock()
	_, known := n.machine.Member(id)
	configured := n.configured(id)
	if !known && !configured {
		return refusedf("no member has the id %q", id)
	}
	if configured {
		if err := n.mayChange(); err != nil {
			return err
		}
	}
	// First its id is spent, then it goes: so a member that is in no configuration has
	// never been in one, and whoever leads finishes what was cut off (reconcile).
	if known {
		if err := n.logSystem(ctx, system.MemberLeft(id)); err != nil {
			return err
		}
	}
	if !configured { // a join that was cut off
		return nil
	}
	return n.takeOut(ctx, id)
}

// takeOut removes a node that has left from the configuration. n.members is held.
func (n *Node) takeOut(ctx context.Context, id string) error {
	if err := n.mayChange(); err != nil {
		return err
	}
	r := n.raft.Load()
	if err := membershipError(r.ask(func() raft.Future { return r.RemoveServer(raft.ServerID(id), 0, adminWait) })); err != nil {
		return err
	}
	n.log.Info("node removed", "node", id)
	// The node is told on the way out. If it is down it does no harm, having no vote,
	// and hears of it when it asks its way back (announceHere).
	tell, cancel := context.WithTimeout(ctx, roundWait)
	defer cancel()
	if err := n.ask(tell, id, request{kind: kindRemoved, body: n.outlook()}); err != nil {
		n.log.Warn("removed node not told", "node", id, "error", err)
	}
	return nil
}

// fits reports whether the node of that id has that data directory, for all that is
// known here. Once one is known it is no other, for an id is used once.
func (n *Node) fits(id, dir string) bool {
	if m, ok := n.member(id); ok {
		return m.Dir == "" || m.Dir == dir
	}
	gone, ok := n.machine.Departure(id)
	return !ok || gone.Dir == "" || gone.Dir == dir
}

// Transfer hands leadership to another voter; see server.Replicator.
func (n *Node) Transfer(ctx context.Context, id string) error {
	if n.state.Load().State == pristine {
		return refusedf("%s is alone; there is no other voter", n.cfg.NodeID)
	}
	return n.atLeader(ctx, kindTransfer, target{id}, func(ctx context.Context) error { return n.transferHere(ctx, id) })
}

func (n *Node) transferHere(ctx context.Context, id string) error {
	if _, ok := n.serving(); !ok {
		return system.ErrNoLeader
	}
	others := n.otherVoters()
	switch {
	case id == n.cfg.NodeID:
		return nil
	case len(others) == 0:
		return refusedf("%s is the only voter", n.cfg.NodeID)
	case id != "" && !slices.Contains(others, id):
		return refusedf("no voter has the id %q", id)
	}
	if id != "" {
		if p, err := n.askProgress(ctx, id); err == nil && p.Diverged {
			return refusedf("the state of %s differs from the others'; rebuild it first with RAFT.REBUILD %s", id, id)
		}
	}
	return n.transferLeadership(ctx, id)
}

// transferLeadership hands leadership to a voter, to the fittest if none is named:
// it holds back new entries, waits for the one on its way, hands over, and returns
// once the new leader is known. What waited is then redirected, and nothing was
// left in doubt.
func (n *Node) transferLeadership(ctx context.Context, id string) error {
	if err := n.members.lock(ctx); err != nil {
		return err
	}
	defer n.members.unlock()
	if id == "" { // asked before anything is held up: one of the voters may not answer
		id, _ = n.fittest(ctx)
	}
	if id == "" {
		return refusedf("leadership not transferred: no voter answers that may lead")
	}
	n.held.Store(true)
	defer func() {
		n.held.Store(false)
		n.changed.Broadcast()
	}()
	for n.flight.Load() != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		pause(ctx, time.Millisecond)
	}
	r := n.raft.Load()
	if err := r.ask(func() raft.Future {
		return r.LeadershipTransferToServer(raft.ServerID(id), raft.ServerAddress(id))
	}); err != nil {
		return refusedf("leadership not transferred: %v", err)
	}
	wait, cancel := context.WithTimeout(ctx, n.cfg.LeaderWait)
	defer cancel()
	for wait.Err() == nil {
		changed := n.changed.C()
		if _, _, ok := n.Leader(); ok && r.State() != raft.Leader {
			return nil
		}
		select {
		case <-changed:
		case <-wait.Done():
		}
	}
	return nil
}

// membershipError turns the library's errors of a change of membership into ours.
func membershipError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader):
		return system.ErrNoLeader
	case errors.Is(err, raft.ErrLeadershipLost), errors.Is(err, raft.ErrRaftShutdown):
		return system.ErrUnknownOutcome
	}
	return refusedf("membership not changed: %v", err)
}
