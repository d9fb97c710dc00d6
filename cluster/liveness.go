package cluster

import (
	"context"
	"sync"
	"time"
)

// liveness is what this node knows of who answers it. It is asked often, by every
// CLUSTER SLOTS, and so never waits: a loop of its own asks the other members.
type liveness struct {
	mu       sync.Mutex
	answered map[string]time.Time // guarded by mu: when a member last answered; without those that are gone
	odd      map[string]Network   // guarded by mu: of members that run with other timeouts, which they said last
}

const (
	livenessPause = 250 * time.Millisecond // between two rounds of questions
	livenessAsk   = 500 * time.Millisecond // for one answer
	// livenessLasts is how long one answer counts, where nothing says that the
	// member is gone: two answers may be late.
	livenessLasts = 2 * time.Second
)

// watch asks the other members again and again whether they are there.
func (l *liveness) watch(n *Node) {
	for n.ctx.Err() == nil {
		l.round(n)
		pause(n.ctx, livenessPause)
	}
}

// round asks all of them at once.
func (l *liveness) round(n *Node) {
	ctx, cancel := context.WithTimeout(n.ctx, livenessAsk)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range n.servers() {
		if id := string(s.ID); id != n.cfg.NodeID {
			wg.Go(func() {
				p, err := n.askProgress(ctx, id)
				if err == nil && l.differs(id, p.Network, n.cfg.Network) {
					n.log.Warn("a member runs with another --network; give all of them the same, or leaders may change without need",
						"member", id, "network", p.Network, "here", n.cfg.Network)
				}
				// One that has diverged answers, but serves nobody.
				l.note(id, err == nil && !p.Diverged, err != nil && ctx.Err() != nil)
			})
		}
	}
	wg.Wait()
}

// note takes up an answer, or that there was none: a connection that is refused
// or ends tells at once that the member is gone, silence only after a while.
func (l *liveness) note(id string, answered, silent bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case answered:
		if l.answered == nil {
			l.answered = make(map[string]time.Time)
		}
		l.answered[id] = time.Now()
	case !silent:
		delete(l.answered, id)
	}
}

// differs reports that a member runs with the timeouts of another network than this
// node, when that is news. An older version does not say.
func (l *liveness) differs(id string, its, ours Network) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if its == ours || its == "" {
		delete(l.odd, id)
		return false
	}
	if l.odd == nil {
		l.odd = make(map[string]Network)
	}
	was := l.odd[id]
	l.odd[id] = its
	return was != its
}

// alive says whether a member answered lately.
func (l *liveness) alive(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.answered[id]
	return ok && time.Since(at) < livenessLasts
}
