package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/raftkv/raftkv/server/config"
)

const (
	// formTime is how long the three nodes may take to find together.
	formTime = time.Minute
	// settleTime is how long, once they have, all of them may take to learn the others'
	// addresses, which may be new.
	settleTime = 10 * time.Second
	// pollPause lies between two looks at a cluster that is forming.
	pollPause = 100 * time.Millisecond
	// endTime is a little more than a node allows itself to end in.
	endTime = 12 * time.Second
)

// localRun is three nodes on this machine.
type localRun struct {
	cfg     *config.Local
	program string
	args    []string // what the program was started with, for another run like this
	nodes   []*localNode
	exits   chan *localNode
	mourned bool // a node has ended by itself
	out     io.Writer
}

// localNode is one of them.
type localNode struct {
	*config.Config
	cmd  *exec.Cmd
	log  string // the file that it logs to
	done bool   // it has ended; read and written by the run's goroutine only
	err  error  // how, once done
}

// runLocal starts three nodes, says how to use them, and stops them at the end.
func runLocal(args []string, env environment) error {
	cfg, done, err := config.ParseLocal(args, env.stdout)
	if err != nil || done {
		return err
	}
	// The nodes are tied to the thread that starts them (see attributes), which is
	// to live as long as this process.
	runtime.LockOSThread()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	r := &localRun{cfg: cfg, args: append([]string{"run-local"}, args...), exits: make(chan *localNode, config.LocalNodes), out: env.stdout}
	if r.program, err = os.Executable(); err != nil {
		return err
	}
	for n := 1; n <= config.LocalNodes; n++ {
		r.nodes = append(r.nodes, &localNode{Config: cfg.Node(n), log: filepath.Join(cfg.DataDir, fmt.Sprintf("node%d.log", n))})
	}
	if err := r.checkPorts(); err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("--data-dir %s cannot be used: %w: choose another", cfg.DataDir, err)
	}
	err = r.live(signals)
	r.end(signals)
	return err
}

// live starts the nodes and stays until they are to be stopped.
func (r *localRun) live(signals <-chan os.Signal) error {
	for _, n := range r.nodes {
		if err := r.startNode(n); err != nil {
			return err
		}
	}
	st, stopped, err := r.form(signals)
	if err != nil || stopped {
		return err
	}
	r.explain(st)
	for {
		select {
		case <-signals:
			return nil
		case n := <-r.exits:
			n.done = true
			r.mourn(n)
			if r.alive() == 0 {
				return errors.New("all three nodes have ended")
			}
		}
	}
}

// checkPorts finds taken ports before anything is started.
func (r *localRun) checkPorts() error {
	for _, n := range r.nodes {
		for _, a := range []struct{ addr, flag, variable, example string }{
			{n.RESPAddr, "--port", "PORT", "7379"},
			{n.HTTPAddr, "--http-port", "HTTP_PORT", "9080"},
			{n.RaftAddr, "--raft-port", "RAFT_PORT", "9000"},
		} {
			ln, err := net.Listen("tcp", a.addr)
			if err != nil {
				if errors.Is(err, syscall.EADDRINUSE) {
					return fmt.Errorf("%s, for %s, is taken: stop what listens there, or choose other ports, for example make run %s=%s (or raftkv run-local %s %s)",
						a.addr, n.NodeID, a.variable, a.example, a.flag, a.example)
				}
				return explainListen(a.flag, a.addr, err)
			}
			ln.Close()
		}
	}
	return nil
}

// arguments are the node's, as somebody would type them.
func (n *localNode) arguments() []string {
	args := []string{
		"--node-id", n.NodeID, "--resp-addr", n.RESPAddr, "--http-addr", n.HTTPAddr,
		"--raft-addr", n.RaftAddr, "--data-dir", n.DataDir,
	}
	if len(n.Join) > 0 {
		args = append(args, "--join", strings.Join(n.Join, ","))
	}
	return args
}

// startNode starts a process of this same program.
func (r *localRun) startNode(n *localNode) error {
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	n.cmd = exec.Command(r.program, n.arguments()...)
	n.cmd.Stdout, n.cmd.Stderr = log, log
	n.cmd.SysProcAttr = attributes()
	// Settings meant for a node of the user's own would hit all three.
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "RAFTKV_") {
			n.cmd.Env = append(n.cmd.Env, e)
		}
	}
	if err := n.cmd.Start(); err != nil {
		n.done = true
		return fmt.Errorf("%s: %w", n.NodeID, err)
	}
	go func() {
		n.err = n.cmd.Wait()
		r.exits <- n
	}()
	return nil
}

// localStatus is the part of GET /status that is looked at.
type localStatus struct {
	Nodes []struct {
		ID         string  `json:"id"`
		Role       string  `json:"role"`
		Raft       string  `json:"raft"`
		RESP       string  `json:"resp"`
		HTTP       string  `json:"http"`
		MatchIndex *uint64 `json:"match_index"`
	} `json:"nodes"`
}

// formed says whether all nodes vote, answer, and have a leader.
func (s *localStatus) formed() bool {
	leaders, voters := 0, 0
	for _, n := range s.Nodes {
		if n.MatchIndex == nil {
			return false
		}
		switch n.Role {
		case "leader":
			leaders++
			voters++
		case "follower":
			voters++
		}
	}
	return leaders == 1 && voters == config.LocalNodes
}

// current says whether every node is named with the addresses that it has now.
func (s *localStatus) current(nodes []*localNode) bool {
	named := 0
	for _, n := range nodes {
		for _, m := range s.Nodes {
			if m.ID == n.NodeID && m.Raft == n.RaftAddr && m.RESP == n.RESPAddr && m.HTTP == n.HTTPAddr {
				named++
			}
		}
	}
	return named == len(nodes)
}

// settled says whether all nodes know where the others are now: whoever connects
// to one is sent on by what it knows.
func (r *localRun) settled() bool {
	for _, n := range r.nodes {
		if st, err := status(n); err != nil || !st.formed() || !st.current(r.nodes) {
			return false
		}
	}
	return true
}

// form waits until the nodes are one cluster. stopped says that the user did not
// want to wait.
func (r *localRun) form(signals <-chan os.Signal) (st *localStatus, stopped bool, err error) {
	fmt.Fprintf(r.out, "Starting three nodes, data and logs in %s ...\n", r.cfg.DataDir)
	late := time.NewTimer(formTime)
	defer late.Stop()
	poll := time.NewTicker(pollPause)
	defer poll.Stop()
	var formed time.Time
	for {
		select {
		case <-signals:
			return nil, true, nil
		case n := <-r.exits:
			n.done = true
			return nil, false, fmt.Errorf("%s did not start: %s", n.NodeID, lastLine(n.log))
		case <-late.C:
			return nil, false, fmt.Errorf("the nodes did not form a cluster within %s: see %s/node*.log", formTime, r.cfg.DataDir)
		case <-poll.C:
			st, err := status(r.nodes[0])
			if err != nil || !st.formed() {
				continue
			}
			if formed.IsZero() {
				formed = time.Now()
			}
			if r.settled() || time.Since(formed) > settleTime {
				return st, false, nil
			}
		}
	}
}

// status asks a node.
func status(n *localNode) (*localStatus, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.HTTPAddr+"/status", nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	st := new(localStatus)
	return st, json.NewDecoder(res.Body).Decode(st)
}

// explain prints the nodes and what can be done with them.
func (r *localRun) explain(st *localStatus) {
	roles := make(map[string]string)
	for _, n := range st.Nodes {
		roles[n.ID] = n.Role
	}
	fmt.Fprint(r.out, "\nThree nodes run here as one cluster:\n\n")
	table := tabwriter.NewWriter(r.out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "  NODE\tROLE\tREDIS CLIENTS\tHTTP\tRAFT\tPID\tLOG")
	leader := r.nodes[0]
	for _, n := range r.nodes {
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\t%d\t%s\n", n.NodeID, roles[n.NodeID], n.RESPAddr, n.HTTPAddr, n.RaftAddr, n.cmd.Process.Pid, n.log)
		if roles[n.NodeID] == "leader" {
			leader = n
		}
	}
	table.Flush()
	port := r.cfg.Port
	fmt.Fprintf(r.out, `
Try, in another shell:

  redis-cli -c -p %d SET greeting hello
  redis-cli -c -p %d GET greeting
  redis-cli -p %d RAFT.STATUS
  curl -L -X PUT http://%s/key/greeting -d '{"value": "hi"}'
  curl -L http://%s/key/greeting
  curl http://%s/status

Kill the leader and read again from a node that is left:

  kill -9 %d

A node that was killed stays down; how to bring it back is printed here. Ctrl-C stops all.
`, port, port+1, port, r.nodes[1].HTTPAddr, r.nodes[2].HTTPAddr, r.nodes[0].HTTPAddr, leader.cmd.Process.Pid)
}

// mourn says that a node has ended and how to bring it back.
func (r *localRun) mourn(n *localNode) {
	r.mourned = true
	how := "ended"
	if n.err != nil {
		how = "ended (" + n.err.Error() + ")"
	}
	fmt.Fprintf(r.out, "\n%s, process %d, has %s and stays down. This brings it back, as yours to stop, in another shell here:\n\n  %s\n",
		n.NodeID, n.cmd.Process.Pid, how, commandLine(r.program, n.arguments()))
}

func (r *localRun) alive() int {
	alive := 0
	for _, n := range r.nodes {
		if n.cmd != nil && !n.done {
			alive++
		}
	}
	return alive
}

// end stops what still runs: asks, and where that is not heard, or at a second
// signal, kills.
func (r *localRun) end(signals <-chan os.Signal) {
	if r.alive() == 0 {
		return
	}
	fmt.Fprintln(r.out, "\nStopping the nodes ...")
	r.signal(syscall.SIGTERM)
	late := time.NewTimer(endTime)
	defer late.Stop()
	for r.alive() > 0 {
		select {
		case n := <-r.exits:
			n.done = true
			if n.err != nil {
				fmt.Fprintf(r.out, "%s: %v: %s\n", n.NodeID, n.err, lastLine(n.log))
			}
		case <-signals:
			r.signal(syscall.SIGKILL)
		case <-late.C:
			fmt.Fprintln(r.out, "Some do not end; killing them.")
			r.signal(syscall.SIGKILL)
		}
	}
	all := "All stopped"
	if r.mourned {
		all += ", but for nodes that you brought back yourself"
	}
	// What stands beside the nodes' own in that directory is none of ours.
	own := filepath.Join(r.cfg.DataDir, "node")
	fmt.Fprintf(r.out, "%s. The data is in %s. This goes on with it, and this removes it:\n\n  %s\n  rm -rf %s[123] %s[123].log\n",
		all, r.cfg.DataDir, commandLine(r.program, r.args), quote(own), quote(own))
}

func (r *localRun) signal(s syscall.Signal) {
	for _, n := range r.nodes {
		if n.cmd != nil && !n.done {
			_ = n.cmd.Process.Signal(s) // it may have ended just now
		}
	}
}

// lastLine is the end of a log, which says why a node did not start.
func lastLine(path string) string {
	const tail = 4096
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > tail {
		_, _ = f.Seek(-tail, io.SeekEnd) // at worst the whole log is read
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.TrimPrefix(lines[len(lines)-1], "raftkv: ")
}

// commandLine is what to type into a shell.
func commandLine(program string, args []string) string {
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, program); err == nil && !strings.HasPrefix(rel, "..") {
			program = "./" + rel
		}
	}
	words := []string{quote(program)}
	for _, a := range args {
		words = append(words, quote(a))
	}
	return strings.Join(words, " ")
}

// quote protects a word from the shell where it needs it.
func quote(word string) string {
	const plain = "-_./:,=@%+abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
