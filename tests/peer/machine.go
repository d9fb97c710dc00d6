package peer

import (
	"bytes"

	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// Machine is a Machine with a log of its own: every write is encoded, decoded and
// applied as an entry, every read is read.
type Machine struct {
	m     *fsm.Machine
	index uint64
}

// NewMachine returns a Machine of a cluster that was founded at the newest version.
func NewMachine() (*Machine, error) {
	m := &Machine{m: fsm.New()}
	found := entry.Proposal{System: true, Commands: []entry.Command{
		system.ClusterInit("peer"), system.ClusterVersion(system.NewestVersion),
	}}
	_, err := m.apply(2, 0, found)
	return m, err
}

// Call is a command with the connection's state.
type Call struct {
	Proto int   // 2 or 3
	DB    int   // the chosen database
	Now   int64 // the clock, Unix milliseconds
	Args  [][]byte
}

// Do runs a command and returns its reply as it goes out.
func (m *Machine) Do(c Call) ([]byte, error) {
	decl, err := m.m.Lookup(c.Args)
	if err != nil {
		w := resp.NewWriter(c.Proto, nil)
		w.Error(resp.Error(err.Error()))
		return w.Bytes(), nil
	}
	p := entry.Proposal{DB: c.DB, Commands: []entry.Command{{Args: c.Args}}}
	if decl.Kind == spec.Write {
		return m.apply(c.Proto, c.Now, p)
	}
	return m.read(c.Proto, c.Now, p)
}

// apply logs a proposal, as an entry that has gone through its binary form.
func (m *Machine) apply(proto int, now int64, p entry.Proposal) ([]byte, error) {
	w := resp.NewWriter(proto, nil)
	err := m.log(now, []entry.Proposal{p}, []*resp.Writer{w})
	return w.Bytes(), err
}

func (m *Machine) log(now int64, ps []entry.Proposal, replies []*resp.Writer) error {
	m.index++
	b := &entry.Batch{Version: entry.Version, ID: m.index * 0x9E3779B97F4A7C15, Now: now, Proposals: ps}
	decoded, err := entry.Decode(entry.Append(nil, b))
	if err == nil {
		m.m.Apply(fsm.Position{Index: m.index, Term: 1}, decoded, replies)
	}
	return err
}

func (m *Machine) read(proto int, now int64, p entry.Proposal) ([]byte, error) {
	w := resp.NewWriter(proto, nil)
	for m.m.Read(&p, now, w) != nil {
		if err := m.log(now, nil, nil); err != nil { // the tick that the read asks for
			return nil, err
		}
	}
	return w.Bytes(), nil
}

// Reload replaces the Machine by one that is restored from its snapshot.
func (m *Machine) Reload() error {
	var buf bytes.Buffer
	s := m.m.Snapshot()
	if _, err := s.WriteTo(&buf); err != nil {
		return err
	}
	fresh := fsm.New()
	if err := fresh.Restore(&buf); err != nil {
		return err
	}
	m.m = fresh
	return nil
}

// Specs returns the declarations of all data commands.
func (m *Machine) Specs() []spec.Command { return m.m.Specs() }
