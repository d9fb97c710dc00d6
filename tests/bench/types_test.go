//go:build linux

package bench

import (
	"slices"
	"strings"
	"testing"
)

// loadNamed is one of the types' loads.
func loadNamed(t *testing.T, label string) *typed {
	t.Helper()
	for i := range typedLoads {
		if typedLoads[i].label == label {
			return &typedLoads[i]
		}
	}
	t.Fatalf("there is no load %q", label)
	return nil
}

// What must be there before a load, by its commands: how many, the first and the last.
func TestBefore(t *testing.T) {
	for _, tt := range []struct {
		label          string
		keys, requests int
		count          int
		first, last    string // after the FLUSHDB
	}{
		{label: "HSET", keys: 50, requests: 1000, count: 1},
		{
			label: "HGETALL of 100", keys: 3, requests: 1000, count: 4,
			first: "HSET h:000000000000 f:000000000000 0123456789abcdef f:000000000001",
			last:  "HSET h:000000000002 f:000000000000",
		},
		{ // 100 are drawn from each on average: 161 leave room
			label: "RPOP", keys: 2, requests: 200, count: 5,
			first: "RPUSH l:000000000000 value:000000000000", last: "RPUSH l:000000000001 value:000000000100",
		},
		{
			label: "ZADD in 1 M", keys: 250, requests: 9, count: 4,
			first: "ZADD big 0 m:000000000000 1 m:000000000001", last: "ZADD big 200 m:000000000200",
		},
		{label: "XRANGE of 100", keys: 2, requests: 9, count: 201, first: "XADD x:000000000000 1-1 f", last: "XADD x:000000000001 100-1 f"},
	} {
		got := slices.Collect(loadNamed(t, tt.label).before(tt.keys, tt.requests))
		if len(got) != tt.count || got[0][0] != "FLUSHDB" {
			t.Errorf("%s: %d commands, want %d; the first is %s", tt.label, len(got), tt.count, got[0][0])
			continue
		}
		if tt.first == "" {
			continue
		}
		for i, want := range map[int]string{1: tt.first, len(got) - 1: tt.last} {
			if text := strings.Join(got[i], " "); !strings.HasPrefix(text, want) {
				t.Errorf("%s: command %d is %.80q, want %q", tt.label, i, text, want)
			}
		}
	}
}

func TestTypedWords(t *testing.T) {
	const want = "HSET h:__rand_int__ f:__rand_int__ vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"
	if got := strings.Join(loadNamed(t, "HSET").words(50), " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := strings.Join(loadNamed(t, "LINDEX in 1 M").words(1_000_000), " "); got != "LINDEX big 400000" {
		t.Errorf("got %s", got)
	}
}
