//go:build race

package logstore

// seeds is how many random lives the crash tests run; the race detector finds
// nothing in them, and makes them ten times as slow.
const seeds = 1
