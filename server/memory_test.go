package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// memoryFields are INFO's numbers of bytes and ratios.
func memoryFields(t *testing.T, s *testServer) map[string]float64 {
	t.Helper()
	numbers := make(map[string]float64)
	for name, text := range infoFields(t, s, "memory") {
		if n, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64); err == nil {
			numbers[name] = n
		}
	}
	return numbers
}

// TestInfoMemory: what INFO says of memory fits together, and follows what is stored.
func TestInfoMemory(t *testing.T) {
	s := newTestServer(t)
	before := memoryFields(t, s)
	const size = 8 << 20
	localDo(t, s, "SET", "k", strings.Repeat("x", size))
	m := memoryFields(t, s)
	if got := m["used_memory_dataset"] - before["used_memory_dataset"]; got < size || got > size*1.1 {
		t.Errorf("the dataset grew by %.0f bytes with a value of %d", got, size)
	}
	for _, above := range [][2]string{
		{"used_memory", "used_memory_dataset"}, {"used_memory", "used_memory_startup"}, {"used_memory_peak", "used_memory_dataset"},
		{"used_memory_rss", "used_memory_dataset"}, {"allocator_active", "allocator_allocated"}, {"allocator_resident", "allocator_active"},
	} {
		if m[above[1]] <= 0 || m[above[0]] < m[above[1]] {
			t.Errorf("%s:%.0f is below %s:%.0f, or both are nothing", above[0], m[above[0]], above[1], m[above[1]])
		}
	}
	if sum := m["used_memory_dataset"] + m["used_memory_overhead"]; sum != m["used_memory"] {
		t.Errorf("dataset and overhead are %.0f, used_memory %.0f", sum, m["used_memory"])
	}
	// Of what earlier tests left, more may have been collected since the start than was stored.
	loaded := m["used_memory"] > m["used_memory_startup"]
	if p := m["used_memory_dataset_perc"]; p > 100 || loaded && p <= 0 {
		t.Errorf("the dataset is %.2f %% of what is used", p)
	}
	if got := m["used_memory_rss"] - m["used_memory"]; got != m["mem_fragmentation_bytes"] {
		t.Errorf("mem_fragmentation_bytes:%.0f, want %.0f", m["mem_fragmentation_bytes"], got)
	}
}

// TestForeignProc: files of another form are as good as none.
func TestForeignProc(t *testing.T) {
	for _, text := range []string{"", "1", "1 x 2", "MemTotal:", "MemTotal: x kB", "MemFree: 1 kB", "MemFree: 1 2"} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if n, ok := residentOf(path); ok && !strings.HasPrefix(text, "MemFree") {
			t.Errorf("%q: %d bytes resident", text, n)
		}
		if n := totalOf(path); n != 0 {
			t.Errorf("%q: %d bytes in total", text, n)
		}
	}
	if _, ok := residentOf(filepath.Join(t.TempDir(), "none")); ok {
		t.Error("a file that is not there has a number")
	}
}

func TestPeakMemory(t *testing.T) {
	s := newTestServer(t)
	s.remember(1 << 50)
	if got := infoFields(t, s, "memory"); got["used_memory_peak"] != fmt.Sprint(1<<50) || got["used_memory_peak_human"] != "1.00P" {
		t.Errorf("got %s, %s", got["used_memory_peak"], got["used_memory_peak_human"])
	}
}

func TestHuman(t *testing.T) {
	for n, want := range map[uint64]string{0: "0B", 1023: "1023B", 1024: "1.00K", 1536: "1.50K", 5 << 20: "5.00M", 3 << 30: "3.00G"} {
		if got := human(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}
