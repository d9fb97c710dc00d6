package server

import (
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// never declares a command that a replicated server does not have on purpose. It
// is declared all the same, so that whoever tries it learns what to use instead.
func never(c spec.Command, instead string) command {
	c.Cost = "O(1)"
	c.Summary = "Not available: " + instead + "."
	return command{
		Command: c,
		early:   true,
		run: func(_ *Session, args [][]byte, _ *resp.Writer) error {
			name := upper(args[0])
			if c.Container != "" {
				name += " " + upper(args[1])
			}
			return resp.Error("ERR " + name + " is not available: " + instead)
		},
	}
}

const (
	insteadReplicaOf = "roles are decided by the cluster; use RAFT.TRANSFER to change the leader and RAFT.JOIN to add a node"
	insteadSync      = "nodes replicate by Raft; use RAFT.JOIN to add one"
	insteadSlots     = "one group of nodes serves all slots; use RAFT.JOIN and RAFT.LEAVE to change it"
	insteadLog       = "every write is in the Raft log already; use RAFT.SNAPSHOT or BGSAVE to cut it"
	insteadFailover  = "use RAFT.TRANSFER"
	insteadReset     = "a node's identity is for life; use RAFT.LEAVE"
)

// neverCommands are those at the top level (commands.md, "never").
func neverCommands() []command {
	const (
		replication = spec.Admin | spec.NoScript | spec.NoAsyncLoading
		role        = replication | spec.Stale
	)
	server := func(name, syntax, since string, flags spec.Flags) spec.Command {
		return spec.Command{Name: name, Syntax: syntax, Group: spec.Server, Since: since, Flags: flags}
	}
	failover := server("FAILOVER", "[TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]", "6.2.0", spec.Admin|spec.NoScript|spec.Stale)
	replconf := server("REPLCONF", "", "3.0.0", spec.Admin|spec.NoScript|spec.Loading|spec.Stale|spec.AllowBusy)
	replconf.Arity = -1
	psync := server("PSYNC", "replicationid offset", "2.8.0", replication|spec.NoMulti)
	psync.Arity = -3
	migrate := spec.Command{
		Name: "MIGRATE", Arity: -6, Group: spec.Generic, Since: "2.6.0", Kind: spec.Write,
		Categories: spec.CatDangerous, Tips: []string{"nondeterministic_output"},
		Keys: []spec.KeySpec{
			spec.KeyAt(3, spec.RW|spec.Access|spec.Delete),
			{Flags: spec.RW | spec.Access | spec.Delete | spec.Incomplete, Keyword: "KEYS", StartFrom: -2, Last: -1, Step: 1},
		},
		Syntax: `host port <key | ""> destination-db timeout [COPY] [REPLACE] [AUTH password | AUTH2 username password] [KEYS key [key ...]]`,
	}
	return []command{
		never(server("BGREWRITEAOF", "", "1.0.0", replication), insteadLog),
		never(failover, insteadFailover),
		never(migrate, "keys stay in the cluster; copy them with a client"),
		never(psync, insteadSync),
		never(replconf, insteadSync),
		never(server("REPLICAOF", "host port", "5.0.0", role), insteadReplicaOf),
		never(server("SLAVEOF", "host port", "1.0.0", role), insteadReplicaOf),
		never(server("SYNC", "", "1.0.0", replication|spec.NoMulti), insteadSync),
	}
}

// clusterNever are subcommands of CLUSTER.
func clusterNever() []command {
	const flags = spec.Admin | spec.Stale | spec.NoAsyncLoading
	list := []struct{ name, syntax, since, instead string }{
		{"ADDSLOTS", "slot [slot ...]", "3.0.0", insteadSlots},
		{"ADDSLOTSRANGE", "start-slot end-slot [start-slot end-slot ...]", "7.0.0", insteadSlots},
		{"BUMPEPOCH", "", "3.0.0", insteadReplicaOf},
		{"DELSLOTS", "slot [slot ...]", "3.0.0", insteadSlots},
		{"DELSLOTSRANGE", "start-slot end-slot [start-slot end-slot ...]", "7.0.0", insteadSlots},
		{"FAILOVER", "[FORCE | TAKEOVER]", "3.0.0", insteadFailover},
		{"FLUSHSLOTS", "", "3.0.0", insteadSlots},
		{"FORGET", "node-id", "3.0.0", "use RAFT.LEAVE"},
		{"MEET", "ip port [cluster-bus-port]", "3.0.0", "use RAFT.JOIN"},
		{"REPLICATE", "node-id", "3.0.0", insteadReplicaOf},
		{"RESET", "[HARD | SOFT]", "3.0.0", insteadReset},
		{"SAVECONFIG", "", "3.0.0", "the membership is in the Raft log"},
		{"SET-CONFIG-EPOCH", "config-epoch", "3.0.0", insteadReplicaOf},
		{"SETSLOT", "slot <IMPORTING node-id | MIGRATING node-id | NODE node-id | STABLE>", "3.0.0", insteadSlots},
	}
	commands := make([]command, len(list))
	for i, e := range list {
		c := spec.Command{
			Name: e.name, Syntax: e.syntax, Since: e.since, Container: "CLUSTER", Group: spec.Cluster, Flags: flags,
		}
		switch e.name {
		case "BUMPEPOCH":
			c.Tips = []string{"nondeterministic_output"}
		case "RESET":
			c.Flags = spec.Admin | spec.Stale | spec.NoScript
		}
		commands[i] = never(c, e.instead)
	}
	return commands
}
