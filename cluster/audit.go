package cluster

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
)

const (
	// auditGrace is how much longer than the leader itself the others may take for
	// their digests, besides a multiple of its time.
	auditGrace    = 10 * time.Second
	auditPatience = 4
)

// marks returns the audits and rebuilds that an entry names. What is replayed after a
// start is past.
func (n *Node) marks(l *raft.Log, b *entry.Batch) []mark {
	var found []mark
	for i := range b.Proposals {
		p := &b.Proposals[i]
		for j := range p.Commands {
			if !p.System {
				break
			}
			if nonce, rebuild, ok := system.AuditMark(&p.Commands[j]); ok {
				found = append(found, mark{nonce, rebuild})
			}
		}
	}
	if l.Index <= n.boot.Load() {
		return nil
	}
	return found
}

// lower notes that the log has lost its entries from an index on: what is applied
// there from now on is new.
func (n *Node) lower(from uint64) {
	for old := n.boot.Load(); from > 0 && from <= old && !n.boot.CompareAndSwap(old, from-1); old = n.boot.Load() {
	}
}

// mark is one Audit command of an entry.
type mark struct{ nonce, rebuild string }

// reach does what a mark asks for once its entry is applied, before anything else
// is.
func (n *Node) reach(m mark) {
	if m.rebuild == "" {
		n.audits.take(m.nonce, n.machine.Snapshot())
	} else {
		n.spools.reach(m.nonce)
	}
}

// digestRequest asks a node for the digest of its state at a place in the log.
type digestRequest struct {
	Nonce string
	Index uint64
}

// digestReply is the answer. Form is fsm.DigestForm of the program that made it.
type digestReply struct {
	Form int
	Sum  string
}

// ruling tells a node how an audit ended.
type ruling struct {
	Report   system.AuditReport
	Majority bool // most voters have the digest that is called right
}

// handleAudits sets the handlers of audits and rebuilds.
func (n *Node) handleAudits() {
	handle(n, kindAudit, false, func(ctx context.Context, _ *struct{}) (any, error) { return n.auditHere(ctx) })
	handle(n, kindDigest, false, func(ctx context.Context, r *digestRequest) (any, error) {
		d, err := n.audits.await(ctx, r.Nonce, r.Index)
		if err != nil {
			return nil, err
		}
		return digestReply{fsm.DigestForm, d.sum}, nil
	})
	handle(n, kindRuling, false, func(_ context.Context, r *ruling) (any, error) { return struct{}{}, n.heed(*r) })
	handle(n, kindRebuild, false, func(ctx context.Context, _ *struct{}) (any, error) { return struct{}{}, n.rebuildHere(ctx) })
	handle(n, kindSpool, false, func(ctx context.Context, r *spoolRequest) (any, error) { return n.spoolHere(ctx, *r) })
	n.trans.Handle(kindChunk, false, n.answerChunk)
}

// Audit compares the states of all members at one place in the log; see
// server.Replicator.
func (n *Node) Audit(ctx context.Context) (report system.AuditReport, err error) {
	if n.state.Load().State == pristine {
		return report, refusedf("%s is alone and nothing was written; there is nothing to compare", n.cfg.NodeID)
	}
	if err := n.gone(); err != nil {
		return report, err
	}
	err = n.askLeader(ctx, request{kind: kindAudit, answer: &report}, func(ctx context.Context) (err error) {
		report, err = n.auditHere(ctx)
		return err
	})
	return report, err
}

// auditHere runs an audit, on the leader.
func (n *Node) auditHere(ctx context.Context) (system.AuditReport, error) {
	select {
	case n.audits.turn <- struct{}{}:
		defer func() { <-n.audits.turn }()
	case <-ctx.Done():
		return system.AuditReport{}, refusedf("another audit is under way")
	}
	term, ok := n.serving()
	if !ok {
		return system.AuditReport{}, system.ErrNoLeader
	}
	nonce := crand.Text()
	if err := n.logMark(ctx, nonce, ""); err != nil {
		return system.AuditReport{}, err
	}
	own := n.audits.find(nonce)
	if own == nil { // an entry that was cut off from this node's log before it led stood there
		return system.AuditReport{}, refusedf("the audit was not finished: %v; run it again", errNoDigest)
	}
	answers, err := n.collect(ctx, own)
	if err != nil {
		return system.AuditReport{}, refusedf("the audit was not finished: %v; run it again", err)
	}
	if now, ok := n.serving(); !ok || now != term {
		return system.AuditReport{}, system.ErrNoLeader
	}
	r := judge(n.cfg.NodeID, answers)
	r.Report.Index, r.Report.Time = own.index, time.Now().Unix()
	n.tell(ctx, r)
	return r.Report, nil
}

// logMark logs an Audit command, on the leader.
func (n *Node) logMark(ctx context.Context, nonce, rebuild string) error {
	err := n.logSystem(ctx, system.Audit(nonce, rebuild))
	var moved *system.NotLeaderError
	if errors.As(err, &moved) {
		return system.ErrNoLeader // who asks finds the new one
	}
	return err
}

// digestAnswer is one member's digest, as far as the leader came to know it.
type digestAnswer struct {
	id    string
	voter bool
	sum   string // empty where unknown
}

// collect asks all members of the latest configuration for their digests. It gives
// the others some time more than this node takes itself for its own.
func (n *Node) collect(ctx context.Context, own *digest) ([]digestAnswer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	began := time.Now()
	servers := n.servers()
	answers := make([]digestAnswer, len(servers))
	var others sync.WaitGroup
	for i, s := range servers {
		a := &answers[i]
		a.id, a.voter = string(s.ID), s.Suffrage == raft.Voter
		if a.id == n.cfg.NodeID {
			continue
		}
		others.Go(func() {
			var err error
			if a.sum, err = n.askDigest(ctx, a.id, own); err != nil {
				n.log.Info("no digest for an audit", "from", a.id, "index", own.index, "error", err)
			}
		})
	}
	made, err := n.audits.await(ctx, own.nonce, own.index)
	if err == nil {
		late := time.AfterFunc(auditGrace+auditPatience*time.Since(began), cancel)
		defer late.Stop()
	} else {
		cancel()
	}
	others.Wait()
	for i := range answers {
		if answers[i].id == n.cfg.NodeID && err == nil {
			answers[i].sum = made.sum
		}
	}
	return answers, err
}

// askDigest asks a node for its digest of the place that one of this node's is of.
func (n *Node) askDigest(ctx context.Context, id string, own *digest) (string, error) {
	var r digestReply
	err := n.ask(ctx, id, request{kind: kindDigest, body: digestRequest{own.nonce, own.index}, answer: &r})
	switch {
	case err != nil:
		return "", err
	case r.Form != fsm.DigestForm:
		return "", fmt.Errorf("its program makes digests of form %d, this one of form %d", r.Form, fsm.DigestForm)
	}
	return r.Sum, nil
}

// judge says who differs. Right is the digest that a majority of the voters holds.
// Where none has one though all were heard, the leader's counts: its replies are
// what clients have seen. Where one was not heard, it might make a majority against
// the leader, so nobody differs: it is undecided.
func judge(leader string, answers []digestAnswer) ruling {
	held, voters := map[string]int{}, 0
	for _, a := range answers {
		if a.voter {
			voters++
			held[a.sum]++
		}
	}
	var r ruling
	for _, a := range answers {
		if a.id == leader && !r.Majority {
			r.Report.Digest = a.sum
		}
		if a.sum != "" && held[a.sum] > voters/2 {
			r.Report.Digest, r.Majority = a.sum, true
		}
	}
	compare(&r.Report, answers)
	if r.Report.Verdict == system.AuditDiffers && !r.Majority && held[""] > 0 {
		r.Report = undecided(r.Report)
	}
	return r
}

// compare gives every node its verdict, and the cluster its own.
func compare(r *system.AuditReport, answers []digestAnswer) {
	r.Verdict = system.AuditOK
	for _, a := range answers {
		d := system.NodeDigest{ID: a.id, Digest: a.sum, Verdict: system.AuditOK}
		switch {
		case a.sum == "":
			d.Verdict = system.AuditUnknown
			if r.Verdict == system.AuditOK {
				r.Verdict = system.AuditIncomplete
			}
		case a.sum != r.Digest:
			d.Verdict, r.Verdict = system.AuditDiffers, system.AuditDiffers
		}
		r.Nodes = append(r.Nodes, d)
	}
	slices.SortFunc(r.Nodes, func(a, b system.NodeDigest) int { return strings.Compare(a.ID, b.ID) })
}

// undecided takes back what a report says of those that answered.
func undecided(r system.AuditReport) system.AuditReport {
	r.Digest, r.Verdict = "", system.AuditUndecided
	for i := range r.Nodes {
		if d := &r.Nodes[i]; d.Verdict != system.AuditUnknown {
			d.Verdict = system.AuditUndecided
		}
	}
	return r
}

// tell has every member that answered know the outcome; one that differs has it on
// its disk when this returns, or the log here says that it was not told. This node
// comes last, for it may lead no more then.
func (n *Node) tell(ctx context.Context, r ruling) {
	ctx, cancel := context.WithTimeout(ctx, adminWait)
	defer cancel()
	if r.Report.Verdict == system.AuditUndecided {
		n.log.Error("AUDIT: STATES DIFFER, and no majority of the voters says which is right; get the missing voters to answer, and audit again", "index", r.Report.Index, "digests", r.Report.Nodes)
	}
	var told sync.WaitGroup
	for _, d := range r.Report.Nodes {
		if d.Verdict == system.AuditDiffers {
			n.log.Error("AUDIT: A NODE HAS DIVERGED; RAFT.REBUILD replaces its state", "diverged", d.ID, "index", r.Report.Index, "digest", d.Digest, "right", r.Report.Digest)
		}
		if d.ID == n.cfg.NodeID || d.Verdict == system.AuditUnknown {
			continue
		}
		told.Go(func() {
			if err := n.ask(ctx, d.ID, request{kind: kindRuling, body: r}); err != nil {
				n.log.Error("a node was not told how an audit ended", "untold", d.ID, "verdict", d.Verdict, "error", err)
			}
		})
	}
	told.Wait()
	if err := n.heed(r); err != nil {
		n.log.Error("how an audit ended for this node is not on its disk", "error", err)
	}
}

// heed takes note of how an audit ended: a node whose state is not the right one
// serves no more, and one with the state of most voters does. It goes by what the
// ruling says of this node, which may have restarted since it made its digest.
func (n *Node) heed(r ruling) error {
	n.audits.note(r.Report)
	for _, d := range r.Report.Nodes {
		switch {
		case d.ID != n.cfg.NodeID:
		case d.Verdict == system.AuditDiffers:
			return n.diverged.set(divergence{Index: r.Report.Index, Digest: d.Digest, Right: r.Report.Digest, Found: time.Now().Unix()})
		case d.Verdict == system.AuditOK && r.Majority:
			return n.diverged.acquit(r.Report.Index)
		}
	}
	return nil
}

// auditNowAndThen runs audits by itself, on the leader, at the interval of the
// configuration, give or take a tenth so that several clusters do not fall into step.
func (n *Node) auditNowAndThen() {
	interval := n.cfg.AuditInterval
	for interval > 0 {
		pause(n.ctx, interval-interval/10+rand.N(interval/5+1))
		if n.ctx.Err() != nil {
			return
		}
		last := time.Unix(n.audits.report().Time, 0)
		if _, ok := n.serving(); !ok || len(n.audits.turn) > 0 || time.Since(last) < interval/2 {
			continue
		}
		ctx, cancel := context.WithTimeout(n.ctx, max(interval, time.Minute))
		report, err := n.auditHere(ctx)
		cancel()
		if err != nil {
			n.log.Warn("audit", "error", err)
			continue
		}
		n.log.Info("audit", "index", report.Index, "verdict", report.Verdict, "digest", report.Digest)
	}
}
