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
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		log.Warn("the limit of file descriptors cannot be read", "error", err)
		return connections{maxclients, maxclients}, nil
	}
	if before := limit.Cur; before < need {
		raised := syscall.Rlimit{Cur: need, Max: max(need, limit.Max)}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err == nil {
			limit = raised
			log.Info("raised the limit of file descriptors", "from", before, "to", need, "maxclients", maxclients)
		}
	}
	c, err := share(limit.Cur, maxclients)
	if err == nil && c.redis < maxclients {
		log.Warn("too few file descriptors for --maxclients, which is lowered: raise the limit (ulimit -n, or LimitNOFILE= of systemd)",
			"limit", limit.Cur, "needed", need, "asked-for", maxclients, "maxclients", c.redis, "http-clients", c.http)
	}
	return c, err
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
