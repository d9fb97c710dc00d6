//go:build !faults

package faults

import "time"

// On reports whether a bug is planted.
func On(Switch) bool { return false }

// Now is the wall clock.
func Now() time.Time { return time.Now() }

// AwaitDisk returns once the disk may be written to.
func AwaitDisk() {}
