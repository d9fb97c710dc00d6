package server

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// slowlog keeps the last commands that took long. Data commands that one pipeline
// sent to the log together all took as long as the pipeline did.
type slowlog struct {
	slower atomic.Int64 // microseconds; negative: nothing is kept
	keep   atomic.Int64 // entries

	mu      sync.Mutex
	next    int64       // guarded by mu: the next entry's id
	entries []slowEntry // guarded by mu: the newest last
}

type slowEntry struct {
	id, at, took int64 // took in microseconds, at in Unix seconds
	args         []string
	addr, name   string
}

// Redis's defaults, and how much of a command an entry shows.
const (
	defaultSlower  = 10000
	defaultSlowLen = 128
	slowArgs       = 32
	slowArgLen     = 128
)

// Slowlog says what SLOWLOG keeps.
type Slowlog struct {
	SlowerThan int64 // microseconds that a command must take; 0: all commands, negative: none
	MaxLen     int64 // entries
}

// init takes Redis's defaults for nil.
func (l *slowlog) init(o *Slowlog) {
	if o == nil {
		o = &Slowlog{SlowerThan: defaultSlower, MaxLen: defaultSlowLen}
	}
	l.slower.Store(o.SlowerThan)
	l.keep.Store(o.MaxLen)
}

// slow says whether a command that took so long belongs into the log.
func (l *slowlog) slow(took time.Duration) bool {
	slower := l.slower.Load()
	return slower >= 0 && took.Microseconds() >= slower
}

// observeSlow is told of every command that ran. args are not kept.
func (s *Server) observeSlow(from *Session, args [][]byte, took time.Duration) {
	l := &s.slowlog
	if !l.slow(took) {
		return
	}
	if c, ok := s.catalog.called(args); ok && (c.Flags&spec.SkipSlowlog != 0 || c.Name == "WAIT") {
		return // waiting is what WAIT is for: Redis does not count it either
	}
	from.about.mu.Lock()
	name := from.about.name
	from.about.mu.Unlock()
	e := slowEntry{at: s.now().Unix(), took: took.Microseconds(), args: shorten(hideSecrets(args)), addr: from.about.addr, name: name}
	l.mu.Lock()
	defer l.mu.Unlock()
	e.id = l.next
	l.next++
	l.entries = append(l.entries, e)
	l.trimLocked()
}

// trimLocked drops the oldest entries that are too many. Call it with l.mu held.
func (l *slowlog) trimLocked() {
	if extra := len(l.entries) - int(min(l.keep.Load(), int64(len(l.entries)))); extra > 0 {
		l.entries = slices.Delete(l.entries, 0, extra)
	}
}

// secretSettings are those whose values Redis shows nobody. Most are none of ours: a tool
// that was written for Redis may set them all the same.
var secretSettings = []string{"REQUIREPASS", "MASTERAUTH", "MASTERUSER", "TLS-KEY-FILE-PASS", "TLS-CLIENT-KEY-FILE-PASS"}

// hideSecrets leaves passwords out of a command, also of one that was refused.
func hideSecrets(args [][]byte) [][]byte {
	shown, copied := args, false
	hide := func(from, to int) {
		if !copied {
			shown, copied = slices.Clone(args), true
		}
		for i := from; i < min(to, len(args)); i++ {
			shown[i] = []byte("(redacted)")
		}
	}
	switch name := upper(args[0]); {
	case name == "AUTH":
		hide(1, len(args))
	case name == "HELLO":
		for i := 1; i < len(args); i++ {
			if upper(args[i]) == "AUTH" {
				hide(i+1, i+3)
				i += 2
			}
		}
	case name == "ACL" && len(args) > 2:
		switch upper(args[1]) {
		case "SETUSER":
			hide(2, len(args)) // as Redis, which hides the name too
		case "DRYRUN":
			return hideBehind(args, 3)
		}
	case name == "COMMAND" && len(args) > 2 && strings.HasPrefix(upper(args[1]), "GETKEYS"): // and GETKEYSANDFLAGS
		return hideBehind(args, 2)
	case name == "MIGRATE":
		for i := 6; i < len(args) && upper(args[i]) != "KEYS"; i++ {
			if word := upper(args[i]); word == "AUTH" || word == "AUTH2" {
				hide(i+1, i+1+len(word)-3)
				break
			}
		}
	case name == "CONFIG":
		for i := 2; i < len(args); i++ {
			if slices.Contains(secretSettings, upper(args[i])) {
				hide(i+1, i+2)
			}
		}
	}
	return shown
}

// hideBehind hides those of a whole command that stands as an argument.
func hideBehind(args [][]byte, from int) [][]byte {
	if len(args) <= from {
		return args
	}
	return append(slices.Clone(args[:from]), hideSecrets(args[from:])...)
}

// shorten copies what an entry shows of a command.
// Source: redis/src/slowlog.c:slowlogCreateEntry.
func shorten(args [][]byte) []string {
	shown := args[:min(len(args), slowArgs)]
	list := make([]string, 0, len(shown))
	for i, a := range shown {
		switch {
		case i == slowArgs-1 && len(args) > slowArgs:
			list = append(list, fmt.Sprintf("... (%d more arguments)", len(args)-slowArgs+1))
		case len(a) > slowArgLen:
			list = append(list, fmt.Sprintf("%s... (%d more bytes)", a[:slowArgLen], len(a)-slowArgLen))
		default:
			list = append(list, string(a))
		}
	}
	return list
}

func slowlogCommands() []command { return []command{declModule(), declSlowlog()} }

func declSlowlog() command {
	sub := func(name, syntax, summary string, tips []string, run func(*Session, [][]byte, *resp.Writer) error) command {
		return command{
			Command: spec.Command{
				Name: name, Syntax: syntax, Group: spec.Server, Flags: spec.Admin | spec.Loading | spec.Stale, Since: "2.2.12",
				Cost: "O(N), where N is the number of entries", Tips: append([]string{"request_policy:all_nodes"}, tips...), Summary: summary,
			},
			run: run, early: true,
		}
	}
	return command{
		Command: spec.Command{
			Name: "SLOWLOG", Group: spec.Server, Since: "2.2.12", Cost: "Depends on subcommand.",
			Summary: "A container for commands about the log of slow commands.",
		},
		sub: []command{
			sub("GET", "[count]", "Returns the newest entries: id, time, microseconds, command, client's address and name.",
				[]string{"nondeterministic_output"}, cmdSlowlogGet),
			helpCommand("SLOWLOG", spec.Server, spec.Loading|spec.Stale, "6.2.0"),
			sub("LEN", "", "Returns the number of entries.", []string{"response_policy:agg_sum", "nondeterministic_output"}, cmdSlowlogLen),
			sub("RESET", "", "Forgets the entries.", []string{"response_policy:all_succeeded"}, cmdSlowlogReset),
		},
	}
}

const errSlowlogCount resp.Error = "ERR count should be greater than or equal to -1"

func cmdSlowlogGet(s *Session, args [][]byte, w *resp.Writer) error {
	count := int64(10)
	switch {
	case len(args) > 3:
		return resp.SubcommandSyntax(args[0], args[1])
	case len(args) == 3:
		n, ok := parseLong(args[2])
		if !ok || n < -1 {
			return errSlowlogCount
		}
		count = n
	}
	l := &s.srv.slowlog
	l.mu.Lock()
	list := slices.Clone(l.entries)
	l.mu.Unlock()
	slices.Reverse(list)
	if count >= 0 && count < int64(len(list)) {
		list = list[:count]
	}
	w.Array(len(list))
	for i := range list {
		e := &list[i]
		w.Array(6)
		w.Int(e.id)
		w.Int(e.at)
		w.Int(e.took)
		w.Array(len(e.args))
		for _, a := range e.args {
			w.BulkString(a)
		}
		w.BulkString(e.addr)
		w.BulkString(e.name)
	}
	return nil
}

func cmdSlowlogLen(s *Session, _ [][]byte, w *resp.Writer) error {
	l := &s.srv.slowlog
	l.mu.Lock()
	defer l.mu.Unlock()
	w.Int(int64(len(l.entries)))
	return nil
}

func cmdSlowlogReset(s *Session, _ [][]byte, w *resp.Writer) error {
	l := &s.srv.slowlog
	l.mu.Lock()
	l.entries = nil
	l.mu.Unlock()
	w.OK()
	return nil
}

func declModule() command {
	const insteadModules = "this server has no modules"
	load := func(name, syntax, since string, arity int) spec.Command {
		return spec.Command{
			Name: name, Syntax: syntax, Arity: arity, Container: "MODULE", Group: spec.Server, Since: since,
			Flags: spec.Admin | spec.NoScript | spec.NoAsyncLoading,
		}
	}
	list := command{
		Command: spec.Command{
			Name: "LIST", Group: spec.Server, Flags: spec.Admin | spec.NoScript, Since: "4.0.0", Cost: "O(1)",
			Tips: []string{"nondeterministic_output_order"}, Summary: "Returns the modules: there are none.",
		},
		run: func(_ *Session, _ [][]byte, w *resp.Writer) error {
			w.Array(0)
			return nil
		},
		early: true,
	}
	return command{
		Command: spec.Command{
			Name: "MODULE", Group: spec.Server, Since: "4.0.0", Cost: "Depends on subcommand.",
			Summary: "A container for commands about modules.",
		},
		sub: []command{
			helpCommand("MODULE", spec.Server, spec.Loading|spec.Stale, "5.0.0"),
			list,
			never(load("LOAD", "path [arg [arg ...]]", "4.0.0", 0), insteadModules),
			never(load("LOADEX", "path [CONFIG name value [name value ...]] [ARGS args [args ...]]", "7.0.0", -3), insteadModules),
			never(load("UNLOAD", "name", "4.0.0", 0), insteadModules),
		},
	}
}
