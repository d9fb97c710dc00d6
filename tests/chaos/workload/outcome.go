//go:build linux

package workload

import (
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/raftkv/raftkv/tests/chaos/check"
)

// refusals begin the error replies by which a command was certainly not done.
var refusals = []string{
	"MOVED ", "CLUSTERDOWN ", "TRYAGAIN ", "LOADING ", "EXECABORT ",
	"ERR The command was given up before it ended", // said of reads alone
}

// unknown begins the server's own error for a command that may have been done.
const unknown = "UNKNOWN "

// outcome says what an error means for the command that it answers. written says
// whether any byte was sent meanwhile.
func outcome(err error, written bool) check.Outcome {
	var reply redis.Error
	switch {
	case errors.As(err, &reply) && hasPrefix(reply.Error(), refusals):
		return check.Failed
	case errors.As(err, &reply), written:
		return check.Unknown
	}
	return check.Failed
}

// unexpected says whether an error is a reply that no fault explains.
func unexpected(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply) && !errors.Is(err, redis.Nil) &&
		!hasPrefix(reply.Error(), refusals) && !strings.HasPrefix(reply.Error(), unknown)
}

func hasPrefix(text string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(text, p) {
			return true
		}
	}
	return false
}

// movedTo is the address in a MOVED reply.
func movedTo(err error) (addr string, ok bool) {
	if err == nil {
		return "", false
	}
	fields := strings.Fields(err.Error())
	if len(fields) != 3 || fields[0] != "MOVED" {
		return "", false
	}
	return fields[2], true
}
