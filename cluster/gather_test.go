package cluster

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// crowdTest is a gathering with what waits, in a bubble of fake time.
type crowdTest struct {
	t       *testing.T
	g       *gathering
	waiting atomic.Int64
}

// after lets so many come, after that time.
func (c *crowdTest) after(d time.Duration, n int) {
	go func() {
		time.Sleep(d)
		c.g.count(int(c.waiting.Add(int64(n))))
	}()
}

// await takes want of fake time.
func (c *crowdTest) await(last int, took, want time.Duration) {
	c.t.Helper()
	start := time.Now()
	c.g.await(c.t.Context(), last, took, func() int { return int(c.waiting.Load()) })
	if d := time.Since(start); d != want {
		c.t.Errorf("waited %s, want %s", d, want)
	}
	synctest.Wait()
}

func TestGathering(t *testing.T) {
	for name, run := range map[string]func(c *crowdTest){
		"one alone is not delayed": func(c *crowdTest) { c.await(1, time.Second, 0) },
		"until all are back": func(c *crowdTest) {
			c.after(100*time.Microsecond, 2)
			c.after(200*time.Microsecond, 3)
			c.await(5, 500*time.Microsecond, 200*time.Microsecond)
		},
		"beside those that wait already": func(c *crowdTest) {
			c.waiting.Store(4)
			c.after(100*time.Microsecond, 3)
			c.await(3, 500*time.Microsecond, 100*time.Microsecond)
		},
		"not long where the last one was quick": func(c *crowdTest) {
			c.after(100*time.Microsecond, 1)
			c.await(5, 50*time.Microsecond, gatherTimes*50*time.Microsecond)
		},
		"never longer than the most": func(c *crowdTest) { c.await(5, time.Minute, gatherMost) },
		"seldom where they do not come back": func(c *crowdTest) {
			const rounds = 1000
			waits := 0
			for range rounds {
				start := time.Now()
				c.g.await(c.t.Context(), 5, time.Millisecond, func() int { return 0 })
				if time.Since(start) > 0 {
					waits++
				}
			}
			if waits > 25 {
				c.t.Errorf("waited %d times of %d", waits, rounds)
			}
		},
		"again once they do": func(c *crowdTest) {
			c.await(5, time.Millisecond, time.Millisecond)
			c.await(5, time.Millisecond, 0) // skipped
			c.after(100*time.Microsecond, 5)
			c.await(5, time.Millisecond, 100*time.Microsecond)
			c.waiting.Store(0)
			c.after(100*time.Microsecond, 5)
			c.await(5, time.Millisecond, 100*time.Microsecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { run(&crowdTest{t: t, g: newGathering()}) })
		})
	}
}

// The voters that answered the last round are asked first in the next.
func TestPromptFirst(t *testing.T) {
	var rs rounds
	for range 50 {
		rs.prompt = []string{"d", "b"}
		got := rs.promptFirst([]string{"a", "b", "c", "d", "e"})
		if first := got[0] + got[1]; first != "db" && first != "bd" {
			t.Fatalf("asked in the order %v, though b and d answered last time", got)
		}
		if len(rs.prompt) != 0 {
			t.Fatal("the answers of the last round are not forgotten")
		}
	}
}
