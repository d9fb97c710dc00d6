package server

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestCounts(t *testing.T) {
	var wrote atomic.Int64
	s := newTestServer(t, func(o *Options) {
		o.Wrote = func(took time.Duration) {
			if took >= 0 {
				wrote.Add(1)
			}
		}
	})
	for _, line := range []string{"SET k 1", "set k 2", "GET k", "CONFIG GET timeout", "NOSUCH x", "GET"} {
		localDo(t, s, strings.Fields(line)...)
	}
	var got []string
	s.Calls(func(name string, calls int64) { got = append(got, fmt.Sprintf("%s=%d", name, calls)) })
	if want := "config=1 get=1 set=2"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if n := wrote.Load(); n != 2 {
		t.Errorf("Wrote was called %d times, want 2", n)
	}
	if open, accepted, rejected := s.Connections(); open != 0 || accepted != 0 || rejected != 0 {
		t.Errorf("connections %d, %d, %d without any", open, accepted, rejected)
	}
}
