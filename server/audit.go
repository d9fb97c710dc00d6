package server

import (
	"context"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

var declRaftAudit = command{
	Command: spec.Command{
		Name: "RAFT.AUDIT", Group: spec.RaftGroup, Flags: raftFlags, Since: "7.2.0",
		Cost: "O(N), where N is the size of the data", Tips: []string{"nondeterministic_output"},
		Summary: "Compares the nodes' states at one log index; one that differs serves no more until it is rebuilt.",
	},
	run: cmdRaftAudit,
}

func cmdRaftAudit(s *Session, _ [][]byte, w *resp.Writer) error {
	var report system.AuditReport
	err := s.await(func(ctx context.Context) (err error) {
		report, err = s.srv.rep.Audit(ctx)
		return err
	})
	if err != nil {
		return err
	}
	w.Map(4)
	w.BulkString("index")
	w.Int(int64(report.Index))
	w.BulkString("digest")
	w.BulkString(report.Digest)
	w.BulkString("verdict")
	w.BulkString(string(report.Verdict))
	w.BulkString("nodes")
	w.Array(len(report.Nodes))
	for _, n := range report.Nodes {
		w.Map(3)
		w.BulkString("id")
		w.BulkString(n.ID)
		w.BulkString("digest")
		if n.Digest == "" {
			w.Null()
		} else {
			w.BulkString(n.Digest)
		}
		w.BulkString("verdict")
		w.BulkString(string(n.Verdict))
	}
	return nil
}

var declRaftRebuild = command{
	Command: spec.Command{
		Name: "RAFT.REBUILD", Syntax: "[node-id]", Group: spec.RaftGroup, Flags: raftFlags, Since: "7.2.0",
		Cost:    "O(N), where N is the size of the data",
		Summary: "Replaces a node's state by the leader's, this one's if none is named; the node serves again afterwards.",
	},
	run: cmdRaftRebuild,
}

func cmdRaftRebuild(s *Session, args [][]byte, w *resp.Writer) error {
	id, err := optionalID(args)
	if err != nil {
		return err
	}
	return s.change(w, func(ctx context.Context) error { return s.srv.rep.Rebuild(ctx, id) })
}
