package security

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// client is a plain connection to a node's Redis port, for bytes that no library sends.
type client struct {
	net.Conn
	t    *testing.T
	in   *bufio.Reader
	all  strings.Builder // all that it was ever told
	gone bool            // the node has ended the connection

	// ask is what goes behind each line, and end its answer: what comes before that is the
	// line's. Where there is none, it is a PING.
	ask, end string
}

// dialAs connects to a node and authenticates as a user; without a password it doesn't. The
// connection ends with the test.
func dialAs(t *testing.T, n *proc.Node, user, password string) *client {
	t.Helper()
	conn := connect(t, n.RESP)
	t.Cleanup(func() { conn.Close() })
	if n.TLS != nil {
		config := n.TLS.Clone()
		config.ServerName = "127.0.0.1"
		conn = tls.Client(conn, config)
	}
	c := &client{Conn: conn, t: t, in: bufio.NewReader(conn)}
	if password != "" {
		if got := c.say(line("AUTH", user, password)); got != "+OK\r\n" {
			t.Fatalf("AUTH %s: %q", user, got)
		}
	}
	return c
}

// Read is net.Conn's, behind what say has read.
func (c *client) Read(b []byte) (int, error) { return c.in.Read(b) }

// dialStranger connects to a node that wants a password, and gives none.
func dialStranger(t *testing.T, n *proc.Node) *client {
	t.Helper()
	c := dialAs(t, n, "", "")
	c.ask, c.end = line("AUTH", mark, mark), wrongPass // all that it may
	return c
}

// mark is what nobody else says.
const mark = "the-answer-ends-here-"

var marks atomic.Int64

// say sends raw bytes and returns all that the node answers to them, up to the end where
// it ends the connection.
func (c *client) say(raw string) string {
	c.t.Helper()
	_ = c.SetDeadline(time.Now().Add(patience))
	ask, end := c.ask, c.end
	if ask == "" {
		text := fmt.Sprint(mark, marks.Add(1)) // no two are the same: what a node tells may have the last one in it
		ask, end = line("PING", text), fmt.Sprintf("$%d\r\n%s\r\n", len(text), text)
	}
	_, _ = c.Write([]byte(raw + ask)) // it may be closed in the middle
	var got strings.Builder
	for {
		text, err := c.in.ReadString('\n')
		got.WriteString(text)
		c.all.WriteString(text)
		if before, ok := strings.CutSuffix(got.String(), end); ok {
			return before
		}
		if err != nil {
			var late net.Error
			if errors.As(err, &late) && late.Timeout() {
				c.t.Fatalf("%.60q: after %s only %.200q", raw, patience, got.String())
			}
			c.gone = true
			return got.String()
		}
	}
}

// line is a command as Redis clients send it.
func line(words ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.String()
}

// inline is a command as a person types it.
func inline(words ...string) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%q", w)
	}
	return b.String() + "\r\n"
}

// declared is what a node's COMMAND says of a command or a subcommand.
type declared struct {
	words []string // its name: one word, or two
	arity int      // as Redis counts: with the name, negative for at least so many
	flags string
	keyed bool
}

// anyLine is a line that the command takes, with the same word for every argument.
func (d declared) anyLine(word string) []string {
	words := d.words
	for len(words) < max(d.arity, -d.arity) {
		words = append(words[:len(words):len(words)], word)
	}
	return words
}

// commands asks a node for all its commands; containers are in it by their subcommands.
func commands(t *testing.T, n *proc.Node) (list []declared) {
	t.Helper()
	var walk func(reply any)
	walk = func(reply any) {
		for _, one := range reply.([]any) {
			f := one.([]any)
			if subs := f[9].([]any); len(subs) > 0 && f[1].(int64) == -2 {
				walk(subs)
				continue
			}
			d := declared{words: strings.Split(f[0].(string), "|"), arity: int(f[1].(int64)), flags: fmt.Sprint(f[2]), keyed: len(f[8].([]any)) > 0}
			list = append(list, d)
			if subs := f[9].([]any); len(subs) > 0 {
				walk(subs)
			}
		}
	}
	walk(n.MustDo("COMMAND"))
	if len(list) < 120 {
		t.Fatalf("only %d commands", len(list))
	}
	return list
}
