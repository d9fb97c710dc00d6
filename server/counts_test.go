package server

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/raftkv/raftkv/fsm/system"
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

// TestMaxValue: SET takes exactly what MaxValue says, and not one byte more, over
// HTTP and from a Redis client alike.
func TestMaxValue(t *testing.T) {
	s := newTestServer(t, func(o *Options) { o.MaxCommand = 4096 })
	local, c := s.NewLocal(), s.dial()
	set := func(key string, value []byte) string {
		return "*3\r\n$3\r\nSET\r\n" + bulk(key) + bulk(string(value))
	}
	for _, key := range []string{"", "k", strings.Repeat("k", 1000)} {
		value := make([]byte, s.MaxValue(len(key))+1)
		if reply, err := local.Do(t.Context(), defaultUser, []byte("SET"), []byte(key), value[1:]); err != nil || string(reply) != "+OK\r\n" {
			t.Errorf("key of %d, value of %d bytes: %q, %v", len(key), len(value)-1, reply, err)
		}
		c.roundTrip(set(key, value[1:])+set(key, value), "+OK\r\n-ERR command exceeds the maximum size of 4096 bytes\r\n")
		if reply, err := local.Do(t.Context(), defaultUser, []byte("SET"), []byte(key), value); !errors.Is(err, system.ErrTooLarge) {
			t.Errorf("key of %d, value of %d bytes: %q, %v; want ErrTooLarge", len(key), len(value), reply, err)
		}
	}
	if got := s.MaxValue(5000); got != 0 {
		t.Errorf("under a key that is too large itself: %d, want 0", got)
	}
}
