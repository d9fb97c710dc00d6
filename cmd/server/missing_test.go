package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/server"
	"github.com/raftkv/raftkv/tests/scripts/golden"
)

// TestMissing: each command of Redis 7.2 is declared or listed as missing, not both, and
// nothing else is listed.
func TestMissing(t *testing.T) {
	declared := map[string]bool{}
	for _, c := range server.New(server.Options{}, nil, fsm.New()).Commands() {
		declared[c.FullName()] = true
		for i := range c.Subcommands {
			declared[c.Subcommands[i].FullName()] = true
		}
	}
	var listed []string
	for _, m := range missing {
		listed = append(listed, strings.Fields(m.names)...)
	}
	used := map[string]bool{}
	isListed := func(name string) bool {
		container, _, _ := strings.Cut(name, "|")
		for _, l := range []string{name, container} {
			if slices.Contains(listed, l) {
				used[l] = true
				return true
			}
		}
		return false
	}
	names := golden.Names72()
	top := 0
	have, haveTop := 0, 0
	for _, name := range names {
		isTop := !strings.Contains(name, "|")
		if isTop {
			top++
		}
		switch is := isListed(name); {
		case is == declared[name]:
			t.Errorf("%s: declared %v, listed as missing %v", name, declared[name], is)
		case !is:
			have++
			if isTop {
				haveTop++
			}
		}
	}
	for _, l := range listed {
		if !used[l] {
			t.Errorf("%s is no command of Redis 7.2", l)
		}
	}
	if top != 242 || len(names) != 392 {
		t.Errorf("%d and %d names, Redis 7.2 has 242 and 392", top, len(names))
	}
	t.Logf("of Redis 7.2's 242 commands %d are there, of 392 with subcommands %d", haveTop, have)
}
