package system

import "errors"

// The outcome errors. Exactly one function, server.wireError, turns them into
// replies.
var (
	// ErrNoLeader: no leader was found in time. Nothing was done.
	ErrNoLeader = errors.New("no leader")
	// ErrUnknownOutcome: the command may or may not have been done, or may still be.
	ErrUnknownOutcome = errors.New("outcome unknown")
	// ErrTooLarge: the proposal is larger than an entry may be. Nothing was done.
	ErrTooLarge = errors.New("command exceeds the maximum entry size")
	// ErrOverloaded: too much is waiting for a leader or for the disk. Nothing was done.
	ErrOverloaded = errors.New("too many commands waiting")
	// ErrDiskFull: no voter has the disk space to log more. Nothing was done.
	ErrDiskFull = errors.New("no space left on disk")
	// ErrShutdown: the node is going down. Nothing was done.
	ErrShutdown = errors.New("node is shutting down")
	// ErrRemoved: this node was removed from its cluster, and knows no leader of it at
	// the moment. Nothing was done.
	ErrRemoved = errors.New("this node was removed from its cluster; connect to a member")
	// ErrTickNeeded: a read met a key whose time has come by the leader's clock but
	// not yet by the logged one; read again after Replicator.Tick.
	ErrTickNeeded = errors.New("a key is due that the log does not yet say is due")
)

// NotLeaderError says that another node leads. Nothing was done.
type NotLeaderError struct {
	// Leader is the member that leads, with its announced addresses.
	Leader Member
}

func (e *NotLeaderError) Error() string { return "not the leader; " + e.Leader.ID + " is" }

// RefusedError is a refusal of a membership or administration request, with a
// text for the person who asked. Nothing was done. Final says that asking again
// cannot help.
type RefusedError struct {
	Reason string
	Final  bool
}

func (e *RefusedError) Error() string { return e.Reason }
