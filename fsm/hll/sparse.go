package hll

import (
	"slices"
	"strconv"
)

// A sparse one is a row of runs of equal registers:
//
//	00xxxxxx           a run of x+1 zeros
//	01xxxxxx xxxxxxxx  a run of x+1 zeros
//	1vvvvvxx           a run of x+1 registers of the rank v+1
const (
	longZeros  = 0x40
	value      = 0x80
	maxZeros   = 64 // of the short form
	maxValues  = 4
	mergeReach = 5 // how many runs are looked at after a change
)

// run is one run.
type run struct {
	size   int // in bytes
	length int // in registers
	rank   uint8
}

// runAt reads the run at an offset, which lies in b; ok is false where it does not end
// there.
func runAt(b []byte, at int) (r run, ok bool) {
	switch c := b[at]; {
	case c&value != 0:
		return run{1, int(c&3) + 1, c>>2&31 + 1}, true
	case c&longZeros == 0:
		return run{1, int(c) + 1, 0}, true
	case at+1 < len(b):
		return run{2, int(c&63)<<8 + int(b[at+1]) + 1, 0}, true
	}
	return run{}, false
}

// append writes the run in its shortest form.
func (r run) append(b []byte) []byte {
	switch {
	case r.length == 0:
		return b
	case r.rank > 0:
		return append(b, value|(r.rank-1)<<2|uint8(r.length-1))
	}
	return appendZeros(b, r.length)
}

func appendZeros(b []byte, length int) []byte {
	if length <= maxZeros {
		return append(b, uint8(length-1))
	}
	return append(b, longZeros|uint8((length-1)>>8), uint8(length-1))
}

// eachRun calls fn with the runs of a sparse one.
func eachRun(b []byte, fn func(first, length int, rank uint8)) error {
	first := 0
	for at := header; at < len(b); {
		r, ok := runAt(b, at)
		if !ok || first+r.length > registers {
			return ErrCorrupt
		}
		fn(first, r.length, r.rank)
		at, first = at+r.size, first+r.length
	}
	if first != registers {
		return ErrCorrupt
	}
	return nil
}

// Decode spells the runs of a sparse one as PFDEBUG DECODE does.
func Decode(b []byte) (string, error) {
	var text []byte
	at := header
	err := eachRun(b, func(_ int, length int, rank uint8) {
		r, _ := runAt(b, at)
		switch {
		case rank > 0:
			text = append(text, "v:"...)
			text = append(strconv.AppendInt(text, int64(rank), 10), ',')
		case r.size == 2:
			text = append(text, "Z:"...)
		default:
			text = append(text, "z:"...)
		}
		text = append(strconv.AppendInt(text, int64(length), 10), ' ')
		at += r.size
	})
	return string(text[:max(len(text)-1, 0)]), err
}

// place is where a run begins: its offset, 0 standing for the first run's, and its first
// register. It lets who raises registers one after the other begin near the last one.
type place struct{ at, first int }

// setSparse raises a register, and says whether it was lower.
func setSparse(b []byte, register int, rank uint8, sparseMax int) ([]byte, bool, error) {
	var from place
	return from.setSparse(b, register, rank, sparseMax)
}

// setSparse is the same with a register that does not lie before from, which it moves.
func (from *place) setSparse(b []byte, register int, rank uint8, sparseMax int) ([]byte, bool, error) {
	if rank > MaxSparseRank {
		return promote(b, register, rank)
	}
	here, before, ok := from.seek(b, register)
	if !ok {
		return nil, false, ErrCorrupt
	}
	r, _ := runAt(b, here.at)
	if r.rank >= rank {
		return b, false, nil
	}
	var room [8]byte
	split := run{length: register - here.first, rank: r.rank}.append(room[:0])
	split = run{length: 1, rank: rank}.append(split)
	split = run{length: here.first + r.length - 1 - register, rank: r.rank}.append(split)
	if longer := len(split) - r.size; longer > 0 && len(b)+longer > sparseMax {
		return promote(b, register, rank)
	}
	b = slices.Replace(b, here.at, here.at+r.size, split...)
	return mergeRuns(b, before.at), true, nil
}

// seek finds the run in which a register lies, and the one before it, if that is not
// before from. It moves from to two runs before. ok is false where there is no such run.
func (from *place) seek(b []byte, register int) (here, before place, ok bool) {
	here = place{max(from.at, header), from.first}
	before = here
	for here.at < len(b) {
		next := place{here.at + 1, here.first + 1}
		switch c := b[here.at]; {
		case c&value != 0:
			next.first += int(c & 3)
		case c&longZeros == 0:
			next.first += int(c)
		case next.at < len(b):
			next.first += int(c&63)<<8 + int(b[next.at])
			next.at++
		default:
			return here, before, false
		}
		if register < next.first {
			return here, before, true
		}
		*from, before, here = before, here, next
	}
	return here, before, false
}

// mergeRuns joins neighbours of the same rank, as far as Redis looks.
func mergeRuns(b []byte, at int) []byte {
	for looks := mergeReach; at < len(b) && looks > 0; looks-- {
		r, _ := runAt(b, at)
		if r.rank > 0 && at+1 < len(b) {
			next, _ := runAt(b, at+1)
			if next.rank == r.rank && r.length+next.length <= maxValues {
				b[at+1] = value | (r.rank-1)<<2 | uint8(r.length+next.length-1)
				b = slices.Delete(b, at, at+1)
				continue // the joined run may be joined again
			}
		}
		at += r.size
	}
	return b
}

// promote raises a register of what becomes a dense one.
func promote(b []byte, register int, rank uint8) ([]byte, bool, error) {
	b, err := ToDense(b)
	if err != nil {
		return nil, false, err
	}
	return b, setDense(b[header:], register, rank), nil
}
