//go:build linux

package peers

import (
	"strings"
	"testing"
)

// TestTraceWaits: of the lines that strace writes, those count with which a wait for the
// disk begins, a write among them where its file was opened so that it waits.
func TestTraceWaits(t *testing.T) {
	const lines = `
+ 10 1.5 fsync(3)                          = 0
+ 10 1.6 fdatasync(3 <unfinished ...>
- 11 1.7 openat(AT_FDCWD, "/a b", O_RDWR|O_CLOEXEC) = 4
- 11 1.8 pwrite64(4, "fdatasync(3)", 12, 0) = 12
- 10 1.9 <... fdatasync resumed>)          = 0
- 11 2.0 openat(AT_FDCWD, "/proc/self/fd/4", O_RDWR|O_DSYNC|O_DIRECT|O_CLOEXEC) = 5
+ 11 2.1 pwrite64(5, "x"..., 4096, 0)      = 4096
+ 11 2.2 pwrite64(5, "x"..., 4096, 0 <unfinished ...>
- 12 2.3 openat(AT_FDCWD, "c", O_RDWR|O_DSYNC <unfinished ...>
- 11 2.4 <... pwrite64 resumed>)           = 4096
- 12 2.5 <... openat resumed>)             = 6
+ 12 2.6 pwrite64(6, "x"..., 4096, 0)      = 4096
- 12 2.7 openat(AT_FDCWD, "/none", O_RDWR|O_DSYNC) = -1 ENOENT (No such file or directory)
- 12 2.8 openat(AT_FDCWD, "/d", O_RDONLY)  = 5
- 12 2.9 pwrite64(5, "x"..., 4096, 0)      = 4096
- 12 3.0 +++ exited with 0 +++
- 12 3.1 --- SIGURG ---
-`
	var tr trace
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		want, line := line[0] == '+', strings.TrimSpace(line[1:])
		if at, got := tr.wait(line); got != want || got && (at < 1.5 || at > 2.6) {
			t.Errorf("%s: a wait: %v at %v, want %v", line, got, at, want)
		}
	}
}
