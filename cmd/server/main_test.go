package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// asProgram makes the test's own binary the program, so that it can be run as a
// process. Its name has no RAFTKV_ in front, which run-local would take away.
const asProgram = "CMD_SERVER_TEST_AS_PROGRAM"

// patience bounds every wait.
const patience = time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// inProcess runs the program's run function.
func inProcess(env map[string]string, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	code = run(args, environment{lookup, &out, &err})
	return code, out.String(), err.String()
}

// program is a process of this program.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	ended chan struct{}
	mu    sync.Mutex
	text  strings.Builder // guarded by mu
	more  chan struct{}   // closed and replaced, under mu, when text grows
}

// start runs the program in dir.
func start(t *testing.T, dir string, args ...string) *program {
	t.Helper()
	return startCommand(t, dir, exec.Command(os.Args[0], args...))
}

func startCommand(t *testing.T, dir string, cmd *exec.Cmd) *program {
	t.Helper()
	p := &program{t: t, cmd: cmd, ended: make(chan struct{}), more: make(chan struct{})}
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, p, p
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.WaitDelay = patience
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			<-p.ended
		}
	})
	return p
}

// Write collects the output.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text.Write(b)
	close(p.more)
	p.more = make(chan struct{})
	return len(b), nil
}

func (p *program) output() (string, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String(), p.more
}

// waitFor waits until the output matches and returns the groups.
func (p *program) waitFor(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	late := time.After(patience)
	for {
		text, more := p.output()
		if m := re.FindStringSubmatch(text); m != nil {
			return m
		}
		select {
		case <-more:
		case <-p.ended:
			if text, _ = p.output(); re.FindString(text) == "" {
				p.t.Fatalf("ended (%v) without %q:\n%s", p.cmd.ProcessState, pattern, text)
			}
		case <-late:
			p.t.Fatalf("no %q in:\n%s", pattern, text)
		}
	}
}

// wait waits for the end, at most d, and returns the exit code and all output.
func (p *program) wait(d time.Duration) (code int, text string) {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(d):
		text, _ := p.output()
		p.t.Fatalf("still runs after %s:\n%s", d, text)
	}
	text, _ = p.output()
	return p.cmd.ProcessState.ExitCode(), text
}

// ports returns the first of n free ports in a row.
func ports(t *testing.T, n int) int {
	t.Helper()
	for range 100 {
		first, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		base := first.Addr().(*net.TCPAddr).Port
		open := []net.Listener{first}
		for i := 1; i < n; i++ {
			ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", base+i))
			if err != nil {
				break
			}
			open = append(open, ln)
		}
		for _, ln := range open {
			ln.Close()
		}
		if len(open) == n {
			return base
		}
	}
	t.Fatal("no free ports")
	return 0
}

// request makes an HTTP request, again while the node is not there yet.
func request(t *testing.T, method, url, body string) string {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		req, err := http.NewRequest(method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			text, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if res.StatusCode == 200 {
				return strings.TrimSpace(string(text))
			}
			err = fmt.Errorf("%s: %s", res.Status, text)
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // between two polls
	}
}

func TestVersionAndHelp(t *testing.T) {
	for _, args := range [][]string{{"--version"}, {"version"}} {
		if code, out, _ := inProcess(nil, args...); code != exitOK || !strings.HasPrefix(out, "raftkv ") || !strings.Contains(out, "commit") {
			t.Errorf("%v: %d, %q", args, code, out)
		}
	}
	for _, args := range [][]string{{"--help"}, {"-h"}, {"help"}, {"run-local", "--help"}} {
		if code, out, _ := inProcess(nil, args...); code != exitOK || !strings.HasPrefix(out, "Usage: raftkv") {
			t.Errorf("%v: %d, %q", args, code, out)
		}
	}
}

func TestMistakesAreOneLine(t *testing.T) {
	for _, tt := range []struct {
		args string
		want string
	}{
		{"", "--node-id is missing"},
		{"strat", `no subcommand "strat"`},
		{"--node-id n --respaddr x", "unknown flag --respaddr"},
		{"--node-id n --resp-addr 0.0.0.0:1", "--resp-advertise"},
		{"run-local --port x", "--port"},
	} {
		code, out, msg := inProcess(nil, strings.Fields(tt.args)...)
		if code != exitUsage || out != "" || !strings.HasPrefix(msg, "raftkv: ") || !strings.Contains(msg, tt.want) || strings.Count(msg, "\n") != 1 {
			t.Errorf("%q: %d, %q, %q; want one line with %q", tt.args, code, out, msg, tt.want)
		}
	}
}

// TestTakenPorts: whichever of the three is taken, one line names the flag that
// moves it, and nothing was left behind.
func TestTakenPorts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, flag := range []string{"--resp-addr", "--http-addr", "--raft-addr"} {
		args := []string{"--node-id", "n", "--data-dir", filepath.Join(t.TempDir(), "d")}
		for _, f := range []string{"--resp-addr", "--http-addr", "--raft-addr"} {
			addr := fmt.Sprintf("127.0.0.1:%d", ports(t, 1))
			if f == flag {
				addr = taken.Addr().String()
			}
			args = append(args, f, addr)
		}
		code, _, msg := inProcess(nil, args...)
		want := "raftkv: " + taken.Addr().String() + " is taken: stop what listens there, or choose another port with " + flag + " HOST:PORT\n"
		if code != exitError || msg != want {
			t.Errorf("%s: %d, %q; want %q", flag, code, msg, want)
		}
	}
}

func TestForeignAddress(t *testing.T) {
	code, _, msg := inProcess(nil, "--node-id", "n", "--resp-addr", "192.0.2.1:6379", "--protected-mode", "no", "--data-dir", t.TempDir())
	if code != exitError || !strings.Contains(msg, "192.0.2.1:6379 is no address of this machine") || !strings.Contains(msg, "--resp-addr") {
		t.Errorf("%d, %q", code, msg)
	}
}

// TestNode: a node of one serves at once, ends well at SIGTERM and at SHUTDOWN,
// and has its data after a restart, although its ports are others then.
func TestNode(t *testing.T) {
	dir := t.TempDir()
	launch := func() (p *program, resp, http string) {
		p = start(t, dir, "--node-id", "n1", "--resp-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0",
			"--raft-addr", fmt.Sprintf("127.0.0.1:%d", ports(t, 1)), "--log-format", "json")
		m := p.waitFor(`"msg":"node started".*"resp":"([^"]+)","http":"([^"]+)"`)
		return p, m[1], "http://" + m[2]
	}
	p, resp, url := launch()
	request(t, "PUT", url+"/key/k", `{"value":"v"}`)
	if got := request(t, "GET", url+"/status", ""); !strings.Contains(got, `"leader":"`+resp+`"`) {
		t.Errorf("the port that was chosen is not announced: %s", got)
	}
	metrics := request(t, "GET", url+"/metrics", "")
	for _, want := range []string{`raftkv_keys{db="0"} 1`, `raftkv_commands_total{command="set"} 1`, "raftkv_write_seconds_count 1", `raftkv_batch_proposals_bucket{le="1"}`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics without %s: %s", want, metrics)
		}
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if code, text := p.wait(10 * time.Second); code != exitOK {
		t.Fatalf("SIGTERM: exit code %d\n%s", code, text)
	}

	p, resp, url = launch()
	if got := request(t, "GET", url+"/key/k", ""); got != `{"key":"k","value":"v"}` {
		t.Errorf("after a restart: %s", got)
	}
	conn, err := net.Dial("tcp", resp)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "SHUTDOWN\r\n")
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil {
		t.Errorf("SHUTDOWN answered %q", line)
	}
	if code, text := p.wait(10 * time.Second); code != exitOK {
		t.Errorf("SHUTDOWN: exit code %d\n%s", code, text)
	}
}

// TestDataDirInUse: a second process on the same data is refused in one line.
func TestDataDirInUse(t *testing.T) {
	dir := t.TempDir()
	args := func() []string {
		return []string{
			"--node-id", "n1", "--data-dir", filepath.Join(dir, "d"), "--resp-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0",
			"--raft-addr", fmt.Sprintf("127.0.0.1:%d", ports(t, 1)),
		}
	}
	start(t, dir, args()...).waitFor("node started")
	code, _, msg := inProcess(nil, args()...)
	if code != exitError || !strings.Contains(msg, "--data-dir") || strings.Count(msg, "\n") != 1 {
		t.Errorf("%d, %q", code, msg)
	}
}
