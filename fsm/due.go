package fsm

// What is due is absent for every reader at once. Its memory is given back step by step,
// a few keys and fields of hashes with each entry: enough to keep up with any load, and
// no pause when a million are due at once. How many is part of what an entry means.
const (
	// mostDue is how many go before an entry's commands.
	mostDue = 128
	// moreDue is how many more go with an entry that has no commands, a millisecond's worth
	// in all: an idle leader logs one after the other while something is due.
	moreDue = 384
	// duePerCommand is how many more each logged command is good for, so that long
	// entries, which are few in a second, remove what is due faster than they make it.
	duePerCommand = 2

	// moreDueVersion is the cluster version from which on more than mostDue go.
	moreDueVersion = 3
)

// removeDue removes up to most of the keys and fields whose time has come, unless that
// is switched off in the cluster.
func (a *applier) removeDue(most int) {
	if a.system.ExpiresActively() {
		a.m.expired += uint64(a.m.keys.RemoveDue(a.now, most))
	}
}

// removeMore goes on with it behind the entry's commands. A command gives a time to one
// key at most, but to any number of fields: those are counted.
func (a *applier) removeMore() {
	given := a.m.keys.TakeTimesGiven()
	switch {
	case a.version() < moreDueVersion:
	case a.logged == 0:
		a.removeDue(moreDue)
	default:
		a.removeDue(duePerCommand*int(a.logged) + given)
	}
}
