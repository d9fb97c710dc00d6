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
// for the disk, with its time. The filter is in the kernel, so other calls go on at
// nearly full speed; and strace is the child, so the process keeps its place.
func traced(file string) []string {
	return []string{
		"strace", "-D", "-f", "--seccomp-bpf", "-ttt", "-e", "trace=fsync,fdatasync,msync,sync_file_range,syncfs", "-e", "signal=none",
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
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			at, is := parseSync(lines.Text())
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

// parseSync takes a line of strace -f -ttt: a call, whole or its beginning, and the
// time when it began. The end of one that another interrupted is none.
func parseSync(line string) (at float64, is bool) {
	f := strings.Fields(line)
	if len(f) < 3 || strings.HasPrefix(f[2], "<...") || strings.HasPrefix(f[2], "+++") || strings.HasPrefix(f[2], "---") {
		return 0, false
	}
	at, err := strconv.ParseFloat(f[1], 64)
	return at, err == nil && strings.Contains(f[2], "(")
}

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
