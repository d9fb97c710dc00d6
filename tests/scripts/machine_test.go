package scripts

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// machine is a Machine with a log of its own: every write is encoded, decoded and
// applied as an entry, every read is read.
type machine struct {
	stay
	m     *fsm.Machine
	index uint64
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{m: fsm.New()}
	if v, err := m.apply(2, entry.Proposal{System: true, Commands: []entry.Command{system.ClusterInit("scripts")}}); err != nil || v.Err() != nil {
		t.Fatal(resp.FormatCLI(v), err)
	}
	return m
}

func (m *machine) open() (client, error) { return &machineClient{machine: m}, nil }

// machineClient is what is left of a session: the chosen database.
type machineClient struct {
	*machine
	db int
}

func (c *machineClient) close() {}

func (c *machineClient) do(proto int, args []string) (resp.Value, error) {
	raw := make([][]byte, len(args))
	for i, a := range args {
		raw[i] = []byte(a)
	}
	if strings.EqualFold(args[0], "SELECT") && len(args) == 2 {
		if n, err := strconv.Atoi(args[1]); err == nil && n >= 0 && n < 16 {
			c.db = n
			return resp.Value{Kind: resp.KindSimple, Str: []byte("OK")}, nil
		}
	}
	decl, err := c.m.Lookup(raw)
	if err != nil {
		w := resp.NewWriter(proto, nil)
		w.Error(resp.Error(err.Error()))
		return resp.Parse(w.Bytes())
	}
	p := entry.Proposal{DB: c.db, Commands: []entry.Command{{Args: raw}}}
	if decl.Kind == spec.Write {
		return c.apply(proto, p)
	}
	return c.read(proto, p)
}

// apply logs a proposal, as an entry that has gone through its binary form.
func (m *machine) apply(proto int, p entry.Proposal) (resp.Value, error) {
	w := resp.NewWriter(proto, nil)
	if err := m.log([]entry.Proposal{p}, []*resp.Writer{w}); err != nil {
		return resp.Value{}, err
	}
	return resp.Parse(w.Bytes())
}

func (m *machine) log(ps []entry.Proposal, replies []*resp.Writer) error {
	m.index++
	b := &entry.Batch{Version: entry.Version, ID: m.index * 0x9E3779B97F4A7C15, Now: time.Now().UnixMilli(), Proposals: ps}
	decoded, err := entry.Decode(entry.Append(nil, b))
	if err == nil {
		m.m.Apply(fsm.Position{Index: m.index, Term: 1}, decoded, replies)
	}
	return err
}

func (m *machine) read(proto int, p entry.Proposal) (resp.Value, error) {
	w := resp.NewWriter(proto, nil)
	for now := time.Now().UnixMilli(); m.m.Read(&p, now, w) != nil; {
		if err := m.log(nil, nil); err != nil { // the tick that the read asks for
			return resp.Value{}, err
		}
	}
	return resp.Parse(w.Bytes())
}

func TestMachine(t *testing.T) {
	for _, s := range corpus(t) {
		t.Run(s.path, func(t *testing.T) {
			if s.has("session") {
				t.Skip("needs a server")
			}
			run(t, newMachine(t), s)
		})
	}
}
