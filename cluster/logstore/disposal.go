package logstore

import (
	"errors"
	"sync"
	"time"
)

const (
	// disposalStep is what is cut off a file at once. Behind it the disk is left alone
	// for disposalShare times as long as that took, within these bounds.
	disposalStep  = 2 << 20
	disposalShare = 4
	shortestRest  = 10 * time.Millisecond
	longestRest   = time.Second
)

// disposal removes files a piece at a time, beside the log's appends: removing one of
// a hundred megabytes holds the file system's journal for tens of milliseconds, and the
// appends wait for that. It takes only files whose names the next start removes
// anyhow, and durably so: a piece of one must not come back under a name that counts.
type disposal struct {
	disk   files
	step   int64       // that is cut off at once
	failed func(error) // is told what could not be removed
	// inline removes in the caller, without rests; for tests.
	inline bool

	mu      sync.Mutex
	waiting []string // guarded by mu
	now     *errand  // guarded by mu; the goroutine that is there, or nil
}

// errand is one run of the goroutine, which ends when nothing waits any more.
type errand struct {
	once  sync.Once
	hurry chan struct{} // closed: no more rests
	done  chan struct{} // closed at its end
}

// take has files removed, and does not wait for it.
func (d *disposal) take(paths ...string) {
	if len(paths) == 0 {
		return
	}
	if d.inline {
		for _, path := range paths {
			if err := d.remove(path, func(time.Duration) bool { return true }); err != nil {
				d.failed(err)
			}
		}
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting = append(d.waiting, paths...)
	if d.now == nil {
		d.now = &errand{hurry: make(chan struct{}), done: make(chan struct{})}
		go d.run(d.now)
	}
}

// finish removes at once what still waits, and returns when it is gone. It says
// whether there was anything.
func (d *disposal) finish() bool {
	d.mu.Lock()
	e := d.now
	d.mu.Unlock()
	if e == nil {
		return false
	}
	e.once.Do(func() { close(e.hurry) })
	<-e.done
	return true
}

func (d *disposal) run(e *errand) {
	defer close(e.done)
	for {
		d.mu.Lock()
		if len(d.waiting) == 0 {
			d.now = nil
			d.mu.Unlock()
			return
		}
		path := d.waiting[0]
		d.waiting = d.waiting[1:]
		d.mu.Unlock()
		if err := d.remove(path, e.rest); err != nil {
			go d.failed(err) // it may wait for who waits in finish
		}
	}
}

// rest leaves the disk alone for a while; false: there is no time for that.
func (e *errand) rest(long time.Duration) bool {
	t := time.NewTimer(long)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-e.hurry:
		return false
	}
}

// remove cuts a file down from its end and then takes its name away. rest says whether
// to go on step by step.
func (d *disposal) remove(path string, rest func(time.Duration) bool) error {
	failed := gone(d.cut(path, rest))
	if err := gone(d.disk.remove(path)); err != nil {
		return errors.Join(failed, err)
	}
	return nil // it is gone, and so what cutting it down came to
}

func (d *disposal) cut(path string, rest func(time.Duration) bool) error {
	f, err := d.disk.open(path, true)
	if err != nil {
		return err
	}
	size, err := f.Size()
	for err == nil && size > d.step {
		size -= d.step
		from := time.Now()
		if err = f.Truncate(size); err != nil {
			break
		}
		if !rest(min(longestRest, max(shortestRest, disposalShare*time.Since(from)))) {
			break
		}
	}
	return errors.Join(err, f.Close())
}
