package server

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// clusterNodeShows are the subcommands of CLUSTER that tell of single nodes and slots.
func clusterNodeShows() []command {
	sub := func(name, syntax, since, summary string, run func(*Session, [][]byte, *resp.Writer) error) command {
		return command{
			Command: spec.Command{
				Name: name, Syntax: syntax, Group: spec.Cluster, Flags: spec.Stale, Since: since,
				Cost: "O(N), where N is the number of nodes", Summary: summary,
			},
			run: run,
		}
	}
	varying := func(c command) command {
		c.Tips = []string{"nondeterministic_output"}
		return c
	}
	replicas := func(name, since string) command {
		c := varying(sub(name, "node-id", since, "Lists a master's replicas.", cmdClusterReplicas))
		c.Flags |= spec.Admin
		return c
	}
	slaves := replicas("SLAVES", "3.0.0")
	slaves.Deprecated = "5.0.0; `CLUSTER REPLICAS`"
	count := sub("COUNTKEYSINSLOT", "slot", "3.0.0", "Returns how many keys this node has in a slot.", cmdClusterCountkeysinslot)
	count.Cost = "O(log(N)), where N is the number of keys"
	keys := varying(sub("GETKEYSINSLOT", "slot count", "3.0.0", "Returns keys that this node has in a slot.", cmdClusterGetkeysinslot))
	keys.Cost = "O(N), where N is the number of keys asked for"
	reports := varying(sub("COUNT-FAILURE-REPORTS", "node-id", "3.0.0",
		"Returns 0 for a node of the cluster: nodes exchange no reports, a leader is elected instead.", cmdClusterReports))
	reports.Flags |= spec.Admin
	return []command{
		reports, count, keys,
		varying(sub("LINKS", "", "7.0.0", "Returns the links of Redis's cluster bus: there is none, nodes talk Raft.", cmdClusterLinks)),
		sub("MYSHARDID", "", "7.2.0", "Returns the id of the one shard.", cmdClusterMyshardid),
		varying(sub("NODES", "", "3.0.0", "Describes the nodes, one a line.", cmdClusterNodes)),
		replicas("REPLICAS", "5.0.0"),
		varying(sub("SHARDS", "", "7.0.0", "Describes the one shard, its slots and its nodes.", cmdClusterShards)),
		slaves,
	}
}

// clusterName is the cluster's id in the form of a shard's or a replication's: 40
// hex digits, the same on every node.
func (s *Server) clusterName() string {
	sum := sha1.Sum([]byte("raftkv cluster " + s.machine.ClusterID()))
	return hex.EncodeToString(sum[:])
}

// nodeLine is a node's line in CLUSTER NODES, without the line's end: eight
// fields, and the slots of the master. What this node holds for gone is "fail"
// where there is a leader, and so a majority, and "fail?" where nobody can agree.
// Source: redis/src/cluster.c:clusterGenNodeDescription.
func (s *Session) nodeLine(m *system.MemberStatus, t *topology) string {
	host, port := s.endpoint(m.Member)
	_, bus := hostPort(m.Raft)
	var flags []string
	me := m.ID == s.srv.opts.NodeID
	if me {
		flags = append(flags, "myself")
	}
	master, slots, link := "-", "", "connected"
	if m.ID == t.master.ID {
		flags = append(flags, "master")
		slots = fmt.Sprintf(" 0-%d", resp.Slots-1)
	} else {
		flags = append(flags, "slave")
		if t.master.ID != "" {
			master = nodeName(t.master.ID)
		}
	}
	if !me && !m.Alive {
		link = "disconnected"
		flags = append(flags, map[bool]string{true: "fail", false: "fail?"}[t.known])
	}
	return fmt.Sprintf("%s %s:%d@%d %s %s 0 0 %d %s%s",
		nodeName(m.ID), host, port, bus, strings.Join(flags, ","), master, s.srv.machine.Applied().Term, link, slots)
}

func cmdClusterNodes(s *Session, _ [][]byte, w *resp.Writer) error {
	t := s.srv.topology()
	nodes := s.nodes(&t)
	var b strings.Builder
	for i := range nodes {
		b.WriteString(s.nodeLine(&nodes[i], &t) + "\n")
	}
	w.Verbatim("txt", b.String())
	return nil
}

func cmdClusterReplicas(s *Session, args [][]byte, w *resp.Writer) error {
	t := s.srv.topology()
	asked := string(args[2])
	if t.master.ID == "" || nodeName(t.master.ID) != asked {
		for _, m := range s.nodes(&t) {
			if nodeName(m.ID) == asked {
				return resp.Error("ERR The specified node is not a master")
			}
		}
		return resp.Error("ERR Unknown node " + asked)
	}
	w.Array(len(t.others))
	for i := range t.others {
		w.BulkString(s.nodeLine(&t.others[i], &t))
	}
	return nil
}

// cmdClusterShards asks the other nodes how far they are. The shard has no slots
// where no master is known. Source: redis/src/cluster.c:addNodeDetailsToShardReply.
func cmdClusterShards(s *Session, _ [][]byte, w *resp.Writer) error {
	t := s.settled()
	ctx, cancel := context.WithTimeout(s.ctx, roleTimeout)
	defer cancel()
	offsets := map[string]uint64{s.srv.opts.NodeID: s.srv.machine.Applied().Index}
	for _, m := range s.srv.rep.Status(ctx).Nodes {
		if m.Reachable && m.ID != s.srv.opts.NodeID {
			offsets[m.ID] = m.MatchIndex
		}
	}
	w.Array(1)
	w.Map(2)
	w.BulkString("slots")
	if t.master.ID == "" {
		w.Array(0)
	} else {
		w.Array(2)
		w.Int(0)
		w.Int(resp.Slots - 1)
	}
	w.BulkString("nodes")
	nodes := s.nodes(&t)
	w.Array(len(nodes))
	for i := range nodes {
		role := "replica"
		if nodes[i].ID == t.master.ID {
			role = "master"
		}
		s.writeShardNode(w, &nodes[i], role, offsets[nodes[i].ID])
	}
	return nil
}

func (s *Session) writeShardNode(w *resp.Writer, m *system.MemberStatus, role string, offset uint64) {
	host, port := s.endpoint(m.Member)
	health := "failed"
	if m.Alive || m.ID == s.srv.opts.NodeID {
		health = "online"
	}
	w.Map(7)
	w.BulkString("id")
	w.BulkString(nodeName(m.ID))
	if s.srv.opts.TLS != nil {
		w.BulkString("tls-port")
	} else {
		w.BulkString("port")
	}
	w.Int(int64(port))
	w.BulkString("ip")
	w.BulkString(host)
	w.BulkString("endpoint")
	w.BulkString(host)
	w.BulkString("role")
	w.BulkString(role)
	w.BulkString("replication-offset")
	w.Int(int64(offset))
	w.BulkString("health")
	w.BulkString(health)
}

func cmdClusterReports(s *Session, args [][]byte, w *resp.Writer) error {
	t := s.srv.topology()
	asked := string(args[2])
	for _, m := range s.nodes(&t) {
		if nodeName(m.ID) == asked {
			w.Int(0)
			return nil
		}
	}
	return resp.Error("ERR Unknown node " + asked)
}

func cmdClusterMyshardid(s *Session, _ [][]byte, w *resp.Writer) error {
	w.BulkString(s.srv.clusterName())
	return nil
}

func cmdClusterLinks(_ *Session, _ [][]byte, w *resp.Writer) error {
	w.Array(0)
	return nil
}

const (
	errSlot        resp.Error = "ERR Invalid slot"
	errSlotOrCount resp.Error = "ERR Invalid slot or number of keys"
)

// slotBarrier makes what is read of a slot linearizable, on any node, as every
// other read without a key is.
func (s *Session) slotBarrier() error {
	for range 3 { // once is enough, unless leadership changes
		now, err := s.srv.rep.FollowerBarrier(s.ctx)
		if err != nil {
			return err
		}
		if due, ok := s.srv.machine.NextDue(); !ok || due > now {
			return nil
		}
		var other *system.NotLeaderError
		if err = s.srv.rep.Tick(s.ctx, now); !errors.As(err, &other) {
			return err
		}
	}
	return system.ErrOverloaded
}

// cmdClusterCountkeysinslot counts in database 0, the one that a cluster has.
func cmdClusterCountkeysinslot(s *Session, args [][]byte, w *resp.Writer) error {
	slot, ok := parseLong(args[2])
	switch {
	case !ok:
		return resp.ErrNotInteger
	case slot < 0 || slot >= resp.Slots:
		return errSlot
	}
	if err := s.slotBarrier(); err != nil {
		return err
	}
	w.Int(int64(s.srv.machine.CountKeysInSlot(int(slot))))
	return nil
}

func cmdClusterGetkeysinslot(s *Session, args [][]byte, w *resp.Writer) error {
	slot, ok1 := parseLong(args[2])
	count, ok2 := parseLong(args[3])
	switch {
	case !ok1 || !ok2:
		return resp.ErrNotInteger
	case slot < 0 || slot >= resp.Slots || count < 0:
		return errSlotOrCount
	}
	if err := s.slotBarrier(); err != nil {
		return err
	}
	has := s.srv.machine.CountKeysInSlot(int(slot))
	keys := s.srv.machine.KeysInSlot(int(slot), int(min(count, int64(has))))
	w.Array(len(keys))
	for _, k := range keys {
		w.Bulk(k)
	}
	return nil
}
