//go:build linux

package peers

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const after = " S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 5 0 100"
	for _, tt := range []struct {
		name, text string
		want       time.Duration
		fails      bool
	}{
		{"plain", "42 (raftkv)" + after, 3 * time.Second, false},
		{"a name that looks like fields", "42 (a b) 1 (c)" + after, 3 * time.Second, false},
		{"cut off", "42 (raftkv) S 1 2", 0, true},
		{"no number", "42 (x) S 1 2 3 4 5 6 7 8 9 10 x 50", 0, true},
	} {
		got, err := parseStat(tt.text)
		if got != tt.want || (err != nil) != tt.fails {
			t.Errorf("%s: %s, %v, want %s", tt.name, got, err, tt.want)
		}
	}
}

func TestField(t *testing.T) {
	const text = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n"
	if got, err := field(text, "VmRSS"); got != 1024 || err != nil {
		t.Errorf("VmRSS: %d, %v", got, err)
	}
	if _, err := field(text, "RSS"); err == nil {
		t.Error("a name's end was taken for it")
	}
}

// The files of a real process are as they are taken to be.
func TestUsageOfThisProcess(t *testing.T) {
	before, err := UsageOf([]int{os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); time.Since(start) < 100*time.Millisecond; { // work, in user mode
	}
	after, err := UsageOf([]int{os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	if used := after.Since(before).CPU; used < 30*time.Millisecond || used > 2*time.Second {
		t.Errorf("100 ms of work are %s of CPU", used)
	}
	m, err := MemoryOf(os.Getpid())
	if err != nil || m.Resident < 1<<20 || m.Anonymous > m.Resident || m.Peak < m.Resident {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestSyncs(t *testing.T) {
	const trace = `101 1000.100000 fdatasync(5)                 = 0
102 1000.200000 fsync(6 <unfinished ...>
101 1000.250000 fdatasync(5)                 = 0
102 1000.300000 <... fsync resumed>)         = 0
102 1000.350000 +++ exited with 0 +++
101 1001.000000 fdatasync(5)                 = 0
`
	p := &processes{opts: Options{Dir: t.TempDir()}}
	n, _, err := p.add("node1")
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(p.opts.Dir, "node1.trace"); p.traceFile(n) != want {
		t.Fatalf("%s, want %s", p.traceFile(n), want)
	}
	if err := os.WriteFile(p.traceFile(n), []byte(trace), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		from, to float64
		want     int
	}{{1000, 1002, 4}, {1000.15, 1001, 2}, {1000.26, 1000.9, 0}, {1001, 1001, 0}} {
		at := func(s float64) time.Time { return time.UnixMicro(int64(s * 1e6)) }
		if got, err := p.Syncs(at(tt.from), at(tt.to)); got != tt.want || err != nil {
			t.Errorf("from %.2f to %.2f: %d, %v, want %d", tt.from, tt.to, got, err, tt.want)
		}
	}
}

func TestFindKnowsOtherNames(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if _, err := Find("redis-server"); err == nil || err.Error() != "there is no redis-server here (apt-get install redis-tools)" {
		t.Errorf("nothing there: %v", err)
	}
	check := filepath.Join(dir, "redis-check-rdb")
	if err := os.WriteFile(check, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	if path, err := Find("redis-server"); path != check || err != nil {
		t.Errorf("%s, %v", path, err)
	}
	data := t.TempDir()
	link, err := redisServer(data)
	if err != nil || link != filepath.Join(data, "redis-server") {
		t.Fatalf("%s, %v", link, err)
	}
	if target, err := os.Readlink(link); target != check || err != nil {
		t.Errorf("it leads to %s, %v", target, err)
	}
}
