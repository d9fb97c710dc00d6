package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/fsm/system"
)

func allowDebug(o *Options) { o.DebugCommand = "yes" }

func TestDebugIsGated(t *testing.T) {
	for setting, allowed := range map[string]bool{"": false, "no": false, "local": true, "yes": true} {
		s := newTestServer(t, func(o *Options) { o.DebugCommand = setting })
		denied := "-" + string(errDebugDenied) + "\r\n"
		c := s.dial() // from this machine
		for line, want := range map[string]string{"DEBUG SLEEP 0": "+OK\r\n", "debug object k": "-ERR no such key\r\n"} {
			if !allowed {
				want = denied
			}
			c.roundTrip(line+"\r\n", want)
		}
		if got := localDo(t, s, "DEBUG", "DIGEST"); (got == denied) == (setting == "yes") {
			t.Errorf("%q, from who knows where: %q", setting, got)
		}
		want := "*2\r\n$20\r\nenable-debug-command\r\n"
		if got := localDo(t, s, "CONFIG", "GET", "enable-debug-command"); !strings.HasPrefix(got, want) || !strings.Contains(got, setting) {
			t.Errorf("%q: CONFIG GET %q", setting, got)
		}
	}
	s := newTestServer(t)
	c := s.dial()
	c.roundTrip("MULTI\r\nDEBUG DIGEST\r\nEXEC\r\n", "+OK\r\n-"+string(errDebugDenied)+"\r\n-EXECABORT Transaction discarded because of previous errors.\r\n")
}

// TestDebugProtocol3 has what a client of RESP3 alone gets.
func TestDebugProtocol3(t *testing.T) {
	s := newTestServer(t, allowDebug)
	s.dial().roundTrip("HELLO 3\r\nDEBUG PROTOCOL attrib\r\nDEBUG PROTOCOL push\r\nDEBUG PROTOCOL bignum\r\n", hello3+
		"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n$39\r\nSome real reply following the attribute\r\n"+
		">2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n$40\r\nSome real reply following the push reply\r\n"+
		"(1234567999999999999999999999999999999\r\n")
}

// TestDebugSleep: nobody is served while one sleeps.
func TestDebugSleep(t *testing.T) {
	s := newTestServer(t, allowDebug)
	other, sleeper := s.dial(), s.dial()
	other.roundTrip("PING\r\n", "+PONG\r\n")
	const nap = 300 * time.Millisecond
	start := time.Now()
	sleeper.send("DEBUG SLEEP 0.3\r\n")
	until(t, "it sleeps", func() bool { return s.napping.Load() != nil })
	other.roundTrip("PING\r\n", "+PONG\r\n")
	if took := time.Since(start); took < nap {
		t.Errorf("another client was answered after %v", took)
	}
	sleeper.expect("+OK\r\n")
	if s.napping.Load() != nil {
		t.Error("it sleeps still")
	}
	for text, want := range map[string]time.Duration{
		"1": time.Second, "\t\n 1": time.Second, "1" + strings.Repeat("x", 1<<20): time.Second, "0.25x": 250 * time.Millisecond, "x": 0, "": 0, "-1": 0, "nan": 0, " 2": 2 * time.Second,
		"1_000": time.Second, "0x10": 16 * time.Second, "0x.8p1s": time.Second, "0x": 0, "\t1": time.Second, "-0x1": 0, "_1": 0,
	} {
		if got := leadingSeconds([]byte(text)); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
	if leadingSeconds([]byte("inf")) < time.Hour {
		t.Error("for ever is not long")
	}
	for text, want := range map[string]int64{"1": 1, "-1": -1, "0": 0, "1x": 1, "x": 0, "": 0, " 7": 7, "-": 0} {
		if got := leadingNumber([]byte(text)); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
}

// TestDebugSleepEnds with the server.
func TestDebugSleepEnds(t *testing.T) {
	s := newTestServer(t, allowDebug)
	s.dial().send("DEBUG SLEEP 1e9\r\n")
	until(t, "it sleeps", func() bool { return s.napping.Load() != nil })
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func TestDebugPopulate(t *testing.T) {
	s := newTestServer(t, allowDebug)
	c := s.dial()
	c.roundTrip("SET key:7 mine\r\nDEBUG POPULATE 3000\r\nDBSIZE\r\nMGET key:7 key:2999\r\n",
		"+OK\r\n+OK\r\n:3000\r\n*2\r\n$4\r\nmine\r\n$10\r\nvalue:2999\r\n")
	c.roundTrip("SELECT 2\r\nDEBUG POPULATE 2 p 3\r\nGET p:1\r\n", "+OK\r\n+OK\r\n$3\r\nval\r\n")
	for _, size := range []string{"16777216", "99999999999", "9223372036854775806", "9223372036854775807"} {
		c.roundTrip("DEBUG POPULATE 1 p "+size+"\r\n", "-ERR command exceeds the maximum size of 16777216 bytes\r\n")
	}
	c.roundTrip("MULTI\r\nDEBUG POPULATE 5 queued\r\nEXISTS queued:1\r\nEXEC\r\nEXISTS queued:1\r\n",
		"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n-"+string(errPopulateQueued)+"\r\n:0\r\n:0\r\n")
	c.roundTrip("CONFIG SET maxmemory 100000\r\nDEBUG POPULATE 3000 other\r\n", "+OK\r\n-OOM command not allowed when used memory > 'maxmemory'.\r\n")
	s.fake.set(func(f *fake) { f.leader, f.self = node2, false })
	c.roundTrip("DEBUG POPULATE 3000 other\r\n", "-MOVED 0 127.0.0.1:6380\r\n")
}

// TestDebugReload: the state is the same, another Machine's, and only if nothing came
// in between.
func TestDebugReload(t *testing.T) {
	s := newTestServer(t, allowDebug)
	c := s.dial()
	c.roundTrip("SET a 1\r\nHSET h f v\r\nSADD s a b\r\nPEXPIRE s 100000\r\n", "+OK\r\n:1\r\n:2\r\n:1\r\n")
	before := s.machine.Digest()
	c.roundTrip("DEBUG RELOAD\r\nGET a\r\nSET a 2\r\nGET a\r\n", "+OK\r\n$1\r\n1\r\n+OK\r\n$1\r\n2\r\n")
	c.roundTrip("SET a 1\r\n", "+OK\r\n")
	if s.machine.Digest() == before {
		t.Error("two writes left no trace") // versions and the position are part of it
	}
	c.roundTrip("DEBUG RELOAD NOSAVE\r\n", "-"+string(errReloadNothing)+"\r\n")
	snap := s.machine.Snapshot()
	defer snap.Release()
	c.roundTrip("SET a 3\r\n", "+OK\r\n")
	if s.machine.BecomeAt(s.machine, snap.Position()) {
		t.Error("a state took the place of a newer one")
	}
}

// TestReloadFails: the snapshot is let go when nobody writes it any more.
func TestReloadFails(t *testing.T) {
	s := newTestServer(t, allowDebug)
	localDo(t, s, "DEBUG", "POPULATE", "1000")
	failed := errors.New("no")
	for range 300 {
		if done, err := s.reload(func(*fsm.Machine, io.Reader) error { return failed }); done || !errors.Is(err, failed) {
			t.Fatal(done, err)
		}
	}
}

func TestDebugActiveExpire(t *testing.T) {
	s := newTestServer(t, allowDebug)
	for _, tt := range []struct {
		arg  string
		want int64
	}{{"0", 0}, {"1", 1}, {"x", 0}, {"2", 1}} {
		if got := localDo(t, s, "DEBUG", "SET-ACTIVE-EXPIRE", tt.arg); got != "+OK\r\n" {
			t.Errorf("%s: %q", tt.arg, got)
		}
		if got := s.machine.Setting(system.ActiveExpire); got != tt.want {
			t.Errorf("%s: the setting is %d", tt.arg, got)
		}
	}
	if got := localDo(t, s, "CONFIG", "GET", system.ActiveExpire); got != "*0\r\n" {
		t.Errorf("CONFIG shows it: %q", got)
	}
}

func TestDebugCrash(t *testing.T) {
	how := ""
	s := newTestServer(t, allowDebug, func(o *Options) { o.Crash = func(h string) { how = h } })
	localDo(t, s, "DEBUG", "panic")
	if how != "PANIC" {
		t.Errorf("the process was told %q", how)
	}
	if got := localDo(t, s, "DEBUG", "PANIC", "x"); !strings.HasPrefix(got, "-ERR unknown subcommand or wrong number") {
		t.Error(got)
	}
}

// TestDebugParts: each has an answer, and HELP lists those that do something.
func TestDebugParts(t *testing.T) {
	s := newTestServer(t, allowDebug)
	help := localDo(t, s, "DEBUG", "HELP")
	for _, d := range debuggings.All() {
		if listed := strings.Contains(help, "+"+d.Name+" ") || strings.Contains(help, "+"+d.Name+"\r\n"); listed != (d.Summary != "") {
			t.Errorf("%s: in HELP %v", d.Name, listed)
		}
		if d.Summary != "" || d.Arity > 2 {
			continue
		}
		if got := localDo(t, s, "DEBUG", d.Name); !strings.Contains(got, "is not available: ") && d.Accepts(2) {
			t.Errorf("%s: %q", d.Name, got)
		}
	}
	for _, line := range []string{"DEBUG LOADAOF", "DEBUG MALLCTL x", "DEBUG CLUSTERLINK KILL ALL x", "DEBUG REPLYBUFFER RESIZING 0"} {
		if got := localDo(t, s, strings.Fields(line)...); !strings.HasPrefix(got, "-ERR "+strings.Join(strings.Fields(line)[:2], " ")+" is not available: ") {
			t.Errorf("%s: %q", line, got)
		}
	}
	if got := localDo(t, s, "DEBUG", "STRINGMATCH-TEST"); !strings.HasPrefix(got, "+") {
		t.Error(got)
	}
	if got := localDo(t, s, "DEBUG", "JMAP"); !strings.Contains(got, "all objects: ") || strings.Contains(got, "all objects: 0") {
		t.Error(got)
	}
	if got := localDo(t, s, "COMMAND", "LIST", "FILTERBY", "PATTERN", "debug*"); got != "*1\r\n$5\r\ndebug\r\n" {
		t.Errorf("COMMAND shows %q", got)
	}
}

// TestMemoryHelp: both parts of MEMORY are one container.
func TestMemoryHelp(t *testing.T) {
	s := newTestServer(t)
	help := localDo(t, s, "MEMORY", "HELP")
	for _, name := range []string{"DOCTOR", "MALLOC-STATS", "PURGE", "STATS", "USAGE <key> [SAMPLES <count>]"} {
		if !strings.Contains(help, "+"+name+"\r\n") {
			t.Errorf("no %s in %s", name, help)
		}
	}
	if got := localDo(t, s, "MEMORY", "NOSUCH"); got != "-ERR unknown subcommand 'NOSUCH'. Try MEMORY HELP.\r\n" {
		t.Error(got)
	}
	s.dial().roundTrip("MEMORY USAGE k\r\nMEMORY PURGE\r\nMEMORY USAGE k\r\n", "$-1\r\n+OK\r\n$-1\r\n")
}

// TestMemoryStats: the figures fit together.
func TestMemoryStats(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	c.roundTrip("SET k v\r\n", "+OK\r\n")
	got := localDo(t, s, "MEMORY", "STATS")
	for _, name := range []string{"peak.allocated", "keys.count\r\n:1\r\n", "dataset.bytes", "rss-overhead.ratio", "fragmentation.bytes"} {
		if !strings.Contains(got, name) {
			t.Errorf("no %q in %s", name, got)
		}
	}
}

func TestDiagnose(t *testing.T) {
	const mb = 1 << 20
	sound := memory{used: 100 * mb, active: 105 * mb, heap: 110 * mb, rss: 120 * mb}
	for _, tt := range []struct {
		name, word string
		change     func(m *memory, peak *uint64, client *int)
	}{
		{"sound", "Nothing is remarkable", func(*memory, *uint64, *int) {}},
		{"empty", "next to nothing", func(m *memory, _ *uint64, _ *int) { m.used = mb }},
		{"peak", "Peak: 200.00M", func(_ *memory, peak *uint64, _ *int) { *peak = 200 * mb }},
		{"fragments", "Fragmentation: 60.00M", func(m *memory, _ *uint64, _ *int) { m.active, m.heap, m.rss = 160*mb, 161*mb, 162*mb }},
		{"free", "Free heap: 95.00M", func(m *memory, _ *uint64, _ *int) { m.heap, m.rss = 200*mb, 201*mb }},
		{"outside", "Outside the heap: the process takes 190.00M", func(m *memory, _ *uint64, _ *int) { m.rss = 300 * mb }},
		{"clients", "Clients: each holds 1.00M", func(_ *memory, _ *uint64, client *int) { *client = mb }},
	} {
		m, peak, client := sound, uint64(100*mb), 0
		tt.change(&m, &peak, &client)
		got := diagnose(m, peak, client)
		if !strings.Contains(got, tt.word) || bytes.Count([]byte(got), []byte("\n * ")) > 1 {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
}
