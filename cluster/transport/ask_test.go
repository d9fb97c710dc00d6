package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

const (
	kindQuick Kind = 40 // answers what it got, backwards
	never          = 10 * time.Second
)

// told is what Ask's callback was given.
type told struct {
	body []byte
	err  error
}

// ask asks and waits for the callback; a second one fails the test.
func ask(t *testing.T, n *Transport, id string, k Kind, req []byte) told {
	t.Helper()
	answers := make(chan told, 2)
	n.Ask(Question{id, k, req, never}, func(body []byte, err error) { answers <- told{body, err} })
	select {
	case a := <-answers:
		t.Cleanup(func() {
			if len(answers) > 0 {
				t.Error("told twice")
			}
		})
		return a
	case <-time.After(never):
		t.Fatal("never told")
		return told{}
	}
}

func TestAsk(t *testing.T) {
	_, n1, n2 := pair(t)
	n2.HandleQuick(kindQuick, func(req []byte) []byte {
		return []byte{req[2], req[1], req[0]}
	})
	for range 3 { // the first dials
		if a := ask(t, n1, "node2", kindQuick, []byte("abc")); a.err != nil || string(a.body) != "cba" {
			t.Errorf("got %q, %v", a.body, a.err)
		}
		if a := ask(t, n1, "node2", kindEcho, []byte("abc")); a.err != nil || string(a.body) != "abc" {
			t.Errorf("got %q, %v", a.body, a.err)
		}
		if a := ask(t, n1, "node2", kindError, nil); a.err == nil {
			t.Error("the handler's error was not told")
		}
	}
	if got, err := n1.Call(soon(t), "node2", kindQuick, []byte("xyz")); err != nil || string(got) != "zyx" {
		t.Errorf("a quick kind by Call: %q, %v", got, err)
	}
	if a := ask(t, n1, "node9", kindQuick, nil); !errors.Is(a.err, ErrUnknownPeer) || !errors.Is(a.err, ErrNotSent) {
		t.Errorf("unknown node: %v", a.err)
	}
	if a := ask(t, n1, "node2", kindEcho, make([]byte, MaxMessage+1)); !errors.Is(a.err, ErrTooLarge) {
		t.Errorf("too large: %v", a.err)
	}
	lost := make(chan error, 1)
	n1.Ask(Question{"node2", kindWait, nil, never}, func(_ []byte, err error) { lost <- err })
	n2.Close()
	if err := <-lost; err == nil {
		t.Error("no error though the node is gone")
	}
	n1.Close()
	if a := ask(t, n1, "node2", kindEcho, nil); !errors.Is(a.err, ErrClosed) {
		t.Errorf("after Close: %v", a.err)
	}
}

// TestOutbox: whatever is sent by those who put it and whatever is left to run,
// the frames arrive whole and in order, and nobody waits for the other side, which
// does not read for a while.
func TestOutbox(t *testing.T) {
	for name, connect := range map[string]func(t *testing.T) (a, b net.Conn){"tcp": tcpPair, "no socket": pipePair} {
		t.Run(name, func(t *testing.T) {
			a, b := connect(t)
			o := newOutbox(a)
			if (o.direct != nil) != (name == "tcp") {
				t.Fatal("writes cannot be tried as they should")
			}
			var running sync.WaitGroup
			running.Go(func() { o.run(a, never, func() {}) })
			defer running.Wait()
			defer o.close()
			const frames = 20_000 // more than sockets hold
			body := bytes.Repeat([]byte("x"), 999)
			for i := range frames {
				if err := o.put(header{typ: frameRequest, id: uint64(i)}, body[:i%1000]); err != nil {
					t.Fatal(err)
				}
			}
			head := make([]byte, headerSize)
			for i := range frames {
				h, err := readHeader(b, head)
				if err != nil || h.id != uint64(i) || int(h.size) != i%1000 {
					t.Fatalf("frame %d: got number %d of %d bytes, %v", i, h.id, h.size, err)
				}
				if _, err := io.CopyN(io.Discard, b, int64(h.size)); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestOutboxAtOnce: many put at once while the other side reads.
func TestOutboxAtOnce(t *testing.T) {
	a, b := tcpPair(t)
	o := newOutbox(a)
	var running, putting sync.WaitGroup
	running.Go(func() { o.run(a, never, func() {}) })
	const putters, each = 8, 3000
	for p := range putters {
		putting.Go(func() {
			for i := range each {
				body := binary.LittleEndian.AppendUint32(nil, uint32(i))
				if err := o.put(header{typ: frameRequest, id: uint64(p)}, body); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var next [putters]uint32
	frame := make([]byte, headerSize+4)
	for range putters * each {
		if _, err := io.ReadFull(b, frame); err != nil {
			t.Fatal(err)
		}
		p := binary.LittleEndian.Uint64(frame[8:])
		if got := binary.LittleEndian.Uint32(frame[headerSize:]); got != next[p] {
			t.Fatalf("of putter %d came frame %d, want %d", p, got, next[p])
		}
		next[p]++
	}
	putting.Wait()
	o.close()
	running.Wait()
}

func tcpPair(t *testing.T) (a, b net.Conn) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if a, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func pipePair(t *testing.T) (a, b net.Conn) {
	a, b = net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}
