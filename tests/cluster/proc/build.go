// Package proc runs real raftkv processes for tests: it builds the binary once,
// starts nodes and clusters of them on free ports of 127.0.0.1 with data
// directories of their own, kills them by process id, and cleans up. It knows
// nothing of the code under test; it talks to it as a client does.
package proc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// BinaryEnv names a ready-made binary, which is then taken instead of building one.
const BinaryEnv = "RAFTKV_TEST_BINARY"

var build struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// Build returns the path of the raftkv binary, which it builds at the first call.
func Build(tb testing.TB) string {
	tb.Helper()
	build.once.Do(func() { build.path, build.err = buildBinary() })
	if build.err != nil {
		tb.Fatal(build.err)
	}
	return build.path
}

func buildBinary() (string, error) {
	if path := os.Getenv(BinaryEnv); path != "" {
		return filepath.Abs(path)
	}
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	root := filepath.Dir(strings.TrimSpace(string(mod)))
	if err := readSources(root); err != nil {
		return "", err
	}
	if build.dir, err = os.MkdirTemp("", "raftkv-test-"); err != nil {
		return "", err
	}
	path := filepath.Join(build.dir, "raftkv")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/server")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/server: %w\n%s", err, out)
	}
	return path, nil
}

// readSources looks at all that the binary is built from. go test notes what a
// test opens, so a result that it kept is not taken for that of a changed server.
func readSources(root string) error {
	for _, dir := range []string{"cmd", "cluster", "server", "fsm", "resp"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(string, fs.DirEntry, error) error { return nil })
		if err != nil {
			return err
		}
	}
	return nil
}

// Main runs a test package's tests and removes what Build made; TestMain calls it.
func Main(m *testing.M) int {
	code := m.Run()
	if build.dir != "" {
		os.RemoveAll(build.dir)
	}
	return code
}

// Eventually calls check until it returns nil; the test fails with what it
// returned last if that takes longer than limit.
func Eventually(tb testing.TB, limit time.Duration, what string, check func() error) {
	tb.Helper()
	if err := Poll(limit, check); err != nil {
		tb.Fatalf("%s: not within %s: %v", what, limit, err)
	}
}

// Poll calls check until it returns nil, and returns what it returned last if
// that takes longer than limit.
func Poll(limit time.Duration, check func() error) error {
	const pause = 10 * time.Millisecond
	timeout := time.After(limit)
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-timeout:
			return err
		case <-time.After(pause):
		}
	}
}

var errNotYet = errors.New("not yet")
