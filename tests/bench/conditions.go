//go:build linux

package bench

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/raftkv/raftkv/tests/bench/peers"
)

// look notes the conditions before the run, and refuses those that make it
// impossible.
func (r *runner) look() (err error) {
	c := &r.res.Conditions
	c.Started, c.Rounds, c.Quick = r.started, r.Rounds, r.Scale != FullScale
	c.Go, c.Cores = runtime.Version(), runtime.NumCPU()
	if c.Filesystem, err = Filesystem(r.Work); err != nil {
		return err
	}
	if c.Load, err = loadAverage(); err != nil {
		return err
	}
	if c.Busy, err = busyShare(time.Second); err != nil {
		return err
	}
	if c.Fdatasync[0], err = fdatasync(r.Work); err != nil {
		return err
	}
	c.Commit = output("git", "describe", "--always", "--dirty", "--abbrev=12")
	c.Kernel = output("uname", "-sr")
	c.CPU, c.MemoryGB = processor(), memoryGB()
	c.Versions = versions()
	r.say("load average %.2f, others use %.0f %% of the cores, fdatasync %.0f µs on %s", c.Load, 100*c.Busy, c.Fdatasync[0], c.Filesystem)
	for _, w := range c.Warnings() {
		r.say("WARNING: %s", w)
	}
	return nil
}

// lookAgain completes the conditions after the run.
func (r *runner) lookAgain() (err error) {
	c := &r.res.Conditions
	c.Took = time.Since(r.started).Seconds()
	c.Fdatasync[1], err = fdatasync(r.Work)
	return err
}

// Filesystem is the type of the file system that a directory lies on. One that is in
// memory is an error: it knows no disk to wait for.
func Filesystem(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	kind := filesystemOf(dir, string(mounts))
	if kind == "tmpfs" || kind == "ramfs" {
		return "", fmt.Errorf("%s is on %s, which no write waits for: choose a directory on a disk (DATA=DIR)", dir, kind)
	}
	return kind, nil
}

// filesystemOf finds the mount that a directory lies on: the longest mount point
// before it, the later of two.
func filesystemOf(dir, mountinfo string) (kind string) {
	longest := 0
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		fields, types := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(types) == 0 {
			continue
		}
		at := strings.TrimSuffix(unescape(fields[4]), "/")
		if (dir == at || strings.HasPrefix(dir, at+"/")) && len(at) >= longest {
			longest, kind = len(at), types[0]
		}
	}
	return kind
}

// unescape turns the kernel's \040 into what it stands for.
func unescape(text string) string {
	for _, octal := range []string{`\040`, `\011`, `\012`, `\134`} {
		code, _ := strconv.ParseUint(octal[1:], 8, 8)
		text = strings.ReplaceAll(text, octal, string(rune(code)))
	}
	return text
}

// fdatasync is the median time of appending 64 B to a file with fdatasync, in
// microseconds.
func fdatasync(dir string) (micros float64, err error) {
	const appends = 2000
	f, err := os.CreateTemp(dir, "fdatasync-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	var all []float64
	line := make([]byte, 64)
	for range appends {
		start := time.Now()
		if _, err := f.Write(line); err != nil {
			return 0, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
		all = append(all, float64(time.Since(start))/float64(time.Microsecond))
	}
	return Median(all), nil
}

func loadAverage() (load float64, err error) {
	text, err := os.ReadFile("/proc/loadavg")
	if err == nil {
		_, err = fmt.Sscan(string(text), &load)
	}
	return load, err
}

// busyShare is the share of all cores that is in use over a time.
func busyShare(over time.Duration) (float64, error) {
	busy, all, err := cpuTimes()
	if err != nil {
		return 0, err
	}
	time.Sleep(over) // the measurement itself, nothing is waited for
	busyAfter, allAfter, err := cpuTimes()
	if err != nil || allAfter == all {
		return 0, err
	}
	return float64(busyAfter-busy) / float64(allAfter-all), nil
}

func cpuTimes() (busy, all uint64, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	return parseCPU(string(text))
}

// parseCPU adds up the first line of /proc/stat. Guests' time is in the users' too.
func parseCPU(text string) (busy, all uint64, err error) {
	const idle, iowait, steal = 3, 4, 7
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 5 || fields[0] != "cpu" {
		return 0, 0, errors.New("/proc/stat does not begin with cpu")
	}
	for i, field := range fields[1:min(len(fields), steal+2)] {
		ticks, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("/proc/stat: %w", err)
		}
		all += ticks
		if i != idle && i != iowait {
			busy += ticks
		}
	}
	return busy, all, nil
}

// output is what a program prints, "unknown" where it fails.
func output(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// infoLine is the value of the first line of a file of `name : value`.
func infoLine(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func processor() string { return infoLine("/proc/cpuinfo", "model name") }

func memoryGB() (gb float64) {
	var kib float64
	if _, err := fmt.Sscan(infoLine("/proc/meminfo", "MemTotal"), &kib); err != nil {
		return 0
	}
	return kib / (1 << 20)
}

// versions are those of the programs that take part.
func versions() map[string]string {
	found := map[string]string{}
	for _, program := range []string{"redis-benchmark", "etcd", "strace"} {
		path, err := peers.Find(program)
		if err != nil {
			continue
		}
		if v, err := peers.Version(path, program); err == nil {
			found[program] = v
		}
	}
	if path, err := peers.Find("redis-server"); err == nil {
		found["redis-server"] = output(path, "--version")
	}
	return found
}
