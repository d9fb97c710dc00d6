package arch

import (
	"go/ast"
	"strings"
)

// structures are the rooms of one data structure or algorithm each.
var structures = []string{
	"fsm/pack", "fsm/hash", "fsm/set", "fsm/zset", "fsm/list", "fsm/stream", "fsm/hll", "fsm/geo", "fsm/bits", "fsm/glob", "fsm/prng",
}

// room says which rooms of ours the non-test files of a room may import.
type room struct {
	pattern string
	may     []string
}

// rooms is the table of the architecture; the first pattern that matches counts. The
// structures, which may import the dict and packed sequences, are not repeated here.
var rooms = []room{
	{"resp", nil},
	{"resp/spec", nil},
	{"fsm/dict", nil},
	{"fsm/entry", nil},
	{"fsm/system", []string{"fsm/entry"}}, // proposals are made of commands
	{"fsm/keyspace", with(structures, "fsm/dict", "resp")},
	{"fsm/rdb", nil},
	{"fsm/commands", with(structures, "fsm/keyspace", "fsm/rdb", "resp", "resp/spec")},
	{"fsm/script", []string{"fsm/keyspace", "resp", "resp/spec"}},
	{"fsm/snapshot", with(structures, "fsm/keyspace", "fsm/system")},
	{"fsm", []string{"fsm/*", "resp", "resp/spec"}},
	{"cluster", []string{"fsm", "fsm/entry", "fsm/system", "resp", "cluster/*"}},
	{"cluster/batch", []string{"fsm/entry", "fsm/system"}},
	{"cluster/faults", nil},
	{"cluster/logstore", nil},
	{"cluster/transport", nil},
	{"server", []string{"fsm", "fsm/system", "fsm/glob", "resp", "resp/spec", "server/*"}}, // glob: patterns of CONFIG GET and COMMAND LIST
	{"server/acl", []string{"resp/spec", "fsm/glob"}},                                      // key and channel patterns are Redis's globs
	{"server/*", []string{"resp", "resp/spec", "fsm/system"}},
	{"cmd/server", []string{"server/**", "cluster/**", "fsm"}},
	// The script corpus and the comparison with Redis read and print replies; what both run against
	// has a Machine in memory, and the commands to compare are made from its declarations.
	{"tests/scripts", []string{"tests/**", "resp"}},
	{"tests/scripts/golden", []string{"resp"}},
	{"tests/peer", []string{"fsm", "fsm/entry", "fsm/system", "resp", "resp/spec"}},
	{"tests/compat", []string{"tests/**", "fsm/entry", "fsm/rdb", "fsm/system", "resp", "resp/spec"}},
	{"tests/compat/gen", []string{"resp/spec"}},
	{"tests/**", []string{"tests/**"}},
}

// owners says which rooms a third-party module belongs to, test files included.
// A module that is not here has no owner yet, and nobody may import it.
var owners = []struct {
	module string
	rooms  []string
}{
	{"github.com/tidwall/redcon", []string{"server", "tests/bench/echo"}}, // the bench's ceiling is a bare server of it
	{"github.com/hashicorp/raft", []string{"cluster/**"}},
	{"github.com/hashicorp/raft-boltdb", []string{"cluster/**"}},
	{"github.com/hashicorp/go-msgpack", []string{"cluster/**"}},
	{"github.com/hashicorp/go-hclog", []string{"cluster/**"}},
	{"go.etcd.io/bbolt", []string{"cluster/**"}},
	{"github.com/google/uuid", []string{"cluster/**"}},
	{"golang.org/x/sys", []string{"cluster/**"}},
	{"github.com/alecthomas/kong", []string{"server/config"}},
	{"github.com/goccy/go-yaml", []string{"server/config"}},
	{"github.com/KimMachineGun/automemlimit", []string{"cmd/server"}},
	{"github.com/prometheus", []string{"server/metrics"}},
	{"github.com/redis/go-redis", []string{"tests/**"}},
	{"github.com/anishathalye/porcupine", []string{"tests/**"}},
	{"github.com/yuin/gopher-lua", []string{"fsm/script"}},
	{"github.com/vishvananda", []string{"tests/chaos/network"}},
	// The bench drives etcd by its own client, which logs through zap, and draws its figures.
	{"go.etcd.io/etcd/client", []string{"tests/bench/**"}},
	{"go.uber.org/zap", []string{"tests/bench/**"}},
	{"gonum.org/v1/plot", []string{"tests/bench/report"}},
}

// anyTest may be imported by every test file and by no other.
var anyTest = []string{"go.uber.org/goleak"}

// slogRooms are those that may log.
var slogRooms = []string{"server/**", "cluster/**", "cmd/**", "tests/**"}

// Imports checks who imports whom.
func Imports(t *Tree) []Violation {
	var found []Violation
	for _, f := range t.Files {
		r, known := findRoom(f.Room)
		if !known {
			found = append(found, f.violation(f.AST.Name, "there is no room %s in the table of the architecture", f.Room))
			continue
		}
		f.imports(func(spec *ast.ImportSpec, name string) {
			if what := importFault(f, r, name); what != "" {
				found = append(found, f.violation(spec, "%s", what))
			}
		})
	}
	return found
}

// importFault says why a file must not import name; "" where it may.
func importFault(f *File, r room, name string) string {
	if ours, ok := strings.CutPrefix(name, Module); ok && (ours == "" || ours[0] == '/') {
		ours = strings.TrimPrefix(ours, "/")
		if !f.Test && !matchesAny(r.may, ours) {
			return f.Room + " must not import " + ours
		}
		return ""
	}
	if first, _, _ := strings.Cut(name, "/"); !strings.Contains(first, ".") {
		if name == "log/slog" && !f.Test && !matchesAny(slogRooms, f.Room) {
			return f.Room + " must not log: return an error instead"
		}
		return ""
	}
	return ownerFault(f, name)
}

func ownerFault(f *File, name string) string {
	if f.Test && matchesAny(anyTest, name) {
		return ""
	}
	for _, o := range owners {
		if name != o.module && !strings.HasPrefix(name, o.module+"/") {
			continue
		}
		if matchesAny(o.rooms, f.Room) {
			return ""
		}
		return o.module + " belongs to " + strings.Join(o.rooms, ", ") + "; " + f.Room + " must not import it"
	}
	return name + " has no owner: name the one room that may import it in tests/arch"
}

func findRoom(dir string) (room, bool) {
	for _, r := range rooms {
		if matches(r.pattern, dir) {
			return r, true
		}
	}
	if matchesAny(structures, dir) {
		return room{dir, []string{"fsm/dict", "fsm/pack"}}, true
	}
	return room{}, false
}

func with(some []string, more ...string) []string {
	return append(append([]string{}, some...), more...)
}
