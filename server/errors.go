package server

import (
	"context"
	"errors"
	"strconv"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

// wireError turns an error into the reply that the client gets. it is the data
// command that failed, nil for a session command; s is the client's session. No
// other function makes MOVED, CLUSTERDOWN, TRYAGAIN or UNKNOWN of a Go error.
// Those that clients resend by themselves are for what was certainly not done.
func wireError(err error, it *item, s *Session) resp.Error {
	var (
		wire    resp.Error
		other   *system.NotLeaderError
		refused *system.RefusedError
	)
	switch {
	case errors.As(err, &wire):
		return wire
	case errors.As(err, &other):
		return moved(other.Leader, it, s)
	case errors.As(err, &refused):
		return resp.Error("ERR " + refused.Reason)
	case errors.Is(err, system.ErrUnknownOutcome):
		return resp.ErrUnknown
	case errors.Is(err, system.ErrNoLeader):
		return resp.ErrClusterDown
	case errors.Is(err, system.ErrShutdown):
		return "CLUSTERDOWN This node is shutting down"
	case errors.Is(err, system.ErrRemoved):
		return errRemoved
	case errors.Is(err, system.ErrOverloaded), errors.Is(err, system.ErrTickNeeded):
		return "TRYAGAIN Too many commands are waiting"
	case errors.Is(err, system.ErrDiskFull):
		return resp.ErrDiskFull
	case errors.Is(err, system.ErrTooLarge):
		return errTooLarge(s.srv.settings.maxCommand.Load())
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return errCut
	}
	s.srv.log.Error("a command failed", "error", err)
	return resp.Error("ERR " + err.Error())
}

// errRemoved sends a cluster's client on to another node, where a plain one can
// read what happened.
const errRemoved resp.Error = "CLUSTERDOWN This node was removed from its cluster; connect to a member"

// errCut answers what was given up: a read, or a wait, never a write.
const errCut resp.Error = "ERR The command was given up before it ended"

// errTooLarge refuses a command that the log would not take.
func errTooLarge(limit int64) resp.Error {
	return resp.Error("ERR command exceeds the maximum size of " + strconv.FormatInt(limit, 10) + " bytes")
}

// moved names the leader in the words of a Redis cluster. Without a RESP address
// there is nobody to go to.
func moved(leader system.Member, it *item, s *Session) resp.Error {
	host, port := s.endpoint(leader)
	if port == 0 {
		return resp.ErrClusterDown
	}
	slot := 0
	if it != nil {
		if key, ok := it.firstKey(); ok {
			slot = resp.Slot(key)
		}
	}
	return resp.Error("MOVED " + strconv.Itoa(slot) + " " + host + ":" + strconv.Itoa(port))
}

// isRefusal says whether what is behind the failed command in its pipeline must
// fail too: the node does not take commands at the moment, or it is not known
// what became of this one.
func isRefusal(err error) bool {
	var wire resp.Error
	return !errors.As(err, &wire) && !errors.Is(err, system.ErrTooLarge)
}
