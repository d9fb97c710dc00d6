package scripts

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/resp"
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
func startRedis(t *testing.T, flags ...string) *realRedis {
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
	cmd.Args = append([]string{"redis-server", "--port", "0", "--unixsocket", r.socket, "--save", "", "--appendonly", "no", "--dir", dir}, flags...)
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

// startRedisCluster starts a Redis that is a cluster by itself.
func startRedisCluster(t *testing.T) *realRedis {
	t.Helper()
	port := proc.FreeAddr(t)
	port = port[strings.LastIndexByte(port, ':')+1:]
	bus := proc.FreeAddr(t)
	bus = bus[strings.LastIndexByte(bus, ':')+1:]
	r := startRedis(t, "--bind", "127.0.0.1", "--port", port, "--cluster-enabled", "yes", "--cluster-port", bus)
	c, err := r.open()
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if v, err := c.do(2, []string{"CLUSTER", "ADDSLOTSRANGE", "0", "16383"}); err != nil || v.Err() != nil {
		t.Fatal(resp.FormatCLI(v), err)
	}
	proc.Eventually(t, 20*time.Second, "the real cluster is up", func() error {
		v, err := c.do(2, []string{"CLUSTER", "INFO"})
		if err == nil && !strings.Contains(v.Text(), "cluster_state:ok") {
			err = errors.New(v.Text())
		}
		return err
	})
	return r
}

// The scripts say what the real Redis answers; with -rewrite they are made to.
func TestRedis(t *testing.T) {
	alone, cluster := startRedis(t), startRedisCluster(t)
	for _, s := range corpus(t) {
		t.Run(s.path, func(t *testing.T) {
			if s.has("since") || s.has("differs") {
				t.Skip("written by hand: ", s.marks)
			}
			r := alone
			if s.has("cluster") {
				r = cluster
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
