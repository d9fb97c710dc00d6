package fsm

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

// TestSeveralDatabases: commands of one proposal work in databases of their own, and
// answer in the protocol that a HELLO before them chose, in an entry and as a read.
func TestSeveralDatabases(t *testing.T) {
	r := newRig(t)
	r.do("SET k zero")
	r.doIn(1, "SET k one")
	in := func(db int, proto uint8, line string) entry.Command {
		c := entry.Command{Args: words(line), Proto: proto}
		c.In(db)
		return c
	}
	p := entry.Proposal{Atomic: true, Commands: []entry.Command{
		{Args: words("GET k")}, in(1, 0, "GET k"), in(1, 0, "GET x"), in(99, 0, "GET k"), in(2, 3, "GET k"), {Args: words("GET k")}, {Args: words("GET x")}, in(1, 2, "GET x"),
	}}
	const want = "*8 $4 zero $3 one $-1 -ERR DB index is out of range _ $4 zero _ $-1"
	r.want("in an entry", r.apply(p)[0], want)
	w := resp.NewWriter(2, nil)
	if err := r.m.Read(&p, r.now, w); err != nil {
		t.Fatal(err)
	}
	r.want("as a read", short(w), want)

	r.want("writes", r.apply(entry.Proposal{DB: 1, Atomic: true, Commands: []entry.Command{
		in(2, 0, "MOVE k 3"), {Args: words("MOVE k 3")}, in(3, 0, "GET k"), in(3, 0, "COPY k k DB 0 REPLACE"), in(0, 0, "GET k"), in(-1, 0, "SET k v"),
	}})[0], "*6 :0 :1 $3 one :1 $3 one -ERR DB index is out of range")
}

// TestReadSeesWhatIsDueInEveryDatabase: a transaction that reads in two databases
// needs a tick for the first one too.
func TestReadSeesWhatIsDueInEveryDatabase(t *testing.T) {
	for due := range 3 {
		r := newRig(t)
		r.doIn(due, "SET k v PX 10")
		p := entry.Proposal{Atomic: true, Commands: writes("GET k", "GET k", "GET k")}
		p.Commands[1].In(1)
		p.Commands[2].In(2)
		p.Commands[2].Proto = 3
		w := resp.NewWriter(2, nil)
		if err := r.m.Read(&p, start+10, w); !errors.Is(err, system.ErrTickNeeded) || len(w.Bytes()) > 0 || w.Proto() != 2 {
			t.Errorf("due in database %d: %v, %q", due, err, w.Bytes())
		}
	}
}

func TestApplyReplies(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		want  string
	}{
		{"one", []string{"SET k v"}, "+OK"},
		{"in order", []string{"SET k 1", "INCR k", "GET k", "DEL k", "GET k"}, "+OK :2 $1 2 :1 $-1"},
		{"name in any case", []string{"set k v", "sEt k w GET"}, "+OK $1 v"},
		{"an error stops nothing", []string{"SET k v", "INCR k", "APPEND k w"}, "+OK -ERR value is not an integer or out of range :2"},
		{"unknown command", []string{"NOSUCH a b"}, "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b'"},
		{"wrong arity", []string{"GET"}, "-ERR wrong number of arguments for 'get' command"},
		{"no words", []string{""}, "-ERR unknown command '', with args beginning with:"},
		{"subcommand", []string{"SET k 1", "OBJECT ENCODING k"}, "+OK $3 int"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.want(tt.name, strings.TrimSpace(r.do(tt.lines...)), tt.want)
		})
	}
}

func TestAtomicReplies(t *testing.T) {
	r := newRig(t)
	cmds := writes("SET k 1", "INCR k", "NOSUCH", "INCR k")
	cmds = append(cmds, entry.Command{Args: words("GET k"), Read: true}, entry.Command{Args: words("DEL k")})
	got := r.apply(entry.Proposal{Atomic: true, Commands: cmds})[0]
	r.want("EXEC", got, "*6 +OK :2 -ERR unknown command 'NOSUCH', with args beginning with:  :3 $1 3 :1")
}

// TestHandlerErrorTakesBackReply: what a handler wrote before its error is gone.
func TestHandlerErrorTakesBackReply(t *testing.T) {
	r := newRig(t)
	got := r.do("SET k v", "INCRBYFLOAT k 1", "SETRANGE k -1 x", "SET k w EX 0", "GET k")
	r.want("errors", got, "+OK -ERR value is not a valid float -ERR offset is out of range -ERR invalid expire time in 'set' command $1 v")
}

func TestDatabases(t *testing.T) {
	r := newRig(t)
	got := r.apply(
		entry.Proposal{DB: 0, Commands: writes("SET k 0")},
		entry.Proposal{DB: 15, Commands: writes("SET k 15", "GET k")},
		entry.Proposal{DB: 0, Commands: writes("GET k", "MOVE k 3", "GET k")},
		entry.Proposal{DB: 3, Commands: writes("GET k")},
		entry.Proposal{DB: 16, Commands: writes("GET k")},
		entry.Proposal{DB: -1, Atomic: true, Commands: writes("GET k")},
	)
	want := []string{"+OK", "+OK $2 15", "$1 0 :1 $-1", "$1 0", "-ERR DB index is out of range", "-ERR DB index is out of range"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// TestReadInBatch: a read runs at its place, at the batch's time, and leaves the
// state of the other replicas as it is here.
func TestReadInBatch(t *testing.T) {
	r := newRig(t)
	read := func(line string) entry.Command { return entry.Command{Args: words(line), Read: true} }
	ps := []entry.Proposal{{Commands: []entry.Command{
		read("GET k"), {Args: words("SET k 1 PX 500")}, read("GET k"), read("PTTL k"), {Args: words("DEL k")}, read("EXISTS k"),
	}}}
	r.want("replies", r.apply(ps...)[0], "$-1 +OK $1 1 :500 :1 :0")
	r.now += 1000
	ps = []entry.Proposal{{Commands: []entry.Command{{Args: words("SET k 1 PX 500")}, read("PTTL k"), read("TTL k")}}}
	r.want("later", r.apply(ps...)[0], "+OK :500 :1")
}

// TestReadChangesNoChance: chance in logged commands must not depend on the reads
// that only the proposer runs.
func TestReadChangesNoChance(t *testing.T) {
	read := entry.Command{Args: words("RANDOMKEY"), Read: true}
	write := writes("SET k v")[0]
	var seeds [2][]uint64
	for i, cmds := range [][]entry.Command{{write, write}, {read, write, read, read, write}} {
		a := applier{m: New(), batch: &entry.Batch{ID: 5}, now: start}
		for j := range cmds {
			a.command(0, &cmds[j], &resp.Writer{}, -1)
			if !cmds[j].Read {
				seeds[i] = append(seeds[i], a.txn.Seed)
			}
		}
	}
	if !reflect.DeepEqual(seeds[0], seeds[1]) || seeds[0][0] == seeds[0][1] {
		t.Errorf("seeds without reads %x, with reads %x", seeds[0], seeds[1])
	}
}

func TestWriteMarkedReadIsRefused(t *testing.T) {
	r := newRig(t)
	got := r.apply(entry.Proposal{Commands: []entry.Command{{Args: words("SET k v"), Read: true}}})[0]
	r.want("logged", got, "-"+string(errNotARead))
	got, _ = r.read(r.now, "SET k v", "EXISTS k")
	r.want("read", got, "-"+string(errNotARead)+" :0")
}

func TestClockNeverGoesBack(t *testing.T) {
	r := newRig(t)
	r.do("SET k v PX 1000")
	r.now += 1000
	r.want("at its time", r.do("EXISTS k"), ":0")
	r.do("SET k2 v PX 1000")
	r.now -= 5000 // another leader, its clock behind
	r.want("clock behind", r.do("EXISTS k", "PTTL k2"), ":0 :1000")
	if got := r.m.Now(); got != start+1000 {
		t.Errorf("the logged clock is at start%+d, want start+1000", got-start)
	}
	if got := r.copy().Now(); got != start+1000 {
		t.Errorf("a snapshot turned the clock to start%+d", got-start)
	}
}

func TestExpiryAtLoggedTime(t *testing.T) {
	r := newRig(t)
	r.do("SET a 1 PX 100", "SET b 1 PX 200", "SET c 1")
	if due, ok := r.m.NextDue(); !ok || due != start+100 {
		t.Errorf("NextDue = start%+d, %v", due-start, ok)
	}
	r.now += 99
	r.want("before", r.do("EXISTS a b c"), ":3")
	r.now++
	r.want("at a's", r.do("EXISTS a b c", "DBSIZE"), ":2 :2")
	r.now += 100
	r.apply() // a tick: an entry with no proposal
	if _, ok := r.m.NextDue(); ok {
		t.Error("something is due after the last key expired")
	}
	if got := r.m.Stats(); got.Databases[0].Keys != 1 || got.Expired != 2 {
		t.Errorf("%d keys stored, %d expired; want 1 and 2", got.Databases[0].Keys, got.Expired)
	}
}

func TestSystemCommands(t *testing.T) {
	r := newRig(t)
	n1 := system.Member{ID: "n1", Raft: "h:1", RESP: "h:2", HTTP: "h:3"}
	r.want("set", r.system(system.MemberSet(n1), system.MemberSet(system.Member{ID: "n0"})), "+OK +OK")
	if m, ok := r.m.Member("n1"); !ok || m != n1 {
		t.Errorf("Member = %v, %v", m, ok)
	}
	r.want("del", r.system(system.MemberLeft("n0"), system.MemberLeft("n9")), "+OK +OK")
	for _, m := range []*Machine{r.m, r.copy()} {
		if got := m.Members(); !reflect.DeepEqual(got, []system.Member{n1}) || m.ClusterID() != "test" {
			t.Errorf("members %v of cluster %q", got, m.ClusterID())
		}
	}
	r.want("second identity", r.system(system.ClusterInit("other")), "-ERR the cluster is test already")
	r.want("no such", r.apply(entry.Proposal{System: true, Commands: writes("SET k v")})[0], `-ERR unknown system command "SET" of 3 words`)
	r.want("clients cannot", r.do("MEMBER-DEL n1"), "-ERR unknown command 'MEMBER-DEL', with args beginning with: 'n1' ")
}

func TestFoundingNeedsNoKeys(t *testing.T) {
	r := &rig{t: t, m: New(), now: start}
	r.do("SET k v")
	r.want("found", r.system(system.ClusterInit("u")), "-ERR a cluster cannot be founded on keys that are there already")
	if id := r.m.ClusterID(); id != "" {
		t.Errorf("cluster id %q after a refusal", id)
	}
	r.want("key", r.do("GET k"), "$1 v")
}

// TestFoundingAmongCommands: what follows in the entry works on the new keyspace.
func TestFoundingAmongCommands(t *testing.T) {
	r := &rig{t: t, m: New(), now: start}
	got := r.apply(
		entry.Proposal{Commands: writes("DEL k", "GET k")},
		entry.Proposal{System: true, Commands: []entry.Command{system.ClusterInit("u")}},
		entry.Proposal{Commands: writes("SET k v")},
	)
	want := []string{":0 $-1", "+OK", "+OK"}
	if !reflect.DeepEqual(got, want) || r.do("GET k") != "$1 v" {
		t.Errorf("got %q, want %q, and the key there", got, want)
	}
}

func TestPositions(t *testing.T) {
	r := newRig(t)
	r.do("SET k v PX 100")
	r.m.Skip(Position{Index: 9, Term: 2})
	if got := r.m.Applied(); got != (Position{Index: 9, Term: 2}) {
		t.Errorf("Applied = %v", got)
	}
	if due, ok := r.m.NextDue(); !ok || due != start+100 {
		t.Errorf("Skip lost what is due: %d, %v", due, ok)
	}
	if got := r.copy().Applied(); got != (Position{Index: 9, Term: 2}) {
		t.Errorf("restored at %v", got)
	}
}

func TestBrokenInvariantsPanic(t *testing.T) {
	good := &entry.Batch{Version: entry.Version, Proposals: []entry.Proposal{{Commands: writes("SET k v")}}}
	at := Position{Index: 6, Term: 3}
	tests := []struct {
		name  string
		apply func(m *Machine)
		want  string
	}{
		{"the same entry again", func(m *Machine) { m.Apply(Position{Index: 5, Term: 3}, good, nil) }, "fsm: entry 5 of term 3 after entry 5 of term 3"},
		{"an earlier term", func(m *Machine) { m.Skip(Position{Index: 6, Term: 2}) }, "fsm: entry 6 of term 2 after entry 5 of term 3"},
		{"unknown version", func(m *Machine) { m.Apply(at, &entry.Batch{Version: entry.Version + 1}, nil) },
			fmt.Sprintf("fsm: entry 6 has version %d, this program applies up to %d", entry.Version+1, entry.Version)},
		{"no version", func(m *Machine) { m.Apply(at, &entry.Batch{}, nil) }, fmt.Sprintf("fsm: entry 6 has version 0, this program applies up to %d", entry.Version)},
		{"writers missing", func(m *Machine) { m.Apply(at, good, []*resp.Writer{}) }, "fsm: 0 writers for 1 proposals"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := New()
			m.Apply(Position{Index: 5, Term: 3}, good, nil)
			defer func() {
				if got := recover(); got != tt.want {
					t.Errorf("panicked with %v, want %q", got, tt.want)
				}
			}()
			tt.apply(m)
		})
	}
}

func TestKeysInSlot(t *testing.T) {
	r := newRig(t)
	r.do("SET {a}1 v", "SET {a}2 v", "SET b v")
	r.doIn(1, "SET {a}3 v")
	slot := resp.Slot("a")
	if got := r.m.CountKeysInSlot(slot); got != 2 {
		t.Errorf("%d keys, want 2", got)
	}
	if got := len(r.m.KeysInSlot(slot, 1)); got != 1 {
		t.Errorf("%d keys listed, want 1", got)
	}
	for _, slot := range []int{-1, resp.Slots} {
		if r.m.CountKeysInSlot(slot) != 0 || r.m.KeysInSlot(slot, 9) != nil {
			t.Errorf("slot %d holds keys", slot)
		}
	}
}
