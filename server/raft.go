package server

import (
	"context"
	"strings"
	"time"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// statusTimeout bounds how long RAFT.STATUS waits for the other nodes' answers.
const statusTimeout = 500 * time.Millisecond

// raftTimeout bounds a change of the cluster: a node that joins must catch up first.
const raftTimeout = 2 * time.Minute

func raftCommands() []command {
	return []command{declRaftAudit, declRaftHelp, declRaftJoin, declRaftLeave, declRaftRebuild, declRaftSnapshot, declRaftStatus, declRaftToken(), declRaftTransfer}
}

// raftFlags are those of commands that change the cluster.
const raftFlags = spec.Admin | spec.NoScript | spec.Stale | spec.NoMulti

// change runs a change of the cluster.
func (s *Session) change(w *resp.Writer, do func(ctx context.Context) error) error {
	if err := s.await(do); err != nil {
		return err
	}
	w.OK()
	return nil
}

// await runs what may take long, watching the client meanwhile. What has begun goes
// on if the client leaves.
func (s *Session) await(do func(ctx context.Context) error) (err error) {
	s.block(func(context.Context) {
		ctx, cancel := context.WithTimeout(s.srv.ctx, raftTimeout)
		defer cancel()
		err = do(ctx)
	})
	return err
}

var declRaftHelp = command{
	Command: spec.Command{
		Name: "RAFT.HELP", Group: spec.RaftGroup, Flags: spec.Stale, Since: "7.2.0", Cost: "O(1)",
		Summary: "Describes the RAFT commands.",
	},
	run: cmdRaftHelp, early: true,
}

func cmdRaftHelp(s *Session, _ [][]byte, w *resp.Writer) error {
	lines := []string{"RAFT.<command> [<arg> ...], on any node. Commands are:"}
	for _, c := range s.srv.commands.byName.All() {
		if strings.HasPrefix(c.Name, "RAFT.") {
			lines = append(lines, strings.TrimSpace(c.Name+" "+c.Syntax), "    "+c.Summary)
		}
	}
	w.Array(len(lines))
	for _, line := range lines {
		w.Simple(line)
	}
	return nil
}

var declRaftJoin = command{
	Command: spec.Command{
		Name: "RAFT.JOIN", Syntax: "node-id raft-address [LEARNER]", Group: spec.RaftGroup, Flags: raftFlags,
		Since: "7.2.0", Cost: "O(N), where N is the size of the data",
		Summary: "Adds a node, as a learner first and as a voter once it has caught up; with LEARNER it stays one.",
	},
	run: forAll(cmdRaftJoin),
}

func cmdRaftJoin(s *Session, args [][]byte, w *resp.Writer) error {
	r := system.JoinRequest{ID: string(args[1]), Raft: string(args[2])}
	switch {
	case len(args) > 4, len(args) == 4 && !strings.EqualFold(string(args[3]), "LEARNER"):
		return resp.ErrSyntax
	case r.ID == "":
		return resp.Error("ERR the node id must not be empty")
	}
	if _, port := hostPort(r.Raft); port <= 0 || port > 65535 {
		return resp.Error("ERR '" + r.Raft + "' is not a raft address; give host:port")
	}
	r.Learner = len(args) == 4
	return s.change(w, func(ctx context.Context) error { return s.srv.rep.Join(ctx, r) })
}

var declRaftLeave = command{
	Command: spec.Command{
		Name: "RAFT.LEAVE", Syntax: "[node-id]", Group: spec.RaftGroup, Flags: raftFlags, Since: "7.2.0", Cost: "O(1)",
		Summary: "Removes a node from the cluster, this one if none is named.",
	},
	run: forAll(cmdRaftLeave),
}

func cmdRaftLeave(s *Session, args [][]byte, w *resp.Writer) error {
	id, err := optionalID(args)
	if err != nil {
		return err
	}
	return s.change(w, func(ctx context.Context) error { return s.srv.rep.Leave(ctx, id) })
}

// optionalID is the node that a command names, "" for none.
func optionalID(args [][]byte) (string, error) {
	switch {
	case len(args) == 1:
		return "", nil
	case len(args) > 2:
		return "", resp.WrongArity(string(args[0]))
	case len(args[1]) == 0:
		return "", resp.Error("ERR the node id must not be empty")
	}
	return string(args[1]), nil
}

var declRaftSnapshot = command{
	Command: spec.Command{
		Name: "RAFT.SNAPSHOT", Group: spec.RaftGroup, Flags: raftFlags, Since: "7.2.0",
		Cost:    "O(N), where N is the size of the data",
		Summary: "Writes a snapshot of this node's state and cuts its log.",
	},
	run: cmdRaftSnapshot,
}

func cmdRaftSnapshot(s *Session, _ [][]byte, w *resp.Writer) error {
	return s.change(w, s.srv.rep.Snapshot)
}

var declRaftTransfer = command{
	Command: spec.Command{
		Name: "RAFT.TRANSFER", Syntax: "[node-id]", Group: spec.RaftGroup, Flags: raftFlags, Since: "7.2.0", Cost: "O(1)",
		Summary: "Hands leadership to a node, to the most up-to-date voter if none is named.",
	},
	run: forAll(cmdRaftTransfer),
}

func cmdRaftTransfer(s *Session, args [][]byte, w *resp.Writer) error {
	id, err := optionalID(args)
	if err != nil {
		return err
	}
	return s.change(w, func(ctx context.Context) error { return s.srv.rep.Transfer(ctx, id) })
}

var declRaftStatus = command{
	Command: spec.Command{
		Name: "RAFT.STATUS", Group: spec.RaftGroup, Flags: spec.Admin | spec.NoScript | spec.Stale, Since: "7.2.0",
		Cost: "O(N), where N is the number of nodes", Tips: []string{"nondeterministic_output"},
		Summary: "Returns what this node knows of the cluster, in a minority too.",
	},
	run: cmdRaftStatus,
}

func cmdRaftStatus(s *Session, _ [][]byte, w *resp.Writer) error {
	ctx, cancel := context.WithTimeout(s.ctx, statusTimeout)
	defer cancel()
	status := s.srv.rep.Status(ctx)
	text := func(name, value string) {
		w.BulkString(name)
		w.BulkString(value)
	}
	number := func(name string, value uint64) {
		w.BulkString(name)
		w.Int(int64(value))
	}
	w.Map(12)
	text("node-id", status.NodeID)
	text("cluster-id", status.ClusterID)
	number("cluster-version", status.ClusterVersion)
	text("role", string(status.Role))
	number("term", status.Term)
	text("leader-id", status.Leader.ID)
	text("leader", status.Leader.RESP)
	number("commit-index", status.CommitIndex)
	number("applied-index", status.AppliedIndex)
	number("last-log-index", status.LastLogIndex)
	number("snapshot-index", status.SnapshotIndex)
	w.BulkString("nodes")
	w.Array(len(status.Nodes))
	for i := range status.Nodes {
		writeNodeStatus(w, &status.Nodes[i])
	}
	return nil
}

// writeNodeStatus writes one node's map; what an unreachable one could not tell is null.
func writeNodeStatus(w *resp.Writer, n *system.MemberStatus) {
	w.Map(9)
	for _, pair := range [][2]string{
		{"id", n.ID}, {"role", string(n.Role)}, {"raft", n.Raft}, {"resp", n.RESP}, {"http", n.HTTP},
	} {
		w.BulkString(pair[0])
		w.BulkString(pair[1])
	}
	tell := func(name string, known bool, value int64) {
		w.BulkString(name)
		if known {
			w.Int(value)
		} else {
			w.Null()
		}
	}
	tell("match-index", n.Reachable, int64(n.MatchIndex))
	tell("lag", n.Reachable, int64(n.Lag))
	tell("last-contact-ms", n.Reachable, n.LastContactMS)
	tell("known-version", n.Reachable && n.Knows > 0, int64(n.Knows))
}
