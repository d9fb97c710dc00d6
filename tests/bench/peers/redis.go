//go:build linux

package peers

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/raftkv/raftkv/tests/bench/load"
	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// Redis is one redis-server that appends to a file.
type Redis struct {
	processes
	addr string
}

// StartRedis starts a redis-server with appendonly yes, and fsync as appendfsync
// has it: always or everysec. RDB files are off, since the append-only file holds
// everything; all else is Redis's default.
func StartRedis(ctx context.Context, fsync string, opts Options) (*Redis, error) {
	r := &Redis{processes: processes{name: RedisAlways, opts: opts}}
	if fsync != "always" {
		r.name = "redis " + fsync
	}
	return started(r, r.start(ctx, fsync))
}

func (r *Redis) start(ctx context.Context, fsync string) (err error) {
	if r.addr, err = proc.FreeAddress(); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(r.addr)
	if err != nil {
		return err
	}
	n, data, err := r.add("redis-" + fsync)
	if err != nil {
		return err
	}
	binary, err := redisServer(r.opts.Dir)
	if err != nil {
		return err
	}
	n.args = []string{
		binary, "--bind", host, "--dir", data, "--save", "", "--appendonly", "yes", "--appendfsync", fsync,
	}
	if err := r.encrypt(); err != nil {
		return err
	}
	if r.opts.Certs == nil {
		n.args = append(n.args, "--port", port)
	} else {
		n.args = append(append(n.args, "--port", "0", "--tls-port", port), r.opts.Certs.flags("node1")...)
	}
	if err := r.launch(n); err != nil {
		return err
	}
	return r.await(ctx, startLimit, func() error { return r.do(ctx, r.addr, "PING").Err() })
}

// redisServer is the path of a redis-server; one that goes by another name here gets
// its own in dir, since it looks at that.
func redisServer(dir string) (string, error) {
	const name = "redis-server"
	path, err := Find(name)
	if err != nil || filepath.Base(path) == name {
		return path, err
	}
	link := filepath.Join(dir, name)
	return link, os.Symlink(path, link)
}

// Addr is the server's.
func (r *Redis) Addr(context.Context) (string, error) { return r.addr, nil }

// Launch starts the process again and does not wait.
func (r *Redis) Launch() error { return r.launch(r.nodes[0]) }

// Probe returns a client.
func (r *Redis) Probe() load.Prober { return load.NewProbe(r.addr) }

// Snapshot has it write its append-only file anew, which is what a snapshot is to
// a log, and returns when that is done.
func (r *Redis) Snapshot(ctx context.Context) error {
	if err := r.do(ctx, r.addr, "BGREWRITEAOF").Err(); err != nil {
		return err
	}
	return r.Rewritten(ctx)
}

// Snapshots changes whenever it has begun or ended to write the file anew.
func (r *Redis) Snapshots(ctx context.Context) (string, error) {
	info, err := r.do(ctx, r.addr, "INFO", "persistence").Text()
	if err != nil {
		return "", err
	}
	var all []string
	for line := range strings.Lines(info) {
		if strings.HasPrefix(line, "aof_rewrite") { // in progress, scheduled, how many
			all = append(all, strings.TrimSpace(line))
		}
	}
	return strings.Join(all, " "), nil
}

// Rewritten waits until the append-only file is not being written anew.
func (r *Redis) Rewritten(ctx context.Context) error {
	return r.await(ctx, commandLimit, func() error {
		info, err := r.do(ctx, r.addr, "INFO", "persistence").Text()
		if err != nil {
			return err
		}
		for _, busy := range []string{"aof_rewrite_in_progress:1", "aof_rewrite_scheduled:1", "loading:1"} {
			if strings.Contains(info, busy) {
				return errors.New(busy)
			}
		}
		return nil
	})
}

// EchoEnv tells a program that starts an echo to be that: it is its address then.
const EchoEnv = "RAFTKV_BENCH_ECHO"

// EchoServer is a bare redcon server.
type EchoServer struct {
	processes
	addr string
}

// StartEcho starts opts.Binary, which must serve package echo where the
// environment says EchoEnv.
func StartEcho(ctx context.Context, opts Options) (*EchoServer, error) {
	e := &EchoServer{processes: processes{name: Echo, opts: opts}}
	return started(e, e.start(ctx))
}

func (e *EchoServer) start(ctx context.Context) (err error) {
	if e.addr, err = proc.FreeAddress(); err != nil {
		return err
	}
	n, _, err := e.add(Echo)
	if err != nil {
		return err
	}
	n.args = []string{e.opts.Binary}
	n.env = append(proc.Environ(), EchoEnv+"="+e.addr)
	if err := e.launch(n); err != nil {
		return err
	}
	return e.await(ctx, startLimit, func() error {
		c, err := load.Dial(ctx, e.addr)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.Deadline(time.Now().Add(time.Second)); err != nil {
			return err
		}
		return c.Do([]byte("PING"))
	})
}

// Addr is the server's.
func (e *EchoServer) Addr(context.Context) (string, error) { return e.addr, nil }
