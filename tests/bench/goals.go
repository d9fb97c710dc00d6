//go:build linux

package bench

import (
	"fmt"

	"github.com/raftkv/raftkv/tests/bench/peers"
)

// Goal is something that a run must show.
type Goal struct {
	What string
	// Limit is the goal's number; AtLeast says from which side it binds.
	Limit   float64
	AtLeast bool
	Unit    string // "" for a ratio
	Note    string
	measure func(*Results) (value float64, ok bool)
}

// Verdict is a goal and what a run showed.
type Verdict struct {
	Goal     `json:"-"`
	What     string  `json:"what"`
	Wanted   string  `json:"goal"`
	Measured bool    `json:"measured"`
	Value    float64 `json:"value"`
	Met      bool    `json:"met"`
}

// peerNames are how goals call the systems.
var peerNames = map[string]string{peers.RedisAlways: "Redis always", peers.Etcd: "etcd", peers.Echo: "redcon echo"}

// Goals are those of the project, in the order in which it names them.
func Goals() []Goal {
	setAgainst := func(name, peer string, limit float64) Goal { return shapeGoal("SET "+name, peer, limit) }
	getAgainst := func(name, peer string, limit float64) Goal { return shapeGoal("GET "+name, peer, limit) }
	overlap := setAgainst("c=1 P=1", peers.RedisAlways, 0.35)
	overlap.Note = "0.5 once followers' disk waits overlap the leader's"
	goals := []Goal{
		overlap,
		setAgainst("c=50 P=1", peers.RedisAlways, 0.6),
		setAgainst("c=200 P=1", peers.Echo, 0.75),
		setAgainst("c=50 P=16", peers.RedisAlways, 0.8),
		setAgainst("c=50 P=128", peers.RedisAlways, 1),
		getAgainst("c=50 P=1", peers.Echo, 0.85),
		getAgainst("c=200 P=1", peers.Echo, 0.85),
		getAgainst("c=50 P=16", peers.RedisAlways, 0.8),
		getAgainst("c=50 P=128", peers.RedisAlways, 0.8),
		setAgainst("c=50 P=1", peers.Etcd, 5),
		setAgainst("c=200 P=1", peers.Etcd, 5),
		getAgainst("c=50 P=1", peers.Etcd, 4),
		getAgainst("c=200 P=1", peers.Etcd, 3),
		{What: "memory per key, ratio to Redis", Limit: 1.5, measure: memoryRatio},
		{What: "p99.9 of SETs with a snapshot in progress, ratio to without", Limit: 2, measure: snapshotRatio},
		{What: "kill -9 of the leader to the next write, p95", Limit: 1000, Unit: "ms", measure: failoverP95(KillSignal)},
		{What: "SIGTERM of the leader to the next leader's first write, p95", Limit: 150, Unit: "ms", measure: failoverP95(TermSignal)},
		{What: "errors that a go-redis cluster client saw meanwhile", Limit: 0, Unit: "errors", measure: clientErrors},
		growthGoal("SET"),
		growthGoal("GET"),
		encryptedGoal("SET c=50 P=1"),
		encryptedGoal("GET c=50 P=1"),
		encryptedGoal("SET c=50 P=16"),
		encryptedGoal("GET c=50 P=16"),
	}
	for _, shape := range FullScale.typedShapes() {
		goals = append(goals, shapeGoal(shape.Name, peers.RedisAlways, shape.typed.limit()))
	}
	return goals
}

// Judge compares a run with the goals.
func Judge(res *Results) (verdicts []Verdict) {
	for _, g := range Goals() {
		v := Verdict{Goal: g, What: g.What, Wanted: g.Wanted()}
		v.Value, v.Measured = g.measure(res)
		v.Met = v.Measured && (g.AtLeast && v.Value >= g.Limit || !g.AtLeast && v.Value <= g.Limit)
		verdicts = append(verdicts, v)
	}
	return verdicts
}

// Wanted is the goal's number in words.
func (g *Goal) Wanted() string {
	sign := "≤"
	if g.AtLeast {
		sign = "≥"
	}
	return sign + " " + g.Show(g.Limit)
}

// Show writes a value as the goal measures it.
func (g *Goal) Show(value float64) string {
	switch g.Unit {
	case "":
		return fmt.Sprintf("%.2f", value)
	case "errors":
		return fmt.Sprintf("%.0f", value)
	}
	return fmt.Sprintf("%.0f %s", value, g.Unit)
}

func shapeGoal(shape, peer string, limit float64) Goal {
	return Goal{
		What: shape + ", ratio to " + peerNames[peer], Limit: limit, AtLeast: true,
		measure: func(res *Results) (float64, bool) {
			return Find(res.Shapes, shape, peers.RaftKV).Ratio(Find(res.Shapes, shape, peer))
		},
	}
}

func memoryRatio(res *Results) (float64, bool) {
	var ours, redis float64
	for _, m := range res.Memory {
		switch m.System {
		case peers.RaftKV:
			ours = m.PerKey()
		case peers.RedisAlways:
			redis = m.PerKey()
		}
	}
	if ours == 0 || redis == 0 {
		return 0, false
	}
	return ours / redis, true
}

func snapshotRatio(res *Results) (float64, bool) {
	for i := range res.Snapshots {
		if s := &res.Snapshots[i]; s.System == peers.RaftKV {
			return s.Ratio()
		}
	}
	return 0, false
}

// Ratio is the median of the rounds' ratios of p99.9 with a snapshot to without.
func (s *SnapshotLoad) Ratio() (float64, bool) {
	var ratios []float64
	for i := range min(len(s.With), len(s.Without)) {
		if s.Without[i].P999 > 0 {
			ratios = append(ratios, s.With[i].P999/s.Without[i].P999)
		}
	}
	return Median(ratios), len(ratios) > 0
}

func (r *Results) failover(system, signal string) *Failover {
	for i := range r.Failovers {
		if f := &r.Failovers[i]; f.System == system && f.Signal == signal {
			return f
		}
	}
	return nil
}

func failoverP95(signal string) func(*Results) (float64, bool) {
	return func(res *Results) (float64, bool) {
		f := res.failover(peers.RaftKV, signal)
		if f == nil || len(f.Next) == 0 {
			return 0, false
		}
		return Percentile(f.Next, 0.95), true
	}
}

func clientErrors(res *Results) (float64, bool) {
	f := res.failover(peers.RaftKV, TermSignal)
	if f == nil || f.Calls == 0 {
		return 0, false
	}
	return float64(len(f.Errors)), true
}

func growthGoal(test string) Goal {
	return Goal{
		What: test + " with many keys, ratio to with few", Limit: 0.8, AtLeast: true,
		measure: func(res *Results) (float64, bool) {
			for i := range res.Growth {
				if g := &res.Growth[i]; g.System == peers.RaftKV && g.Test == test {
					return g.Ratio()
				}
			}
			return 0, false
		},
	}
}
