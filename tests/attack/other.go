package attack

import (
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// Key is what the other client writes and reads.
const Key = "other"

// patience is how long the other client waits for what takes milliseconds on an idle
// machine, before that is an error.
const patience = 30 * time.Second

// Other is the other client: it writes and reads a key, one command after the other, and
// expects each reply to the byte.
type Other struct {
	tb     testing.TB
	conn   net.Conn
	ended  chan struct{}
	ending chan struct{}
	end    func() // once

	mu    sync.Mutex
	waits []time.Duration // guarded by mu
}

// Work starts one on a connection of its own that is there already, to whom the node may
// talk TLS and who has given its password. With reads it writes once and then only reads:
// for where writes are to be refused. It ends with the test.
func Work(tb testing.TB, conn net.Conn, reads bool) *Other {
	tb.Helper()
	o := &Other{tb: tb, conn: conn, ended: make(chan struct{}), ending: make(chan struct{})}
	if err := o.try("SET "+Key+" 12345678\r\n", "+OK\r\n"); err != nil {
		tb.Fatal(err)
	}
	o.end = sync.OnceFunc(func() { close(o.ending) })
	tb.Cleanup(func() { // runs before the connection's end
		o.end()
		<-o.ended
	})
	go o.run(reads)
	return o
}

func (o *Other) run(reads bool) {
	defer close(o.ended)
	for i := 0; ; i++ {
		select {
		case <-o.ending:
			return
		case <-time.After(2 * time.Millisecond): // a load that leaves the machine to the attack
		}
		value, first, want := fmt.Sprintf("%08d", i), "GET "+Key+"\r\n", "$8\r\n12345678\r\n"
		begin := time.Now()
		if !reads {
			first, want = "SET "+Key+" "+value+"\r\n", "+OK\r\n"
		}
		err := o.try(first, want)
		wrote := time.Now()
		if err == nil && !reads {
			want = "$8\r\n" + value + "\r\n"
		}
		if err == nil {
			err = o.try("GET "+Key+"\r\n", want)
		}
		if err != nil {
			o.tb.Errorf("the other client: %v", err)
			return
		}
		o.mu.Lock()
		o.waits = append(o.waits, wrote.Sub(begin), time.Since(wrote))
		o.mu.Unlock()
	}
}

// try sends a command and expects exactly the reply.
func (o *Other) try(raw, want string) error {
	_ = o.conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(o.conn, raw); err != nil {
		return err
	}
	got := make([]byte, len(want))
	if n, err := io.ReadFull(o.conn, got); err != nil || string(got) != want {
		return fmt.Errorf("%.40q: got %.200q (%v), want %.200q", raw, got[:n], err, want)
	}
	return nil
}

// Replies is how many it has had.
func (o *Other) Replies() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.waits)
}

// AtLeast waits until it has had so many.
func (o *Other) AtLeast(tb testing.TB, n int) {
	tb.Helper()
	proc.Eventually(tb, time.Minute, "the other client's replies", func() error {
		select {
		case <-o.ended:
			tb.Fatal("the other client has ended")
		default:
		}
		if got := o.Replies(); got < n {
			return fmt.Errorf("%d of %d", got, n)
		}
		return nil
	})
}

// Stop ends it.
func (o *Other) Stop() {
	o.end()
	<-o.ended
}

// Waits are how long its commands took since it had had so many replies, the shortest
// first.
func (o *Other) Waits(from int) []time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	waits := slices.Clone(o.waits[from:])
	slices.Sort(waits)
	return waits
}
