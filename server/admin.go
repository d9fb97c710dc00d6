package server

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

func adminCommands() []command {
	return []command{declRole, declTime, declWait}
}

var declRole = command{
	Command: spec.Command{
		Name: "ROLE", Group: spec.Server, Flags: spec.NoScript | spec.Loading | spec.Stale | spec.Fast,
		Categories: spec.CatAdmin | spec.CatDangerous, Since: "2.8.12", Cost: "O(1)",
		Summary: "Tells whether this node leads, and who the other nodes are.",
	},
	run: cmdRole,
}

// cmdRole answers in the words of a Redis with replicas; offsets are log indexes.
func cmdRole(s *Session, _ [][]byte, w *resp.Writer) error {
	applied := int64(s.srv.machine.Applied().Index)
	leader, self, known := s.srv.rep.Leader()
	if self {
		s.writeMasterRole(w, applied)
		return nil
	}
	host, port, state := "", 0, "connect"
	if known {
		host, port = s.endpoint(leader)
		state = "connected"
	}
	w.Array(5)
	w.BulkString("slave")
	w.BulkString(host)
	w.Int(int64(port))
	w.BulkString(state)
	w.Int(applied)
	return nil
}

// roleTimeout bounds how long ROLE waits for the followers' positions; sentinel
// clients ask for it before every connection.
const roleTimeout = 100 * time.Millisecond

func (s *Session) writeMasterRole(w *resp.Writer, applied int64) {
	var others []system.MemberStatus
	ctx, cancel := context.WithTimeout(s.ctx, roleTimeout)
	defer cancel()
	for _, m := range s.srv.rep.Status(ctx).Nodes {
		if m.Role != system.Leader && m.RESP != "" {
			others = append(others, m)
		}
	}
	w.Array(3)
	w.BulkString("master")
	w.Int(applied)
	w.Array(len(others))
	for _, m := range others {
		host, port := s.endpoint(m.Member)
		w.Array(3)
		w.BulkString(host)
		w.BulkString(strconv.Itoa(port))
		w.BulkString(strconv.FormatUint(m.MatchIndex, 10))
	}
}

var declTime = command{
	Command: spec.Command{
		Name: "TIME", Group: spec.Server, Flags: spec.Loading | spec.Stale | spec.Fast,
		Tips: []string{"nondeterministic_output"}, Since: "2.6.0", Cost: "O(1)",
		Summary: "Returns this node's clock: Unix seconds and microseconds.",
	},
	run: cmdTime,
}

func cmdTime(s *Session, _ [][]byte, w *resp.Writer) error {
	now := s.srv.now()
	w.Array(2)
	w.BulkInt(now.Unix())
	w.BulkInt(int64(now.Nanosecond() / 1000))
	return nil
}

var declWait = command{
	Command: spec.Command{
		Name: "WAIT", Syntax: "numreplicas timeout", Group: spec.Generic, Flags: spec.NoScript,
		Categories: spec.CatConnection, NoGroupCategory: true,
		Tips: []string{"request_policy:all_shards", "response_policy:agg_min"}, Since: "3.0.0", Cost: "O(1)",
		Summary: "Waits until so many followers have on their disks what was acknowledged, and returns how many have.",
	},
	run: cmdWait,
}

const (
	errTimeoutInteger  resp.Error = "ERR timeout is not an integer or out of range"
	errTimeoutNegative resp.Error = "ERR timeout is negative"
	errWaitOnFollower  resp.Error = "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated."
)

// cmdWait counts honestly: followers that vote and hold the log on their disks.
// Every acknowledged write is on a majority's already.
func cmdWait(s *Session, args [][]byte, w *resp.Writer) error {
	if _, self, known := s.srv.rep.Leader(); known && !self {
		return errWaitOnFollower
	}
	want, ok := parseLong(args[1])
	if !ok {
		return resp.ErrNotInteger
	}
	timeout, ok := parseLong(args[2])
	switch {
	case !ok:
		return errTimeoutInteger
	case timeout < 0:
		return errTimeoutNegative
	}
	var holders int
	var err error
	if s.executing { // within EXEC, Redis does not wait either
		holders, err = s.holders(s.ctx)
	} else {
		s.block(func(ctx context.Context) { holders, err = s.waitFor(ctx, want, timeout) })
	}
	if err != nil {
		return err
	}
	w.Int(int64(holders))
	return nil
}

// waitFor asks again and again until enough followers hold the log, the time is
// up (0: never), or the client is gone.
func (s *Session) waitFor(ctx context.Context, want, timeoutMS int64) (n int, err error) {
	const longest = int64(time.Duration(1<<63-1) / time.Millisecond)
	var deadline <-chan time.Time
	if timeoutMS > 0 {
		t := time.NewTimer(time.Duration(min(timeoutMS, longest)) * time.Millisecond)
		defer t.Stop()
		deadline = t.C
	}
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		got, err := s.holders(ctx)
		if err != nil {
			return 0, err
		}
		if n = got; int64(n) >= want {
			return n, nil
		}
		again := time.NewTimer(pause)
		select {
		case <-again.C:
			continue
		case <-deadline:
		case <-ctx.Done():
		}
		again.Stop()
		return n, nil
	}
}

// holders counts the followers that have the log on their disks.
func (s *Session) holders(ctx context.Context) (int, error) {
	n, err := s.srv.rep.VotersAt(ctx)
	return max(0, n-1), err
}

// hostPort splits an announced address; an address that is none gives nothing.
func hostPort(address string) (host string, port int) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0
	}
	port, _ = strconv.Atoi(text)
	return host, port
}
