// Package metrics is what a node tells Prometheus: a registry of its own, fed by
// those who know, through functions given to New and methods called on the way.
// It knows neither server nor cluster.
package metrics

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/raftkv/raftkv/fsm/system"
)

// Connections are counts of Redis clients.
type Connections struct {
	Open               int64
	Accepted, Rejected int64 // since the start
}

// Database is the content of one database.
type Database struct{ Keys, Expires int }

// Source is asked when /metrics is read. Every function is required and may be
// called from any goroutine.
type Source struct {
	Connections func() Connections
	// Commands calls each for every command by name, with how often it was run.
	// Names come from declarations, never from clients: each makes a series of its own.
	Commands func(each func(name string, calls int64))
	// Databases are indexed by number.
	Databases func() []Database
	// Bytes is the memory that keys and values take.
	Bytes func() int64
	// Status is RAFT.STATUS's; nodes that do not answer within ctx are not reachable.
	Status func(ctx context.Context) system.Status
	// LastSnapshot is when the last one was finished, Unix seconds; 0 for never.
	LastSnapshot func() int64
	// Version and Commit are those of the program.
	Version, Commit string
}

// Registry holds a node's metrics.
type Registry struct {
	registry *prometheus.Registry
	writes   prometheus.Histogram
	batches  prometheus.Histogram
}

// scrapeTimeout bounds the wait for other nodes when /metrics is read.
const scrapeTimeout = 500 * time.Millisecond

// New returns a Registry that already counts the process's own.
func New() *Registry {
	r := &Registry{
		registry: prometheus.NewRegistry(),
		writes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "raftkv_write_seconds", Help: "How long a write took, until a majority had it on disk; those of a pipeline take as long as the pipeline.",
			Buckets: prometheus.ExponentialBucketsRange(100e-6, 10, 21),
		}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "raftkv_batch_proposals", Help: "Proposals in a log entry that this node proposed.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 13),
		}),
	}
	r.registry.MustRegister(r.writes, r.batches,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Watch adds what src knows. It is called once.
func (r *Registry) Watch(src Source) { r.registry.MustRegister(&collector{src}) }

// Write notes how long a write took.
func (r *Registry) Write(took time.Duration) { r.writes.Observe(took.Seconds()) }

// Batch notes how many proposals went into an entry.
func (r *Registry) Batch(proposals int) { r.batches.Observe(float64(proposals)) }

// Handler answers GET /metrics.
func (r *Registry) Handler() http.Handler {
	return promhttp.HandlerFor(r.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: 4,
		Timeout:             10 * time.Second,
	})
}

// collector turns a Source into metrics at the moment that they are asked for.
type collector struct{ src Source }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("raftkv_"+name, help, labels, nil)
}

var (
	descInfo      = desc("info", "What this node is; always 1.", "node_id", "cluster_id", "version", "commit")
	descOpen      = desc("connections", "Redis clients connected now.")
	descAccepted  = desc("connections_accepted_total", "Connections of Redis clients accepted since the start.")
	descRejected  = desc("connections_rejected_total", "Connections refused because of maxclients since the start.")
	descCommands  = desc("commands_total", "Commands of clients that were run since the start.", "command")
	descKeys      = desc("keys", "Keys in a database.", "db")
	descExpires   = desc("keys_expiring", "Keys in a database that have an expiry time.", "db")
	descBytes     = desc("keys_bytes", "Memory that keys and values take.")
	descRole      = desc("raft_role", "1 for the role that this node has now, 0 for the others.", "role")
	descVersion   = desc("raft_cluster_version", "The cluster version that commands go by; it rises once all members know a newer one.")
	descTerm      = desc("raft_term", "Current Raft term.")
	descHasLeader = desc("raft_has_leader", "1 if this node knows a leader.")
	descCommit    = desc("raft_commit_index", "Last log index known to be committed.")
	descApplied   = desc("raft_applied_index", "Last log index applied here.")
	descLast      = desc("raft_last_log_index", "Last index of this node's log.")
	descSnapIndex = desc("raft_snapshot_index", "Log index of the last snapshot.")
	descSnapTime  = desc("raft_last_snapshot_timestamp_seconds", "When the last snapshot was finished; 0 for never.")
	descDiverged  = desc("raft_diverged", "1 while an audit has found this node's state to differ and it was not rebuilt.")
	descAuditTime = desc("raft_last_audit_timestamp_seconds", "When the last audit that this node was told of ended; 0 for never.")
	descAuditBad  = desc("raft_audit_differing_nodes", "How many nodes the last audit found to differ, or could not decide on.")
	descPeerUp    = desc("raft_node_reachable", "1 if that member answered this node just now.", "id")
	descPeerLag   = desc("raft_node_lag", "Log entries that a member is behind; only of those that answer.", "id")
	descAll       = []*prometheus.Desc{
		descInfo, descOpen, descAccepted, descRejected, descCommands, descKeys, descExpires, descBytes, descRole, descVersion, descTerm,
		descHasLeader, descCommit, descApplied, descLast, descSnapIndex, descSnapTime, descDiverged, descAuditTime, descAuditBad, descPeerUp, descPeerLag,
	}
)

// Describe is prometheus.Collector's.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range descAll {
		out <- d
	}
}

// Collect is prometheus.Collector's.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	conns := c.src.Connections()
	gauge(descOpen, float64(conns.Open))
	counter(descAccepted, conns.Accepted)
	counter(descRejected, conns.Rejected)
	c.src.Commands(func(name string, calls int64) { counter(descCommands, calls, name) })
	for n, db := range c.src.Databases() {
		gauge(descKeys, float64(db.Keys), strconv.Itoa(n))
		gauge(descExpires, float64(db.Expires), strconv.Itoa(n))
	}
	gauge(descBytes, float64(c.src.Bytes()))
	gauge(descSnapTime, float64(c.src.LastSnapshot()))
	c.collectRaft(gauge)
}

func (c *collector) collectRaft(gauge func(d *prometheus.Desc, v float64, labels ...string)) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	st := c.src.Status(ctx)
	gauge(descInfo, 1, st.NodeID, st.ClusterID, c.src.Version, c.src.Commit)
	for _, role := range []system.Role{system.Leader, system.Follower, system.Candidate, system.Learner, system.Removed, system.Diverged} {
		gauge(descRole, oneIf(st.Role == role), string(role))
	}
	gauge(descVersion, float64(st.ClusterVersion))
	gauge(descTerm, float64(st.Term))
	gauge(descHasLeader, oneIf(st.Leader.ID != ""))
	gauge(descCommit, float64(st.CommitIndex))
	gauge(descApplied, float64(st.AppliedIndex))
	gauge(descLast, float64(st.LastLogIndex))
	gauge(descSnapIndex, float64(st.SnapshotIndex))
	gauge(descDiverged, oneIf(st.Role == system.Diverged))
	gauge(descAuditTime, float64(st.Audit.Time))
	gauge(descAuditBad, float64(differing(st.Audit)))
	for _, n := range st.Nodes {
		gauge(descPeerUp, oneIf(n.Reachable), n.ID)
		if n.Reachable {
			gauge(descPeerLag, float64(n.Lag), n.ID)
		}
	}
}

func differing(r system.AuditReport) (count int) {
	for _, n := range r.Nodes {
		if n.Verdict == system.AuditDiffers || n.Verdict == system.AuditUndecided {
			count++
		}
	}
	return count
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
