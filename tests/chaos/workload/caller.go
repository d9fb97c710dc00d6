//go:build linux

package workload

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/raftkv/raftkv/tests/chaos/check"
	"github.com/raftkv/raftkv/tests/chaos/network"
)

// Mode is how a client finds the node that answers.
type Mode string

const (
	// Plain asks its own side's node or the last leader, and follows MOVED by hand.
	Plain Mode = "plain"
	// Follower does so for writes, and reads from its own side's node after READONLY.
	Follower Mode = "follower"
	// Cluster is go-redis' ClusterClient.
	Cluster Mode = "cluster"
)

// The bounds of one operation. The server itself waits 3 s for a leader and up to
// 10 s for the outcome of what it logged: who gives up before has one more unknown.
const (
	dialTime   = time.Second
	replyTime  = 5 * time.Second
	callTime   = 9 * time.Second
	mostHops   = 4
	ownNodeOdd = 8 // one in so many operations asks the own node though a leader is known
)

// Place is where clients are and what they can reach.
type Place struct {
	Side  *network.Side
	Own   string            // RESP address of the side's node
	Names map[string]string // of the nodes, by RESP address
	Addrs []string          // all RESP addresses
}

// caller sends the commands of one client, one call at a time. It never sends a
// command again that may have been done, and neither does go-redis below it.
type caller struct {
	place   Place
	mode    Mode
	clients map[string]*redis.Client // by address
	cluster *redis.ClusterClient     // only in the mode Cluster
	leader  string                   // address that answered a write last, "" for none
	calls   int
	written atomic.Int64 // bytes that the kernel took for any of the clients' connections
}

func newCaller(p Place, mode Mode) *caller {
	c := &caller{place: p, mode: mode, clients: map[string]*redis.Client{}}
	if mode == Cluster {
		c.cluster = redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: p.Addrs, MaxRedirects: -1, MaxRetries: -1, DialerRetries: 1, Protocol: 2, DisableIdentity: true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
			Dialer:                   c.dial, DialTimeout: dialTime, ReadTimeout: replyTime, ContextTimeoutEnabled: true, PoolSize: 4,
			ClusterStateReloadInterval: 500 * time.Millisecond,
		})
	}
	return c
}

func (c *caller) close() {
	for _, client := range c.clients {
		client.Close()
	}
	if c.cluster != nil {
		c.cluster.Close()
	}
}

// dial connects from the clients' host.
func (c *caller) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err := c.place.Side.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	return &meter{Conn: conn, written: &c.written}, nil
}

// meter counts what was handed to the kernel: of a command of which nothing was,
// it is certain that it was not done.
type meter struct {
	net.Conn
	written *atomic.Int64
}

// Write counts also what is written before an error.
func (m *meter) Write(p []byte) (int, error) {
	n, err := m.Conn.Write(p)
	m.written.Add(int64(n))
	return n, err
}

// client returns the client of one node.
func (c *caller) client(addr string) *redis.Client {
	if have := c.clients[addr]; have != nil {
		return have
	}
	opts := &redis.Options{
		Addr: addr, MaxRetries: -1, DialerRetries: 1, Protocol: 2, DisableIdentity: true, PoolSize: 2,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		Dialer:                   c.dial, DialTimeout: dialTime, ReadTimeout: replyTime, ContextTimeoutEnabled: true,
	}
	if c.mode == Follower {
		opts.OnConnect = func(ctx context.Context, cn *redis.Conn) error { return cn.ReadOnly(ctx).Err() }
	}
	c.clients[addr] = redis.NewClient(opts)
	return c.clients[addr]
}

// answer is what came of one call.
type answer struct {
	replies []any // one for each command; errors stand where there was an error reply
	node    string
	outcome check.Outcome
	err     error // why it is not OK
}

// last is the last command's reply.
func (a *answer) last() any { return a.replies[len(a.replies)-1] }

// call sends commands as one pipeline and says what came of the last of them. It
// goes on to another node only after an answer by which nothing was done.
func (c *caller) call(ctx context.Context, reads bool, commands ...[]any) answer {
	if c.mode == Cluster && len(commands) == 1 {
		return c.callCluster(ctx, commands[0])
	}
	a, conn := c.callAndKeep(ctx, reads, commands...)
	if conn != nil {
		conn.Close()
	}
	return a
}

// callAndKeep does the same and returns the connection that answered, which is the
// caller's to close; nil where there is none.
func (c *caller) callAndKeep(ctx context.Context, reads bool, commands ...[]any) (answer, *redis.Conn) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if c.mode == Cluster {
		before := c.written.Load()
		client, err := c.cluster.MasterForKey(ctx, firstKey(commands))
		if err != nil {
			return c.judge(nil, err, before), nil
		}
		conn := client.Conn()
		a := c.send(ctx, conn, commands)
		a.node = c.place.Names[client.Options().Addr]
		return a, conn
	}
	target := c.first(reads)
	for hop := 1; ; hop++ {
		conn := c.client(target).Conn()
		a := c.send(ctx, conn, commands)
		a.node = c.place.Names[target]
		if a.outcome == check.OK {
			if !reads || c.mode != Follower {
				c.leader = target
			}
			return a, conn
		}
		c.leader = ""
		next := c.next(target, &a)
		if next == "" || hop == mostHops || ctx.Err() != nil {
			return a, conn
		}
		conn.Close()
		target = next
	}
}

// first is the node to ask first.
func (c *caller) first(reads bool) string {
	c.calls++
	if c.leader == "" || reads && c.mode == Follower || c.calls%ownNodeOdd == 0 {
		return c.place.Own
	}
	return c.leader
}

// next is the node to ask after one that certainly did nothing; "" if there is none.
func (c *caller) next(asked string, a *answer) string {
	if a.outcome != check.Failed {
		return ""
	}
	if addr, ok := movedTo(a.err); ok {
		return addr
	}
	var reply redis.Error
	if errors.As(a.err, &reply) {
		return "" // it waited for a leader already
	}
	at := slices.Index(c.place.Addrs, asked)
	return c.place.Addrs[(at+1)%len(c.place.Addrs)]
}

// callCluster lets a ClusterClient choose the node for a single command.
func (c *caller) callCluster(ctx context.Context, args []any) answer {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	before := c.written.Load()
	reply, err := c.cluster.Do(ctx, args...).Result()
	return c.judge([]any{reply}, err, before)
}

// firstKey is the key of the first command that has one.
func firstKey(commands [][]any) string {
	for _, args := range commands {
		if len(args) > 1 {
			return args[1].(string)
		}
	}
	return ""
}

// send runs a pipeline on one connection. A connection that broke is not made anew:
// what was watched on it would be forgotten.
func (c *caller) send(ctx context.Context, conn *redis.Conn, commands [][]any) answer {
	before := c.written.Load()
	cmds, _ := conn.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, args := range commands {
			p.Do(ctx, args...)
		}
		return nil
	})
	var replies []any
	var last, first, cause error
	for _, cmd := range cmds {
		reply, err := cmd.(*redis.Cmd).Result()
		last = err
		if _, ok := movedTo(err); ok && cause == nil {
			cause = err
		}
		if err != nil && !errors.Is(err, redis.Nil) {
			reply = err
			if first == nil {
				first = err
			}
		}
		replies = append(replies, reply)
	}
	if (last == nil || errors.Is(last, redis.Nil)) && first != nil {
		last = first // a GET says nothing of the WATCH before it, which the EXEC needs
	}
	a := c.judge(replies, last, before)
	if a.outcome == check.Failed && cause != nil {
		a.err = cause // EXECABORT says less than the MOVED before it
	}
	return a
}

// judge makes an answer of replies and the last one's error.
func (c *caller) judge(replies []any, err error, writtenBefore int64) answer {
	a := answer{replies: replies, outcome: check.OK}
	if err != nil && !errors.Is(err, redis.Nil) {
		a.err = err
		a.outcome = outcome(err, c.written.Load() != writtenBefore)
	}
	return a
}
