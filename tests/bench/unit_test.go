//go:build linux

package bench

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/tests/bench/load"
	"github.com/raftkv/raftkv/tests/bench/peers"
)

func TestMedianAndPercentile(t *testing.T) {
	var twenty []float64
	for i := range 20 {
		twenty = append(twenty, float64(20-i))
	}
	for _, tt := range []struct {
		name           string
		values         []float64
		median, at95th float64
	}{
		{"none", nil, 0, 0},
		{"one", []float64{4}, 4, 4},
		{"odd", []float64{9, 1, 5}, 5, 9},
		{"even", []float64{4, 1, 3, 2}, 2.5, 4},
		{"twenty", twenty, 10.5, 19},
	} {
		if got := Median(tt.values); got != tt.median {
			t.Errorf("%s: median %v, want %v", tt.name, got, tt.median)
		}
		if got := Percentile(tt.values, 0.95); got != tt.at95th {
			t.Errorf("%s: p95 %v, want %v", tt.name, got, tt.at95th)
		}
	}
	if twenty[0] != 20 {
		t.Error("the values were sorted in place")
	}
}

func rounds(perSecond ...float64) (all []Round) {
	for _, p := range perSecond {
		all = append(all, Round{PerSecond: p})
	}
	return all
}

// A ratio compares neighbours in time: a machine that slows down in the middle of a
// run must not change it.
func TestRatioIsOfNeighbours(t *testing.T) {
	ours := &ShapeResult{Rounds: rounds(100, 50, 10)}
	theirs := &ShapeResult{Rounds: rounds(200, 100, 20)}
	if got, ok := ours.Ratio(theirs); got != 0.5 || !ok {
		t.Errorf("%v, %t, want 0.5", got, ok)
	}
	for name, other := range map[string]*ShapeResult{"missing": nil, "without rounds": {}} {
		if _, ok := ours.Ratio(other); ok {
			t.Errorf("a ratio to one that is %s", name)
		}
	}
}

func TestShapes(t *testing.T) {
	scale := FullScale
	seen := map[string]bool{}
	parts := map[string]int{}
	for _, s := range scale.shapes() {
		if seen[s.Name] {
			t.Errorf("two shapes are called %s", s.Name)
		}
		seen[s.Name] = true
		parts[s.Part]++
	}
	for _, want := range []struct {
		part  string
		count int
	}{{"set", 5}, {"get", 5}, {"mix", 2}, {"types", 44}, {"large", 2}} {
		if parts[want.part] != want.count {
			t.Errorf("%s has %d shapes, want %d", want.part, parts[want.part], want.count)
		}
	}
	for _, tt := range []struct {
		system, shape string
		want          bool
	}{
		{peers.RaftKV, "ZADD c=50 P=16", true},
		{peers.Echo, "GET c=50 P=128", true},
		{peers.Echo, "INCR c=50 P=16", false},
		{peers.RedisEverysec, "HSET c=50 P=16", false},
		{peers.Etcd, "SET c=200 P=1", true},
		{peers.Etcd, "SET 1 MB c=4 P=1", true},
		{peers.Etcd, "SET c=50 P=16", false},
		{peers.Etcd, "MIX c=50 P=1", false},
		{peers.RedisEverysec, "GET c=50 P=1", false},
		{peers.RedisEverysec, "MIX c=50 P=1", true},
	} {
		for _, s := range scale.shapes() {
			if s.Name == tt.shape && s.fits(tt.system) != tt.want {
				t.Errorf("%s for %s: %t", tt.shape, tt.system, !tt.want)
			}
		}
		if !seen[tt.shape] {
			t.Errorf("there is no shape %s", tt.shape)
		}
	}
}

func TestWords(t *testing.T) {
	for want, s := range map[string]Shape{
		"SET, 1 client": {Command: "SET", Conns: 1, Pipeline: 1, Size: 64},
		"90 % GET, 10 % SET, 50 clients, pipelines of 16": {Command: mix, Conns: 50, Pipeline: 16, Size: 64},
		"SET of 1 MB, 4 clients":                          {Command: "SET", Conns: 4, Pipeline: 1, Size: 1 << 20},
	} {
		if got := s.Words(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// goalNamed is the verdict whose words begin so.
func goalNamed(t *testing.T, res *Results, words string) Verdict {
	t.Helper()
	for _, v := range Judge(res) {
		if strings.HasPrefix(v.What, words) {
			return v
		}
	}
	t.Fatalf("there is no goal %q", words)
	return Verdict{}
}

func TestJudge(t *testing.T) {
	shape := func(name, system string, perSecond ...float64) ShapeResult {
		return ShapeResult{Shape: Shape{Name: name}, System: system, Rounds: rounds(perSecond...)}
	}
	distributions := func(p999 ...float64) (all []Distribution) {
		for _, p := range p999 {
			all = append(all, Distribution{P999: p})
		}
		return all
	}
	twentyKills := make([]float64, 20)
	for i := range twentyKills {
		twentyKills[i] = 900
	}
	twentyKills[3] = 5000 // one outlier of twenty is above p95
	res := &Results{
		Shapes: []ShapeResult{
			shape("SET c=50 P=1", peers.RaftKV, 59, 60, 61), shape("SET c=50 P=1", peers.RedisAlways, 100, 100, 100),
			shape("SET c=50 P=1", peers.Etcd, 12.1, 12.1, 12.1),
			shape("GET c=50 P=1", peers.RaftKV, 80), shape("GET c=50 P=1", peers.Echo, 100),
		},
		Memory:    []MemoryUse{{System: peers.RaftKV, Keys: 10, Resident: 1501}, {System: peers.RedisAlways, Keys: 10, Resident: 1000}},
		Snapshots: []SnapshotLoad{{System: peers.RedisAlways, With: distributions(9), Without: distributions(1)}, {System: peers.RaftKV, With: distributions(4, 2, 30), Without: distributions(2, 2, 3)}},
		Failovers: []Failover{
			{System: peers.Etcd, Signal: KillSignal, Next: []float64{9000}},
			{System: peers.RaftKV, Signal: KillSignal, Next: twentyKills},
			{System: peers.RaftKV, Signal: TermSignal, Next: []float64{10, 160}, Calls: 7, Errors: []string{"x"}},
		},
		Growth: []Growth{{System: peers.RaftKV, Test: "GET", AtFew: rounds(10, 10), AtMany: rounds(8, 9)}},
		Encrypted: []Encrypted{
			{Shape: Shape{Name: "GET c=50 P=16"}, System: peers.RaftKV, Plain: rounds(10, 10), TLS: rounds(6, 6)},
			{Shape: Shape{Name: "GET c=50 P=16"}, System: peers.RedisAlways, Plain: rounds(20, 20), TLS: rounds(10, 10)},
			{Shape: Shape{Name: "SET c=50 P=16"}, System: peers.RaftKV, Plain: rounds(10), TLS: rounds(6)},
		},
	}
	for _, tt := range []struct {
		goal  string
		value float64
		met   bool
	}{
		{"SET c=50 P=1, ratio to Redis", 0.6, true},
		{"SET c=50 P=1, ratio to etcd", 60 / 12.1, false},
		{"GET c=50 P=1, ratio to redcon", 0.8, false},
		{"memory per key", 1.501, false},
		{"p99.9 of SETs", 2, true},
		{"kill -9", 900, true},
		{"SIGTERM", 160, false},
		{"errors that", 1, false},
		{"GET with many keys", 0.85, true},
		{"GET c=50 P=16 with TLS and ACLs", 1.2, true},
	} {
		v := goalNamed(t, res, tt.goal)
		if !v.Measured || math.Abs(v.Value-tt.value) > 1e-9 || v.Met != tt.met {
			t.Errorf("%s: measured %t, %v, met %t; want %v, %t", tt.goal, v.Measured, v.Value, v.Met, tt.value, tt.met)
		}
	}
	for _, words := range []string{"SET c=1 P=1", "GET c=200 P=1, ratio to etcd", "SET with many keys", "SET c=50 P=16 with TLS and ACLs"} {
		if v := goalNamed(t, res, words); v.Measured || v.Met {
			t.Errorf("%s was not run: measured %t, met %t", words, v.Measured, v.Met)
		}
	}
}

// typesGoals are those of the main commands of each type: 0.6 of Redis, 0.5 for ranges of 100.
const typesGoals = `INCR c=50 P=16, ratio to Redis always ≥ 0.60
APPEND c=50 P=16, ratio to Redis always ≥ 0.60
HSET c=50 P=16, ratio to Redis always ≥ 0.60
HINCRBY c=50 P=16, ratio to Redis always ≥ 0.60
HGET c=50 P=16, ratio to Redis always ≥ 0.60
HMGET of 5 c=50 P=16, ratio to Redis always ≥ 0.60
HGETALL of 100 c=50 P=16, ratio to Redis always ≥ 0.50
HSET in 1 M c=50 P=16, ratio to Redis always ≥ 0.60
HGET in 1 M c=50 P=16, ratio to Redis always ≥ 0.60
LPUSH c=50 P=16, ratio to Redis always ≥ 0.60
RPOP c=50 P=16, ratio to Redis always ≥ 0.60
LINDEX c=50 P=16, ratio to Redis always ≥ 0.60
LRANGE of 100 c=50 P=16, ratio to Redis always ≥ 0.50
LSET in 1 M c=50 P=16, ratio to Redis always ≥ 0.60
LINDEX in 1 M c=50 P=16, ratio to Redis always ≥ 0.60
SADD c=50 P=16, ratio to Redis always ≥ 0.60
SPOP c=50 P=16, ratio to Redis always ≥ 0.60
SISMEMBER c=50 P=16, ratio to Redis always ≥ 0.60
SMEMBERS of 100 c=50 P=16, ratio to Redis always ≥ 0.50
SADD to 1 M c=50 P=16, ratio to Redis always ≥ 0.60
SISMEMBER in 1 M c=50 P=16, ratio to Redis always ≥ 0.60
SRANDMEMBER of 1 M c=50 P=16, ratio to Redis always ≥ 0.60
ZADD c=50 P=16, ratio to Redis always ≥ 0.60
ZINCRBY c=50 P=16, ratio to Redis always ≥ 0.60
ZSCORE c=50 P=16, ratio to Redis always ≥ 0.60
ZRANK c=50 P=16, ratio to Redis always ≥ 0.60
ZRANGE of 100 c=50 P=16, ratio to Redis always ≥ 0.50
ZADD in 1 M c=50 P=16, ratio to Redis always ≥ 0.60
ZRANK in 1 M c=50 P=16, ratio to Redis always ≥ 0.60
ZRANGE BYSCORE of 100 in 1 M c=50 P=16, ratio to Redis always ≥ 0.50
GEOADD c=50 P=16, ratio to Redis always ≥ 0.60
GEOSEARCH c=50 P=16, ratio to Redis always ≥ 0.60
SETBIT c=50 P=16, ratio to Redis always ≥ 0.60
BITFIELD INCRBY c=50 P=16, ratio to Redis always ≥ 0.60
GETBIT c=50 P=16, ratio to Redis always ≥ 0.60
BITCOUNT c=50 P=16, ratio to Redis always ≥ 0.60
PFADD c=50 P=16, ratio to Redis always ≥ 0.60
PFCOUNT c=50 P=16, ratio to Redis always ≥ 0.60
XADD c=50 P=16, ratio to Redis always ≥ 0.60
XADD MAXLEN ~ 100 c=50 P=16, ratio to Redis always ≥ 0.60
XRANGE of 100 c=50 P=16, ratio to Redis always ≥ 0.60
XREAD of 10 c=50 P=16, ratio to Redis always ≥ 0.60
XADD to 1 M c=50 P=16, ratio to Redis always ≥ 0.60
XRANGE of 100 in 1 M c=50 P=16, ratio to Redis always ≥ 0.60`

// Every goal that the project names is there, with its number.
func TestGoals(t *testing.T) {
	var all []string
	for _, g := range Goals() {
		all = append(all, g.What+" "+g.Wanted())
	}
	const want = `SET c=1 P=1, ratio to Redis always ≥ 0.35
SET c=50 P=1, ratio to Redis always ≥ 0.60
SET c=200 P=1, ratio to redcon echo ≥ 0.75
SET c=50 P=16, ratio to Redis always ≥ 0.80
SET c=50 P=128, ratio to Redis always ≥ 1.00
GET c=50 P=1, ratio to redcon echo ≥ 0.85
GET c=200 P=1, ratio to redcon echo ≥ 0.85
GET c=50 P=16, ratio to Redis always ≥ 0.80
GET c=50 P=128, ratio to Redis always ≥ 0.80
SET c=50 P=1, ratio to etcd ≥ 5.00
SET c=200 P=1, ratio to etcd ≥ 5.00
GET c=50 P=1, ratio to etcd ≥ 4.00
GET c=200 P=1, ratio to etcd ≥ 3.00
memory per key, ratio to Redis ≤ 1.50
p99.9 of SETs with a snapshot in progress, ratio to without ≤ 2.00
kill -9 of the leader to the next write, p95 ≤ 1000 ms
SIGTERM of the leader to the next leader's first write, p95 ≤ 150 ms
errors that a go-redis cluster client saw meanwhile ≤ 0
SET with many keys, ratio to with few ≥ 0.80
GET with many keys, ratio to with few ≥ 0.80
SET c=50 P=1 with TLS and ACLs by without, ratio to Redis's ≥ 0.90
GET c=50 P=1 with TLS and ACLs by without, ratio to Redis's ≥ 0.90
SET c=50 P=16 with TLS and ACLs by without, ratio to Redis's ≥ 0.90
GET c=50 P=16 with TLS and ACLs by without, ratio to Redis's ≥ 0.90
` + typesGoals
	if got := strings.Join(all, "\n"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	// A goal about a shape that nobody measures could never be met.
	scale := FullScale
	names := map[string]bool{}
	for _, s := range scale.shapes() {
		names[s.Name] = true
	}
	for _, g := range Goals() {
		if shape, _, ok := strings.Cut(g.What, ", ratio to "); ok && strings.Contains(shape, "c=") && !names[strings.TrimSuffix(shape, " with TLS and ACLs by without")] {
			t.Errorf("no shape is called %s", shape)
		}
	}
}

func TestChoose(t *testing.T) {
	chosen, err := choose([]string{"term", "set"})
	if err != nil || len(chosen) != 2 || chosen[0].name != "set" || chosen[1].name != "term" {
		t.Errorf("%v, %v", chosen, err)
	}
	if chosen, err = choose(nil); err != nil || len(chosen) != len(parts) {
		t.Errorf("%d of %d parts, %v", len(chosen), len(parts), err)
	}
	if _, err = choose([]string{"sett"}); err == nil || !strings.Contains(err.Error(), `no part "sett"`) {
		t.Errorf("a part that there is not: %v", err)
	}
	for name, fails := range map[string]bool{peers.Etcd: false, peers.RaftKV: true, "etc": true} {
		if err := (&Options{Without: []string{name}}).check(); (err != nil) != fails {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestLongestGap(t *testing.T) {
	from := time.Unix(100, 0)
	at := func(ms ...int) (acks []load.Ack) {
		for _, m := range ms {
			acks = append(acks, load.Ack{At: from.Add(time.Duration(m) * time.Millisecond)})
		}
		return acks
	}
	for _, tt := range []struct {
		name string
		acks []load.Ack
		want time.Duration
	}{
		{"none", nil, 0},
		{"before the signal only", at(-50, -10), 0},
		{"the first", at(-1, 30, 40), 30 * time.Millisecond},
		{"a later one", at(1, 2, 52, 60), 50 * time.Millisecond},
	} {
		if got := longestGap(tt.acks, from); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestDistributionIsOfItsSpans(t *testing.T) {
	from := time.Unix(100, 0)
	var samples []load.Sample
	for i := range 1000 {
		latency := time.Millisecond
		if i%100 == 99 {
			latency = 9 * time.Millisecond
		}
		samples = append(samples, load.Sample{Due: from.Add(time.Duration(i) * time.Millisecond), Latency: latency})
	}
	d := distribution(samples, []span{{from, from.Add(150 * time.Millisecond)}, {from.Add(500 * time.Millisecond), from.Add(550 * time.Millisecond)}})
	if d.Count != 200 || d.P50 != 1 || d.P99 != 1 || d.P999 != 9 || d.Max != 9 || len(d.Curve) != len(Quantiles) {
		t.Errorf("%+v", d)
	}
	if none := distribution(samples, nil); none.Count != 0 || none.Max != 0 {
		t.Errorf("of no span: %+v", none)
	}
}

func TestFilesystemOf(t *testing.T) {
	const mounts = `22 27 0:21 / /proc rw - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:30 / /tmp rw shared:5 - tmpfs tmpfs rw
31 27 254:1 / /tmp/with\040space rw - xfs /dev/vdb rw
32 27 254:2 / /mnt rw - btrfs /dev/vdc rw
33 32 0:31 / /mnt rw - overlay overlay rw
`
	for dir, want := range map[string]string{
		"/": "ext4", "/home/x": "ext4", "/tmp": "tmpfs", "/tmp/y": "tmpfs", "/tmpy": "ext4", "/tmp/with space/z": "xfs", "/mnt/a": "overlay",
	} {
		if got := filesystemOf(dir, mounts); got != want {
			t.Errorf("%s is on %s, want %s", dir, got, want)
		}
	}
	if _, err := Filesystem("/dev/shm"); err == nil || !strings.Contains(err.Error(), "tmpfs") {
		t.Errorf("memory was taken for a disk: %v", err)
	}
}

func TestParseCPU(t *testing.T) {
	busy, all, err := parseCPU("cpu  10 20 30 400 50 6 7 8 9 9\ncpu0 1 2 3 4\n")
	if busy != 10+20+30+6+7+8 || all != busy+400+50 || err != nil {
		t.Errorf("busy %d, all %d, %v", busy, all, err)
	}
	if _, _, err := parseCPU("intr 1 2 3 4 5\n"); err == nil {
		t.Error("something else was taken for it")
	}
}

func TestWarnings(t *testing.T) {
	for name, tt := range map[string]struct {
		c    Conditions
		want int
	}{
		"as it should be": {Conditions{Rounds: 3, Fdatasync: [2]float64{60, 70}}, 0},
		"busy":            {Conditions{Rounds: 3, Busy: 0.2}, 1},
		"quick":           {Conditions{Rounds: 1, Quick: true}, 2},
		"another disk":    {Conditions{Rounds: 3, Fdatasync: [2]float64{60, 200}}, 1},
	} {
		if got := tt.c.Warnings(); len(got) != tt.want {
			t.Errorf("%s: %q, want %d", name, got, tt.want)
		}
	}
}
