package scripts

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/tests/cluster/proc"
	"github.com/raftkv/raftkv/tests/realredis"
)

// realRedis is a redis-server of our own on a Unix socket.
type realRedis struct {
	stay
	socket string
}

func (r *realRedis) open() (client, error) { return dial("unix", r.socket) }

// startRedis starts the Redis that the corpus is recorded from.
func startRedis(t *testing.T, flags ...string) *realRedis {
	t.Helper()
	server, err := realredis.Start(flags...)
	switch {
	case errors.Is(err, realredis.ErrUnavailable):
		unavailable(t, err.Error())
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return &realRedis{socket: server.Socket}
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
