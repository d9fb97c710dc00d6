package cluster

import (
	"context"
	"io"
	"time"
)

const (
	// restShare is how many times as long as it worked a paced writer rests: it takes
	// a fifth of a core, and of the disk.
	restShare = 4
	// workStretch is what it works at a time at least: a rest is a millisecond at least,
	// so shorter stretches would take it ten times as long.
	workStretch = 250 * time.Microsecond
	// longestRest bounds a rest: where the disk stood still, there is no need to stand
	// still for four times as long again.
	longestRest = 100 * time.Millisecond
)

// paced is a writer of much that nobody waits for, or one who can (SAVE), beside clients
// that do: after each stretch of work, making what is written included, it rests. Where the machine is busy
// a stretch takes longer, and so does the rest. It fails once ctx has ended.
type paced struct {
	ctx  context.Context
	w    io.Writer
	now  func() time.Time
	rest func(context.Context, time.Duration)
	// haste, from 0 to 1, is how much of the rest is left out; nil is always 0.
	haste func() float64

	began time.Time // the present stretch
}

func newPaced(ctx context.Context, w io.Writer, haste func() float64) *paced {
	return &paced{ctx: ctx, w: w, now: time.Now, rest: pause, haste: haste, began: time.Now()}
}

func (p *paced) Write(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := p.w.Write(b)
	if worked := p.now().Sub(p.began); worked >= workStretch {
		if d := p.due(worked); d > 0 {
			p.rest(p.ctx, d)
		}
		p.began = p.now()
	}
	return n, err
}

// due is how long to rest after so much work.
func (p *paced) due(worked time.Duration) time.Duration {
	share := float64(restShare)
	if p.haste != nil {
		share *= 1 - min(1, max(0, p.haste()))
	}
	return min(longestRest, time.Duration(share*float64(worked)))
}
