// Package golden holds what a real Redis 7.0.15 says of its commands, and
// compares another server's answers with it, field by field.
package golden

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/raftkv/raftkv/resp"
)

//go:embed command-info-7.0.15.txt
var commandInfo []byte

// Command is one entry of COMMAND INFO. Lists are in the server's order, except
// that the subcommands of a container are entries of their own, behind it and
// sorted by name: Redis gives them in the order of a hash table.
type Command struct {
	Name  string    `json:"name"`            // "get", "client|kill"
	Arity int64     `json:"arity"`           // as in Redis: negative is a minimum
	Flags []string  `json:"flags,omitempty"` // "write", "fast" ...
	Keys  [3]int64  `json:"keys"`            // first, last, step
	ACL   []string  `json:"acl,omitempty"`   // "@read" ...
	Tips  []string  `json:"tips,omitempty"`
	Specs []KeySpec `json:"specs,omitempty"`
}

// KeySpec is a key specification in a short form.
type KeySpec struct {
	Begin string `json:"begin"` // "index 1", "keyword STORE 5", "unknown"
	Find  string `json:"find"`  // "range last step limit", "keynum at first step", "unknown"
	Flags string `json:"flags"` // "RW access update"
	Notes string `json:"notes,omitempty"`
}

// Commands returns all commands of Redis 7.0.15, subcommands included, sorted
// by name.
func Commands() ([]Command, error) {
	var all []Command
	if err := json.Unmarshal(commandInfo, &all); err != nil {
		return nil, fmt.Errorf("command-info-7.0.15.txt: %w", err)
	}
	return all, nil
}

// Format renders commands in the form of the golden file: a JSON array with one
// command a line.
func Format(all []Command) ([]byte, error) {
	var b strings.Builder
	for i, c := range all {
		line, err := json.Marshal(c)
		if err != nil {
			return nil, err
		}
		b.WriteString(map[bool]string{true: "[", false: ","}[i == 0])
		b.Write(line)
		b.WriteByte('\n')
	}
	b.WriteString("]\n")
	return []byte(b.String()), nil
}

// FromReply reads the reply of COMMAND or COMMAND INFO, of RESP2 or RESP3. Nulls
// (commands that the server does not know) are left out.
func FromReply(reply resp.Value) ([]Command, error) {
	if err := reply.Err(); err != nil {
		return nil, err
	}
	var all []Command
	for _, entry := range reply.Elems {
		if entry.IsNull() {
			continue
		}
		some, err := fromEntry(entry)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	slices.SortFunc(all, func(a, b Command) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func fromEntry(v resp.Value) ([]Command, error) {
	if len(v.Elems) != 10 {
		return nil, fmt.Errorf("an entry of %d elements, not 10", len(v.Elems))
	}
	e := v.Elems
	c := Command{
		Name: e[0].Text(), Arity: e[1].Int, Flags: texts(e[2]), Keys: [3]int64{e[3].Int, e[4].Int, e[5].Int},
		ACL: texts(e[6]), Tips: texts(e[7]),
	}
	for _, s := range e[8].Elems {
		spec, err := fromSpec(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		c.Specs = append(c.Specs, spec)
	}
	all := []Command{c}
	for _, sub := range e[9].Elems {
		some, err := fromEntry(sub)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		all = append(all, some...)
	}
	return all, nil
}

func fromSpec(v resp.Value) (KeySpec, error) {
	flags, ok1 := v.Lookup("flags")
	begin, ok2 := v.Lookup("begin_search")
	find, ok3 := v.Lookup("find_keys")
	if !ok1 || !ok2 || !ok3 {
		return KeySpec{}, errors.New("a key specification without flags, begin_search or find_keys")
	}
	notes, _ := v.Lookup("notes")
	return KeySpec{
		Begin: search(begin, "index", "keyword", "startfrom"),
		Find:  search(find, "lastkey", "keynumidx", "firstkey", "keystep", "limit"),
		Flags: strings.Join(texts(flags), " "), Notes: notes.Text(),
	}, nil
}

// search renders the type and the fields of a search, in the order of names.
func search(v resp.Value, names ...string) string {
	kind, _ := v.Lookup("type")
	fields, _ := v.Lookup("spec")
	text := kind.Text()
	for _, name := range names {
		switch f, ok := fields.Lookup(name); {
		case !ok:
		case f.Kind == resp.KindInt:
			text += fmt.Sprintf(" %d", f.Int)
		default:
			text += " " + f.Text()
		}
	}
	return text
}

func texts(v resp.Value) []string {
	var all []string
	for _, e := range v.Elems {
		all = append(all, e.Text())
	}
	return all
}

// Exceptions are differences that are meant, with their reasons, by "name.field"
// (as in "ping.flags"), or by "name" for a command that Redis 7.0.15 has not.
type Exceptions map[string]string

// Compare returns one line for each field in which got differs from want, for
// each command of got that want has not, and for each exception that excuses
// nothing. Commands that only want has are none of its business.
func Compare(got, want []Command, except Exceptions) []string {
	byName := make(map[string]Command, len(want))
	for _, c := range want {
		byName[c.Name] = c
	}
	used := make(map[string]bool)
	var lines []string
	report := func(key, line string) {
		if _, ok := except[key]; ok {
			used[key] = true
			return
		}
		lines = append(lines, line)
	}
	for _, c := range got {
		w, ok := byName[c.Name]
		if !ok {
			report(c.Name, c.Name+": Redis 7.0.15 has no such command")
			continue
		}
		for _, d := range c.diff(w) {
			report(c.Name+"."+d.field, fmt.Sprintf("%s.%s: got %s, want %s", c.Name, d.field, d.got, d.want))
		}
	}
	for key := range except {
		if !used[key] {
			lines = append(lines, key+": this exception excuses nothing")
		}
	}
	slices.Sort(lines)
	return lines
}

type difference struct{ field, got, want string }

// diff compares the fields by their printed form.
func (c Command) diff(want Command) []difference {
	fields := []struct {
		name      string
		got, want any
	}{
		{"arity", c.Arity, want.Arity}, {"flags", c.Flags, want.Flags}, {"keys", c.Keys, want.Keys},
		{"acl", c.ACL, want.ACL}, {"tips", c.Tips, want.Tips}, {"specs", c.Specs, want.Specs},
	}
	var all []difference
	for _, f := range fields {
		if got, want := fmt.Sprintf("%+v", f.got), fmt.Sprintf("%+v", f.want); got != want {
			all = append(all, difference{f.name, got, want})
		}
	}
	return all
}
