package server

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/raftkv/raftkv/resp"
)

// output is what goes to one client. Replies are written by the session itself,
// which waits for a slow client (so a client that does not read is not read from
// either). Messages from other goroutines (Push) never wait: they are gathered up
// to a limit, beyond which the client is cut, and written by a goroutine of the
// output's own, which exists only while there is something to push.
type output struct {
	conn  net.Conn // nil where replies are only gathered
	w     *resp.Writer
	stats *stats
	limit int64 // bytes of messages that may wait

	wmu   sync.Mutex // held while writing to conn, so that no two replies mix
	rearm time.Time  // guarded by wmu: when the write deadline must be set anew

	mu      sync.Mutex
	pushes  []byte // guarded by mu: whole messages
	held    bool   // guarded by mu: pushes wait for the next flush
	writing bool   // guarded by mu: the goroutine runs
	err     error  // guarded by mu: the first failure; nothing is written after it
	idle    sync.WaitGroup
}

const (
	flushSize = 64 * 1024  // replies are written when so much has gathered between two commands
	keptReply = 256 * 1024 // a larger reply buffer is dropped once it is written
)

// errSlowClient ends a client that does not read its messages.
var errSlowClient = errors.New("client does not read its messages")

func newOutput(conn net.Conn, st *stats, limit int64) *output {
	return &output{conn: conn, w: resp.NewWriter(2, nil), stats: st, limit: limit}
}

// flush writes the gathered replies, and the messages that were held back for
// them. It waits for the client. Without a connection it does nothing.
func (o *output) flush() error {
	if o.conn == nil {
		return nil
	}
	b := o.w.Bytes()
	if len(b) == 0 && !o.isHeld() {
		return nil
	}
	err := o.write(b)
	proto := o.w.Proto()
	if cap(b) > keptReply {
		*o.w = *resp.NewWriter(proto, nil) // the pointer may be in a handler's hands
	} else {
		o.w.Reset(proto)
	}
	return errors.Join(err, o.release())
}

// flushIfLarge bounds what gathers within one pipeline.
func (o *output) flushIfLarge() error {
	if o.w.Mark() < flushSize {
		return nil
	}
	return o.flush()
}

// write sends whole replies or messages.
func (o *output) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	o.wmu.Lock()
	defer o.wmu.Unlock()
	if err := o.failure(); err != nil {
		return err
	}
	if now := time.Now(); now.After(o.rearm) { // setting it for every write would cost as much as a command
		_ = o.conn.SetWriteDeadline(now.Add(writeTimeout))
		o.rearm = now.Add(writeTimeout / 4)
	}
	n, err := o.conn.Write(b)
	o.stats.bytesOut.Add(int64(n))
	if err != nil {
		o.fail(err)
	}
	return err
}

// hold keeps messages back until the next flush, so that the reply that is being
// made (SUBSCRIBE's confirmation) comes before them.
func (o *output) hold() {
	o.mu.Lock()
	o.held = true
	o.mu.Unlock()
}

func (o *output) isHeld() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.held
}

// release ends hold.
func (o *output) release() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held = false
	o.startLocked()
	return o.err
}

// push queues one whole message, in RESP form, from any goroutine; it never
// waits. A client whose messages exceed the limit is cut.
func (o *output) push(message []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.conn == nil || o.err != nil:
		return
	case int64(len(o.pushes)+len(message)) > o.limit:
		o.err = errSlowClient
		o.pushes = nil
		o.conn.Close()
		return
	}
	o.pushes = append(o.pushes, message...)
	o.startLocked()
}

// startLocked sees to it that waiting messages are being written. Call it with
// o.mu held.
func (o *output) startLocked() {
	if o.writing || o.held || len(o.pushes) == 0 || o.err != nil {
		return
	}
	o.writing = true
	o.idle.Add(1)
	go o.drain()
}

// drain writes messages until there are none.
func (o *output) drain() {
	defer o.idle.Done()
	for {
		o.mu.Lock()
		if o.held || len(o.pushes) == 0 || o.err != nil {
			o.writing = false
			o.mu.Unlock()
			return
		}
		b := o.pushes
		o.pushes = nil
		o.mu.Unlock()
		if o.write(b) != nil {
			o.conn.Close()
		}
	}
}

// waiting returns how many bytes of messages wait for the client.
func (o *output) waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.pushes)
}

func (o *output) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

func (o *output) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
}

// end waits for the output's goroutine. The connection must be closed, or
// the client must read.
func (o *output) end() { o.idle.Wait() }
