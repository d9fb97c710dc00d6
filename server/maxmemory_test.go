package server

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/raftkv/raftkv/fsm/system"
)

const oom = "-OOM command not allowed when used memory > 'maxmemory'.\r\n"

// The replies are recorded from redis-server 7.0.15.
func TestMaxMemory(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	c.roundTrip("SET a b\r\n", "+OK\r\n")
	c.send("MULTI\r\nSET q 1\r\n")
	c.expect("+OK\r\n+QUEUED\r\n")
	reader := s.dial()
	reader.send("MULTI\r\nGET a\r\n")
	reader.expect("+OK\r\n+QUEUED\r\n")
	other := s.dial()
	other.roundTrip("CONFIG SET maxmemory 1\r\n", "+OK\r\n")
	c.send("EXEC\r\n") // what was queued before
	c.expect("-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.\r\n")
	reader.send("EXEC\r\n")
	reader.expect("*1\r\n$1\r\nb\r\n")
	for _, tt := range []struct{ in, want string }{
		{"SET x y", oom},
		{"APPEND a y", oom},
		{"GET a", "$1\r\nb\r\n"},
		{"PING", "+PONG\r\n"},
		{"EXPIRE a 100", ":1\r\n"},
		{"MULTI", "+OK\r\n"},
		{"GET a", oom},
		{"PING", oom},
		{"MULTI", oom},
		{"WATCH a", oom},
		{"NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: \r\n"},
		{"EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n"},
		{"EXEC", "-ERR EXEC without MULTI\r\n"},
		{"MULTI", "+OK\r\n"},
		{"EXEC", "*0\r\n"},
		{"WATCH a", "+OK\r\n"},
		{"UNWATCH", "+OK\r\n"},
		{"MULTI", "+OK\r\n"},
		{"DISCARD", "+OK\r\n"},
		{"DEL a", ":1\r\n"},
		{"SET x y", "+OK\r\n"}, // there is room again
		{"SET x y", oom},
		{"CONFIG SET maxmemory 0", "+OK\r\n"},
		{"SET x y", "+OK\r\n"},
	} {
		c.send(tt.in + "\r\n")
		c.expect(tt.want)
	}
	if n := s.underway.Load(); n != 0 {
		t.Errorf("%d bytes are still reserved", n)
	}
	if got := infoFields(t, s, "errorstats")["errorstat_OOM"]; got != "count=7" {
		t.Errorf("INFO errorstats: OOM %s", got)
	}
}

// What stands before a write in its pipeline counts when it is done: it may make room.
func TestMaxMemoryWithinPipeline(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	c.roundTrip("SETRANGE big 100000 x\r\n", ":100001\r\n")
	c.roundTrip("CONFIG SET maxmemory 100000\r\n", "+OK\r\n")
	c.send("SET a 1\r\nDEL big\r\nSET a 2\r\nSETRANGE b 200000 x\r\nSET a 3\r\nDEL b\r\nMULTI\r\nSET a 4\r\nEXEC\r\nCOPY a c\r\n")
	c.expect(oom + ":1\r\n+OK\r\n:200001\r\n" + oom + ":1\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n:1\r\n")
	c.roundTrip("GET c\r\n", "$1\r\n4\r\n")
}

// A pipeline of copies: each counts what it will really add.
func TestMaxMemoryCountsCopies(t *testing.T) {
	const limit = 10_000_000
	s := newTestServer(t, func(o *Options) { o.MaxMemory = limit })
	c := s.dial()
	var in, want strings.Builder
	in.WriteString("SETRANGE a 999999 x\r\n")
	want.WriteString(":1000000\r\n")
	for i := range 100 {
		fmt.Fprintf(&in, "COPY a b%d\r\n", i)
		if i < 9 {
			want.WriteString(":1\r\n")
		} else {
			want.WriteString(oom)
		}
	}
	c.send(in.String())
	c.expect(want.String())
	if n := s.machine.Bytes(); n > limit+1_100_000 {
		t.Errorf("the keyspace has %d bytes, at a limit of %d", n, limit)
	}
}

// However many write at once, and however much is on its way: the keyspace is above
// the limit by the growth of one command at the most.
func TestMaxMemoryUnderLoad(t *testing.T) {
	const limit, size, clients = 4_000_000, 50_000, 120
	s := newTestServer(t, func(o *Options) { o.MaxMemory = limit })
	gate := make(chan struct{})
	s.fake.set(func(f *fake) { f.gate = gate }) // nothing is done until more have asked than fit
	value := strings.Repeat("v", size)
	var work sync.WaitGroup
	refused := make([]int, clients)
	for i := range clients {
		work.Go(func() {
			local := s.NewLocal()
			for j := range 5 {
				reply, err := local.Do(context.Background(), defaultUser, []byte("SET"), fmt.Appendf(nil, "k%d-%d", i, j), []byte(value))
				if err != nil {
					t.Error(err)
				}
				if string(reply) == oom {
					refused[i]++
				}
			}
		})
	}
	until(t, "more than fits", func() bool { return s.underway.Load() > limit })
	if n := s.machine.Bytes(); n != 0 {
		t.Errorf("%d bytes are there already", n)
	}
	close(gate)
	work.Wait()
	n, total := s.machine.Bytes(), 0
	for _, r := range refused {
		total += r
	}
	if n < limit-2*size || n > limit+size*5/4 || total == 0 {
		t.Errorf("the keyspace has %d bytes at a limit of %d; %d writes were refused", n, limit, total)
	}
	if left := s.underway.Load(); left != 0 {
		t.Errorf("%d bytes are still reserved", left)
	}
}

// Where another node leads it decides: a write is moved, not refused.
func TestMaxMemoryIsTheLeaders(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	c.roundTrip("SET a b\r\n", "+OK\r\n")
	c.roundTrip("CONFIG SET maxmemory 1\r\n", "+OK\r\n")
	s.fake.set(func(f *fake) { f.leader, f.self = node2, false })
	c.roundTrip("SET a b\r\n", "-MOVED 15495 127.0.0.1:6380\r\n")
	c.send("MULTI\r\nSET a b\r\n")
	c.expect("+OK\r\n-MOVED 15495 127.0.0.1:6380\r\n")
}

// A write of which nobody knows, or that failed, gives its reservation back.
func TestMaxMemoryGivesBack(t *testing.T) {
	s := newTestServer(t, func(o *Options) { o.MaxMemory = 1 << 20 })
	c := s.dial()
	s.fake.set(func(f *fake) { f.refuse = func(int, *system.Proposal) error { return system.ErrUnknownOutcome } })
	c.send("SET a b\r\n")
	c.expect("-UNKNOWN")
	until(t, "the reservation", func() bool { return s.underway.Load() == 0 })
}
