package commands

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// realRedis is a connection to a redis-server of its own, on a Unix socket.
type realRedis struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// startRedis starts the redis-server that the machine has: under its own name, or
// as redis-check-rdb, which is the same program.
func startRedis(t *testing.T) *realRedis {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if path, err = exec.LookPath("redis-check-rdb"); err != nil {
			unavailable(t, "no redis-server (apt-get install redis-tools)")
		}
	}
	dir, err := os.MkdirTemp("", "redis") // short: a socket's path has a limit
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	cmd := exec.Command(path)
	cmd.Args = []string{"redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--enable-debug-command", "yes", "--dir", dir}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			t.Cleanup(func() { _ = conn.Close() })
			r := &realRedis{t: t, conn: conn, in: bufio.NewReader(conn)}
			if info := r.do("INFO", "server"); !bytes.Contains(info, []byte("redis_version:7.0.")) {
				unavailable(t, "redis-server is not 7.0")
			}
			return r
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// do sends a command and returns the reply as it came.
func (r *realRedis) do(args ...string) []byte {
	r.t.Helper()
	var b bytes.Buffer
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := r.conn.Write(b.Bytes()); err != nil {
		r.t.Fatal(err)
	}
	var reply bytes.Buffer
	if err := readReply(r.in, &reply); err != nil {
		r.t.Fatalf("%q: %v", args, err)
	}
	return reply.Bytes()
}

// readReply copies one reply.
func readReply(in *bufio.Reader, out *bytes.Buffer) error {
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	out.Write(line)
	n, _ := strconv.Atoi(string(line[1 : len(line)-2]))
	switch line[0] {
	case '$', '=':
		if n >= 0 {
			_, err = io.CopyN(out, in, int64(n)+2)
		}
	case '%':
		n *= 2
		fallthrough
	case '*', '~', '>':
		for range n {
			if err := readReply(in, out); err != nil {
				return err
			}
		}
	}
	return err
}

// ours runs commands on a Space as the Machine will: with a lookup by name, an
// arity check, a Mark to take replies back to.
type ours struct {
	table *spec.Table[Command]
	space *keyspace.Space
	db    int
	now   int64
	seed  uint64
	w     *resp.Writer
}

func newOurs(proto int) *ours {
	return &ours{
		table: spec.NewTable(All(), func(c *Command) *spec.Command { return &c.Command }),
		space: keyspace.New([16]byte{1, 2, 3}),
		now:   time.Now().UnixMilli(),
		w:     resp.NewWriter(proto, nil),
	}
}

func (o *ours) do(args ...string) []byte {
	argv := make(Args, len(args))
	for i, a := range args {
		argv[i] = []byte(a)
	}
	o.seed++
	o.w.Reset(o.w.Proto())
	if err := o.run(argv); err != nil {
		o.w.Truncate(0)
		o.w.Error(err.(resp.Error))
	}
	return bytes.Clone(o.w.Bytes())
}

func (o *ours) instant() keyspace.Instant { return keyspace.Instant{Logged: o.now, Now: o.now} }

func (o *ours) run(argv Args) error {
	if is(argv[0], "SELECT") {
		n, err := strconv.Atoi(string(argv[1]))
		if err != nil {
			return err
		}
		o.db = n
		o.w.OK()
		return nil
	}
	c, ok := o.table.Get(argv[0])
	if !ok {
		return resp.Error("ERR unknown command in test: " + string(argv[0]))
	}
	for i := range c.Sub {
		if len(argv) > 1 && is(argv[1], c.Sub[i].Name) {
			c = &c.Sub[i]
			break
		}
	}
	if !c.Accepts(len(argv)) {
		return resp.WrongArity(c.FullName())
	}
	switch {
	case c.Write != nil:
		return c.Write(o.space.Txn(o.db, o.now, o.seed), argv, o.w)
	case c.Read != nil:
		v := o.space.View(o.db, o.instant())
		v.Seed = o.seed
		return c.Read(v, argv, o.w)
	case c.Plain != nil:
		return c.Plain(argv, o.w)
	}
	return resp.Error("ERR no handler in test")
}

// unavailable skips a test for want of the right Redis, but never in CI, where
// nothing may be left out.
func unavailable(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip("NOT RUN: " + why)
}
