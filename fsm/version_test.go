package fsm

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/commands"
	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// withNewCommands adds, for one test, commands that came with version 2, and one that
// came with the first and does something else from version 2 on.
func withNewCommands(t testing.TB) {
	t.Helper()
	declare := func(name, syntax string, from uint64) commands.Command {
		return commands.Command{
			Command: spec.Command{Name: name, Syntax: syntax, Group: "generic", Kind: spec.Write, Keys: spec.OneKey(spec.RW), Since: "1.0.0", Cost: "O(1)", Summary: "For a test."},
			From:    from,
		}
	}
	mark := declare("MARK", "key", 2)
	mark.Write = func(tx *keyspace.Txn, args commands.Args, w *resp.Writer) error {
		tx.SetString(args[1], []byte("marked"), 0)
		w.OK()
		return nil
	}
	marked := declare("MARKED", "key", 2)
	marked.Kind = spec.Read
	marked.Read = func(v *keyspace.View, args commands.Args, w *resp.Writer) error {
		w.Int(int64(v.ClusterVersion))
		return nil
	}
	which := declare("WHICH", "key", 0)
	which.Write = func(tx *keyspace.Txn, args commands.Args, w *resp.Writer) error {
		tx.SetString(args[1], fmt.Append(nil, tx.ClusterVersion), 0)
		w.Int(int64(tx.ClusterVersion))
		return nil
	}
	which.Grows = func(v *keyspace.View, _ commands.Args) int64 { return int64(v.ClusterVersion) << 20 }
	old, fresh := mark, mark
	old.Name, old.From, old.Container = "OLD", 0, "MARKS"
	fresh.Name, fresh.Container = "FRESH", "MARKS"
	marks := declare("MARKS", "", 0)
	marks.Sub = []commands.Command{old, fresh}
	all := declare("ALL", "", 2)
	old.Container = "ALL"
	all.Sub = []commands.Command{old}
	before := table
	table = func() *spec.Table[command] {
		return newTable(append(commands.All(), mark, marked, which, marks, all))
	}
	t.Cleanup(func() { table = before })
}

// oldRig is a rig whose cluster is at version 1.
func oldRig(t testing.TB) *rig {
	r := &rig{t: t, m: New(), now: start}
	r.system(system.ClusterInit("test"))
	return r
}

const noMark = "-ERR unknown command 'MARK', with args beginning with: 'k' "

// TestCommandTooNew: in every way to run a command, one that came with a later version
// is an unknown one until the cluster is raised, and there from then on.
func TestCommandTooNew(t *testing.T) {
	withNewCommands(t)
	r := oldRig(t)
	lookup := func(line string) string {
		_, err := r.m.Lookup(words(line))
		return fmt.Sprint(err)
	}
	unknown := fmt.Sprint(resp.UnknownCommand(words("MARK k")))
	r.want("unknown command", unknown, strings.TrimPrefix(noMark, "-"))
	r.want("Lookup", lookup("MARK k"), unknown)
	r.want("Lookup with a wrong number of arguments", lookup("MARK"), fmt.Sprint(resp.UnknownCommand(words("MARK"))))
	r.want("Lookup of a subcommand", lookup("MARKS FRESH k"), fmt.Sprint(resp.UnknownSubcommand([]byte("MARKS"), []byte("FRESH"))))
	r.want("Lookup of its neighbour", lookup("MARKS OLD k"), "<nil>")
	for _, line := range []string{"ALL", "ALL OLD k", "ALL OLD", "ALL NONE"} {
		r.want("Lookup of "+line, lookup(line), fmt.Sprint(resp.UnknownCommand(words(line))))
	}
	r.want("logged", r.do("MARK k", "SET a 1", "MARK k", "WHICH v"), noMark+" +OK "+noMark+" :1")
	exec := entry.Proposal{Atomic: true, Commands: writes("SET a 2", "MARK k", "GET a")}
	r.want("in a transaction", r.apply(exec)[0], "*3 +OK "+noMark+" $1 2")
	got, err := r.read(start, "MARKED k", "EXISTS k")
	if err != nil {
		t.Fatal(err)
	}
	r.want("read", got, strings.Replace(noMark, "MARK", "MARKED", 1)+" :0")
	small := r.m.Growth(0, words("WHICH v"))

	// In the middle of an entry: what stands before it meets the old version.
	replies := r.apply(
		entry.Proposal{Commands: writes("WHICH v", "MARK k")},
		entry.Proposal{System: true, Commands: []entry.Command{system.ClusterVersion(2)}},
		entry.Proposal{Commands: writes("WHICH v", "MARK k")},
	)
	r.want("the raise", strings.Join(replies, " | "), ":1 "+noMark+" | +OK | :2 +OK")
	r.want("Lookup after it", lookup("MARK k")+lookup("MARKS FRESH k")+lookup("ALL OLD k"), "<nil><nil><nil>")
	r.want("Lookup with a wrong number of arguments", lookup("MARK"), "ERR wrong number of arguments for 'mark' command")
	if got, err = r.read(start, "MARKED k", "EXISTS k"); err != nil {
		t.Fatal(err)
	}
	r.want("read", got, ":2 :1")
	if got, err = r.read(start, "MARKED k"); err != nil {
		t.Fatal(err)
	}
	r.want("read", got, ":2")
	if more := r.m.Growth(0, words("WHICH v")) - small; more != 1<<20 {
		t.Errorf("Growth was told version %d more, want 1", more>>20)
	}
	// The memory of what was found is shared by all Machines.
	old := oldRig(t)
	if got, _ = old.read(start, "MARKED k"); got != strings.Replace(noMark, "MARK", "MARKED", 1) {
		t.Errorf("in another, older cluster: %q", got)
	}
	if v := r.copy().Version(); v != 2 {
		t.Errorf("restored at version %d", v)
	}
}

// TestFreshMachineHasAllCommands: a node without a cluster founds one at the newest
// version that it knows.
func TestFreshMachineHasAllCommands(t *testing.T) {
	withNewCommands(t)
	m := New()
	if _, err := m.Lookup(words("MARK k")); err != nil {
		t.Error(err)
	}
	w := resp.NewWriter(2, nil)
	if err := m.Read(&entry.Proposal{Commands: writes("MARKED k")}, start, w); err != nil || short(w) != fmt.Sprintf(":%d", system.NewestVersion) {
		t.Errorf("%q, %v", short(w), err)
	}
}

// TestNoCommandIsTooNewForItsProgram: a command cannot come with a version that its
// own program does not know.
func TestNoCommandIsTooNewForItsProgram(t *testing.T) {
	var check func(list []commands.Command)
	check = func(list []commands.Command) {
		for i := range list {
			if list[i].From > system.NewestVersion {
				t.Errorf("%s comes with version %d, and this program knows up to %d", list[i].FullName(), list[i].From, system.NewestVersion)
			}
			check(list[i].Sub)
		}
	}
	check(commands.All())
}

// TestUsersOfVersionOne: the last programs of before the gate logged users at version 1,
// and a node that replays its log must come to what one with a snapshot has.
func TestUsersOfVersionOne(t *testing.T) {
	r := oldRig(t)
	users := system.UsersSet(0, system.UserChange{Name: "bob", Rules: "on"})
	if err := r.m.Admits(users.Args); err == nil || !strings.Contains(err.Error(), "knows cluster version 2, and the cluster is at 1") || r.m.HasAccess() {
		t.Errorf("admitted at version 1: %v", err)
	}
	r.want("in the log", r.system(users), "+OK")
	if got := r.copy(); got.Digest() != r.m.Digest() || got.Version() != 1 {
		t.Errorf("a snapshot of it gives another state, of version %d", got.Version())
	}
	r.want("the raise", r.system(system.ClusterVersion(2)), "+OK")
	if err := r.m.Admits(users.Args); err != nil || !r.m.HasAccess() {
		t.Errorf("at version 2: %v", err)
	}
	r.want("never back", r.system(system.ClusterVersion(1)), "-ERR the cluster is at version 2 already")
}

// TestUnknownVersionStopsTheMachine: whoever knows that version has another state from
// there on.
func TestUnknownVersionStopsTheMachine(t *testing.T) {
	r := oldRig(t)
	defer func() {
		want := fmt.Sprintf("fsm: log entry of a newer version: cluster version %d, this program knows up to %d", system.NewestVersion+1, system.NewestVersion)
		if got := recover(); got != want {
			t.Errorf("panicked with %v, want %q", got, want)
		}
	}()
	r.system(system.ClusterVersion(system.NewestVersion + 1))
}

func TestRefoundKeepsTheVersion(t *testing.T) {
	for version, r := range map[uint64]*rig{1: oldRig(t), system.NewestVersion: newRig(t)} {
		if err := r.m.Refound("another", []system.Member{{ID: "n1"}}); err != nil {
			t.Fatal(err)
		}
		if got := r.m.Version(); got != version {
			t.Errorf("version %d became %d", version, got)
		}
	}
}

// TestReplicasAgreeThroughARaise: one log, whole and cut by a snapshot at every place,
// with commands that mean something else before and after.
func TestReplicasAgreeThroughARaise(t *testing.T) {
	withNewCommands(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	for cut := range 20 {
		raise := rnd.IntN(20)
		whole, other := New(), follower{Machine: New()}
		for i := range 20 {
			b := &entry.Batch{Version: 1, ID: rnd.Uint64(), Now: start + int64(i)}
			if i > raise {
				b.Version = 2
			}
			if i == 0 {
				b.Proposals = append(b.Proposals, entry.Proposal{System: true, Commands: []entry.Command{system.ClusterInit("agree")}})
			}
			for j := range 4 {
				if i == raise && j == 2 {
					b.Version = 2
					b.Proposals = append(b.Proposals, entry.Proposal{System: true, Commands: []entry.Command{system.ClusterVersion(2)}})
				}
				line := []string{"MARK k%d", "WHICH k%d", "SET k%d v", "MARKS FRESH k%d", "DEL k%d"}[rnd.IntN(5)]
				b.Proposals = append(b.Proposals, entry.Proposal{Atomic: j == 3, Commands: writes(fmt.Sprintf(line, rnd.IntN(9)))})
			}
			applyBoth(t, Position{Index: uint64(i + 1), Term: 1}, b, whole, &other)
			if i == cut {
				other.Machine = cutOff(t, whole, other.Machine)
			}
		}
		if a, b := stream(t, whole), stream(t, other.Machine); !bytes.Equal(a, b) || whole.Version() != 2 {
			t.Fatalf("raised at %d, cut at %d: the states differ, or are at version %d", raise, cut, whole.Version())
		}
	}
}
