// Package peer has what tests compare with a real Redis: a Machine in memory with a log
// of its own.
package peer

import (
	"bytes"
	"slices"

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
	if _, err := m.m.Lookup(c.Args); err != nil {
		w := resp.NewWriter(c.Proto, nil)
		w.Error(resp.Error(err.Error()))
		return w.Bytes(), nil
	}
	return m.Run(c.Proto, c.Now, &entry.Proposal{DB: c.DB, Commands: []entry.Command{{Args: c.Args}}})
}

// Lookup says what a command line names, or the error that a client gets for it.
func (m *Machine) Lookup(args [][]byte) (*spec.Command, error) { return m.m.Lookup(args) }

// Run runs commands that Lookup knows, logs them where one writes, and returns the reply.
func (m *Machine) Run(proto int, now int64, p *entry.Proposal) ([]byte, error) {
	writes := false
	for i := range p.Commands {
		decl, err := m.m.Lookup(p.Commands[i].Args)
		if err != nil {
			return nil, err
		}
		p.Commands[i].Read = decl.Kind != spec.Write
		writes = writes || decl.Kind == spec.Write
	}
	if writes {
		return m.apply(proto, now, *p)
	}
	return m.read(proto, now, *p)
}

// Watch returns what an EXEC must be told that is to run only if the keys stay as they are.
func (m *Machine) Watch(db int, now int64, keys [][]byte) ([]entry.Watch, error) {
	watches := make([]entry.Watch, len(keys))
	for i, key := range keys {
		watches[i] = entry.Watch{DB: db, Key: key}
	}
	if _, err := m.read(2, now, entry.Proposal{Atomic: true, Watches: watches}); err != nil {
		return nil, err
	}
	for i, version := range m.m.Versions(db, keys) {
		watches[i].Version = version
	}
	return watches, nil
}

// Set changes a setting of the cluster.
func (m *Machine) Set(name string, n int64, now int64) error {
	_, err := m.apply(2, now, entry.Proposal{System: true, Commands: []entry.Command{system.SettingsSet(system.Value{Name: name, N: n})}})
	return err
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
	if err != nil {
		return err
	}
	if slices.ContainsFunc(ps, mixed) { // reads beside writes are not in the binary form: a proposer runs its own
		decoded = b
	}
	m.m.Apply(fsm.Position{Index: m.index, Term: 1}, decoded, replies)
	return nil
}

func mixed(p entry.Proposal) bool {
	return slices.ContainsFunc(p.Commands, func(c entry.Command) bool { return c.Read })
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
