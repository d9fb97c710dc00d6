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

	"github.com/redis/go-redis/v9/logging"
)

// BinaryEnv names a ready-made binary, which is then taken instead of building one.
const BinaryEnv = "RAFTKV_TEST_BINARY"

// StoreEnv names the kind of log that nodes are started with, as --log-store has it.
const StoreEnv = "RAFTKV_TEST_LOG_STORE"

// StoreFlags are the flags that it stands for, of the nodes of all tests.
func StoreFlags() []string {
	if kind := os.Getenv(StoreEnv); kind != "" {
		return []string{"--log-store", kind}
	}
	return nil
}

// FaultsEnv names one that was built with the tag `faults`.
const FaultsEnv = "RAFTKV_TEST_FAULTS_BINARY"

// NextEnv names one that was built with the tag `nextversion`.
const NextEnv = "RAFTKV_TEST_NEXT_BINARY"

// binary is one way of building raftkv.
type binary struct {
	env  string
	args []string

	once sync.Once
	dir  string
	path string
	err  error
}

var (
	plain  = &binary{env: BinaryEnv}
	faulty = &binary{env: FaultsEnv, args: []string{"-tags", "faults"}}
	next   = &binary{env: NextEnv, args: []string{"-tags", "nextversion"}}
)

// Build returns the path of the raftkv binary, which it builds at the first call.
func Build(tb testing.TB) string {
	tb.Helper()
	return plain.get(tb)
}

// BuildFaults does the same with the fault switches that tests need; see package
// cluster/faults.
func BuildFaults(tb testing.TB) string {
	tb.Helper()
	return faulty.get(tb)
}

// BuildNext does the same with one that knows one cluster version more, as a program
// of the future will; see package fsm/entry.
func BuildNext(tb testing.TB) string {
	tb.Helper()
	return next.get(tb)
}

func (b *binary) get(tb testing.TB) string {
	tb.Helper()
	b.once.Do(func() { b.path, b.err = b.build() })
	if b.err != nil {
		tb.Fatal(b.err)
	}
	return b.path
}

func (b *binary) build() (string, error) {
	if path := os.Getenv(b.env); path != "" {
		return filepath.Abs(path)
	}
	dir, err := os.MkdirTemp("", "raftkv-test-")
	if err != nil {
		return "", err
	}
	b.dir = dir
	path := filepath.Join(dir, "raftkv")
	return path, BuildTo(path, b.args...)
}

// BuildTo builds the binary under a path, with these flags of go build.
func BuildTo(path string, flags ...string) error {
	root, err := NoteSources()
	if err != nil {
		return err
	}
	cmd := exec.Command("go", append(append([]string{"build"}, flags...), "-o", path, "./cmd/server")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build ./cmd/server: %w\n%s", err, out)
	}
	return nil
}

// NoteSources looks at all that the binary is built from and returns the module's
// root. go test notes what a test opens, so a result that it kept is not taken for
// that of a changed server.
func NoteSources() (root string, err error) {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	root = filepath.Dir(strings.TrimSpace(string(mod)))
	for _, dir := range []string{"cmd", "cluster", "server", "fsm", "resp"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(string, fs.DirEntry, error) error { return nil })
		if err != nil {
			return "", err
		}
	}
	return root, nil
}

// Main runs a test package's tests and removes what Build made; TestMain calls it.
// What go-redis logs of nodes that the tests kill is dropped, unless LOUD is set.
func Main(m *testing.M) int {
	if os.Getenv("LOUD") == "" {
		logging.Disable()
	}
	code := m.Run()
	for _, b := range []*binary{plain, faulty, next} {
		if b.dir != "" {
			os.RemoveAll(b.dir)
		}
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
