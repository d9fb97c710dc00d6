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
func inProcess(env []string, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(args, environment{env, &out, &err})
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
	for _, args := range [][]string{{"--help"}, {"-h"}, {"help"}, {"run-local", "--help"}, {"check", "--help"}, {"recover", "-h"}} {
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
		{"node.yml", "--config node.yml"},
		{"run-local --data-dir=", "--data-dir: the value is empty"},
		{"--node-id n --respaddr x", "unknown flag --respaddr"},
		{"--node-id n --resp-addr 0.0.0.0:1", "--resp-advertise"},
		{"run-local --port x", "--port"},
		{"check", "--data-dir"},
		{"check --data-dir d --format xml", "--format"},
		{"recover --yes", "--data-dir"},
		{"recover --data-dir=", "--data-dir: the value is empty"},
	} {
		code, out, msg := inProcess(nil, strings.Fields(tt.args)...)
		if code != exitUsage || out != "" || !strings.HasPrefix(msg, "raftkv: ") || !strings.Contains(msg, tt.want) || strings.Count(msg, "\n") != 1 {
			t.Errorf("%q: %d, %q, %q; want one line with %q", tt.args, code, out, msg, tt.want)
		}
	}
}

// TestWrongStarts: a first try that cannot work ends with one line that says what
// to do, and the exit code that tells a mistake from what could not be done.
func TestWrongStarts(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := write("file", "")
	write("other/identity.json", `{"format":1,"node_id":"other","uuid":"u","state":"pristine"}`)
	write("stranger/notes.txt", "")
	raft := fmt.Sprintf("127.0.0.1:%d", ports(t, 1))
	for _, tt := range []struct {
		args, env string
		code      int
		want      string
	}{
		{"--data-dir " + file, "", exitError, "choose another --data-dir"},
		{"--data-dir " + file + "/below", "", exitError, "choose another --data-dir"},
		{"--data-dir " + dir + "/other", "", exitError, "belongs to node \"other\", not \"n\"; start with --node-id other"},
		{"--data-dir " + dir + "/stranger", "", exitError, "it is no RaftKV data dir, or that file was removed"},
		{"--data-dir=", "", exitUsage, "--data-dir: the value is empty"},
		{"--config " + dir, "", exitUsage, "name a YAML file"},
		{"--config " + write("typo.yml", "node_id: n"), "", exitUsage, `typo.yml, line 1: there is no setting "node_id"; did you mean "node-id"?`},
		{"--config " + write("broken.yml", "timeout: ["), "", exitUsage, "broken.yml, line 1: it is no YAML: write a line for each setting"},
		{"--config " + write("type.yml", "timeout: soon"), "", exitUsage, `type.yml, line 1: timeout: "soon" is no whole number`},
		{"", "RAFTKV_DATADIR=x", exitUsage, "RAFTKV_DATADIR in the environment is no setting: did you mean RAFTKV_DATA_DIR?"},
		{"", "RAFTKV_MAXCLIENTS=many", exitUsage, `RAFTKV_MAXCLIENTS in the environment: maxclients: "many" is no whole number`},
		{"--node-id", "", exitUsage, "--node-id: a value is missing"},
		{"--node-id a/b", "", exitUsage, `"a/b" cannot name a node`},
		{"-node-id n", "", exitUsage, "write --node-id"},
		{"--join " + raft, "", exitUsage, "is this node itself"},
		{"--join=", "", exitUsage, "--join: the value is empty"},
		{"--join localhost", "", exitUsage, "write HOST:PORT"},
		{"--resp-addr 6379", "", exitUsage, "write HOST:PORT"},
		{"--resp-addr ::1:6379", "", exitUsage, "write [::1]:6379"},
		{"--resp-addr http://127.0.0.1:1", "", exitUsage, "write HOST:PORT"},
		{"--raft-addr 127.0.0.1:0", "", exitUsage, "--raft-addr: port 0"},
		{"--raft-addr no-such-host.invalid:1", "", exitUsage, "--raft-addr no-such-host.invalid:1: the host \"no-such-host.invalid\" cannot be resolved"},
		{"--http-addr 0.0.0.0:1 --http-advertise h:1", "", exitUsage, "set --requirepass"},
		{"--http-addr 0.0.0.0:1 --http-advertise h:1 --requirepass=", "", exitUsage, "set --requirepass"},
		{"--leader-wait 3", "", exitUsage, "for example 3s"},
		{"--maxclients -1", "", exitUsage, "--maxclients must be between 1"},
		{"now", "", exitUsage, "unexpected argument now"},
	} {
		args := append([]string{"--node-id", "n", "--data-dir", filepath.Join(dir, "new"), "--resp-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0", "--raft-addr", raft},
			strings.Fields(tt.args)...)
		code, out, msg := inProcess([]string{tt.env}, args...)
		if code != tt.code || out != "" || !strings.HasPrefix(msg, "raftkv: ") || !strings.Contains(msg, tt.want) || strings.Count(msg, "\n") != 1 {
			t.Errorf("%s %s: %d, %q, %q; want %d and one line with %q", tt.env, tt.args, code, out, msg, tt.code, tt.want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
		t.Error("a refused start left a data directory behind")
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

// TestSlowlogSettings: what the command line says of the slow log counts from the
// first command on, and CONFIG GET shows it.
func TestSlowlogSettings(t *testing.T) {
	p := start(t, t.TempDir(), "--node-id", "n1", "--resp-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0",
		"--raft-addr", fmt.Sprintf("127.0.0.1:%d", ports(t, 1)), "--slowlog-log-slower-than", "0", "--slowlog-max-len", "2")
	conn, err := net.Dial("tcp", p.waitFor(`node started.* resp=(\S+)`)[1])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	want := "*4\r\n$23\r\nslowlog-log-slower-than\r\n$1\r\n0\r\n$15\r\nslowlog-max-len\r\n$1\r\n2\r\n+PONG\r\n+PONG\r\n:2\r\n"
	got := make([]byte, len(want))
	_, _ = io.WriteString(conn, "CONFIG GET slowlog-*\r\nPING\r\nPING\r\nSLOWLOG LEN\r\n")
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
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
