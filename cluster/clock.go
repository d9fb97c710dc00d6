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
	wall func() time.Time // injectable; its monotonic reading is what counts between calls

	mu       sync.Mutex
	now      float64   // guarded by mu; Unix milliseconds, as of read
	read     time.Time // guarded by mu
	unslewed float64   // guarded by mu; ms that passed in this leadership without the slew's share
	synced   bool      // guarded by mu; now was taken over from a running leader, not from an old log
}

func newClock(wall func() time.Time) *clock {
	return &clock{wall: wall, read: wall()}
}

// observe tells the clock a time that was logged or that a leader told.
func (c *clock) observe(logged int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(false)
	c.now = max(c.now, float64(logged))
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
		c.now = max(c.now, wallMS(c.read))
	}
	c.synced, c.unslewed = true, 0
}

// leaderNow is the leader's time, in Unix milliseconds.
func (c *clock) leaderNow() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(true)
	return int64(c.now)
}

// ahead returns how far the clock is ahead of the wall clock.
func (c *clock) ahead() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(false)
	return time.Duration((c.now - wallMS(c.read)) * float64(time.Millisecond))
}

// advance brings now up to this moment; mu is held.
func (c *clock) advance(slew bool) {
	t := c.wall()
	elapsed := max(0, float64(t.Sub(c.read))/float64(time.Millisecond))
	c.read = t
	c.now += elapsed
	c.unslewed += elapsed
	if slew {
		limit := c.unslewed / 10
		c.unslewed = 0
		c.now += min(max(wallMS(t)-c.now, -limit), limit)
	}
}

// wallMS is t in Unix milliseconds, with its fraction.
func wallMS(t time.Time) float64 { return float64(t.UnixMicro()) / 1000 }
