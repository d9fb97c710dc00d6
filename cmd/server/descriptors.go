package main

import (
	"fmt"
	"log/slog"
	"syscall"
)

const (
	// reservedDescriptors are kept from clients: for the other nodes, the log and
	// snapshots. A node that runs out of them there stops being one.
	reservedDescriptors = 256
	// scarceHTTP is what HTTP clients get of descriptors that are scarce, or a
	// quarter of them if that is less.
	scarceHTTP = 1000
)

// connections says how many Redis and HTTP clients may be connected at once.
type connections struct{ redis, http int }

// shareDescriptors divides the file descriptors that this process may have between
// clients, maxclients of each kind at most. Where they do not suffice it asks the
// system for more, and otherwise serves fewer and says so, as Redis does. (Go's
// runtime has raised the soft limit to the hard one already.)
func shareDescriptors(maxclients int, log *slog.Logger) (connections, error) {
	need := uint64(2*maxclients + reservedDescriptors)
	limit, err := raiseDescriptors(need, log)
	if err != nil {
		log.Warn("the limit of file descriptors cannot be read", "error", err)
		return connections{maxclients, maxclients}, nil
	}
	c, err := share(limit, maxclients)
	if err == nil && c.redis < maxclients {
		log.Warn(fmt.Sprintf("You requested maxclients of %d requiring at least %d max file descriptors.", maxclients, need))
		log.Warn(fmt.Sprintf("Current maximum open files is %d. maxclients has been reduced to %d to compensate for low ulimit. "+
			"If you need higher maxclients increase 'ulimit -n'.", limit, c.redis), "maxclients", c.redis, "http-clients", c.http)
	}
	return c, err
}

// raiseDescriptors returns the limit of file descriptors, which it raises to need
// where it is lower and the system permits.
func raiseDescriptors(need uint64, log *slog.Logger) (uint64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	if limit.Cur >= need {
		return limit.Cur, nil
	}
	raised := syscall.Rlimit{Cur: need, Max: max(need, limit.Max)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err != nil {
		return limit.Cur, nil
	}
	log.Info("raised the limit of file descriptors", "from", limit.Cur, "to", need)
	return need, nil
}

// roomFor makes room for so many Redis clients beside those of HTTP, and returns for
// how many there is.
func roomFor(clients int64, http int, log *slog.Logger) int64 {
	taken := int64(http + reservedDescriptors)
	limit, err := raiseDescriptors(uint64(clients+taken), log)
	if err != nil {
		return clients // nobody knows
	}
	return max(0, int64(min(limit, 1<<62))-taken)
}

// share divides limit descriptors.
func share(limit uint64, maxclients int) (connections, error) {
	const least = 16
	if limit < reservedDescriptors+least {
		return connections{}, fmt.Errorf("this process may open %d files only, and a node needs %d: raise the limit (ulimit -n, or LimitNOFILE= of systemd)",
			limit, reservedDescriptors+least)
	}
	free := int(min(limit, 1<<30)) - reservedDescriptors
	if free >= 2*maxclients {
		return connections{maxclients, maxclients}, nil
	}
	c := connections{redis: min(maxclients, free-min(free/4, scarceHTTP))}
	c.http = min(maxclients, free-c.redis)
	return c, nil
}
