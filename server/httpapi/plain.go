package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
)

// net/http refuses a request that it cannot parse by itself, in plain text and
// without asking a handler. answering turns those few texts into JSON.
type answering struct {
	net.Conn
	// ours is set while what is written is a handler's answer. That is never
	// touched: a value may well look like such a refusal.
	ours atomic.Bool
}

type connKey struct{}

// noteConn is http.Server's ConnContext.
func noteConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// begin notes that a handler answers now.
func begin(r *http.Request) {
	if c, ok := r.Context().Value(connKey{}).(interface{ answers(bool) }); ok {
		c.answers(true)
	}
}

// noteState is http.Server's ConnState: an idle connection's answer is written, and
// its place is another's if there are too many.
func noteState(c net.Conn, state http.ConnState) {
	if c, ok := c.(interface{ state(http.ConnState) }); ok {
		c.state(state)
	}
	if c, ok := c.(interface{ answers(bool) }); ok && state == http.StateIdle {
		c.answers(false)
	}
}

func (a *answering) answers(ours bool) { a.ours.Store(ours) }

// plainHeaders is what net/http's refusals have between status line and text.
// Source: net/http/server.go, (*conn).serve.
const plainHeaders = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"

func (a *answering) Write(b []byte) (int, error) {
	if a.ours.Load() || !bytes.HasPrefix(b, []byte("HTTP/1.1 ")) {
		return a.Conn.Write(b)
	}
	line, _, plain := bytes.Cut(b, []byte(plainHeaders))
	if !plain {
		return a.Conn.Write(b)
	}
	if _, err := a.Conn.Write(refusal(strings.TrimPrefix(string(line), "HTTP/1.1 "))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// refusal is the response for a status like "400 Bad Request: missing Host header".
func refusal(status string) []byte {
	status, detail, _ := strings.Cut(status, ": ")
	text := "the request cannot be understood"
	switch {
	case detail != "":
		text += ": " + detail
	case strings.HasPrefix(status, "431 "):
		text = "the address and the headers are too long"
	case strings.HasPrefix(status, "400 "):
		text += "; in an address a percent sign is written %25 and a space %20"
	}
	body, _ := json.Marshal(errorJSON{text}) // a string always has a JSON form
	return fmt.Appendf(nil, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n", status, len(body)+1, body)
}

// CloseWrite lets net/http close its half first, so that a refusal gets out before
// the unread rest of the request resets the connection.
func (a *answering) CloseWrite() error {
	if c, ok := a.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}
