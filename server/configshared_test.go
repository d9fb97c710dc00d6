package server

import (
	"context"
	"testing"

	"github.com/raftkv/raftkv/fsm/system"
)

// TestChangedMeanwhileLeader: a node that has become leader while another one logged its
// client's change still waits until it has the change itself; who leads has it already.
func TestChangedMeanwhileLeader(t *testing.T) {
	for _, line := range [][]string{
		{"CONFIG", "SET", "hash-max-listpack-entries", "7"}, {"CONFIG", "SET", "requirepass", "x"}, {"ACL", "SETUSER", "bob", "on"},
	} {
		leader, here := newTestServer(t), newTestServer(t)
		here.fake.set(func(f *fake) { f.forward = leader.Server })
		if got := localDo(t, here, line...); got != "+OK\r\n" {
			t.Errorf("%v: %q", line, got)
		}
		here.fake.set(func(f *fake) {
			if f.followers == 0 {
				t.Errorf("%v: nobody waited for the change", line)
			}
		})
		if got := localDo(t, leader, line...); got != "+OK\r\n" {
			t.Errorf("%v: %q", line, got)
		}
		leader.fake.set(func(f *fake) {
			if f.followers != 0 {
				t.Errorf("%v: the leader waited for what it had applied", line)
			}
		})
	}
}

// TestFollowerShowsSetting: who asks a follower for a setting of the cluster's by name
// gets what was acknowledged, and what the node has where nobody can tell.
func TestFollowerShowsSetting(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	c.roundTrip("CONFIG SET hash-max-listpack-entries 7\r\n", "+OK\r\n")
	reply := "*2\r\n" + bulk("hash-max-listpack-entries") + bulk("7")
	s.fake.set(func(f *fake) { f.leader, f.self, f.followers = node2, false, 0 })
	asked := func(line, want string, barriers int) {
		t.Helper()
		s.fake.set(func(f *fake) { f.followers = 0 })
		c.roundTrip(line+"\r\n", want)
		s.fake.set(func(f *fake) {
			if f.followers != barriers {
				t.Errorf("%s: %d barriers, want %d", line, f.followers, barriers)
			}
		})
	}
	asked("PING\r\nCONFIG GET HASH-max-listpack-entries timeout", "+PONG\r\n*4\r\n"+reply[4:]+bulk("timeout")+bulk("0"), 1)
	asked("CONFIG GET hash-max-listpack-entrie[s]", reply, 0)
	asked("CONFIG GET timeout", "*2\r\n"+bulk("timeout")+bulk("0"), 0)
	for _, err := range []error{system.ErrNoLeader, context.DeadlineExceeded, &system.NotLeaderError{}} {
		s.fake.set(func(f *fake) { f.barrierErr = err })
		asked("CONFIG GET hash-max-listpack-entries", reply, 1)
	}
}
