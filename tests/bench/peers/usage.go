//go:build linux

package peers

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage is what processes have used since they started, or between two times.
type Usage struct {
	CPU     time.Duration
	Written int64 // bytes handed to disks
}

// Memory is what processes hold, in bytes. Resident counts file pages that are
// mapped, Anonymous does not.
type Memory struct{ Resident, Anonymous, Peak int64 }

// tick is the unit of CPU time in /proc: USER_HZ is 100 wherever Go runs.
const tick = 10 * time.Millisecond

// UsageOf adds up what these processes have used.
func UsageOf(pids []int) (sum Usage, err error) {
	for _, pid := range pids {
		stat, err := procFile(pid, "stat")
		if err != nil {
			return sum, err
		}
		cpu, err := parseStat(stat)
		if err != nil {
			return sum, err
		}
		io, err := procFile(pid, "io")
		if err != nil {
			return sum, err
		}
		written, err := field(io, "write_bytes")
		if err != nil {
			return sum, err
		}
		sum.CPU += cpu
		sum.Written += written
	}
	return sum, nil
}

// Since is what was used after an earlier Usage.
func (u Usage) Since(before Usage) Usage {
	return Usage{CPU: u.CPU - before.CPU, Written: u.Written - before.Written}
}

// MemoryOf is the memory of one process.
func MemoryOf(pid int) (m Memory, err error) {
	status, err := procFile(pid, "status")
	if err != nil {
		return m, err
	}
	for name, into := range map[string]*int64{"VmRSS": &m.Resident, "RssAnon": &m.Anonymous, "VmHWM": &m.Peak} {
		kib, err := field(status, name)
		if err != nil {
			return m, err
		}
		*into = kib << 10
	}
	return m, nil
}

func procFile(pid int, name string) (string, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), name))
	return string(text), err
}

// parseStat is the time in user and kernel mode of /proc/PID/stat. The program's
// name, in parentheses, may hold anything.
func parseStat(text string) (time.Duration, error) {
	const user, kernel = 11, 12 // behind the name
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) <= kernel {
		return 0, fmt.Errorf("/proc/PID/stat has only %d fields", len(fields))
	}
	var sum time.Duration
	for _, at := range []int{user, kernel} {
		ticks, err := strconv.ParseInt(fields[at], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/PID/stat: %w", err)
		}
		sum += time.Duration(ticks) * tick
	}
	return sum, nil
}

// field is the number that stands behind a name in a file of lines `name: number`.
func field(text, name string) (int64, error) {
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok && key == name {
			if f := strings.Fields(value); len(f) > 0 {
				return strconv.ParseInt(f[0], 10, 64)
			}
		}
	}
	return 0, fmt.Errorf("no %s in /proc", name)
}
