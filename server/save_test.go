package server

import (
	"errors"
	"testing"
)

func TestSave(t *testing.T) {
	s := newTestServer(t)
	begun, end := make(chan struct{}), make(chan error)
	s.fake.set(func(f *fake) {
		f.admin = func(what string, _ ...string) error {
			if what != "snapshot" {
				t.Errorf("asked for %s", what)
			}
			begun <- struct{}{}
			return <-end
		}
	})
	c := s.dial()
	c.roundTrip("BGSAVE foo\r\n", "-ERR syntax error\r\n")
	c.roundTrip("BGSAVE\r\n", "+Background saving started\r\n")
	<-begun
	c.roundTrip("BGSAVE schedule\r\n", "-ERR Background save already in progress\r\n")
	c.roundTrip("SAVE\r\n", "-ERR Background save already in progress\r\n")
	if !s.saver.running.Load() {
		t.Error("not running")
	}
	end <- errors.New("disk full")
	until(t, "the end", func() bool { return !s.saver.running.Load() })
	if !s.saver.failed.Load() {
		t.Error("the failure is not kept")
	}
	c.send("SAVE\r\n")
	<-begun
	end <- nil
	c.expect("+OK\r\n")
	if s.saver.running.Load() || s.saver.failed.Load() {
		t.Error("running or failed")
	}
	if got := s.lastSave(); got != s.started.Unix() {
		t.Errorf("last save: %d", got)
	}
}

func TestShutdownCommand(t *testing.T) {
	stopped := make(chan struct{}, 1)
	s := newTestServer(t, func(o *Options) { o.Stop = func() { stopped <- struct{}{} } })
	c := s.dial()
	for _, tt := range []struct{ in, want string }{
		{"SHUTDOWN foo", "-ERR syntax error\r\n"},
		{"SHUTDOWN NOSAVE SAVE", "-ERR syntax error\r\n"},
		{"SHUTDOWN ABORT NOW", "-ERR syntax error\r\n"},
		{"SHUTDOWN ABORT", "-ERR No shutdown in progress.\r\n"},
	} {
		c.roundTrip(tt.in+"\r\n", tt.want)
	}
	s.fake.set(func(f *fake) { f.admin = func(string, ...string) error { return errors.New("disk full") } })
	c.roundTrip("SHUTDOWN SAVE\r\n", "-ERR Errors trying to SHUTDOWN. Check logs.\r\n")
	select {
	case <-stopped:
		t.Error("stopped all the same")
	default:
	}
	for _, line := range []string{"SHUTDOWN SAVE FORCE", "SHUTDOWN", "shutdown nosave now force"} {
		c := s.dial()
		c.send(line + "\r\n")
		c.expectEOF()
		<-stopped
	}
	other := newTestServer(t)
	other.dial().roundTrip("SHUTDOWN\r\n", "-"+string(errCannotStop)+"\r\n")
}
