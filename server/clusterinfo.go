package server

import (
	"crypto/sha1"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// clusterCommands shows the one group of nodes as a Redis cluster of one shard
// that owns all slots: the leader is its master, the others are its replicas.
func clusterCommands() []command {
	return []command{declCluster()}
}

func declCluster() command {
	sub := append(clusterShows(), clusterNever()...)
	return command{
		Command: spec.Command{
			Name: "CLUSTER", Group: spec.Cluster, Since: "3.0.0", Cost: "Depends on subcommand.",
			Summary: "A container for commands about the cluster.",
		},
		sub: append(sub, helpCommand("CLUSTER", spec.Cluster, spec.Loading|spec.Stale, "5.0.0")),
	}
}

// clusterShows are the subcommands that tell something.
func clusterShows() []command {
	return append([]command{declClusterInfo, declClusterKeyslot, declClusterMyID, declClusterSlots}, clusterNodeShows()...)
}

// helpCommand is a container's HELP, made from the declarations beside it.
func helpCommand(container string, group spec.Group, flags spec.Flags, since string) command {
	return command{
		Command: spec.Command{
			Name: "HELP", Group: group, Flags: flags, Since: since, Cost: "O(1)",
			Summary: "Describes the subcommands.",
		},
		run: func(s *Session, _ [][]byte, w *resp.Writer) error {
			c, _ := s.srv.catalog.byName.Get([]byte(container))
			spec.WriteHelp(w, c)
			return nil
		},
		early: true,
	}
}

// nodeName is a node's id in the form that clients of a cluster expect: 40 hex
// digits.
func nodeName(id string) string {
	sum := sha1.Sum([]byte("raftkv node " + id))
	return hex.EncodeToString(sum[:])
}

var declClusterInfo = command{
	Command: spec.Command{
		Name: "INFO", Group: spec.Cluster, Flags: spec.Stale, Tips: []string{"nondeterministic_output"},
		Since: "3.0.0", Cost: "O(1)", Summary: "Returns the state of the cluster.",
	},
	run: cmdClusterInfo,
}

// cmdClusterInfo writes Redis's fields, each line ended by CRLF: ioredis splits at that.
func cmdClusterInfo(s *Session, _ [][]byte, w *resp.Writer) error {
	t := s.srv.topology()
	state, failed := "ok", 0
	if !t.known {
		state, failed = "fail", resp.Slots
	}
	term := int64(s.srv.machine.Applied().Term)
	var b strings.Builder
	field := func(name string, value int64) {
		b.WriteString(name + ":" + strconv.FormatInt(value, 10) + "\r\n")
	}
	b.WriteString("cluster_state:" + state + "\r\n")
	field("cluster_slots_assigned", resp.Slots)
	field("cluster_slots_ok", int64(resp.Slots-failed))
	field("cluster_slots_pfail", int64(failed))
	field("cluster_slots_fail", 0)
	field("cluster_known_nodes", int64(len(s.nodes(&t))))
	field("cluster_size", 1)
	field("cluster_current_epoch", term)
	field("cluster_my_epoch", term)
	field("cluster_stats_messages_sent", 0)
	field("cluster_stats_messages_received", 0)
	field("total_cluster_links_buffer_limit_exceeded", 0)
	w.Verbatim("txt", b.String())
	return nil
}

var declClusterKeyslot = command{
	Command: spec.Command{
		Name: "KEYSLOT", Syntax: "key", Group: spec.Cluster, Flags: spec.Stale, Since: "3.0.0",
		Cost: "O(N), where N is the length of the key", Summary: "Returns a key's hash slot.",
	},
	run: cmdClusterKeyslot, early: true,
}

func cmdClusterKeyslot(_ *Session, args [][]byte, w *resp.Writer) error {
	w.Int(int64(resp.Slot(args[2])))
	return nil
}

var declClusterMyID = command{
	Command: spec.Command{
		Name: "MYID", Group: spec.Cluster, Flags: spec.Stale, Since: "3.0.0", Cost: "O(1)",
		Summary: "Returns this node's id, in the form of a Redis cluster.",
	},
	run: cmdClusterMyID, early: true,
}

func cmdClusterMyID(s *Session, _ [][]byte, w *resp.Writer) error {
	w.BulkString(nodeName(s.srv.opts.NodeID))
	return nil
}

var declClusterSlots = command{
	Command: spec.Command{
		Name: "SLOTS", Group: spec.Cluster, Flags: spec.Stale, Tips: []string{"nondeterministic_output"},
		Since: "3.0.0", Cost: "O(N), where N is the number of nodes",
		Summary: "Returns which nodes serve which slots, the master first.",
	},
	run: cmdClusterSlots,
}

// cmdClusterSlots tells the truth or fails: every cluster client takes an error
// here as a reason to ask another node, and keeps to what it knew, while an answer
// that names nobody, or somebody who does not lead, replaces that. Replicas that are
// gone are left out, as in Redis.
func cmdClusterSlots(s *Session, _ [][]byte, w *resp.Writer) error {
	t := s.settled()
	if !t.servable() {
		return system.ErrNoLeader
	}
	replicas := t.others[:0]
	for _, m := range t.others {
		if m.Alive {
			replicas = append(replicas, m)
		}
	}
	w.Array(1)
	w.Array(3 + len(replicas))
	w.Int(0)
	w.Int(resp.Slots - 1)
	s.writeSlotsNode(w, t.master.Member)
	for i := range replicas {
		s.writeSlotsNode(w, replicas[i].Member)
	}
	return nil
}

func (s *Session) writeSlotsNode(w *resp.Writer, m system.Member) {
	host, port := s.endpoint(m)
	w.Array(4)
	w.BulkString(host)
	w.Int(int64(port))
	w.BulkString(nodeName(m.ID))
	w.Map(0) // metadata
}
