package cluster

import (
	"errors"
	"fmt"
	"testing"

	"github.com/raftkv/raftkv/fsm/system"
)

// What a leader refused was not done, and its follower's client learns so. Only
// where nobody knows is the outcome unknown.
func TestForwardedRefusals(t *testing.T) {
	nodes := trio(t)
	leader, follower := nodes[0], nodes[1]
	eventually(t, "n1 leads", func() bool { _, ok := leader.serving(); return ok })
	for _, c := range []struct{ refusal, want error }{
		{system.ErrDiskFull, system.ErrDiskFull},
		{system.ErrOverloaded, system.ErrOverloaded},
		{fmt.Errorf("on its way: %w", system.ErrTooLarge), system.ErrTooLarge},
		{&system.RefusedError{Reason: "no"}, &system.RefusedError{Reason: "no"}},
		{system.ErrUnknownOutcome, system.ErrUnknownOutcome},
		{errors.New("something else"), system.ErrUnknownOutcome},
	} {
		leader.refusal.Store(&c.refusal)
		_, err := follower.Forward(background(t), system.Caller{Proto: 2}, words("FLUSHALL"))
		if fmt.Sprint(err) != c.want.Error() {
			t.Errorf("the leader said %q, the follower says %v, want %q", c.refusal, err, c.want)
		}
		var refused *system.RefusedError
		if !errors.Is(err, c.want) && !errors.As(err, &refused) {
			t.Errorf("the leader said %q, the follower says another error of that text", c.refusal)
		}
	}
}

// A leader that goes did nothing: the command waits for the next one.
func TestForwardOutlivesALeaderThatGoes(t *testing.T) {
	for _, refusal := range []error{system.ErrShutdown, system.ErrRemoved} {
		nodes := trio(t)
		leader, follower := nodes[0], nodes[1]
		eventually(t, "n1 leads", func() bool { _, ok := leader.serving(); return ok })
		leader.refusal.Store(&refusal)
		done := make(chan error, 1)
		go func() {
			reply, err := follower.Forward(background(t), system.Caller{Proto: 2}, words("SET forwarded 1"))
			if err == nil && string(reply) != "+OK\r\n" {
				err = fmt.Errorf("reply %q", reply)
			}
			done <- err
		}()
		eventually(t, "the leader refused it", func() bool { return leader.refused.Load() > 0 })
		if err := leader.Transfer(background(t), "n3"); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Errorf("%v: %v", refusal, err)
		}
	}
}
