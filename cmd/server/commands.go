package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/server"
)

// notAvailable is how the summary of a command begins that is declared only to
// say what to use instead.
const notAvailable = "Not available"

// writeCommands prints the table of commands as Markdown, for the README.
func writeCommands(out io.Writer) error {
	rows := make(map[string][]string)
	var refused []string
	row := func(group, name, syntax, summary string) {
		if strings.HasPrefix(summary, notAvailable) {
			refused = append(refused, name)
			return
		}
		usage := name
		if syntax != "" {
			usage += " " + syntax
		}
		rows[group] = append(rows[group], fmt.Sprintf("| `%s` | %s |\n", strings.ReplaceAll(usage, "|", `\|`), strings.ReplaceAll(summary, "|", `\|`)))
	}
	// A server that serves nothing: only its declarations are asked for.
	for _, c := range server.New(server.Options{}, nil, fsm.New()).Commands() {
		if len(c.Subcommands) == 0 || c.Arity == -1 { // COMMAND is one that can also be called alone
			row(string(c.Group), c.Name, c.Syntax, c.Summary)
		}
		for _, sub := range c.Subcommands {
			row(string(c.Group), c.Name+" "+sub.Name, sub.Syntax, sub.Summary)
		}
	}
	var b strings.Builder
	var groups []string
	for g := range rows {
		groups = append(groups, g)
	}
	slices.Sort(groups)
	for _, g := range groups {
		slices.Sort(rows[g])
		fmt.Fprintf(&b, "#### %s\n\n| command | what it does |\n|---|---|\n%s\n", g, strings.Join(rows[g], ""))
	}
	slices.Sort(refused)
	fmt.Fprintf(&b, "Answered with an error that says what to use instead: %s.\n\n", strings.Join(refused, ", "))
	b.WriteString(missingTable())
	_, err := io.WriteString(out, b.String())
	return err
}
