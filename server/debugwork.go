package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/resp"
)

// What of DEBUG takes its time: SLEEP, RELOAD and POPULATE.

// debugSleep keeps all of this node's clients waiting. Raft goes on, so a leader remains
// one: whoever wants another one uses RAFT.TRANSFER, or stops the process.
func debugSleep(s *Session, args [][]byte, w *resp.Writer) error {
	if d := leadingSeconds(args[2]); d > 0 {
		s.srv.sleepFor(d)
		s.awaitNap()
	}
	w.OK()
	return nil
}

// sleepFor has no client served for so long, and not less than others have asked for.
func (s *Server) sleepFor(d time.Duration) {
	until := time.Now().Add(d)
	for {
		old := s.napping.Load()
		if old != nil && old.After(until) || s.napping.CompareAndSwap(old, &until) {
			return
		}
	}
}

// awaitNap returns when the node serves clients.
func (s *Session) awaitNap() {
	for until := s.srv.napping.Load(); until != nil; until = s.srv.napping.Load() {
		left := time.Until(*until)
		if left <= 0 {
			s.srv.napping.CompareAndSwap(until, nil)
			continue
		}
		t := time.NewTimer(left)
		select {
		case <-t.C:
		case <-s.ctx.Done():
		case <-s.srv.stopping.Done():
		}
		t.Stop()
		if s.ctx.Err() != nil || s.srv.stopping.Err() != nil {
			return
		}
	}
}

// leadingSeconds is the time that a text begins with, as C's strtod reads it: 0 where
// there is none.
func leadingSeconds(text []byte) time.Duration {
	const longest = 400 // no double takes more digits; a longer text would be tried for days
	text = bytes.TrimLeft(text, " \t\n\v\f\r")
	text = text[:min(len(text), longest)]
	if i := bytes.IndexByte(text, '_'); i >= 0 {
		text = text[:i] // among digits that is Go's only
	}
	f, n := 0.0, len(text)
	for ; n > 0; n-- { // the longest beginning that is a number
		var err error
		if f, err = strconv.ParseFloat(string(text[:n]), 64); err == nil {
			break
		}
		if f, err = strconv.ParseFloat(string(text[:n])+"p0", 64); err == nil { // hexadecimal: Go wants an exponent
			break
		}
	}
	if n == 0 || math.IsNaN(f) {
		return 0
	}
	return time.Duration(min(max(f, 0)*float64(time.Second), math.MaxInt64/2))
}

// leadingNumber is the number that a text begins with, as C's atoi reads it.
func leadingNumber(text []byte) int64 {
	digits := strings.TrimLeft(string(text), " ")
	end := 0
	for end < len(digits) && ('0' <= digits[end] && digits[end] <= '9' || end == 0 && (digits[0] == '-' || digits[0] == '+')) {
		end++
	}
	n, _ := strconv.ParseInt(digits[:end], 10, 64) // the nearest one where it is too large
	return n
}

// errReload are what may be wrong with DEBUG RELOAD.
const (
	errReloadOption    resp.Error = "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options."
	errReloadNothing   resp.Error = "ERR DEBUG RELOAD takes no option here: a state is replaced by its own snapshot as a whole, or data would be there that is not in the log"
	errReloadMoved     resp.Error = "ERR this node's state changed each time while it was reloaded: try again when less is written"
	errReloadOtherwise            = "this node's state is another one after a snapshot: nothing was replaced; RAFT.AUDIT compares it with the other nodes'"
)

// debugReload is a restart of this node's state without one of the process: a snapshot,
// read into an empty Machine, takes its place. Redis loads a file that it has just
// written; here what was read is also checked to give the same snapshot again. All of
// that runs beside the commands of others, so it counts only if nothing was applied
// meanwhile, and is tried again otherwise. It is this node's own business: neither the
// log nor another node hears of it.
func debugReload(s *Session, args [][]byte, w *resp.Writer) error {
	for _, option := range args[2:] {
		switch upper(option) {
		case "MERGE", "NOFLUSH", "NOSAVE":
		default:
			return errReloadOption
		}
	}
	if len(args) > 2 {
		return errReloadNothing
	}
	const tries = 5
	for range tries {
		done, err := s.srv.reload((*fsm.Machine).Restore)
		if err != nil {
			s.srv.log.Error("DEBUG RELOAD failed", "error", err)
			return resp.Error("ERR " + strings.ReplaceAll(err.Error(), "\n", " "))
		}
		if done {
			s.srv.log.Info("the state was replaced by its own snapshot", "command", "DEBUG RELOAD")
			w.OK()
			return nil
		}
	}
	return errReloadMoved
}

// reload says false where the state has moved on meanwhile. restore is Machine.Restore.
// One goes on at a time: each has the whole state in memory once more.
func (s *Server) reload(restore func(*fsm.Machine, io.Reader) error) (done bool, err error) {
	s.loading.Lock()
	defer s.loading.Unlock()
	snap := s.machine.Snapshot()
	defer snap.Release()
	out, in := io.Pipe()
	sum := sha256.New()
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, err := snap.WriteTo(io.MultiWriter(in, sum))
		in.CloseWithError(err) // nil: the end
	}()
	defer func() {
		_ = out.Close() // what is still written fails
		<-written       // before the snapshot is released: writing it then ends the process
	}()
	fresh := fsm.New()
	if err := restore(fresh, out); err != nil {
		return false, err
	}
	if _, err := io.Copy(io.Discard, out); err != nil { // until all is summed up
		return false, err
	}
	if fresh.Digest() != [sha256.Size]byte(sum.Sum(nil)) {
		return false, errors.New(errReloadOtherwise)
	}
	return s.machine.BecomeAt(fresh, snap.Position()), nil
}

const errPopulateQueued resp.Error = "ERR DEBUG POPULATE is not available inside a transaction: what it writes are entries of their own, which the transaction would not see"

// debugPopulate is DEBUG POPULATE, by commands that go through the log like any other: so
// maxmemory is kept to, and no entry is too large.
func debugPopulate(s *Session, args [][]byte, w *resp.Writer) error {
	if s.executing { // the transaction's own commands have all run by now
		return errPopulateQueued
	}
	// Its writes are by nobody in particular, so the log does not ask for permission again.
	if err := s.permittedBehind(args); err != nil {
		return err
	}
	p := population{s: s, prefix: "key"}
	var ok bool
	if p.count, ok = parseLong(args[2]); !ok || p.count < 0 {
		return resp.ErrNotPositive
	}
	if len(args) > 3 {
		p.prefix = string(args[3])
	}
	if len(args) > 4 {
		if p.size, ok = parseLong(args[4]); !ok || p.size < 0 {
			return resp.ErrNotPositive
		}
	}
	if limit := s.srv.settings.maxCommand.Load(); p.size > limit-1024-int64(len(p.prefix)) { // a sum of them may be beyond all numbers
		return errTooLarge(limit)
	}
	var err error
	s.block(func(ctx context.Context) { err = p.create(ctx) })
	if err != nil {
		return err
	}
	w.OK()
	return nil
}

// population are the keys that DEBUG POPULATE creates.
type population struct {
	s           *Session
	prefix      string
	count, size int64
}

// create creates those that are not there, some at a time.
func (p *population) create(ctx context.Context) error {
	worker := newSession(p.s.srv, nil)
	defer worker.cancel()
	worker.trust()
	worker.setDB(p.s.db)
	const some, bytesAtOnce = 1000, 1 << 20
	step := max(1, min(some, bytesAtOnce/(p.size+1)))
	for from := int64(0); from < p.count; from += step {
		if err := ctx.Err(); err != nil {
			return err
		}
		reply, err := worker.alone(ctx, func() {
			for i := from; i < min(from+step, p.count); i++ {
				worker.handle([][]byte{[]byte("SETNX"), p.key(i), p.value(i)})
			}
		})
		if err != nil {
			return err
		}
		if at := bytes.IndexByte(reply, '-'); at >= 0 { // all others are integers
			line, _, _ := bytes.Cut(reply[at+1:], []byte("\r\n"))
			return resp.Error(line)
		}
	}
	return nil
}

func (p *population) key(i int64) []byte { return strconv.AppendInt([]byte(p.prefix+":"), i, 10) }

// value is "value:<num>", cut or filled with zeros where a size was asked for.
func (p *population) value(i int64) []byte {
	v := strconv.AppendInt([]byte("value:"), i, 10)
	if p.size == 0 {
		return v
	}
	sized := make([]byte, p.size)
	copy(sized, v)
	return sized
}
