package proc

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Node is one raftkv process and its data directory, which outlives it.
type Node struct {
	ID, Raft, RESP, HTTP string
	Dir                  string // data directory
	Flags                []string
	Env                  []string // added to the test's own, NAME=VALUE
	Binary               string   // Build's if empty
	// TLS is what its clients' ports speak; nil is plaintext. Set before the first start.
	TLS *tls.Config
	// Password is the default user's, which its clients give; empty for none.
	Password string

	Process

	tb testing.TB

	mu     sync.Mutex
	client *redis.Client // guarded by mu
}

// NewNode returns a node that is not started yet, with addresses of its own. Its
// process is killed when the test ends; a panic in its log fails the test, and of a
// test that failed the end of the log is shown.
func NewNode(tb testing.TB, id string, flags ...string) *Node {
	tb.Helper()
	dir := tb.TempDir()
	n := &Node{
		ID: id, Raft: FreeAddr(tb), RESP: FreeAddr(tb), HTTP: FreeAddr(tb),
		Dir: filepath.Join(dir, "data"), Flags: flags,
		Process: Process{Name: id, LogPath: filepath.Join(dir, "log")},
		tb:      tb,
	}
	tb.Cleanup(func() {
		n.Kill()
		n.checkLog()
		if tb.Failed() {
			tb.Logf("the end of %s's log:\n%s", n.ID, n.LogTail(40))
		}
	})
	return n
}

// Start starts the process; extra flags count for this start only.
func (n *Node) Start(extra ...string) *Node {
	n.tb.Helper()
	if err := n.start(extra); err != nil {
		n.tb.Fatal(err)
	}
	return n
}

func (n *Node) start(extra []string) error {
	args := []string{"--node-id", n.ID, "--raft-addr", n.Raft, "--resp-addr", n.RESP, "--http-addr", n.HTTP, "--data-dir", n.Dir}
	binary := n.Binary
	if binary == "" {
		binary = Build(n.tb)
	}
	args = append(args, StoreFlags()...)
	cmd := exec.Command(binary, append(append(args, n.Flags...), extra...)...)
	cmd.Env = append(Environ(), n.Env...)
	return n.Launch(cmd)
}

// Environ is the test's environment without the settings of raftkv and of the
// tests: a node refuses those that it does not know.
func Environ() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "RAFTKV_") })
}

// Kill ends the process as kill -9 does and waits until it is gone. It does
// nothing if it does not run.
func (n *Node) Kill() {
	n.KillProcess()
	n.closeClient()
}

// Term sends SIGTERM and expects the process to exit with 0 within 10 s, as it
// promises.
func (n *Node) Term() {
	n.tb.Helper()
	exited := n.Signal(syscall.SIGTERM)
	if exited == nil {
		n.tb.Fatalf("%s does not run", n.ID)
	}
	if err := n.Wait(10 * time.Second); err != nil {
		n.tb.Fatalf("%s after SIGTERM: %v", n.ID, err)
	}
	n.closeClient()
}

// WaitReady waits until the node answers linearizable reads.
func (n *Node) WaitReady(limit time.Duration) *Node {
	n.tb.Helper()
	Eventually(n.tb, limit, n.ID+" is ready", n.Ready)
	return n
}

// Ready returns nil if the node answers linearizable reads now.
func (n *Node) Ready() error {
	if !n.Running() {
		return fmt.Errorf("the process has ended: %s", n.LogTail(3))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL("/readyz"), nil)
	if err != nil {
		return err
	}
	client, done := n.HTTPClient()
	defer done()
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}

// URL is that of a path on the node's HTTP port.
func (n *Node) URL(path string) string {
	scheme := "http"
	if n.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + n.HTTP + path
}

// HTTPClient returns a client for the node's HTTP port, and what ends it.
func (n *Node) HTTPClient() (client *http.Client, done func()) {
	if n.TLS == nil {
		return http.DefaultClient, func() {}
	}
	trans := &http.Transport{TLSClientConfig: n.TLS}
	return &http.Client{Transport: trans}, trans.CloseIdleConnections
}

// checkLog fails the test if one of the node's processes panicked, or was built
// with the race detector and found something.
func (n *Node) checkLog() {
	text, err := os.ReadFile(n.LogPath)
	if errors.Is(err, os.ErrNotExist) {
		return // never started
	}
	if err != nil {
		n.tb.Error(err)
	}
	for _, sign := range []string{"DATA RACE", "panic: ", "fatal error: "} {
		if at := bytes.Index(text, []byte(sign)); at >= 0 {
			n.tb.Errorf("%s: %s", n.ID, text[at:min(len(text), at+4000)])
		}
	}
}

// Client returns a plain client of this node, which follows no redirect and
// sends nothing twice. It is closed with the test, and anew after a kill.
func (n *Node) Client() *redis.Client {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.client == nil {
		n.client = redis.NewClient(&redis.Options{Addr: n.RESP, MaxRetries: -1, DisableIdentity: true, DialTimeout: time.Second, ReadTimeout: 30 * time.Second, TLSConfig: n.TLS, Password: n.Password})
	}
	return n.client
}

func (n *Node) closeClient() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.client != nil {
		n.client.Close()
		n.client = nil
	}
}

// Do runs a command on this node.
func (n *Node) Do(args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return n.Client().Do(ctx, args...).Result()
}

// MustDo runs a command on this node that has to succeed.
func (n *Node) MustDo(args ...any) any {
	n.tb.Helper()
	reply, err := n.Do(args...)
	if err != nil {
		n.tb.Fatalf("%s: %v: %v", n.ID, args, err)
	}
	return reply
}
