package scripts

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// realVersion is the Redis that the corpus is recorded from.
const realVersion = "7.0.15"

// realRedis is a redis-server of our own on a Unix socket.
type realRedis struct {
	stay
	socket string
}

func (r *realRedis) open() (client, error) { return dial("unix", r.socket) }

// startRedis starts the real Redis: redis-server, or redis-check-rdb under that
// name, which is the same program.
func startRedis(t *testing.T) *realRedis {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if path, err = exec.LookPath("redis-check-rdb"); err != nil {
			unavailable(t, "there is no redis-server here (apt-get install redis-tools)")
		}
	}
	dir, err := os.MkdirTemp("", "redis") // short: the path of a socket has a limit
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &realRedis{socket: filepath.Join(dir, "s")}
	var log bytes.Buffer
	cmd := &exec.Cmd{Path: path, Stdout: &log, Stderr: &log}
	cmd.Args = []string{"redis-server", "--port", "0", "--unixsocket", r.socket, "--save", "", "--appendonly", "no", "--dir", dir}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	proc.Eventually(t, 20*time.Second, "redis-server answers", func() error {
		c, err := r.open()
		if err != nil {
			return err
		}
		defer c.close()
		_, err = c.do(2, []string{"PING"})
		return err
	})
	c, err := r.open()
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if v, err := c.do(2, []string{"INFO", "server"}); err != nil || !strings.Contains(v.Text(), "redis_version:"+realVersion+"\r") {
		unavailable(t, "this redis-server is not "+realVersion)
	}
	return r
}

// The scripts say what the real Redis answers; with -rewrite they are made to.
func TestRedis(t *testing.T) {
	r := startRedis(t)
	for _, s := range corpus(t) {
		t.Run(s.path, func(t *testing.T) {
			if s.has("since") || s.has("differs") {
				t.Skip("written by hand: ", s.marks)
			}
			run(t, r, s)
			if *rewrite && !t.Failed() {
				if err := os.WriteFile(s.path, s.format(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
