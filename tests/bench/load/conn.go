// Package load makes load and measures what comes of it: closed loops over raw
// sockets, an open loop at a fixed rate, redis-benchmark, callers of etcd, and a
// client that follows the leader of a cluster. It starts no server.
package load

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"time"
)

// ReplyError is an error that the server answered.
type ReplyError string

func (e ReplyError) Error() string { return "the server answered: " + string(e) }

// Conn is a raw connection that speaks as much RESP as load needs: commands out,
// replies counted and forgotten.
type Conn struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
}

// Dial connects to a server.
func Dial(ctx context.Context, addr string) (*Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &Conn{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}, nil
}

// Close ends the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// Deadline bounds everything that follows; the zero time is no bound.
func (c *Conn) Deadline(at time.Time) error { return c.conn.SetDeadline(at) }

// Queue adds a command to what Flush sends.
func (c *Conn) Queue(args ...[]byte) {
	c.out = append(c.out, '*')
	c.out = strconv.AppendInt(c.out, int64(len(args)), 10)
	for _, arg := range args {
		c.out = append(c.out, "\r\n$"...)
		c.out = strconv.AppendInt(c.out, int64(len(arg)), 10)
		c.out = append(c.out, "\r\n"...)
		c.out = append(c.out, arg...)
	}
	c.out = append(c.out, "\r\n"...)
}

// Flush sends what was queued.
func (c *Conn) Flush() error {
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// Skip reads one reply, which must not be an array, and forgets it. One that is an
// error is returned as a ReplyError.
func (c *Conn) Skip() error {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if len(line) < 3 {
		return fmt.Errorf("a reply that is none: %q", line)
	}
	switch rest := line[1 : len(line)-2]; line[0] {
	case '+', ':':
		return nil
	case '-':
		return ReplyError(rest)
	case '$':
		n, err := strconv.Atoi(string(rest))
		if err != nil || n < 0 { // null
			return err
		}
		_, err = c.in.Discard(n + 2)
		return err
	}
	return fmt.Errorf("a reply that load does not expect: %q", line)
}

// Do sends one command and waits for its reply.
func (c *Conn) Do(args ...[]byte) error {
	c.Queue(args...)
	if err := c.Flush(); err != nil {
		return err
	}
	return c.Skip()
}
