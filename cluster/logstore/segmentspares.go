package logstore

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// spares makes segments before they are needed, in a goroutine of its own, which
// also makes the note durable when the log is idle.
type spares struct {
	disk files
	dir  string
	size int64 // of a segment
	note *tailNote
	// waste may hold disk space that is needed.
	waste *disposal

	mu     sync.Mutex // held while a segment is made
	ready  []*segment // the oldest first; guarded by mu
	newest uint64     // guarded by mu

	wake, quit chan struct{}
	ended      sync.WaitGroup
	stopOnce   sync.Once
}

// start runs the goroutine; failed is told of errors after which nothing may be
// written any more.
func (p *spares) start(failed func(error)) {
	p.wake, p.quit = make(chan struct{}, 1), make(chan struct{})
	p.wake <- struct{}{}
	p.ended.Go(func() { p.run(failed) })
}

// stop ends it and waits.
func (p *spares) stop() {
	if p.quit == nil {
		return
	}
	p.stopOnce.Do(func() { close(p.quit) })
	p.ended.Wait()
}

func (p *spares) run(failed func(error)) {
	idle := time.NewTicker(idlePause)
	defer idle.Stop()
	var seen position
	for {
		select {
		case <-p.quit:
			return
		case <-p.wake:
			if err := p.prepare(); err != nil && errors.Is(err, ErrWriteFailed) {
				failed(err)
			}
		case <-idle.C:
			at, durable := p.note.now()
			if at == seen && !durable {
				if err := p.note.sync(); err != nil {
					failed(err)
				}
			}
			seen = at
		}
	}
}

// prepare makes a segment if none is ready. An error that is not ErrWriteFailed
// has no effect: the next append that needs a segment tries again.
func (p *spares) prepare() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ready) > 0 {
		return nil
	}
	return p.makeSize(p.size)
}

// take returns a segment that is ready for use and has at least that size.
func (p *spares) take(need int64) (*segment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ready) == 0 {
		if err := p.make(need); err != nil {
			return nil, err
		}
	}
	seg := p.ready[0]
	if seg.size < need {
		if err := p.grow(seg, need); err != nil {
			return nil, err
		}
	}
	p.ready = slices.Delete(p.ready, 0, 1)
	if p.wake != nil {
		select {
		case p.wake <- struct{}{}:
		default: // it is awake
		}
	}
	return seg, nil
}

// make makes a segment, a small one if the disk has no room for more.
func (p *spares) make(need int64) error {
	size := p.size
	if need > size {
		size = roundUp(need)
	}
	err := p.makeSize(size)
	if errors.Is(err, ErrNoSpace) && p.waste.finish() {
		err = p.makeSize(size)
	}
	if small := roundUp(need); errors.Is(err, ErrNoSpace) && small < size {
		err = p.makeSize(small)
	}
	return err
}

// makeSize makes a segment of that size. p.mu is held.
func (p *spares) makeSize(size int64) error {
	seg, err := makeSegment(p.disk, p.dir, headOf{id: p.newest + 1, size: size, who: p.note.who})
	if err != nil {
		return spaceless(p.dir, err)
	}
	if err := p.note.setNewest(seg.id); err != nil {
		return errors.Join(fmt.Errorf("%s: %w: %w", p.note.path, ErrWriteFailed, err), seg.file.Close())
	}
	p.newest = seg.id
	p.ready = append(p.ready, seg)
	return nil
}

// grow makes a prepared segment larger. p.mu is held.
func (p *spares) grow(seg *segment, need int64) error {
	err, doubtful := seg.grow(p.note.who, roundUp(need))
	if doubtful {
		return fmt.Errorf("%s: %w", seg.path, reasonOf(err))
	}
	return spaceless(seg.path, err)
}

// bytes is what the prepared segments take up.
func (p *spares) bytes() (size int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, seg := range p.ready {
		size += seg.size
	}
	return size
}

func roundUp(size int64) int64 { return (size + segmentStep - 1) / segmentStep * segmentStep }
