package dict

import "slices"

// Epochs tells what may be changed in place from what a point-in-time copy may still
// show: it counts the copies, and whatever is made carries the number of its epoch.
// The zero value is ready for use.
type Epochs struct {
	now  uint64
	ours uint64   // what was made from this epoch on is reachable from no live copy
	live []uint64 // the last epochs that the copies show, ascending; of those that were not released
}

// Now is the present epoch, for what is made now.
func (e *Epochs) Now() uint64 { return e.now }

// Owns says whether what was made in that epoch may be changed in place.
func (e *Epochs) Owns(made uint64) bool { return made >= e.ours }

// Copy begins a new epoch and returns the one before, the last that the copy shows.
func (e *Epochs) Copy() (last uint64) {
	last = e.now
	e.live = append(e.live, last)
	e.now++
	e.ours = e.now
	return last
}

// Release forgets a copy: Copy's result says which.
func (e *Epochs) Release(last uint64) {
	if i, ok := slices.BinarySearch(e.live, last); ok {
		e.live = slices.Delete(e.live, i, i+1)
	}
	e.ours = 0
	if n := len(e.live); n > 0 {
		e.ours = e.live[n-1] + 1
	}
}
