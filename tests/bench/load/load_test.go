//go:build linux

package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	var twenty Latencies
	for i := range 20 {
		twenty = append(twenty, time.Duration(20-i))
	}
	for _, tt := range []struct {
		name string
		l    Latencies
		q    float64
		want time.Duration
	}{
		{"none", nil, 0.5, 0},
		{"one", Latencies{7}, 0.999, 7},
		{"lowest", Latencies{3, 1, 2}, 0, 1},
		{"middle", Latencies{3, 1, 2}, 0.5, 2},
		{"highest", Latencies{3, 1, 2}, 1, 3},
		{"nearest rank", twenty, 0.95, 19},
		{"just above it", twenty, 0.951, 20},
	} {
		if got := tt.l.Quantile(tt.q); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestAppendKey(t *testing.T) {
	var key []byte
	for number, want := range map[int]string{0: "key:000000000000", 42: "key:000000000042", 5_000_000: "key:000005000000"} {
		if key = AppendKey(key, number); string(key) != want {
			t.Errorf("%d: %s, want %s", number, key, want)
		}
	}
}

func TestSkip(t *testing.T) {
	for _, tt := range []struct{ reply, want string }{
		{"+OK\r\n", ""},
		{":12\r\n", ""},
		{"$5\r\nhel\r\n\r\n", ""},
		{"$-1\r\n", ""},
		{"-MOVED 1 127.0.0.1:1\r\n", "the server answered: MOVED 1 127.0.0.1:1"},
		{"*1\r\n:1\r\n", "a reply that load does not expect"},
		{"\r\n", "a reply that is none"},
		{"$x\r\n", "invalid syntax"},
	} {
		addr := serve(t, func([]string) string { return tt.reply })
		c, err := Dial(t.Context(), addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		err = c.Do([]byte("X"))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%q: %v, want %q", tt.reply, err, tt.want)
		}
		var reply ReplyError
		if got, want := errors.As(err, &reply), tt.reply[0] == '-'; got != want {
			t.Errorf("%q: a ReplyError is %t, want %t", tt.reply, got, want)
		}
	}
}

func TestClosedCountsWhatWasAnswered(t *testing.T) {
	var sets, gets atomic.Int64
	addr := serve(t, func(args []string) string {
		if args[0] == "GET" {
			gets.Add(1)
			return "$2\r\nvv\r\n"
		}
		sets.Add(1)
		if len(args[2]) != 3 {
			return "-ERR the value has another size\r\n"
		}
		return "+OK\r\n"
	})
	out, err := Closed{Addr: addr, Conns: 3, Pipeline: 4, Reads: 0.9, Over: Keyspace{Keys: 10, Size: 3}}.Run(t.Context(), 300*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	all := sets.Load() + gets.Load()
	if int64(out.Requests) != all || len(out.Latency)*4 != out.Requests {
		t.Errorf("%d requests, %d pipelines of 4; the server answered %d", out.Requests, len(out.Latency), all)
	}
	if share := float64(gets.Load()) / float64(all); share < 0.85 || share > 0.95 {
		t.Errorf("%.2f of %d were GETs, want 0.9", share, all)
	}
	if out.Elapsed < 300*time.Millisecond {
		t.Errorf("it took only %s", out.Elapsed)
	}
}

// A server that refuses is fast: that must not pass for throughput.
func TestErrorsEndALoad(t *testing.T) {
	addr := serve(t, func([]string) string { return "-CLUSTERDOWN no leader\r\n" })
	over := Keyspace{Keys: 10, Size: 3}
	if _, err := (Closed{Addr: addr, Conns: 2, Pipeline: 1, Over: over}).Run(t.Context(), time.Minute); err == nil || !strings.Contains(err.Error(), "CLUSTERDOWN") {
		t.Errorf("closed loop: %v", err)
	}
	if _, err := (Open{Addr: addr, Conns: 2, Rate: 100, Over: over}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "CLUSTERDOWN") {
		t.Errorf("open loop: %v", err)
	}
	if err := Fill(t.Context(), addr, over); err == nil || !strings.Contains(err.Error(), "CLUSTERDOWN") {
		t.Errorf("fill: %v", err)
	}
}

func TestFillStoresEveryKeyOnce(t *testing.T) {
	const keys = 10_000
	var mu sync.Mutex
	stored := map[string]int{}
	addr := serve(t, func(args []string) string {
		mu.Lock()
		defer mu.Unlock()
		stored[strings.Join(args, " ")]++
		return "+OK\r\n"
	})
	if err := Fill(t.Context(), addr, Keyspace{Keys: keys, Size: 2}); err != nil {
		t.Fatal(err)
	}
	if len(stored) != keys {
		t.Errorf("%d different commands, want %d", len(stored), keys)
	}
	for number := range keys {
		if want := fmt.Sprintf("SET key:%012d vv", number); stored[want] != 1 {
			t.Fatalf("%s came %d times", want, stored[want])
		}
	}
}

func TestFeedSendsInOrderAndStopsAtAnError(t *testing.T) {
	var got []string
	addr := serve(t, func(args []string) string {
		got = append(got, strings.Join(args, " "))
		if args[1] == "70000" {
			return "-ERR no\r\n"
		}
		return ":1\r\n"
	})
	const size = 100_000 // more than one pipeline
	err := Feed(t.Context(), addr, 3, func(yield func([]string) bool) {
		for i := 0; i < size && yield([]string{"X", fmt.Sprint(i)}); i++ {
		}
	})
	if err == nil || !strings.Contains(err.Error(), "ERR no") {
		t.Errorf("%v, want the server's error", err)
	}
	if len(got) < 70000 || len(got) == size+1 || got[0] != "SELECT 3" || got[1] != "X 0" || got[60001] != "X 60000" {
		t.Errorf("%d commands, the first %q", len(got), got[:2])
	}
}

// A stall must be charged to all requests that became due during it, not only to
// those that happened to be under way.
func TestOpenChargesWhatHadToWait(t *testing.T) {
	const rate, stall = 500, 300 * time.Millisecond
	var answered atomic.Int64
	var stalled sync.Mutex
	addr := serve(t, func([]string) string {
		if answered.Add(1) == 50 {
			stalled.Lock()
			time.Sleep(stall) // the stall itself
			stalled.Unlock()
		}
		stalled.Lock() // all connections stand still with it
		defer stalled.Unlock()
		return "+OK\r\n"
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	samples, err := Open{Addr: addr, Conns: 4, Rate: rate, Over: Keyspace{Keys: 10, Size: 3}}.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	late := 0
	for _, s := range samples {
		if s.Latency < 0 {
			t.Fatalf("answered %s before it was due", -s.Latency)
		}
		if s.Latency > stall/3 {
			late++
		}
	}
	// Two thirds of those due during the stall wait for more than a third of it.
	if want := int(rate * stall.Seconds() * 2 / 3); late < want*8/10 {
		t.Errorf("%d of %d requests were late, want about %d", late, len(samples), want)
	}
	if len(samples) < rate*8/10 || len(samples) > rate*11/10 {
		t.Errorf("%d requests in a second, want %d", len(samples), rate)
	}
}

func TestFollowGoesToTheLeader(t *testing.T) {
	leader := serve(t, func([]string) string { return "+OK\r\n" })
	var asked atomic.Int64
	follower := serve(t, func([]string) string {
		asked.Add(1)
		return "-MOVED 7 " + leader + "\r\n"
	})
	gone := serve(t, func([]string) string { return "" }) // closes every connection
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	f := &Follow{Addrs: []string{gone, follower, leader}, Rate: 100, Over: Keyspace{Keys: 10, Size: 3}}
	samples, err := f.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(samples) < 20 || asked.Load() == 0 {
		t.Errorf("%d writes acknowledged, %d by way of the follower", len(samples), asked.Load())
	}
	slices.SortFunc(samples, func(a, b Sample) int { return a.Due.Compare(b.Due) })
	if first := samples[0].Latency; first < 2*retryPause {
		t.Errorf("the first write was turned away twice and took only %s", first)
	}
}

func TestWatchSeesWhoAcknowledges(t *testing.T) {
	refuses := serve(t, func([]string) string { return "-CLUSTERDOWN no leader\r\n" })
	serves := serve(t, func([]string) string { return "+OK\r\n" })
	probers := []Prober{NewProbe(refuses), NewProbe(serves)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	acks := Watch(ctx, probers)
	begun := time.Now()
	a, err := acks.First(ctx, func(a Ack) bool { return a.Sent.After(begun) })
	if err != nil || a.Node != 1 || a.At.Before(a.Sent) {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := acks.First(expired(t), func(a Ack) bool { return a.Node == 0 }); err == nil {
		t.Error("the one that refuses has acknowledged")
	}
	cancel()
	if all := acks.Done(); len(all) == 0 {
		t.Error("no acknowledgements are left")
	}
	for _, p := range probers {
		p.Close()
	}
}

// expired is a context that ends in a moment.
func expired(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func TestParseSummary(t *testing.T) {
	const header = `"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"`
	for _, tt := range []struct {
		name, text string
		want       Summary
		fails      string
	}{
		{"a table", header + "\n" + `"SET","78554.59","0.567","0.160","0.487","0.879","1.559","67.711"` + "\n",
			Summary{78554.59, 0.567, 0.487, 0.879, 1.559, 67.711}, ""},
		{"complaints before it", "WARNING: Could not fetch server CONFIG\n" + header + "\n" + `"GET","1.00","1","2","3","4","5","6"` + "\n",
			Summary{1, 1, 3, 4, 5, 6}, ""},
		{"no table", "Error from server: MOVED 1 127.0.0.1:1\n", Summary{}, "printed no table: Error from server"},
		{"two tests", header + "\n" + strings.Repeat(`"GET","1.00","1","2","3","4","5","6"`+"\n", 2), Summary{}, "printed 3 rows"},
		{"an old one", `"test","rps"` + "\n" + `"SET","1.00"` + "\n", Summary{}, "lacks columns"},
		{"nothing done", header + "\n" + `"SET","0.00","0","0","0","0","0","0"` + "\n", Summary{}, "lacks columns"},
	} {
		got, err := parseSummary(tt.text)
		if tt.fails != "" {
			if err == nil || !strings.Contains(err.Error(), tt.fails) {
				t.Errorf("%s: %v, want %q", tt.name, err, tt.fails)
			}
			continue
		}
		if err != nil || *got != tt.want {
			t.Errorf("%s: %+v, %v, want %+v", tt.name, got, err, tt.want)
		}
	}
}
