//go:build faults

package faults

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var (
	switches = parse(os.Getenv("RAFTKV_FAULT"))
	hang     = os.Getenv("RAFTKV_FAULT_DISK")
	offset   atomic.Int64 // of the wall clock, in nanoseconds
)

// follow sets the clock by its file from now on.
var follow = sync.OnceFunc(func() {
	if file := os.Getenv("RAFTKV_FAULT_CLOCK"); file != "" {
		setClock(file)
		go func() {
			for range time.Tick(20 * time.Millisecond) {
				setClock(file)
			}
		}()
	}
})

func parse(list string) []Switch {
	known := []Switch{VerifyLeader, AckEarly, LocalClock, DropTail}
	var on []Switch
	for _, name := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' }) {
		if !slices.Contains(known, Switch(name)) {
			fmt.Fprintf(os.Stderr, "RAFTKV_FAULT: no fault is named %q; there are %q\n", name, known)
			os.Exit(2)
		}
		on = append(on, Switch(name))
	}
	return on
}

// setClock takes the offset over from its file. One that is not there or not
// whole changes nothing: the tests replace it while this reads.
func setClock(file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		return
	}
	if ms, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
		offset.Store(ms * int64(time.Millisecond))
	}
}

// On reports whether a bug is planted.
func On(s Switch) bool { return slices.Contains(switches, s) }

// Now is the wall clock, as far off as the tests want it.
func Now() time.Time {
	follow()
	return time.Now().Add(time.Duration(offset.Load()))
}

// AwaitDisk returns once the disk may be written to.
func AwaitDisk() {
	for hang != "" {
		if _, err := os.Stat(hang); err != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}
