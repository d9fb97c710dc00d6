package cluster

import (
	"testing"
	"time"
)

// fakeWall is a wall clock that tests move. It has no monotonic part, so a step
// of it counts as time that passed; what the clock makes of that is the test.
type fakeWall struct{ t time.Time }

func (f *fakeWall) now() time.Time         { return f.t }
func (f *fakeWall) pass(d time.Duration)   { f.t = f.t.Add(d) }
func at(ms int64) *fakeWall                { return &fakeWall{time.UnixMilli(ms)} }
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
			c := newClock(at(tt.wall).now)
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
	c := newClock(w.now)
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
	c := newClock(w.now)
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
	c := newClock(w.now)
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
