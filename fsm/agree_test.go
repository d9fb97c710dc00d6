package fsm

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// FuzzReplicasAgree applies one random log to two Machines. The first is the
// proposer: it runs the batches as they were made, with their reads, for their
// replies. The second gets them in binary form, wants no replies, and is replaced
// at one index by a Machine restored from its snapshot. In the end, and where the
// second is replaced, both snapshots must be the same bytes. What a batch was decoded
// from and into is used again for the next one: a Machine must not keep any of it. The
// cluster is at one of the versions that there are, mostly the newest.
func FuzzReplicasAgree(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed, uint8(60), uint8(seed*7))
	}
	f.Fuzz(func(t *testing.T, seed uint64, entries, cut uint8) {
		g := newGenerator(seed)
		whole, other := New(), follower{Machine: New()}
		found := &entry.Batch{Version: entry.Version, Proposals: []entry.Proposal{
			{System: true, Commands: []entry.Command{system.ClusterInit("agree"), system.ClusterVersion(versionOf(seed))}},
		}}
		for i := range int(entries) + 1 {
			at := Position{Index: uint64(i + 1), Term: uint64(i/10 + 1)}
			b := found
			if i > 0 {
				b = g.batch(whole)
			}
			applyBoth(t, at, b, whole, &other)
			if i == int(cut) {
				other.Machine = cutOff(t, whole, other.Machine)
			}
		}
		if a, b := stream(t, whole), stream(t, other.Machine); !bytes.Equal(a, b) {
			t.Fatalf("two states of one log, %d and %d bytes, first difference at %d", len(a), len(b), difference(a, b))
		}
	})
}

func versionOf(seed uint64) uint64 {
	if seed%2 == 0 {
		return system.NewestVersion
	}
	return system.FirstVersion + seed/2%system.NewestVersion
}

// follower is a Machine that gets its entries in binary form.
type follower struct {
	*Machine
	decoder entry.Decoder
}

func (f *follower) apply(t *testing.T, at Position, data []byte) {
	t.Helper()
	b, err := f.decoder.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	f.Apply(at, b, nil)
	for i := range data {
		data[i] = '?'
	}
}

func applyBoth(t *testing.T, at Position, b *entry.Batch, whole *Machine, other *follower) {
	t.Helper()
	data := entry.Append(nil, b)
	writers := make([]*resp.Writer, len(b.Proposals))
	for i := range writers {
		writers[i] = resp.NewWriter(2+i%2, nil)
	}
	whole.Apply(at, b, writers)
	for i, w := range writers {
		checkReplies(t, &b.Proposals[i], w.Bytes())
	}
	other.apply(t, at, data)
	if whole.Now() != other.Now() {
		t.Fatalf("clocks at %d and %d", whole.Now(), other.Now())
	}
}

// cutOff restores the follower from its own snapshot.
func cutOff(t *testing.T, whole, follower *Machine) *Machine {
	t.Helper()
	data := stream(t, follower)
	if own := stream(t, whole); !bytes.Equal(own, data) {
		t.Fatalf("snapshots differ at byte %d", difference(own, data))
	}
	fresh := New()
	if err := fresh.Restore(bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if again := stream(t, fresh); !bytes.Equal(again, data) {
		t.Fatalf("the snapshot of a restored Machine differs at byte %d", difference(again, data))
	}
	if a, b := follower.Stats().Bytes, fresh.Stats().Bytes; a != b {
		t.Fatalf("%d bytes used before a restore, %d after", a, b)
	}
	return fresh
}

func difference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// checkReplies makes sure that every command has exactly one reply.
func checkReplies(t *testing.T, p *entry.Proposal, data []byte) {
	t.Helper()
	want, rest := len(p.Commands), data
	if p.Atomic {
		want = 1
	}
	for range want {
		n := replyLen(rest)
		if n == 0 {
			t.Fatalf("%d replies expected of %v, got %q", want, p.Commands, data)
		}
		rest = rest[n:]
	}
	if len(rest) > 0 {
		t.Fatalf("a reply too many: %q behind those of %v", rest, p.Commands)
	}
}

// replyLen is the length of the first reply in data, 0 where there is none.
func replyLen(data []byte) int {
	end := bytes.Index(data, []byte("\r\n"))
	if end < 1 {
		return 0
	}
	n, _ := strconv.Atoi(string(data[1:end]))
	at := end + 2
	switch kind := data[0]; kind {
	case '$', '=':
		if n >= 0 {
			at += n + 2
		}
	case '*', '~', '>', '%':
		if kind == '%' {
			n *= 2
		}
		for range max(n, 0) {
			size := replyLen(data[at:])
			if size == 0 {
				return 0
			}
			at += size
		}
	}
	if at > len(data) {
		return 0
	}
	return at
}

// generator makes batches of commands from the declarations' syntax.
type generator struct {
	*rand.Rand
	now    int64
	specs  []*spec.Command
	group  spec.Group // of the command that is being made
	byRank bool       // its ranges are of ranks
}

func newGenerator(seed uint64) *generator {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), now: start}
	for _, c := range table().All() {
		if c.sub == nil {
			g.specs = append(g.specs, &c.Command.Command)
			continue
		}
		for _, sub := range c.sub.All() {
			g.specs = append(g.specs, &sub.Command.Command)
		}
	}
	return g
}

// batch makes one entry; m tells which versions there are to watch.
func (g *generator) batch(m *Machine) *entry.Batch {
	switch g.IntN(8) {
	case 0:
		g.now -= g.Int64N(1000)
	case 1:
		g.now += g.Int64N(100_000)
	default:
		g.now += g.Int64N(20)
	}
	b := &entry.Batch{Version: entry.Version, ID: g.Uint64(), Now: g.now}
	for range g.IntN(6) {
		if g.IntN(40) == 0 {
			b.Proposals = append(b.Proposals, g.system())
			continue
		}
		p := entry.Proposal{DB: max(0, g.IntN(6)-3), Atomic: g.IntN(3) == 0}
		for range g.IntN(3) {
			key := g.key()
			version := m.Versions(p.DB, [][]byte{key})[0]
			if g.IntN(4) == 0 {
				version = uint64(g.IntN(100))
			}
			p.Watches = append(p.Watches, entry.Watch{DB: p.DB, Key: key, Version: version})
		}
		for range 1 + g.IntN(4) {
			c := g.command()
			if g.IntN(5) == 0 { // of those, some that are none
				c.In(g.IntN(keyspace.Databases+2) - 1)
			}
			if g.IntN(8) == 0 {
				c.Proto = uint8(2 + g.IntN(2))
			}
			p.Commands = append(p.Commands, c)
		}
		b.Proposals = append(b.Proposals, p)
	}
	return b
}

func (g *generator) system() entry.Proposal {
	id := "n" + strconv.Itoa(g.IntN(40))
	cmd := system.MemberSet(system.Member{ID: id, Raft: "h:" + strconv.Itoa(g.IntN(9)), RESP: "r", HTTP: "h"})
	token, at := system.HashToken(strconv.Itoa(g.IntN(20))), int64(g.IntN(100))
	switch g.IntN(10) {
	case 0, 1:
		cmd = system.MemberLeft(id)
	case 2:
		cmd = system.Audit("nonce", id)
	case 3, 4:
		cmd = system.TokenAdd(system.Token{Hash: token, Expires: at + 50}, at)
	case 5:
		cmd = system.MemberAdmit(system.Member{ID: id, Raft: "h:1", Dir: strconv.Itoa(g.IntN(3))}, token, at)
	case 7:
		s := system.Settings()[g.IntN(len(system.Settings()))]
		cmd = system.SettingsSet(system.Value{Name: s.Name, N: g.Int64N(80) - 4}) // below 0 most are refused
	case 6:
		if g.IntN(8) == 0 {
			cmd = system.TokensOff()
		}
	}
	return entry.Proposal{System: true, Commands: []entry.Command{cmd}}
}

// command makes one command line, mostly well formed.
func (g *generator) command() entry.Command {
	c := g.specs[g.IntN(len(g.specs))]
	switch c.Name {
	case "FLUSHALL", "FLUSHDB", "SWAPDB", // else little would ever be there
		"PFSELFTEST": // and little time left for others
		c = g.specs[g.IntN(len(g.specs))]
	}
	g.group, g.byRank = c.Group, g.IntN(2) == 0
	if c.Name == "SORT" || c.Name == "SORT_RO" {
		g.group = []spec.Group{spec.List, spec.SetGroup, spec.SortedSet}[g.IntN(3)]
	}
	var args [][]byte
	if c.Container != "" {
		args = append(args, []byte(c.Container))
	}
	args = append(args, []byte(c.Name))
	args = g.arguments(args, c.Arguments())
	if g.IntN(50) == 0 {
		args = append(args, g.value())
	}
	return entry.Command{Args: args, Read: c.Kind != spec.Write}
}

func (g *generator) arguments(args [][]byte, list []spec.Argument) [][]byte {
	for i := 0; i < len(list); i++ {
		a := &list[i]
		if a.Name == "numkeys" && i+1 < len(list) && list[i+1].Multiple && g.IntN(8) > 0 {
			n := 1 + g.IntN(3)
			args = append(args, strconv.AppendInt(nil, int64(n), 10))
			for range n {
				args = append(args, g.key())
			}
			i++ // the keys
			continue
		}
		if a.Optional && g.IntN(3) > 0 {
			continue
		}
		times := 1
		if a.Multiple {
			times += g.IntN(3)
			if a.Name == "element" { // more are taken out than put in otherwise
				times += g.IntN(30)
			}
		}
		if i > 0 && strings.HasPrefix(list[i-1].Name, "num") && g.IntN(20) > 0 { // numfields, numkeys
			args[len(args)-1] = strconv.AppendInt(nil, int64(times), 10)
		}
		for n := range times {
			if a.Token != "" && (n == 0 || a.MultipleToken) {
				args = append(args, []byte(a.Token))
			}
			args = g.argument(args, a)
		}
	}
	return args
}

func (g *generator) argument(args [][]byte, a *spec.Argument) [][]byte {
	switch a.Type {
	case spec.PureToken:
		return args
	case spec.Block:
		return g.arguments(args, a.Arguments)
	case spec.OneOf:
		i := g.IntN(len(a.Arguments))
		return g.arguments(args, a.Arguments[i:i+1])
	case spec.Key:
		return append(args, g.key())
	case spec.Integer:
		if g.group == spec.List && g.IntN(3) > 0 {
			return append(args, strconv.AppendInt(nil, g.Int64N(16)-6, 10))
		}
		return append(args, g.integer(a.Name))
	case spec.UnixTime:
		at := g.now + g.Int64N(400) - 50
		if g.IntN(2) == 0 {
			at /= 1000
		}
		return append(args, strconv.AppendInt(nil, at, 10))
	case spec.Double:
		if a.Name == "radius" || a.Name == "width" || a.Name == "height" {
			return append(args, strconv.AppendInt(nil, g.Int64N(20_000)-100, 10))
		}
		return append(args, strconv.AppendFloat(nil, float64(g.IntN(1000)-500)/8, 'g', -1, 64))
	case spec.Pattern:
		return append(args, []byte([]string{"*", "k?", "[a-k]*", "k*"}[g.IntN(4)]))
	}
	if g.group == spec.List && (a.Name == "element" || a.Name == "pivot") && g.IntN(3) > 0 {
		return append(args, strconv.AppendInt(nil, g.Int64N(30), 10))
	}
	switch {
	case g.IntN(5) == 0: // what is wrong there
	case a.Name == "serialized-value":
		return append(args, g.payload())
	case a.Name == "field": // one of a few, so that commands meet
		return append(args, []byte("field"+strconv.Itoa(g.IntN(5))))
	case a.Name == "member":
		return append(args, strconv.AppendInt(nil, g.Int64N(200)*g.Int64N(200)-50, 10))
	case a.Name == "encoding":
		return append(args, []byte([]string{"u1", "u8", "i5", "i64", "u63"}[g.IntN(5)]))
	case a.Name == "operation":
		return append(args, []byte([]string{"AND", "OR", "XOR", "NOT"}[g.IntN(4)]))
	case g.group == spec.SortedSet && (a.Name == "min" || a.Name == "max" || a.Name == "start" || a.Name == "stop"):
		return append(args, g.end())
	}
	if text := g.streamText(a.Name); text != "" && g.IntN(5) > 0 {
		return append(args, []byte(text))
	}
	if g.IntN(2) == 0 {
		return append(args, g.key()) // keys that the syntax does not mark
	}
	return append(args, g.value())
}

// end is one end of a range of a sorted set; both of a command are mostly of a kind.
func (g *generator) end() []byte {
	if g.byRank {
		return strconv.AppendInt(nil, g.Int64N(40)-20, 10)
	}
	end := []byte("[(-+"[g.IntN(4):][:1])
	if end[0] == '[' || end[0] == '(' {
		end = strconv.AppendInt(end, g.Int64N(40_000), 10)
	}
	return end
}

// streamText is an ID or a name in a stream; "" for what is none.
func (g *generator) streamText(name string) string {
	if g.group != spec.Stream {
		return ""
	}
	ms := strconv.FormatInt(g.now-g.Int64N(3)*g.Int64N(30), 10)
	switch name {
	case "id", "last-id", "max_deleted_entry_id", "start", "end":
		return [...]string{"-", "+", ">", "$", "0", ms + "-*", ms + "-" + strconv.Itoa(g.IntN(6)), ms + "-0", ms}[g.IntN(9)]
	case "threshold":
		return [...]string{ms, strconv.Itoa(g.IntN(20))}[g.IntN(2)]
	case "group", "groupname", "consumer", "consumername":
		return name[:1] + strconv.Itoa(g.IntN(3))
	case "min-idle-time":
		return strconv.Itoa(g.IntN(2) * 100)
	}
	return ""
}

// key is one of a few, so that commands meet; some share a slot. Mostly it is one that
// commands of the same group make, which generic commands meet too.
func (g *generator) key() []byte {
	group := g.group
	if group == spec.Generic && g.IntN(8) < 3 {
		group = []spec.Group{spec.Hash, spec.SetGroup, spec.SortedSet, spec.HyperLogLog, spec.List, spec.Stream}[g.IntN(6)]
	}
	switch group {
	case spec.Hash, spec.SetGroup, spec.HyperLogLog, spec.SortedSet, spec.Geo, spec.List, spec.Stream:
		if group == spec.Geo {
			group = spec.SortedSet
		}
		if g.IntN(4) > 0 {
			return []byte(string(group) + strconv.Itoa(g.IntN(4)))
		}
	}
	if g.IntN(4) == 0 {
		return []byte("{a}" + strconv.Itoa(g.IntN(4)))
	}
	return []byte("k" + strconv.Itoa(g.IntN(20)))
}

func (g *generator) integer(name string) []byte {
	switch {
	case name == "db" || name == "destination-db" || name == "index1" || name == "index2":
		return strconv.AppendInt(nil, g.Int64N(4), 10)
	case name == "ttl" && g.IntN(2) == 0:
		return []byte("0")
	case g.IntN(10) == 0:
		return strconv.AppendInt(nil, int64(g.Uint64()), 10)
	case name == "bit", name == "value":
		return strconv.AppendInt(nil, g.Int64N(2), 10)
	case name == "offset" && g.IntN(3) == 0:
		return strconv.AppendInt(nil, g.Int64N(200_000), 10)
	}
	return strconv.AppendInt(nil, g.Int64N(130)-10, 10)
}

// value is a number, a short string, or one that does not live in its entry.
func (g *generator) value() []byte {
	switch g.IntN(6) {
	case 0:
		return strconv.AppendInt(nil, g.Int64N(1000), 10)
	case 1:
		return bytes.Repeat([]byte{byte(g.IntN(256))}, g.IntN(9000))
	case 2:
		return bytes.Repeat([]byte{byte('a' + g.IntN(26))}, g.IntN(150_000))
	}
	return binary.BigEndian.AppendUint32(nil, g.Uint32())
}

// TestGeneratorReaches makes sure that the generator reaches every write and read
// command, and that most of what it makes is not refused.
func TestGeneratorReaches(t *testing.T) {
	g := newGenerator(1)
	m := New()
	var missed []string
	for _, c := range g.specs {
		missed = append(missed, c.FullName())
	}
	good, all := 0, 0
	for i := range 8000 {
		b := g.batch(m)
		ws := make([]*resp.Writer, len(b.Proposals))
		for j := range ws {
			ws[j] = &resp.Writer{}
			for _, cmd := range b.Proposals[j].Commands {
				if c, err := m.Lookup(cmd.Args); err == nil {
					missed = slices.DeleteFunc(missed, func(name string) bool { return name == c.FullName() })
				}
			}
		}
		m.Apply(Position{Index: uint64(i + 1)}, b, ws)
		for _, w := range ws {
			all++
			if !bytes.Contains(w.Bytes(), []byte("-ERR")) {
				good++
			}
		}
	}
	if len(missed) > 0 {
		t.Errorf("never made: %v", missed)
	}
	keys := 0
	for db := range keyspace.Databases {
		keys += m.Stats().Databases[db].Keys
	}
	if good*2 < all || keys == 0 {
		t.Errorf("%d of %d proposals without an error, %d keys in the end", good, all, keys)
	}
}
