package commands

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// TestDeclarationsHoldTogether checks what the compiler can't.
func TestDeclarationsHoldTogether(t *testing.T) {
	// Spec.NewTable panics on a bad syntax and on duplicates; twice, because All
	// may be called again.
	All()
	spec.NewTable(All(), func(c *Command) *spec.Command { return &c.Command })
	for _, c := range flat(All()) {
		handlers := 0
		for _, set := range []bool{c.Read != nil, c.Write != nil, c.Plain != nil, len(c.Sub) > 0} {
			if set {
				handlers++
			}
		}
		if handlers != 1 {
			t.Errorf("%s has %d handlers", c.FullName(), handlers)
		}
		if len(c.Subcommands) != len(c.Sub) {
			t.Errorf("%s: %d declared subcommands, %d with handlers", c.FullName(), len(c.Subcommands), len(c.Sub))
		}
		if c.Summary == "" || c.Since == "" || c.Cost == "" || c.Group == "" {
			t.Errorf("%s: a field of its documentation is empty", c.FullName())
		}
	}
}

// flat lists commands and, behind each container, its subcommands.
func flat(commands []Command) []Command {
	var all []Command
	for _, c := range commands {
		all = append(append(all, c), c.Sub...)
	}
	return all
}

// extended are the commands that have an argument of a newer Redis.
var extended = map[string]string{
	"ZRANK": "WITHSCORE, of 7.2", "ZREVRANK": "WITHSCORE, of 7.2",
	"DEBUG": "the server has the declaration that COMMAND shows",
}

// TestCommandInfoSameAsRedis compares COMMAND INFO. The lists of a container's
// subcommands are left out: Redis has them in the order of a hash table, and the
// subcommands of MEMORY that look at the process are not data commands.
func TestCommandInfoSameAsRedis(t *testing.T) {
	real := startRedis(t)
	for _, c := range flat(All()) {
		if newer(c) {
			continue
		}
		var w resp.Writer
		w.Array(1)
		spec.WriteInfo(&w, &c.Command)
		got, want := string(w.Bytes()), string(real.do("COMMAND", "INFO", c.FullName()))
		if len(c.Sub) > 0 {
			got, want = cutSubcommands(got), cutSubcommands(want)
		}
		if got != want && extended[c.Name] == "" {
			t.Errorf("%s\n got %q\nwant %q", c.FullName(), got, want)
		}
	}
}

// newer says whether the real Redis, a 7.0, is too old to know a command.
func newer(c Command) bool { return c.Since > "7.1" }

func cutSubcommands(info string) string {
	end := strings.Index(info[len("*1\r\n*10\r\n"):], "\r\n*10\r\n") + len("*1\r\n*10\r\n")
	return info[:strings.LastIndex(info[:end], "*")]
}

// TestCommandDocsSameAsRedis compares the arguments that COMMAND DOCS tells, but
// for the versions that brought an argument and the names of choices, neither of
// which a syntax line shows. Of GEOSEARCH and GEOSEARCHSTORE
// Redis gives the words BYRADIUS and BYBOX to the first value behind them.
func TestCommandDocsSameAsRedis(t *testing.T) {
	real := startRedis(t)
	for _, c := range All() {
		if newer(c) {
			continue
		}
		var w resp.Writer
		spec.WriteDocs(&w, &c.Command)
		ours, _ := parseReply(t, w.Bytes())
		theirs, _ := parseReply(t, real.do("COMMAND", "DOCS", c.FullName()))
		got, want := describe(field(ours, "arguments")), describe(field(theirs.([]any)[1], "arguments"))
		for _, choice := range []string{"radius_m_or_km_or_ft_or_mi block BYRADIUS (radius double", "width_height_m_or_km_or_ft_or_mi block BYBOX (width double"} {
			words := strings.Fields(choice)
			name := map[string]string{"BYRADIUS": "circle", "BYBOX": "box"}[words[2]]
			got = strings.Replace(got, choice, name+" block ("+strings.TrimPrefix(words[3], "(")+" double "+words[2], 1)
		}
		if got != want && extended[c.Name] == "" {
			t.Errorf("%s\n got %s\nwant %s", c.FullName(), got, want)
		}
		for _, name := range []string{"since", "group", "deprecated_since"} {
			if got, want := field(ours, name), field(theirs.([]any)[1], name); got != want {
				t.Errorf("%s: %s is %v, want %v", c.FullName(), name, got, want)
			}
		}
	}
}

// parseReply reads a RESP2 reply as strings, numbers and slices.
func parseReply(t *testing.T, b []byte) (v any, rest []byte) {
	t.Helper()
	line, rest, _ := bytes.Cut(b, []byte("\r\n"))
	n, _ := strconv.Atoi(string(line[1:]))
	switch line[0] {
	case '*':
		list := make([]any, n)
		for i := range list {
			list[i], rest = parseReply(t, rest)
		}
		return list, rest
	case '$':
		return string(rest[:n]), rest[n+2:]
	case ':':
		return n, rest
	}
	return string(line[1:]), rest
}

// field looks up a name in a flattened map.
func field(m any, name string) any {
	list, _ := m.([]any)
	for i := 0; i+1 < len(list); i += 2 {
		if list[i] == name {
			return list[i+1]
		}
	}
	return nil
}

// describe shows a list of arguments.
func describe(args any) string {
	list, _ := args.([]any)
	var b strings.Builder
	for _, a := range list {
		for _, name := range []string{"name", "type", "token", "key_spec_index", "flags"} {
			if v := field(a, name); v != nil && (name != "name" || field(a, "type") != "oneof") {
				fmt.Fprintf(&b, "%v ", v)
			}
		}
		if inner := field(a, "arguments"); inner != nil {
			fmt.Fprintf(&b, "(%s) ", describe(inner))
		}
	}
	return b.String()
}
