//go:build linux

package peers

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// traced are the words before a command that has strace note each call that waits
// for the disk, with its time, and those that tell which writes do. The filter is in
// the kernel, so other calls go on at nearly full speed; and strace is the child, so
// the process keeps its place.
func traced(file string) []string {
	return []string{
		"strace", "-D", "-f", "--seccomp-bpf", "-ttt", "-e", "trace=fsync,fdatasync,msync,sync_file_range,syncfs,openat,pwrite64", "-e", "signal=none",
		"-o", file, "--",
	}
}

func (p *processes) traceFile(n *node) string { return filepath.Join(p.opts.Dir, n.Name+".trace") }

// Syncs counts the calls that waited for the disk between two times. The system
// must have been started with Trace, and closed.
func (p *processes) Syncs(from, to time.Time) (count int, err error) {
	for _, n := range p.nodes {
		f, err := os.Open(p.traceFile(n))
		if err != nil {
			return 0, err
		}
		lines, t := bufio.NewScanner(f), trace{}
		for lines.Scan() {
			at, is := t.wait(lines.Text())
			if is && at >= seconds(from) && at < seconds(to) {
				count++
			}
		}
		err = lines.Err()
		f.Close()
		if err != nil {
			return 0, fmt.Errorf("%s: %w", p.traceFile(n), err)
		}
	}
	return count, nil
}

// trace is what the lines of one process's strace -f -ttt have told so far: the
// descriptors whose writes wait for the disk, and the threads that are in an open that
// makes one.
type trace struct{ descriptors, opening map[string]bool }

// wait takes a line: a call, whole or its beginning or its end. It says whether one
// begins there that waits for the disk, and when.
func (t *trace) wait(line string) (at float64, is bool) {
	f := strings.Fields(line)
	if len(f) < 3 {
		return 0, false
	}
	thread, result := f[0], f[len(f)-1]
	name, rest, begins := strings.Cut(f[2], "(")
	switch {
	case strings.Contains(line, "<... openat resumed>"):
		t.opened(result, t.opening[thread])
		return 0, false
	case !begins:
		return 0, false
	case name == "openat":
		waits := strings.Contains(line, "O_DSYNC") || strings.Contains(line, "O_SYNC")
		if strings.HasSuffix(line, "<unfinished ...>") {
			t.note(&t.opening, thread, waits)
		} else {
			t.opened(result, waits)
		}
		return 0, false
	case name == "pwrite64" && !t.descriptors[strings.TrimSuffix(rest, ",")]:
		return 0, false
	}
	at, err := strconv.ParseFloat(f[1], 64)
	return at, err == nil
}

// opened takes the result of an open: a descriptor, or a failure that ends in ")".
func (t *trace) opened(result string, waits bool) {
	if _, err := strconv.Atoi(result); err == nil {
		t.note(&t.descriptors, result, waits)
	}
}

func (t *trace) note(of *map[string]bool, what string, is bool) {
	if *of == nil {
		*of = map[string]bool{}
	}
	(*of)[what] = is
}

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
