// Package faults plants, in builds with the tag `faults` alone, the bugs that the
// chaos tests must be able to find, and gives those tests a hand on a node's wall
// clock and disk. In every other build On is the constant false, the clock is the
// system's and nothing here costs anything. It knows nothing of the cluster.
//
// The environment says what is on:
//
//	RAFTKV_FAULT        a comma-separated list of the Switches
//	RAFTKV_FAULT_CLOCK  a file with milliseconds, signed, that the wall clock is off by
//	RAFTKV_FAULT_DISK   a file; while it exists, no write to the Raft log or the vote ends
package faults

// Switch is one planted bug.
type Switch string

const (
	// VerifyLeader makes hashicorp/raft's VerifyLeader the read barrier, which
	// counts answers to requests sent before the question, and learners'.
	VerifyLeader Switch = "verify-leader"
	// AckEarly calls log entries stored before they are on disk.
	AckEarly Switch = "ack-before-disk"
	// LocalClock makes Apply use the node's own clock.
	LocalClock Switch = "local-clock"
	// DropTail makes a follower forget the last proposal of an entry of several.
	DropTail Switch = "drop-tail"
)
