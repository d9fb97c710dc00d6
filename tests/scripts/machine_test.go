package scripts

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/tests/peer"
)

// machine is a Machine with a log of its own.
type machine struct {
	stay
	*peer.Machine
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m, err := peer.NewMachine()
	if err != nil {
		t.Fatal(err)
	}
	return &machine{Machine: m}
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
	reply, err := c.Do(peer.Call{Proto: proto, DB: c.db, Now: time.Now().UnixMilli(), Args: raw})
	if err != nil {
		return resp.Value{}, err
	}
	return resp.Parse(reply)
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
