package server

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

func infoCommands() []command { return []command{declInfo} }

var declInfo = command{
	Command: spec.Command{
		Name: "INFO", Syntax: "[section [section ...]]", Group: spec.Server, Flags: spec.Loading | spec.Stale,
		Categories: spec.CatDangerous, Since: "1.0.0", Cost: "O(N), where N is the number of nodes and clients",
		Tips:    []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"},
		Summary: "Returns what this node knows of itself, in sections of name:value lines.",
	},
	run: cmdInfo,
}

// infoSections are in the order in which they are written.
var infoSections = []struct {
	name, title string
	write       func(r *report)
}{
	{"server", "Server", (*report).server},
	{"clients", "Clients", (*report).clients},
	{"memory", "Memory", (*report).memory},
	{"persistence", "Persistence", (*report).persistence},
	{"stats", "Stats", (*report).stats},
	{"replication", "Replication", (*report).replication},
	{"cpu", "CPU", (*report).cpu},
	{"modules", "Modules", func(*report) {}}, // there are none
	{"commandstats", "Commandstats", (*report).commandstats},
	{"errorstats", "Errorstats", (*report).errorstats},
	{"cluster", "Cluster", (*report).cluster},
	{"keyspace", "Keyspace", (*report).keyspace},
	{"raft", "Raft", (*report).raft},
}

// cmdInfo ends lines with CRLF: ioredis and lettuce split at that. What this
// server does not measure it leaves out.
func cmdInfo(s *Session, args [][]byte, w *resp.Writer) error {
	asked := make(map[string]bool)
	for _, a := range args[1:] {
		asked[strings.ToLower(string(a))] = true
	}
	everything := asked["everything"]
	all := everything || asked["all"]
	standard := len(args) == 1 || all || asked["default"]
	r := &report{s: s, srv: s.srv}
	for _, section := range infoSections {
		wanted := standard
		switch section.name { // as in Redis
		case "commandstats":
			wanted = all
		case "modules":
			wanted = standard && !all || everything
		}
		if !wanted && !asked[section.name] {
			continue
		}
		if r.b.Len() > 0 {
			r.b.WriteString("\r\n")
		}
		r.b.WriteString("# " + section.title + "\r\n")
		section.write(r)
	}
	w.Verbatim("txt", r.b.String())
	return nil
}

// report is one answer of INFO in the making.
type report struct {
	s     *Session
	srv   *Server
	b     strings.Builder
	known *system.Status
}

func (r *report) field(name string, value any) { fmt.Fprintf(&r.b, "%s:%v\r\n", name, value) }

// status asks the other nodes once, and not for long: clients send INFO before
// they use a connection.
func (r *report) status() *system.Status {
	if r.known == nil {
		ctx, cancel := context.WithTimeout(r.s.ctx, roleTimeout)
		defer cancel()
		status := r.srv.rep.Status(ctx)
		r.known = &status
	}
	return r.known
}

func (r *report) server() {
	now := r.srv.now()
	up := int64(now.Sub(r.srv.started) / time.Second)
	commit := r.srv.opts.Commit
	if commit == "" {
		commit = "00000000"
	}
	executable, _ := os.Executable()
	r.field("redis_version", RedisVersion)
	r.field("redis_git_sha1", commit)
	r.field("redis_mode", "cluster")
	r.field("raftkv_version", r.srv.opts.Version)
	r.field("os", runtime.GOOS+" "+runtime.GOARCH)
	r.field("arch_bits", 32<<(^uint(0)>>63))
	r.field("go_version", runtime.Version())
	r.field("process_id", os.Getpid())
	r.field("process_supervised", "no")
	r.field("run_id", r.srv.runID)
	r.field("tcp_port", r.srv.port())
	r.field("server_time_usec", now.UnixMicro())
	r.field("uptime_in_seconds", up)
	r.field("uptime_in_days", up/(24*3600))
	r.field("executable", executable)
	r.field("config_file", r.srv.opts.ConfigFile)
}

// port is where the first listener listens, 0 where that is no TCP port.
func (s *Server) port() int { return s.listening().Port }

// listening is where the first listener listens; zero where that is not TCP.
func (s *Server) listening() net.TCPAddr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.listeners) > 0 {
		if addr, ok := s.listeners[0].Addr().(*net.TCPAddr); ok {
			return *addr
		}
	}
	return net.TCPAddr{}
}

func (r *report) clients() {
	all := r.srv.sessions.all()
	blocked, input, output := 0, 0, 0
	for _, s := range all {
		if s.about.blocked.Load() {
			blocked++
		}
		b := s.buffers()
		input, output = max(input, b.query), max(output, b.replies+b.messages)
	}
	r.field("connected_clients", len(all))
	r.field("cluster_connections", 0) // clients' ports carry no traffic between nodes
	r.field("maxclients", r.srv.settings.maxClients.Load())
	r.field("client_recent_max_input_buffer", input) // at this moment
	r.field("client_recent_max_output_buffer", output)
	r.field("blocked_clients", blocked)
	r.field("tracking_clients", 0)
}

func (r *report) persistence() {
	status := "ok"
	if r.srv.saver.failed.Load() {
		status = "err"
	}
	r.field("loading", 0)
	r.field("async_loading", 0)
	r.field("rdb_bgsave_in_progress", bit(r.srv.saver.running.Load()))
	r.field("rdb_last_save_time", r.srv.lastSave())
	r.field("rdb_last_bgsave_status", status)
	r.field("aof_enabled", 0)
	r.field("aof_rewrite_in_progress", 0)
	r.field("aof_rewrite_scheduled", 0)
	r.field("aof_last_bgrewrite_status", "ok")
	r.field("aof_last_write_status", "ok")
}

func bit(on bool) int {
	if on {
		return 1
	}
	return 0
}

func (r *report) stats() {
	base := r.srv.base.load()
	now := r.srv.counts()
	ops, in, out := r.srv.rates.measure(r.srv.now(), now)
	r.field("total_connections_received", now.connections-base.connections)
	r.field("total_commands_processed", now.commands-base.commands)
	r.field("instantaneous_ops_per_sec", int64(ops))
	r.field("total_net_input_bytes", now.bytesIn-base.bytesIn)
	r.field("total_net_output_bytes", now.bytesOut-base.bytesOut)
	r.field("instantaneous_input_kbps", fmt.Sprintf("%.2f", in/1024))
	r.field("instantaneous_output_kbps", fmt.Sprintf("%.2f", out/1024))
	r.field("rejected_connections", now.rejected-base.rejected)
	r.field("expired_keys", now.expired-base.expired)
	r.field("expired_keys_stored", now.due)
	r.field("evicted_keys", 0)
	r.field("evicted_clients", 0)
	r.field("keyspace_hits", now.hits-base.hits)
	r.field("keyspace_misses", now.misses-base.misses)
	for _, none := range []string{"pubsub_channels", "pubsub_patterns", "pubsubshard_channels", "latest_fork_usec", "total_forks"} {
		r.field(none, 0)
	}
	r.field("total_error_replies", now.errors-base.errors)
	r.field("client_query_buffer_limit_disconnections", now.queryCuts-base.queryCuts)
	r.field("client_output_buffer_limit_disconnections", now.outputCuts-base.outputCuts)
}

// counts are the counters at one moment.
type counts struct {
	connections, rejected, commands, errors, bytesIn, bytesOut int64
	queryCuts, outputCuts                                      int64
	expired, hits, misses                                      uint64
	due                                                        int
}

func (s *Server) counts() counts {
	machine, n := s.machine.Stats(), &s.stats
	due := 0
	for i := range machine.Databases {
		due += machine.Databases[i].Due
	}
	return counts{
		connections: n.connections.Load(), rejected: n.rejected.Load(), commands: n.commands.Load(),
		errors: n.errors.Load(), bytesIn: n.bytesIn.Load(), bytesOut: n.bytesOut.Load(),
		queryCuts: n.queryCuts.Load(), outputCuts: n.outputCuts.Load(),
		expired: machine.Expired, hits: machine.Hits, misses: machine.Misses,
		due: due,
	}
}

// baseline is what CONFIG RESETSTAT subtracts from INFO's counters. The counters
// themselves never go back: others read them too.
type baseline struct {
	mu     sync.Mutex
	counts counts // guarded by mu
}

func (b *baseline) load() counts {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counts
}

func (b *baseline) store(c counts) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.counts = c
}

// rates are the means since the last time somebody asked, at least rateSpan ago.
type rates struct {
	mu           sync.Mutex
	at           time.Time // guarded by mu: when then was counted
	then         counts    // guarded by mu
	ops, in, out float64   // guarded by mu: a second
}

const rateSpan = 100 * time.Millisecond

func (r *rates) measure(now time.Time, c counts) (ops, in, out float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if span := now.Sub(r.at); span >= rateSpan {
		seconds := span.Seconds()
		r.ops = float64(c.commands-r.then.commands) / seconds
		r.in = float64(c.bytesIn-r.then.bytesIn) / seconds
		r.out = float64(c.bytesOut-r.then.bytesOut) / seconds
		r.at, r.then = now, c
	}
	return r.ops, r.in, r.out
}

func (r *report) replication() {
	applied := r.srv.machine.Applied().Index
	leader, self, known := r.srv.rep.Leader()
	if self {
		r.field("role", "master")
		r.replicas()
	} else {
		host, port := "", 0
		if known {
			host, port = r.s.endpoint(leader)
		}
		r.field("role", "slave")
		r.field("master_host", host)
		r.field("master_port", port)
		r.field("master_link_status", map[bool]string{true: "up", false: "down"}[known])
		r.field("master_sync_in_progress", 0)
		r.field("slave_read_repl_offset", applied)
		r.field("slave_repl_offset", applied)
		r.field("slave_read_only", 1)
		r.field("connected_slaves", 0)
	}
	r.field("master_failover_state", "no-failover")
	r.field("master_replid", r.srv.clusterName())
	r.field("master_replid2", strings.Repeat("0", 40))
	r.field("master_repl_offset", applied)
	r.field("second_repl_offset", -1)
	r.field("repl_backlog_active", 0)
}

// replicas lists those that answer.
func (r *report) replicas() {
	var online []system.MemberStatus
	for _, m := range r.status().Nodes {
		if m.Reachable && m.ID != r.srv.opts.NodeID && m.RESP != "" {
			online = append(online, m)
		}
	}
	r.field("connected_slaves", len(online))
	for i, m := range online {
		host, port := r.s.endpoint(m.Member)
		r.field(fmt.Sprintf("slave%d", i), fmt.Sprintf("ip=%s,port=%d,state=online,offset=%d,lag=%d",
			host, port, m.MatchIndex, m.LastContactMS/1000))
	}
}

func (r *report) cpu() {
	system, user := cpuTime()
	r.field("used_cpu_sys", fmt.Sprintf("%.6f", system.Seconds()))
	r.field("used_cpu_user", fmt.Sprintf("%.6f", user.Seconds()))
	r.field("used_cpu_sys_children", "0.000000")
	r.field("used_cpu_user_children", "0.000000")
}

// commandstats tells of data commands of one pipeline that each took an equal part
// of the pipeline's time.
func (r *report) commandstats() {
	list, base := r.srv.tally.all()
	for i, u := range list {
		n := u.read()
		n.calls, n.nanos = n.calls-base[i].calls, n.nanos-base[i].nanos
		n.rejected, n.failed = n.rejected-base[i].rejected, n.failed-base[i].failed
		if n.calls == 0 && n.rejected == 0 && n.failed == 0 {
			continue
		}
		micros := n.nanos / 1000
		r.field("cmdstat_"+u.name, fmt.Sprintf("calls=%d,usec=%d,usec_per_call=%.2f,rejected_calls=%d,failed_calls=%d",
			n.calls, micros, float64(micros)/float64(max(n.calls, 1)), n.rejected, n.failed))
	}
}

func (r *report) errorstats() {
	words, counts := r.srv.tally.failures()
	for i, word := range words {
		r.field("errorstat_"+word, fmt.Sprintf("count=%d", counts[i]))
	}
}

func (r *report) cluster() { r.field("cluster_enabled", 1) }

func (r *report) keyspace() {
	for i, db := range r.srv.machine.Stats().Databases {
		if db.Keys > 0 {
			r.field(fmt.Sprintf("db%d", i), fmt.Sprintf("keys=%d,expires=%d,avg_ttl=%d", db.Keys, db.Expires, db.AvgTTL))
		}
	}
}

// knownVersions is the newest cluster version that each member's program knows, ? where
// it did not say.
func knownVersions(nodes []system.MemberStatus) string {
	var all []string
	for i := range nodes {
		version := "?"
		if nodes[i].Reachable && nodes[i].Knows > 0 {
			version = strconv.FormatUint(nodes[i].Knows, 10)
		}
		all = append(all, nodes[i].ID+"="+version)
	}
	return strings.Join(all, ",")
}

func (r *report) raft() {
	status := r.status()
	r.field("raft_node_id", status.NodeID)
	r.field("raft_cluster_id", status.ClusterID)
	r.field("raft_cluster_version", status.ClusterVersion)
	r.field("raft_known_versions", knownVersions(status.Nodes))
	r.field("raft_role", status.Role)
	r.field("raft_term", status.Term)
	r.field("raft_leader_id", status.Leader.ID)
	r.field("raft_commit_index", status.CommitIndex)
	r.field("raft_applied_index", status.AppliedIndex)
	r.field("raft_last_log_index", status.LastLogIndex)
	r.field("raft_snapshot_index", status.SnapshotIndex)
	r.field("raft_nodes", len(status.Nodes))
	verdict := status.Audit.Verdict
	if verdict == "" {
		verdict = "none"
	}
	r.field("raft_last_audit_index", status.Audit.Index)
	r.field("raft_last_audit_time", status.Audit.Time)
	r.field("raft_last_audit_verdict", verdict)
}
