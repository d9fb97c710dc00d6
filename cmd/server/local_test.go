package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/raftkv/raftkv/server/config"
)

// TestRunLocal is the way a newcomer takes: start three nodes, write, kill the
// leader, read, bring it back by the command that was printed, stop all, find the
// data again by the next, and remove it by the last.
func TestRunLocal(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	dir := t.TempDir()
	resp, web, raft := ports(t, 3), ports(t, 3), ports(t, 3)
	flags := []string{"run-local", "--port", strconv.Itoa(resp), "--http-port", strconv.Itoa(web), "--raft-port", strconv.Itoa(raft), "--data-dir", "my data/run"}
	url := func(node int) string { return fmt.Sprintf("http://127.0.0.1:%d/key/greeting", web+node-1) }

	run := start(t, dir, flags...)
	run.waitFor("Ctrl-C stops all")
	text, _ := run.output()
	rows := regexp.MustCompile(`(node\d) +(\w+) .* (\d+) +my data/run/node\d\.log`).FindAllStringSubmatch(text, -1)
	if len(rows) != 3 {
		t.Fatalf("%d nodes in the table:\n%s", len(rows), text)
	}
	leader, pid := leaderOf(t, rows)
	request(t, "PUT", url(leader%3+1), `{"value":"hello"}`) // a follower redirects

	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	again := run.waitFor(`stays down.*\n\n  (.+)\n`)[1]
	if got := request(t, "GET", url(leader%3+1), ""); got != `{"key":"greeting","value":"hello"}` {
		t.Errorf("after kill -9 of the leader: %s", got)
	}
	back := startCommand(t, dir, exec.Command("sh", "-c", "exec "+again))
	back.waitFor("node started")
	if got := request(t, "GET", url(leader), ""); got != `{"key":"greeting","value":"hello"}` {
		t.Errorf("from the node that came back: %s", got)
	}
	_ = run.cmd.Process.Signal(syscall.SIGINT)
	code, text := run.wait(patience)
	if code != exitOK {
		t.Errorf("Ctrl-C: exit code %d\n%s", code, text)
	}
	hints := regexp.MustCompile(`All stopped, but for nodes that you brought back yourself.*\n\n  (.+)\n  (rm .+)\n`).FindStringSubmatch(text)
	if hints == nil {
		t.Fatalf("no hints at the end:\n%s", text)
	}
	for _, row := range rows {
		if p, _ := strconv.Atoi(row[3]); syscall.Kill(p, 0) == nil {
			t.Errorf("%s, process %d, is still there", row[1], p)
		}
	}
	_ = back.cmd.Process.Signal(syscall.SIGTERM)
	if code, text := back.wait(10 * time.Second); code != exitOK {
		t.Errorf("the node that came back: exit code %d\n%s", code, text)
	}

	run = startCommand(t, dir, exec.Command("sh", "-c", "exec "+hints[1]))
	run.waitFor("Ctrl-C stops all")
	if got := request(t, "GET", url(1), ""); got != `{"key":"greeting","value":"hello"}` {
		t.Errorf("after a restart of all: %s", got)
	}
	_ = run.cmd.Process.Signal(syscall.SIGTERM)
	if code, text := run.wait(patience); code != exitOK {
		t.Errorf("SIGTERM: exit code %d\n%s", code, text)
	}
	other := filepath.Join(dir, "my data/run/other")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	remove := exec.Command("sh", "-c", hints[2])
	remove.Dir = dir
	if out, err := remove.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v %s", hints[2], err, out)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(other), "*")); err != nil || len(left) != 1 || left[0] != other {
		t.Errorf("%s left %q", hints[2], left)
	}
}

// TestRunLocalMoved: a run on other ports goes on with the data, and once the table
// is there every node names every other where it is now.
func TestRunLocalMoved(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	dir := t.TempDir()
	for turn := range 2 {
		base := ports(t, 9) // at once: they must not overlap
		resp, web, raft := base, base+3, base+6
		run := start(t, dir, "run-local", "--port", strconv.Itoa(resp), "--http-port", strconv.Itoa(web), "--raft-port", strconv.Itoa(raft))
		run.waitFor("Ctrl-C stops all")
		for asked := range 3 {
			text := request(t, "GET", fmt.Sprintf("http://127.0.0.1:%d/status", web+asked), "")
			for n := range 3 {
				want := fmt.Sprintf(`"raft":"127.0.0.1:%d","resp":"127.0.0.1:%d","http":"127.0.0.1:%d"`, raft+n, resp+n, web+n)
				if !strings.Contains(text, want) {
					t.Errorf("run %d: node%d does not say %s: %s", turn+1, asked+1, want, text)
				}
			}
		}
		_ = run.cmd.Process.Signal(syscall.SIGINT)
		if code, text := run.wait(patience); code != exitOK {
			t.Fatalf("exit code %d\n%s", code, text)
		}
	}
}

// TestFormWaitsForAddresses: the table is not printed while any node still names
// another where that one was in the run before.
func TestFormWaitsForAddresses(t *testing.T) {
	r := &localRun{cfg: &config.Local{}, exits: make(chan *localNode, 1), out: io.Discard}
	var asked atomic.Int32 // node3, which is the last to learn where node2 is
	for i := range config.LocalNodes {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			old := i == 2 && asked.Add(1) < 3
			var nodes []string
			for n, node := range r.nodes {
				role, resp := "follower", node.RESPAddr
				if n == 0 {
					role = "leader"
				}
				if n == 1 && old {
					resp = "127.0.0.1:1"
				}
				nodes = append(nodes, fmt.Sprintf(`{"id":%q,"role":%q,"raft":%q,"resp":%q,"http":%q,"match_index":1}`, node.NodeID, role, node.RaftAddr, resp, node.HTTPAddr))
			}
			fmt.Fprintf(w, `{"nodes":[%s]}`, strings.Join(nodes, ","))
		}))
		defer web.Close()
		r.nodes = append(r.nodes, &localNode{Config: &config.Config{
			NodeID: fmt.Sprintf("node%d", i+1), HTTPAddr: strings.TrimPrefix(web.URL, "http://"),
			RESPAddr: fmt.Sprintf("127.0.0.1:%d", 6379+i), RaftAddr: fmt.Sprintf("127.0.0.1:%d", 8000+i),
		}})
	}
	st, stopped, err := r.form(nil)
	if err != nil || stopped || st == nil {
		t.Fatal(st, stopped, err)
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("node3 was asked %d times, want 3: until it knew", n)
	}
}

// leaderOf returns number and process id of the leader in the printed table.
func leaderOf(t *testing.T, rows [][]string) (number, pid int) {
	t.Helper()
	for i, row := range rows {
		if row[2] == "leader" {
			pid, err := strconv.Atoi(row[3])
			if err != nil {
				t.Fatal(err)
			}
			return i + 1, pid
		}
	}
	t.Fatalf("no leader in %v", rows)
	return 0, 0
}

func TestRunLocalTakenPorts(t *testing.T) {
	base := map[string]int{"--port": ports(t, 3), "--http-port": ports(t, 3), "--raft-port": ports(t, 3)}
	dir := filepath.Join(t.TempDir(), "run")
	for flag, hint := range map[string]string{"--port": "make run PORT=", "--http-port": "make run HTTP_PORT=", "--raft-port": "make run RAFT_PORT="} {
		taken, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", base[flag]+2))
		if err != nil {
			t.Fatal(err)
		}
		args := []string{"run-local", "--data-dir", dir}
		for f, port := range base {
			args = append(args, f, strconv.Itoa(port))
		}
		code, out, msg := inProcess(nil, args...)
		taken.Close()
		if code != exitError || out != "" || !strings.Contains(msg, taken.Addr().String()+", for node3, is taken") ||
			!strings.Contains(msg, hint) || strings.Count(msg, "\n") != 1 {
			t.Errorf("%s: %d, %q, %q", flag, code, out, msg)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a data directory was made")
	}
}

// TestRunLocalNodeFails: a node that does not come up ends the run with its reason.
func TestRunLocalNodeFails(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "data", "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "run", "node2"), []byte("not a directory"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := start(t, dir, "run-local", "--port", strconv.Itoa(ports(t, 3)), "--http-port", strconv.Itoa(ports(t, 3)), "--raft-port", strconv.Itoa(ports(t, 3)))
	code, text := run.wait(patience)
	if code != exitError || !strings.Contains(text, "node2 did not start: ") || !strings.Contains(text, "All stopped") {
		t.Errorf("exit code %d:\n%s", code, text)
	}
}

func TestCommandLine(t *testing.T) {
	if got, want := commandLine("/opt/raft kv", []string{"--node-id", "it's", ""}), `'/opt/raft kv' --node-id 'it'\''s' ''`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if got := commandLine(filepath.Join(wd, "raftkv"), []string{"--resp-addr", "127.0.0.1:1"}); got != "./raftkv --resp-addr 127.0.0.1:1" {
		t.Errorf("got %s", got)
	}
}
