package spec_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
	"github.com/raftkv/raftkv/tests/scripts/golden"
)

// TestInfoOfEveryRedisCommand turns Redis's own table into declarations and
// wants the same table back: this shows the derived key triple, "movablekeys",
// the implied ACL categories, and the order and spelling of every name.
func TestInfoOfEveryRedisCommand(t *testing.T) {
	want := redisCommands(t)
	var got []golden.Command
	for _, c := range want {
		decl := declare(t, c)
		if err := decl.Resolve(); err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		for _, proto := range []int{2, 3} {
			w := resp.NewWriter(proto, nil)
			w.Array(1)
			spec.WriteInfo(w, &decl)
			reply, err := resp.Parse(w.Bytes())
			if err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			some, err := golden.FromReply(reply)
			if err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			got = append(got, some[0])
		}
	}
	for _, line := range golden.Compare(got, want, nil) {
		t.Error(line)
	}
}

func redisCommands(t *testing.T) []golden.Command {
	t.Helper()
	all, err := golden.Commands()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// declare is the declaration of a Redis command without what follows from the rest.
func declare(t *testing.T, c golden.Command) spec.Command {
	t.Helper()
	d := spec.Command{Name: strings.ToUpper(c.Name), Arity: int(c.Arity), Tips: c.Tips}
	if container, sub, ok := strings.Cut(d.Name, "|"); ok {
		d.Container, d.Name = container, sub
	}
	for _, flag := range c.Flags {
		switch flag {
		case "write":
			d.Kind = spec.Write
		case "readonly":
			d.Kind = spec.Read
		case "movablekeys":
		default:
			d.Flags |= flagByName(t, flag)
		}
	}
	implied := []string{"@slow", "@fast", "@blocking"}
	switch {
	case d.Kind == spec.Write:
		implied = append(implied, "@write")
	case d.Kind == spec.Read:
		implied = append(implied, "@read")
	}
	if d.Flags&spec.Admin != 0 {
		implied = append(implied, "@admin", "@dangerous")
	}
	if d.Flags&spec.PubSub != 0 {
		implied = append(implied, "@pubsub")
	}
	for _, name := range c.ACL {
		if slices.Contains(implied, name) {
			continue
		}
		cat, ok := spec.CategoryByName(strings.TrimPrefix(name, "@"))
		if !ok {
			t.Fatalf("%s: category %s", c.Name, name)
		}
		d.Categories |= cat
	}
	for _, s := range c.Specs {
		d.Keys = append(d.Keys, keySpec(t, s))
	}
	return d
}

func flagByName(t *testing.T, name string) spec.Flags {
	t.Helper()
	for i := range 32 {
		c := spec.Command{Flags: 1 << i}
		if slices.Equal(c.FlagNames(), []string{name}) {
			return c.Flags
		}
	}
	t.Fatalf("flag %s", name)
	return 0
}

func keySpec(t *testing.T, s golden.KeySpec) spec.KeySpec {
	t.Helper()
	k := spec.KeySpec{Notes: s.Notes}
	for i := range 16 {
		for _, name := range strings.Fields(s.Flags) {
			if slices.Equal(spec.KeyFlags(1<<i).Names(), []string{name}) {
				k.Flags |= 1 << i
			}
		}
	}
	scan := func(text, format string, fields ...any) bool {
		_, err := fmt.Sscanf(text, format, fields...)
		return err == nil
	}
	switch {
	case s.Begin == "unknown":
		k.Unknown = true
	case scan(s.Begin, "index %d", &k.Index), scan(s.Begin, "keyword %s %d", &k.Keyword, &k.StartFrom):
	default:
		t.Fatalf("begin %q", s.Begin)
	}
	switch {
	case s.Find == "unknown":
		k.Unknown = true
	case scan(s.Find, "range %d %d %d", &k.Last, &k.Step, &k.Limit):
	case scan(s.Find, "keynum %d %d %d", &k.CountAt, &k.FirstKey, &k.Step):
		k.KeyCount = true
	default:
		t.Fatalf("find %q", s.Find)
	}
	return k
}
