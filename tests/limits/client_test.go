package limits

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// patience is how long a client waits for what takes milliseconds on an idle machine.
const patience = 30 * time.Second

// client is a plain connection that sends raw bytes.
type client struct {
	net.Conn
	t *testing.T
}

// dial connects; the connection is closed with the test.
func dial(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	// Thousands of ports that rest for a minute after their connection's end would be
	// missed by tests that run beside these.
	_ = conn.(*net.TCPConn).SetLinger(0)
	t.Cleanup(func() { conn.Close() })
	return &client{conn, t}
}

// try sends bytes and expects exactly the reply.
func (c *client) try(raw, want string) error {
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, raw); err != nil {
		return err
	}
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != want {
		return fmt.Errorf("%.40q: got %.200q (%v), want %.200q", raw, got[:n], err, want)
	}
	return nil
}

// roundTrip is try of what has to succeed.
func (c *client) roundTrip(raw, want string) {
	c.t.Helper()
	if err := c.try(raw, want); err != nil {
		c.t.Fatal(err)
	}
}

// rest reads until the other side closes.
func (c *client) rest() (string, error) {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	var got bytes.Buffer
	_, err := io.Copy(&got, io.LimitReader(c, 1<<20))
	if err != nil && !errors.Is(err, net.ErrClosed) && !isReset(err) {
		return got.String(), err
	}
	return got.String(), nil
}

// isReset says whether the other side closed with input unread.
func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}

// flood writes the same bytes again and again until so many are sent, or nothing was
// taken for so long: the other side reads no more.
func (c *client) flood(block []byte, total int, stall time.Duration) (sent int) {
	for sent < total {
		_ = c.SetWriteDeadline(time.Now().Add(stall))
		n, err := c.Write(block[:min(len(block), total-sent)])
		sent += n
		if err != nil {
			return sent
		}
	}
	return sent
}
