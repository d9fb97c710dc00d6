package cluster

import (
	"sync"
	"time"
)

// clock is the time that entries are stamped with. Within a leadership it goes on
// from the last logged time, by the monotonic clock, slewed towards the wall
// clock by at most a tenth; it never goes back and never jumps. So a leader whose
// wall clock is an hour ahead does not freeze expiry once it is gone, and one
// some seconds ahead ends no lock early.
type clock struct {
	wall func() time.Time     // may be set at any time, in any direction
	mono func() time.Duration // since some start; what counts between calls

	mu       sync.Mutex
	now      float64       // guarded by mu; Unix milliseconds, as of read
	read     time.Duration // guarded by mu; of mono
	floor    float64       // guarded by mu; what the leader's clock has reached at least, as of read
	leading  bool          // guarded by mu; now is the cluster's time, not a guess at it
	unslewed float64       // guarded by mu; ms that passed in this leadership without the slew's share
	synced   bool          // guarded by mu; now was taken over from a running leader, not from an old log
}

func newClock(wall func() time.Time, mono func() time.Duration) *clock {
	return &clock{wall: wall, mono: mono, read: mono()}
}

// monotonic returns a clock that no setting of the wall clock moves.
func monotonic() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}

// observe tells the clock a time that was logged or that a leader told. A follower
// goes on from the last one: a leader may be slowing down, and whoever kept the
// furthest guess would be ahead of it by a tenth of all that time when it takes
// over. But the leader cannot have fallen behind floor, which an old entry that is
// only now applied here does not take back.
func (c *clock) observe(logged int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(false)
	c.floor = max(c.floor, float64(logged))
	if c.leading {
		c.now = max(c.now, c.floor)
	} else {
		c.now = c.floor
	}
}

// sync tells the clock the running leader's time of just now.
func (c *clock) sync(leader int64) {
	c.observe(leader)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.synced = true
}

func (c *clock) isSynced() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.synced
}

// lead begins a leadership. After a cold start the clock knows only how old the
// log is, so the wall clock counts where it is later.
func (c *clock) lead() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(false)
	if !c.synced {
		c.now = max(c.now, wallMS(c.wall()))
	}
	c.synced, c.unslewed, c.leading = true, 0, true
}

// follow ends a leadership.
func (c *clock) follow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leading = false
}

// leaderNow is the leader's time, in Unix milliseconds; a guess at it where another
// node leads.
func (c *clock) leaderNow() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(c.leading)
	return int64(c.now)
}

// ahead returns how far the clock is ahead of the wall clock.
func (c *clock) ahead() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(false)
	return time.Duration((c.now - wallMS(c.wall())) * float64(time.Millisecond))
}

// advance brings now up to this moment; mu is held.
func (c *clock) advance(slew bool) {
	t := c.mono()
	elapsed := float64(t-c.read) / float64(time.Millisecond)
	c.read = t
	c.now += elapsed
	c.floor += elapsed * 9 / 10 // as slow as a leader can make it
	c.unslewed += elapsed
	if slew {
		limit := c.unslewed / 10
		c.unslewed = 0
		c.now += min(max(wallMS(c.wall())-c.now, -limit), limit)
	}
}

// wallMS is t in Unix milliseconds, with its fraction.
func wallMS(t time.Time) float64 { return float64(t.UnixMicro()) / 1000 }
