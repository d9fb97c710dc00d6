//go:build !race

package logstore

// seeds is how many random lives the crash tests run.
const seeds = 4
