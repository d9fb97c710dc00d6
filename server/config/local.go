package config

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/alecthomas/kong"
)

// Local is the configuration of the three-node run on one machine.
type Local struct {
	Port     int    `group:"addresses" default:"6379" help:"Port of node1 for Redis clients; node2 and node3 take the next two."`
	HTTPPort int    `group:"addresses" name:"http-port" default:"8080" help:"Port of node1 for HTTP; node2 and node3 take the next two."`
	RaftPort int    `group:"addresses" default:"8000" help:"Port of node1 for the other nodes; node2 and node3 take the next two."`
	DataDir  string `group:"node" default:"data/run" type:"plain" help:"Directory of the nodes' data and logs."`
	Help     bool   `group:"other" short:"h" help:"Print this help."`
}

// LocalNodes is how many nodes a local run has.
const LocalNodes = 3

const localDescription = "Runs three nodes of one cluster on this machine, each a process of its own, until Ctrl-C. " +
	"Their data stays; the next run goes on with it."

// ParseLocal reads the arguments of the local run. done says that help was asked
// for and has been written to out. Errors are one line each and match ErrUsage.
func ParseLocal(args []string, out io.Writer) (l *Local, done bool, err error) {
	l = &Local{}
	parser, err := kong.New(l, Options("raftkv run-local", localDescription, out)...)
	if err != nil {
		return nil, false, err
	}
	if done, err := printOnly(parser, args, out); done || err != nil {
		return nil, done, err
	}
	if args, err = tidy(args, parser.Model.Flags); err != nil {
		return nil, false, err
	}
	ctx, err := parser.Parse(args)
	if err == nil {
		err = refuseEmpty(ctx)
	}
	if err != nil {
		return nil, false, Usagef("%v (see raftkv run-local --help)", err)
	}
	bases := []struct {
		flag string
		port int
	}{{"--port", l.Port}, {"--http-port", l.HTTPPort}, {"--raft-port", l.RaftPort}}
	for i, b := range bases {
		if b.port < 1 || b.port > 65535-LocalNodes+1 {
			return nil, false, Usagef("%s must be between 1 and %d, not %d", b.flag, 65535-LocalNodes+1, b.port)
		}
		for _, other := range bases[:i] {
			if b.port < other.port+LocalNodes && other.port < b.port+LocalNodes {
				return nil, false, Usagef("%s %d and %s %d overlap: each takes %d ports", other.flag, other.port, b.flag, b.port, LocalNodes)
			}
		}
	}
	return l, false, nil
}

// Node is the configuration of one node of the run, 1 to LocalNodes, as its flags.
func (l *Local) Node(n int) *Config {
	at := func(base int) string { return fmt.Sprintf("127.0.0.1:%d", base+n-1) }
	c := &Config{
		NodeID:   fmt.Sprintf("node%d", n),
		RESPAddr: at(l.Port), HTTPAddr: at(l.HTTPPort), RaftAddr: at(l.RaftPort),
	}
	c.DataDir = filepath.Join(l.DataDir, c.NodeID)
	if n > 1 {
		c.Join = []string{fmt.Sprintf("127.0.0.1:%d", l.RaftPort)}
	}
	return c
}
