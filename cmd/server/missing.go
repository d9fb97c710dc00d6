package main

import (
	"fmt"
	"strings"
)

// missing are the commands of Redis 7.2 that are not there, with the reason. A container
// stands for all its subcommands. A test keeps it true.
var missing = []struct{ names, why string }{
	{"eval eval_ro evalsha evalsha_ro fcall fcall_ro function script", "scripts and functions come with their own release"},
	{"psubscribe publish pubsub punsubscribe spublish ssubscribe subscribe sunsubscribe unsubscribe", "so does pub/sub"},
	{"client|caching client|getredir client|pause client|tracking client|trackinginfo client|unblock client|unpause monitor waitaof", "sessions: what blocks, tracks or watches clients is not there yet"},
	{"latency lolwut", "latencies are in INFO commandstats, SLOWLOG and /metrics; a monitor of events comes later"},
	{"sentinel", "a sentinel's, which Redis's own servers do not know either; it comes with what fails over by it"},
}

// missingTable is the same as Markdown, for the README.
func missingTable() string {
	var b strings.Builder
	b.WriteString("| not there, of Redis 7.2 | why |\n|---|---|\n")
	for _, m := range missing {
		names := strings.Fields(strings.ToUpper(m.names))
		for i, name := range names {
			names[i] = "`" + strings.ReplaceAll(name, "|", " ") + "`"
		}
		fmt.Fprintf(&b, "| %s | %s |\n", strings.Join(names, ", "), m.why)
	}
	return b.String()
}
