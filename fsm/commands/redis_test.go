package commands

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
	"github.com/raftkv/raftkv/tests/realredis"
)

// realRedis is a connection to a redis-server of its own.
type realRedis struct {
	t    *testing.T
	conn *realredis.Conn
}

// startRedis starts the redis-server that the machine has.
func startRedis(t *testing.T) *realRedis {
	t.Helper()
	server, err := realredis.Start()
	if errors.Is(err, realredis.ErrUnavailable) {
		unavailable(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	conn, err := server.Dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return &realRedis{t, conn}
}

// do sends a command and returns the reply as it came.
func (r *realRedis) do(args ...string) []byte {
	r.t.Helper()
	raw := make([][]byte, len(args))
	for i, a := range args {
		raw[i] = []byte(a)
	}
	reply, err := r.conn.Do(raw)
	if err != nil {
		r.t.Fatalf("%.1000q: %v", args, err)
	}
	return reply
}

// beside runs a test in RESP2 and in RESP3, each with a real Redis and ours, both fresh.
func beside(t *testing.T, test func(t *testing.T, real *realRedis, our *ours)) {
	t.Helper()
	for proto := 2; proto <= 3; proto++ {
		t.Run(fmt.Sprintf("RESP%d", proto), func(t *testing.T) {
			real, our := startRedis(t), newOurs(proto)
			real.do("HELLO", strconv.Itoa(proto))
			test(t, real, our)
		})
	}
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
