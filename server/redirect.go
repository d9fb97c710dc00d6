package server

import (
	"errors"
	"net"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// barrier is a read barrier that the reads of one segment share: all of them
// came before it.
type barrier struct {
	done bool
	now  int64
	err  error
}

// read answers a segment without writes on the leader.
func (g *segment) read(ps []system.Proposal) {
	now, err := g.s.srv.rep.ReadBarrier(g.s.ctx)
	if err != nil {
		g.s.refused = err
		g.replies(func(it *item) { g.refuse(it, err) })
		return
	}
	if g.outdated() {
		g.now = barrier{done: true, now: now}
		g.replies(g.readHere)
		return
	}
	g.replies(func(it *item) {
		switch {
		case it.prop < 0:
			g.exec(it, nil)
		case it.txn != nil:
			g.readTransaction(it, &ps[it.prop].Proposal, now)
		case it.last:
			if err := g.readItem(it, &ps[it.prop].Proposal, now); err != nil {
				g.eachOf(it, func(one *item) { g.refuse(one, err) })
			}
		}
	})
}

// readItem answers commands that only read, and share a proposal.
func (g *segment) readItem(it *item, p *system.Content, now int64) error {
	w := g.s.out.w
	mark := w.Mark()
	err := g.s.readAt(p, now, w)
	if err == nil {
		g.replied(it, w.Bytes()[mark:])
	}
	return err
}

// eachOf calls fn for every command of the proposal that ends with last.
func (g *segment) eachOf(last *item, fn func(one *item)) {
	for i := range g.items {
		if one := &g.items[i]; one.prop == last.prop {
			fn(one)
		}
	}
}

// readAt reads from the Machine, by a clock that a barrier gave. Where something
// is due that the log does not yet say is due, it has the log say so first.
func (s *Session) readAt(p *system.Content, now int64, w *resp.Writer) error {
	for range 3 { // once is enough, unless a snapshot was installed in between
		err := s.srv.machine.Read(p, now, w)
		if !errors.Is(err, system.ErrTickNeeded) {
			return err
		}
		if err := s.srv.rep.Tick(s.ctx, now); err != nil {
			return err
		}
	}
	return system.ErrOverloaded
}

// readTransaction answers an EXEC that changes nothing.
func (g *segment) readTransaction(it *item, p *system.Content, now int64) {
	if it.txn.own == 0 {
		if err := g.readItem(it, p, now); err != nil {
			g.refuse(it, err)
		}
		return
	}
	w := resp.NewWriter(it.proto, nil)
	if err := g.s.readAt(p, now, w); err != nil {
		g.refuse(it, err)
		return
	}
	g.replied(it, w.Bytes())
	g.exec(it, w.Bytes())
}

// refuse answers a command that was not done, or of which nobody knows. On a
// follower that is not the end for commands without keys.
func (g *segment) refuse(it *item, err error) {
	var other *system.NotLeaderError
	if errors.As(err, &other) && !g.s.remote {
		g.followItem(it, other)
		return
	}
	g.fail(it, err)
}

// fail writes an error reply, and has what comes behind in this pipeline fail too.
func (g *segment) fail(it *item, err error) {
	g.s.failure = err
	it.refused = true
	if it.decl != nil {
		g.s.rejected(it.decl)
	}
	if g.s.refused == nil && isRefusal(err) {
		g.s.refused = err
	}
	g.s.writeError(g.s.out.w, wireError(err, it, g.s))
}

// follow answers a whole segment on a node that another one leads.
func (g *segment) follow(leader system.Member) {
	other := &system.NotLeaderError{Leader: leader}
	g.replies(func(it *item) { g.refuse(it, other) })
}

// followItem answers one command on a node that another one leads: one with keys
// is moved, unless the client reads after READONLY; one without is answered here
// or forwarded, never moved.
func (g *segment) followItem(it *item, other *system.NotLeaderError) {
	_, keyed := it.firstKey()
	switch {
	case it.txn != nil && it.txn.empty():
		g.exec(it, nil)
	case it.writes() && !keyed:
		g.forward(it)
	case !it.writes() && (!keyed || g.s.readonly):
		g.readHere(it)
	default:
		g.fail(it, other)
	}
}

// readHere reads on a follower, no less linearizably than on the leader.
func (g *segment) readHere(it *item) {
	if !g.now.done {
		g.now.done = true
		g.now.now, g.now.err = g.s.srv.rep.FollowerBarrier(g.s.ctx)
	}
	if err := g.now.err; err != nil {
		var other *system.NotLeaderError
		if _, keyed := it.firstKey(); !keyed && errors.As(err, &other) {
			g.forward(it) // this node must not answer
		} else {
			g.fail(it, err)
		}
		return
	}
	if err := g.permittedStill(it); err != nil {
		g.deny(it, err)
		return
	}
	if it.txn != nil {
		p := it.txn.proposal(it.proto)
		g.readTransaction(it, &p.Proposal, g.now.now)
		return
	}
	p := system.Content{DB: it.db, Commands: []system.Command{{Args: it.args, Read: true}}}
	w := g.s.out.w
	mark := w.Mark()
	if err := g.s.readAt(&p, g.now.now, w); err != nil {
		g.fail(it, err)
	} else if reply := w.Bytes()[mark:]; mayHoldError(reply) {
		g.oneReply(it.decl, reply)
	}
}

// outdated says that the users have changed since the segment's commands were
// permitted: by what a barrier has brought, on a node that was behind.
func (g *segment) outdated() bool {
	return !g.s.remote && g.table != nil && g.s.srv.users.raw.Load() != g.table.raw
}

// permittedStill asks again whether the user may run the command, after a barrier: what
// was refused to a user anywhere before the command came is not given here.
func (g *segment) permittedStill(it *item) error {
	if !g.outdated() {
		return nil
	}
	if !g.s.refreshUser() {
		g.s.closing = true
		return resp.ErrNoAuth
	}
	if g.s.needsPassword() {
		return resp.ErrNoAuth
	}
	if it.txn == nil {
		return g.s.permitted(it.decl, it.args)
	}
	a := g.s.account
	for i := range it.txn.queue {
		q := &it.txn.queue[i]
		if q.cmd != nil {
			a = g.s.foreseeUser(a, q)
		} else if err := g.s.permittedAtExec(a, q); err != nil {
			return resp.Error("EXECABORT Transaction discarded because of: " + textOf(err))
		}
	}
	return nil
}

// deny answers a command that its user may not run. What is behind it may run.
func (g *segment) deny(it *item, err error) {
	it.refused = true
	if it.decl != nil {
		g.s.rejected(it.decl)
	}
	g.s.writeError(g.s.out.w, wireError(err, it, g.s))
}

// forward has the leader run a write without keys. What is read afterwards here
// must see it, so it needs a barrier of its own. The leader does not ask who the
// client is, so what this node knows of that must be up to date.
func (g *segment) forward(it *item) {
	var other *system.NotLeaderError // of a node that has diverged: it hears of the users all the same
	if _, err := g.s.srv.rep.FollowerBarrier(g.s.ctx); err != nil && !errors.As(err, &other) {
		g.fail(it, err)
		return
	}
	if err := g.permittedStill(it); err != nil {
		g.deny(it, err)
		return
	}
	args := it.args
	if it.txn != nil {
		args = it.txn.encode()
	}
	reply, err := g.s.srv.rep.Forward(g.s.ctx, system.Caller{DB: it.db, Proto: it.proto}, args)
	g.now = barrier{}
	switch {
	case err != nil:
		g.fail(it, err)
	case it.txn != nil:
		g.replied(it, reply)
		g.exec(it, reply)
	default:
		if mayHoldError(reply) {
			g.oneReply(it.decl, reply)
		}
		g.s.out.w.Raw(reply)
	}
}

// writes says whether the item goes into the log.
func (it *item) writes() bool {
	if it.txn != nil {
		return it.txn.writes
	}
	return it.decl.Kind == spec.Write
}

// firstKey is the key whose slot is the item's.
func (it *item) firstKey() ([]byte, bool) {
	if it.txn != nil {
		return it.txn.firstKey, it.txn.keyed
	}
	return spec.FirstKey(it.decl, it.args)
}

// endpoint returns the address at which the session's client can reach a member.
// An announced wildcard is no address: the member's Raft address names its
// machine then. An empty host tells the client to keep the one it uses.
func (s *Session) endpoint(m system.Member) (host string, port int) {
	host, port = hostPort(m.RESP)
	if isWildcard(host) {
		if host, _ = hostPort(m.Raft); isWildcard(host) {
			host = ""
		}
	}
	if host == "" && s.conn != nil && m.ID == s.srv.opts.NodeID {
		host, _, _ = net.SplitHostPort(s.about.local)
	}
	return host, port
}

func isWildcard(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || host == "*" || ip != nil && ip.IsUnspecified()
}
