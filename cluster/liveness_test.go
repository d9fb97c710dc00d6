package cluster

import "testing"

func TestLiveness(t *testing.T) {
	var l liveness
	want := func(when string, want bool) {
		t.Helper()
		if got := l.alive("n2"); got != want {
			t.Errorf("%s: alive %v, want %v", when, got, want)
		}
	}
	want("never asked", false)
	l.note("n2", false, true)
	want("silent from the beginning", false)
	l.note("n2", true, false)
	want("answered", true)
	l.note("n2", false, true)
	want("silent for a moment", true)
	l.mu.Lock()
	l.answered["n2"] = l.answered["n2"].Add(-livenessLasts)
	l.mu.Unlock()
	want("silent for long", false)
	l.note("n2", true, false)
	l.note("n2", false, false)
	want("refused", false)
}
