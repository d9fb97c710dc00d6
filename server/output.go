package server

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/raftkv/raftkv/resp"
)

// output is what goes to one client. Replies are written by the session itself,
// which waits for a slow client (so a client that does not read is not read from
// either). Messages from other goroutines (Push) never wait: they are gathered up
// to a limit, beyond which the client is cut, and written by a goroutine of the
// output's own, which exists only while there is something to push.
type output struct {
	conn   net.Conn // nil where replies are only gathered
	w      *resp.Writer
	stats  *stats
	limits func() *OutputLimits // as they are at the moment
	// onCut, where set, is told why the client is cut for not reading.
	onCut func(why string)
	gone  atomic.Bool // it was cut
	// replies is how many bytes of them are being written, for CLIENT LIST.
	replies atomic.Int64

	wmu   sync.Mutex // held while writing to conn, so that no two replies mix
	rearm time.Time  // guarded by wmu: when the write deadline must be set anew

	mu      sync.Mutex
	pushes  []byte    // guarded by mu: whole messages
	sending int       // guarded by mu: bytes of messages that are being written
	soft    time.Time // guarded by mu: since when messages are above the soft limit; zero: they are not
	held    bool      // guarded by mu: pushes wait for the next flush
	writing bool      // guarded by mu: the goroutine runs
	err     error     // guarded by mu: the first failure; nothing is written after it
	idle    sync.WaitGroup
}

const (
	flushSize = 64 * 1024 // replies are written when so much has gathered between two commands
	// writePiece is what a client must take within writeTimeout.
	writePiece = 256 * 1024
	keptReply  = 256 * 1024 // a larger reply buffer is dropped once it is written
)

// errSlowClient ends a client that does not read what it is sent.
var errSlowClient = errors.New("client does not read what it is sent")

// Why a client is cut. The first is Redis's text (networking.c:closeClientOnOutputBufferLimitReached).
const (
	cutOverLimit = "Client scheduled to be closed ASAP for overcoming of output buffer limits."
	cutStalled   = "Client closed: it does not read its replies."
)

func newOutput(conn net.Conn, st *stats, limits func() *OutputLimits) *output {
	return &output{conn: conn, w: resp.NewWriter(2, nil), stats: st, limits: limits}
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
	normal := &o.limits().Normal
	var err error
	if normal.reached(len(b)) {
		err = o.cut(cutOverLimit)
	} else {
		o.replies.Store(int64(len(b)))
		err = o.write(b, normal)
		o.replies.Store(0)
	}
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

// write sends whole replies or messages, which may wait as the limit says.
func (o *output) write(b []byte, limit *OutputLimit) error {
	if len(b) == 0 {
		return nil
	}
	o.wmu.Lock()
	defer o.wmu.Unlock()
	if err := o.failure(); err != nil {
		return err
	}
	now := time.Now()
	if d, limited := limit.patience(len(b)); limited && d < writeTimeout {
		most := len(b) - int(limit.Soft) + 1 // what is left then is below the soft limit
		o.rearm = time.Time{}
		_ = o.conn.SetWriteDeadline(now.Add(d))
		if err := o.send(b[:most], cutOverLimit); err != nil {
			return err
		}
		b, now = b[most:], time.Now()
	}
	for len(b) > 0 { // in pieces: who takes a large reply slowly takes it all the same
		if now.After(o.rearm) { // setting it for every write would cost as much as a command
			_ = o.conn.SetWriteDeadline(now.Add(writeTimeout))
			o.rearm = now.Add(writeTimeout / 4)
		}
		n := min(len(b), writePiece)
		if err := o.send(b[:n], cutStalled); err != nil {
			return err
		}
		if b = b[n:]; len(b) > 0 {
			now = time.Now()
		}
	}
	return nil
}

// send writes; late is why the client is cut that does not take it in time.
func (o *output) send(b []byte, late string) error {
	n, err := o.conn.Write(b)
	o.stats.bytesOut.Add(int64(n))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return o.cut(late)
	}
	if err != nil {
		o.fail(err)
	}
	return err
}

// cut closes a client that does not read, and says so once. Call it without o.mu.
func (o *output) cut(why string) error {
	if o.failure() != nil || !o.gone.CompareAndSwap(false, true) {
		return errSlowClient
	}
	if o.onCut != nil {
		o.onCut(why) // first: it tells what waits
	}
	o.stats.outputCuts.Add(1)
	o.fail(errSlowClient)
	o.conn.Close()
	return errSlowClient
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
	if o.conn == nil {
		return
	}
	if !o.queue(message) {
		_ = o.cut(cutOverLimit)
	}
}

// queue takes a message up, unless there are too many.
func (o *output) queue(message []byte) bool {
	limit := &o.limits().PubSub
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return true
	}
	n := len(o.pushes) + o.sending + len(message)
	if limit.reached(n) {
		return false
	}
	if d, limited := limit.patience(n); !limited {
		o.soft = time.Time{}
	} else if now := time.Now(); o.soft.IsZero() {
		o.soft = now
	} else if now.Sub(o.soft) > d {
		return false
	}
	o.pushes = append(o.pushes, message...)
	o.startLocked()
	return true
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
		o.sending = 0
		if o.held || len(o.pushes) == 0 || o.err != nil {
			o.writing = false
			o.mu.Unlock()
			return
		}
		b := o.pushes
		o.pushes, o.sending = nil, len(b)
		o.mu.Unlock()
		if o.write(b, &o.limits().PubSub) != nil {
			o.conn.Close()
		}
	}
}

// waiting returns how many bytes of replies and of messages the client has not taken.
func (o *output) waiting() (replies, messages int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return int(o.replies.Load()), len(o.pushes) + o.sending
}

func (o *output) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// fail notes the first failure; what waits is dropped.
func (o *output) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err, o.pushes = err, nil
	}
}

// end waits for the output's goroutine. The connection must be closed, or
// the client must read.
func (o *output) end() { o.idle.Wait() }
