//go:build !nextversion

package entry

// Version is the newest cluster version that this program knows, and so the newest
// version of a batch that it writes and reads. It fixes format and semantics: a
// change of either needs a new number. What came with which is in fsm/system.
const Version = 3
