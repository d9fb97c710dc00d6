package cluster

import (
	"testing"
	"time"
)

// fakeWall is a wall clock and a monotonic one that tests move.
type fakeWall struct {
	t      time.Time
	passed time.Duration
}

func (f *fakeWall) now() time.Time         { return f.t }
func (f *fakeWall) mono() time.Duration    { return f.passed }
func (f *fakeWall) pass(d time.Duration)   { f.t, f.passed = f.t.Add(d), f.passed+d }
func (f *fakeWall) set(d time.Duration)    { f.t = f.t.Add(d) }
func at(ms int64) *fakeWall                { return &fakeWall{t: time.UnixMilli(ms)} }
func near(got, want, tolerance int64) bool { return got >= want-tolerance && got <= want+tolerance }

func TestClockColdStartTakesTheLater(t *testing.T) {
	for _, tt := range []struct {
		name               string
		wall, logged, want int64
	}{
		{"wall ahead of an old log", 10_000_000, 5_000_000, 10_000_000},
		{"log ahead of the wall", 10_000_000, 12_000_000, 12_000_000},
		{"empty log", 10_000_000, 0, 10_000_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock(at(tt.wall).now, at(tt.wall).mono)
			c.observe(tt.logged)
			c.lead()
			if got := c.leaderNow(); got != tt.want {
				t.Errorf("leaderNow = %d, want %d", got, tt.want)
			}
		})
	}
}

func TestClockTakesOverWithoutAJump(t *testing.T) {
	w := at(20_000_000) // ten seconds ahead of the leader's clock
	c := newClock(w.now, w.mono)
	c.sync(19_990_000)
	w.pass(time.Second)
	c.lead()
	if got := c.leaderNow(); got != 19_991_000 {
		t.Errorf("at the takeover: %d, want the old leader's 19991000", got)
	}
	w.pass(10 * time.Second)
	if got := c.leaderNow(); !near(got, 19_991_000+11_000, 1) {
		t.Errorf("after 10 s: %d, want a tenth faster, 20002000", got)
	}
	w.pass(1000 * time.Second)
	if got, want := c.leaderNow(), w.t.UnixMilli(); got != want {
		t.Errorf("in the end: %d, want the wall's %d", got, want)
	}
}

func TestClockSlowsDownButNeverGoesBack(t *testing.T) {
	w := at(10_000_000)
	c := newClock(w.now, w.mono)
	c.sync(13_600_000) // an hour ahead
	c.lead()
	last := c.leaderNow()
	for range 100 {
		w.pass(100 * time.Millisecond)
		now := c.leaderNow()
		if now < last {
			t.Fatalf("went back from %d to %d", last, now)
		}
		last = now
	}
	if want := int64(13_600_000 + 9_000); !near(last, want, 1) {
		t.Errorf("after 10 s: %d, want %d, a tenth slower", last, want)
	}
}

// A busy leader applies its own entries all the time; its clock must close up on
// the wall all the same.
func TestClockSlewsUnderLoad(t *testing.T) {
	w := at(10_000_000)
	c := newClock(w.now, w.mono)
	c.sync(13_600_000)
	c.lead()
	last := c.leaderNow()
	for range 1000 {
		w.pass(9 * time.Millisecond)
		c.observe(last)
		w.pass(time.Millisecond)
		now := c.leaderNow()
		if now < last {
			t.Fatalf("went back from %d to %d", last, now)
		}
		last = now
	}
	if want := int64(13_600_000 + 9_000); !near(last, want, 10) {
		t.Errorf("after 10 s: %d, want %d, a tenth slower", last, want)
	}
}

// Setting the wall clock, by however much, is no time that passes.
func TestClockDoesNotJumpWithTheWall(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		w := at(10_000_000)
		c := newClock(w.now, w.mono)
		c.sync(10_000_000)
		c.lead()
		before := c.leaderNow()
		w.set(jump)
		if got := c.leaderNow(); got != before {
			t.Errorf("set by %v: the clock moved from %d to %d", jump, before, got)
		}
		w.pass(10 * time.Second)
		if got := c.leaderNow(); !near(got, before+10_000, 1001) {
			t.Errorf("10 s after it was set by %v: %d, want %d within a tenth", jump, got, before+10_000)
		}
	}
}

// A leader whose wall clock is behind slows down. Its successor goes on from there:
// with a guess of its own it would be ahead by a tenth of all the time that the
// other led, and end locks early by as much.
func TestClockTakesOverFromASlowLeader(t *testing.T) {
	w := at(10_000_000)
	c := newClock(w.now, w.mono)
	c.sync(10_000_000)
	logged := int64(10_000_000)
	for range 6000 {
		w.pass(100 * time.Millisecond)
		logged += 90
		c.observe(logged)
	}
	c.lead()
	if got := c.leaderNow(); !near(got, logged, 1) {
		t.Errorf("after 10 min: %d, want %d, where the leader was", got, logged)
	}
}

// A follower that is asked for the time does not steer towards its own wall clock,
// nor does it once it leads make up for the time in which another led.
func TestClockOfAFollowerIsNotSlewed(t *testing.T) {
	for _, off := range []time.Duration{time.Hour, -time.Hour} {
		w := at(10_000_000)
		w.set(off)
		c := newClock(w.now, w.mono)
		c.sync(10_000_000)
		w.pass(10 * time.Minute)
		if got := c.leaderNow(); !near(got, 10_600_000, 1) {
			t.Errorf("wall off by %v: asked after 10 min of following: %d, want 10600000", off, got)
		}
		c.observe(10_600_000)
		c.lead()
		if got := c.leaderNow(); !near(got, 10_600_000, 1) {
			t.Errorf("wall off by %v: when it takes over: %d, want 10600000", off, got)
		}
		w.pass(time.Minute)
		c.leaderNow()
		c.follow()
		c.observe(10_650_000)
		if got := c.leaderNow(); !near(got, 10_654_000, 4000) {
			t.Errorf("wall off by %v: following again: %d, want about 10650000", off, got)
		}
	}
}

// What a running leader told counts more than old entries that are applied here
// only now: a node that catches up after a long time may lead right after that.
func TestClockCatchingUpDoesNotGoBack(t *testing.T) {
	w := at(10_000_000)
	c := newClock(w.now, w.mono)
	c.sync(10_000_000)
	w.pass(time.Second)
	c.observe(7_000_000)
	c.lead()
	if got := c.leaderNow(); got < 10_000_900 {
		t.Errorf("%d: it took an entry of an hour ago for the time of now", got)
	}
}
