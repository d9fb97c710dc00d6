package system

import (
	"fmt"
	"strconv"

	"github.com/raftkv/raftkv/fsm/entry"
)

// The cluster version is how far all members' programs have come. It is part of the
// replicated state, so at each place in the log all replicas have the same, and a
// program that knows more does only what that version has: replicas that run
// different programs stay the same. It rises once every member knows the next one,
// and never falls.
const (
	// FirstVersion is where a cluster begins that says nothing else.
	FirstVersion = 1
	// NewestVersion is the newest that this program knows.
	NewestVersion = entry.Version

	// accessVersion brought users and join tokens, settingsVersion the cluster's settings.
	accessVersion   = 2
	settingsVersion = 3
)

// since tells of the system commands that came after FirstVersion. Those of
// accessVersion are kept out of the log below it (Admits), but where one is in the log
// it counts: the last programs of before this gate logged them at the first version. One
// that comes later must be refused by Apply, too, as older programs do.
func since(name string) uint64 {
	switch name {
	case cmdUsersSet, cmdTokenAdd, cmdTokensOff, cmdMemberAdmit:
		return accessVersion
	case cmdSettingsSet:
		return settingsVersion
	}
	return FirstVersion
}

const cmdClusterVersion = "CLUSTER-VERSION"

// ClusterVersion raises the cluster version. It is refused if that would lower it.
func ClusterVersion(n uint64) Command {
	return command(cmdClusterVersion, strconv.FormatUint(n, 10))
}

// RaisesTo returns the version that a ClusterVersion asks for, 0 for any other command.
func RaisesTo(c *Command) uint64 {
	if len(c.Args) != 2 || string(c.Args[0]) != cmdClusterVersion {
		return 0
	}
	n, err := strconv.ParseUint(string(c.Args[1]), 10, 16)
	if err != nil {
		return 0
	}
	return n
}

// Version is the cluster version, 0 before the cluster is founded.
func (s *State) Version() uint64 {
	if s == nil {
		return 0
	}
	return s.version
}

// Effective is the version that commands go by. Without a cluster there is nobody to
// agree with, and all that this program knows is there; no log has a command before
// the one that founds its cluster.
func (s *State) Effective() uint64 {
	if v := s.Version(); v != 0 {
		return v
	}
	return NewestVersion
}

// HasAccess says whether the cluster can have users and join tokens.
func (s *State) HasAccess() bool { return s.Effective() >= accessVersion }

// Admits says why a system command, given its arguments, must not be logged yet: it is
// too new for the cluster; nil where it is not. Its text is for the person who asked.
func (s *State) Admits(args [][]byte) error {
	if len(args) == 0 {
		return nil
	}
	if needs := since(string(args[0])); needs > s.Effective() {
		return fmt.Errorf("this needs all nodes to run a version of raftkv that knows cluster version %d, and the cluster is at %d: upgrade the nodes that know less in RAFT.STATUS", needs, s.Version())
	}
	return nil
}

// raise applies a ClusterVersion. The error is entry.ErrVersion where this program does
// not know that version: it must not go on then.
func (s *State) raise(word string) (*State, error) {
	n, err := strconv.ParseUint(word, 10, 16)
	switch have := s.Version(); {
	case err != nil || n == 0:
		return s, fmt.Errorf("%s is no cluster version", strconv.Quote(word))
	case have == 0:
		return s, fmt.Errorf("there is no cluster yet")
	case n > NewestVersion:
		return s, fmt.Errorf("%w: cluster version %d, this program knows up to %d", entry.ErrVersion, n, NewestVersion)
	case n < have:
		return s, fmt.Errorf("the cluster is at version %d already", have)
	case n == have:
		return s, nil
	}
	next := s.with(s.Members(), s.Departures())
	next.version = n
	return next, nil
}
