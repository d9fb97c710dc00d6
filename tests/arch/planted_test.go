package arch

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// plant is a tree of one file.
func plant(t *testing.T, name, src string) *Tree {
	t.Helper()
	tree, err := Load(fstest.MapFS{name: {Data: []byte(src)}})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// imports is a file that imports one package.
func imports(pkg, path string) string {
	return "// Package " + pkg + " is planted.\npackage " + pkg + "\n\nimport _ \"" + path + "\"\n"
}

// body is a file with one function.
func body(pkg, src string) string {
	return "// Package " + pkg + " is planted.\npackage " + pkg + "\n\nfunc f() {\n" + src + "\n}\n"
}

// TestPlanted: every rule catches a violation of it, and lets the neighbour pass.
func TestPlanted(t *testing.T) {
	ours := func(room string) string { return Module + "/" + room }
	for _, tt := range []struct {
		rule      string
		check     func(*Tree) []Violation
		path, src string
		want      string // "" where it is allowed
	}{
		{"server knows no cluster", Imports, "server/x.go", imports("server", ours("cluster")), "server must not import cluster"},
		{"cluster knows no server", Imports, "cluster/x.go", imports("cluster", ours("server")), "cluster must not import server"},
		{"server knows no binary form", Imports, "server/x.go", imports("server", ours("fsm/entry")), "must not import fsm/entry"},
		{"no way up", Imports, "fsm/x.go", imports("fsm", ours("server")), "fsm must not import server"},
		{"resp stands alone", Imports, "resp/x.go", imports("resp", ours("resp/spec")), "must not import resp/spec"},
		{"a structure knows only the dict", Imports, "fsm/zset/x.go", imports("zset", ours("resp")), "must not import resp"},
		{"a structure may use the dict", Imports, "fsm/zset/x.go", imports("zset", ours("fsm/dict")), ""},
		{"commands may use structures", Imports, "fsm/commands/x.go", imports("commands", ours("fsm/glob")), ""},
		{"commands don't reach past the keyspace", Imports, "fsm/commands/x.go", imports("commands", ours("fsm/dict")), "must not import fsm/dict"},
		{"one concern of server knows no other", Imports, "server/httpapi/x.go", imports("httpapi", ours("server/config")), "must not import server/config"},
		{"system may use entry", Imports, "fsm/system/x.go", imports("system", ours("fsm/entry")), ""},
		{"logstore knows nothing of ours", Imports, "cluster/logstore/x.go", imports("logstore", ours("fsm/entry")), "must not import fsm/entry"},
		{"main wires", Imports, "cmd/server/x.go", imports("main", ours("cluster")), ""},
		{"main reaches for no handler", Imports, "cmd/server/x.go", imports("main", ours("fsm/commands")), "must not import fsm/commands"},
		{"tests look from outside", Imports, "tests/cluster/x.go", imports("cluster", ours("server")), "must not import server"},
		{"a test file may look inside", Imports, "tests/scripts/x_test.go", imports("scripts", ours("fsm")), ""},
		{"a prefix is no module of ours", Imports, "server/x.go", imports("server", Module+"er"), "has no owner"},
		{"no new rooms", Imports, "server/deep/er/x.go", imports("er", "fmt"), "there is no room server/deep/er"},
		{"redcon has one owner", Imports, "server/httpapi/x.go", imports("httpapi", "github.com/tidwall/redcon"), "belongs to server"},
		{"in tests too", Imports, "cluster/x_test.go", imports("cluster", "github.com/tidwall/redcon"), "belongs to server"},
		{"but for the bench's echo", Imports, "tests/bench/echo/x.go", imports("echo", "github.com/tidwall/redcon"), ""},
		{"etcd's client is the bench's", Imports, "cluster/x.go", imports("cluster", "go.etcd.io/etcd/client/v3"), "belongs to tests/bench"},
		{"Raft has one owner", Imports, "server/x.go", imports("server", "github.com/hashicorp/raft"), "belongs to cluster"},
		{"its store too", Imports, "fsm/x.go", imports("fsm", "github.com/hashicorp/raft-boltdb/v2"), "belongs to cluster"},
		{"go-redis is for tests", Imports, "server/x_test.go", imports("server", "github.com/redis/go-redis/v9"), "belongs to tests"},
		{"go-redis in tests", Imports, "tests/clients/x_test.go", imports("clients", "github.com/redis/go-redis/v9"), ""},
		{"porcupine is for tests", Imports, "cluster/x_test.go", imports("cluster", "github.com/anishathalye/porcupine"), "belongs to tests"},
		{"Prometheus has one owner", Imports, "server/x.go", imports("server", "github.com/prometheus/client_golang/prometheus"), "belongs to server/metrics"},
		{"a stranger has none", Imports, "server/x.go", imports("server", "example.com/leftpad"), "has no owner"},
		{"leak checks are for tests", Imports, "cluster/x.go", imports("cluster", "go.uber.org/goleak"), "has no owner"},
		{"leak checks in tests", Imports, "cluster/x_test.go", imports("cluster", "go.uber.org/goleak"), ""},
		{"no log below", Imports, "resp/x.go", imports("resp", "log/slog"), "must not log"},

		{"no clock", Determinism, "fsm/x.go", imports("fsm", "time"), "must not import time"},
		{"no chance", Determinism, "fsm/commands/x.go", imports("commands", "math/rand/v2"), "must not import math/rand/v2"},
		{"no secrets", Determinism, "fsm/prng/x.go", imports("prng", "crypto/rand"), "must not import crypto/rand"},
		{"no seeds", Determinism, "fsm/dict/x.go", imports("dict", "hash/maphash"), "must not import hash/maphash"},
		{"no files", Determinism, "fsm/snapshot/x.go", imports("snapshot", "os"), "must not import os"},
		{"no sockets", Determinism, "fsm/x.go", imports("fsm", "net/netip"), "must not import net/netip"},
		{"no locks", Determinism, "fsm/keyspace/x.go", imports("keyspace", "sync"), "must not import sync"},
		{"no atomics", Determinism, "fsm/x.go", imports("fsm", "sync/atomic"), "must not import sync/atomic"},
		{"one lock", Determinism, "fsm/x.go", imports("fsm", "sync"), ""},
		{"no log", Determinism, "fsm/x.go", imports("fsm", "log/slog"), "must not import log/slog"},
		{"no context", Determinism, "fsm/x.go", imports("fsm", "context"), "must not import context"},
		{"no runtime", Determinism, "fsm/x.go", imports("fsm", "runtime/debug"), "must not import runtime/debug"},
		{"no unsafe", Determinism, "fsm/dict/x.go", imports("dict", "unsafe"), "must not import unsafe"},
		{"no reflection", Determinism, "fsm/x.go", imports("fsm", "reflect"), "must not import reflect"},
		{"no sort", Determinism, "fsm/x.go", imports("fsm", "sort"), "must not import sort"},
		{"no map iteration by library", Determinism, "fsm/dict/x.go", imports("dict", "maps"), "must not import maps"},
		{"no map", Determinism, "fsm/keyspace/x.go", body("keyspace", "_ = map[string]int{}"), "a map outside fsm/dict"},
		{"a map in the dict", Determinism, "fsm/dict/x.go", body("dict", "_ = map[string]int{}"), ""},
		{"no goroutine", Determinism, "fsm/x.go", body("fsm", "go f()"), "a goroutine"},
		{"no select", Determinism, "fsm/x.go", body("fsm", "select {}"), "a select"},
		{"no channel", Determinism, "fsm/x.go", body("fsm", "var _ chan int"), "a channel"},
		{"no send", Determinism, "fsm/x.go", body("fsm", "c <- 1"), "a send"},
		{"no receive", Determinism, "fsm/x.go", body("fsm", "<-c"), "a receive"},
		{"tests may", Determinism, "fsm/x_test.go", body("fsm", "go f()"), ""},
		{"others may", Determinism, "cluster/x.go", imports("cluster", "time"), ""},
		{"a script's clock is in one file", Determinism, "fsm/script/x.go", imports("script", "time"), "must not import time"},
		{"and there it may be", Determinism, scriptSteps, imports("script", "time"), ""},

		{"file size", Sizes, "resp/x.go", body("resp", strings.Repeat("\n", 1000)), "more than 1000 lines"},
		{"file size in tests", Sizes, "resp/x_test.go", body("resp", strings.Repeat("\n", 1000)), "more than 1000 lines"},
		{"function size", Sizes, "resp/x.go", body("resp", strings.Repeat("\n", 98)), "f has 101 lines"},
		{"just small enough", Sizes, "resp/x.go", body("resp", strings.Repeat("\n", 97)), ""},
		{"parameters", Sizes, "resp/x.go", "package resp\n\nfunc f(a, b, c int, d, e string) {}\n", "f has 5 parameters"},
		{"four parameters", Sizes, "resp/x.go", "package resp\n\nfunc f(a, b int, c, d string) {}\n", ""},
		{"another module's interface", Sizes, "cluster/transport/x.go", "package transport\n\nfunc (t *T) InstallSnapshot(a, b, c, d, e int) {}\n", ""},
		{"not for functions", Sizes, "cluster/transport/x.go", "package transport\n\nfunc InstallSnapshot(a, b, c, d, e int) {}\n", "has 5 parameters"},

		{"no init", Names, "server/x.go", "package server\n\nfunc init() {}\n", "an init function"},
		{"a method may be called so", Names, "server/x.go", "package server\n\nfunc (r *r) init() {}\n", ""},
		{"no util", Names, "server/util/x.go", "package util\n", "could hold anything"},
		{"no Manager", Names, "server/x.go", "package server\n\ntype sessionManager struct{}\n", "no Manager"},

		{"package comment", Docs, "server/x.go", "package server\n", "package comment"},
		{"its opening", Docs, "server/x.go", "// The server.\npackage server\n", "package comment"},
		{"a program's", Docs, "cmd/server/x.go", "// Command raftkv runs.\npackage main\n", ""},
		{"function comment", Docs, "server/x.go", "// Package server is planted.\npackage server\n\nfunc F() {}\n", "F has no comment"},
		{"the name first", Docs, "server/x.go", "// Package server is planted.\npackage server\n\n// Does it.\nfunc F() {}\n", "F has no comment"},
		{"type comment", Docs, "server/x.go", "// Package server is planted.\npackage server\n\ntype T struct{}\n", "T has no comment"},
		{"method comment", Docs, "server/x.go", "// Package server is planted.\npackage server\n\nfunc (t *T[K]) M() {}\n", "M has no comment"},
		{"hidden methods", Docs, "server/x.go", "// Package server is planted.\npackage server\n\nfunc (t *t) M() {}\n", ""},
		{"value comment", Docs, "server/x.go", "// Package server is planted.\npackage server\n\nvar V = 1\n", "V has no comment"},

		{"top level", topLevel, "helpers/x.go", "package x\n", "does not belong on the top level"},
		{"products", topLevel, "data/x", "", ""},
		{"dotfiles", topLevel, ".ci/run", "", ""},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			found := tt.check(plant(t, tt.path, tt.src))
			if tt.want == "" {
				if len(found) > 0 {
					t.Errorf("refused: %v", found)
				}
				return
			}
			if !slices.ContainsFunc(found, func(v Violation) bool { return strings.Contains(v.String(), tt.want) }) {
				t.Errorf("not caught: want %q, found %v", tt.want, found)
			}
		})
	}
}

func topLevel(t *Tree) []Violation { return TopLevel(t, "data") }

func TestPlantedLargeFunctions(t *testing.T) {
	large := body("resp", strings.Repeat("\n", 60)) + strings.Repeat("\nfunc f() {\n}\n", 8)
	if share, ok := SmallShare(plant(t, "resp/x.go", large)); ok {
		t.Errorf("a share of %.2f passes", share)
	}
	if share, ok := SmallShare(plant(t, "resp/x.go", large+"\nfunc f() {\n}\n")); !ok {
		t.Errorf("a share of %.2f is refused", share)
	}
}

func TestPlantedTestdataIsNotSource(t *testing.T) {
	if tree := plant(t, "fsm/testdata/x.go", "package x\n"); len(tree.Files) != 0 {
		t.Error("testdata was read")
	}
}
