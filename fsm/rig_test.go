package fsm

import (
	"bytes"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

// start is the time that tests begin at.
const start = int64(1_700_000_000_000)

// rig is a Machine with a log that tests write a line at a time.
type rig struct {
	t     testing.TB
	m     *Machine
	index uint64
	now   int64
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, m: New(), now: start}
	r.system(system.ClusterInit("test"), system.ClusterVersion(system.NewestVersion))
	return r
}

// words makes a command of a line; "" in it stands for an empty argument.
func words(line string) [][]byte {
	var args [][]byte
	for word := range strings.FieldsSeq(line) {
		if word == `""` {
			word = ""
		}
		args = append(args, []byte(word))
	}
	return args
}

func writes(lines ...string) (cmds []entry.Command) {
	for _, line := range lines {
		cmds = append(cmds, entry.Command{Args: words(line)})
	}
	return cmds
}

// apply applies one entry and returns the replies of its proposals.
func (r *rig) apply(ps ...entry.Proposal) []string {
	r.index++
	b := &entry.Batch{Version: entry.Version, ID: r.index * 7919, Now: r.now, Proposals: ps}
	ws := make([]*resp.Writer, len(ps))
	for i := range ws {
		ws[i] = resp.NewWriter(2, nil)
	}
	r.m.Apply(Position{Index: r.index, Term: 1}, b, ws)
	replies := make([]string, len(ps))
	for i, w := range ws {
		replies[i] = short(w)
	}
	return replies
}

// short is a reply with its line ends as single spaces.
func short(w *resp.Writer) string {
	return strings.TrimSuffix(strings.ReplaceAll(string(w.Bytes()), "\r\n", " "), " ")
}

// do logs commands in database 0, one proposal, and returns the replies.
func (r *rig) do(lines ...string) string { return r.doIn(0, lines...) }

func (r *rig) doIn(db int, lines ...string) string {
	return r.apply(entry.Proposal{DB: db, Commands: writes(lines...)})[0]
}

func (r *rig) system(cmds ...entry.Command) string {
	return r.apply(entry.Proposal{System: true, Commands: cmds})[0]
}

// watch is WATCH.
func (r *rig) watch(db int, keys ...string) (watches []entry.Watch) {
	for _, key := range keys {
		version := r.m.Versions(db, [][]byte{[]byte(key)})[0]
		watches = append(watches, entry.Watch{DB: db, Key: []byte(key), Version: version})
	}
	return watches
}

// read reads at the time now, which is not logged.
func (r *rig) read(now int64, lines ...string) (string, error) {
	w := resp.NewWriter(2, nil)
	err := r.m.Read(&entry.Proposal{Commands: writes(lines...)}, now, w)
	return short(w), err
}

func (r *rig) want(what, got, want string) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// copy is the Machine that a snapshot of r.m gives.
func (r *rig) copy() *Machine {
	r.t.Helper()
	m := New()
	if err := m.Restore(bytes.NewReader(stream(r.t, r.m))); err != nil {
		r.t.Fatal(err)
	}
	return m
}

// stream is the Machine's snapshot.
func stream(t testing.TB, m *Machine) []byte {
	t.Helper()
	var buf bytes.Buffer
	n, err := m.Snapshot().WriteTo(&buf)
	if err != nil || n != int64(buf.Len()) {
		t.Fatalf("WriteTo = %d, %v; %d bytes came", n, err, buf.Len())
	}
	return buf.Bytes()
}
