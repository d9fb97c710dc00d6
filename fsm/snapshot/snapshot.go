// Package snapshot is the binary form of the whole replicated state: a header and
// tagged sections, cut into chunks with a checksum each, with an end mark. It is
// streamed both ways and needs no more memory than one chunk and one value. It
// knows nothing of files, of Raft and of how the state changes.
package snapshot

import (
	"errors"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/system"
)

// Format is the number of the form that this program writes, and the newest that
// it reads. It changes when an older program could not even find the sections;
// whatever else is new becomes a section of its own.
const Format = 1

// magic opens every snapshot; the format number follows it.
const magic = "RaftKVsn"

// The sections. Their numbers are never used again for anything else. The header
// comes first and the end last; all others may be missing where there are none.
const (
	secEnd      = 0 // nothing in it
	secHeader   = 1 // cluster version, cluster id, index, term, now, last key version
	secMembers  = 2 // count, then of each: flags, id, raft, resp and http address, data directory
	secDatabase = 3 // database, count of keys, then each key: see item in write.go
	secCreated  = 4 // database, then (bucket + 1, version) up to the section's end; bucket + 1 = 0 is the whole database
	secDeparted = 5 // count, then of each former member: id, data directory; at most 65,536 ids with the members'
	secTokens   = 6 // flags, count, then of each join token: hash, when it expires
	secUsers    = 7 // revision, count, then of each user: name, rules, the revision that made it
	secSettings = 8 // count, then of each setting that was ever set: name, value
)

// The flags of a chunk.
const (
	flagLast     = 1 // the last chunk of its section
	flagOptional = 2 // a reader that does not know the section may pass over it
	knownFlags   = flagLast | flagOptional
)

// chunkHead is tag, flags and the payload's length in 4 bytes; a chunk is its
// head, its payload, and 4 bytes of CRC32C over everything since the magic: so a
// chunk that is lost, doubled or in the wrong place is found like a flipped bit.
const chunkHead = 6

// chunkPayload is how much a written chunk holds; a reader takes up to maxPayload.
const (
	chunkPayload = 64 << 10
	maxPayload   = 1 << 20
)

// The flags of a key, of a member and of the join tokens.
const (
	flagExpiry  = 1
	flagLearner = 1
	flagNeeded  = 1 // of the join tokens: who joins needs one
)

var (
	// ErrVersion says that a newer program wrote the snapshot.
	ErrVersion = errors.New("snapshot of a newer version")
	// ErrCorrupt says that the bytes are no snapshot, or a damaged one.
	ErrCorrupt = errors.New("snapshot is damaged")
)

// Meta is what the header says.
type Meta struct {
	Index uint64 // of the last entry applied
	Term  uint64 // of that entry
	Now   int64  // the logged clock, Unix milliseconds
}

// Frozen is a state at one point in time, ready to be written.
type Frozen struct {
	Meta
	System *system.State
	Keys   *keyspace.Snapshot
}

// Loaded is a state that was read.
type Loaded struct {
	Meta
	System *system.State
	Space  *keyspace.Space
}
