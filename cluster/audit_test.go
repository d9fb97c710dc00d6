package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
)

// spoil gives a node another state at the place in the log where it stands: its
// members, and one key. Nothing may be on its way.
func (tn *testNode) spoil(t *testing.T) {
	t.Helper()
	cmds := []entry.Command{system.ClusterInit(tn.machine.ClusterID()), system.ClusterVersion(tn.machine.Version())}
	for _, m := range tn.machine.Members() {
		cmds = append(cmds, system.MemberSet(m))
	}
	wrong := fsm.New()
	wrong.Apply(tn.machine.Applied(), &entry.Batch{Version: entry.Version, Now: tn.machine.Now(), Proposals: []entry.Proposal{
		{System: true, Commands: cmds},
		{Commands: []entry.Command{{Args: words("SET wrong 1")}}},
	}}, nil)
	var b bytes.Buffer
	if _, err := wrong.Snapshot().WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if err := tn.machine.Restore(&b); err != nil {
		t.Fatal(err)
	}
}

func (tn *testNode) lastAudit() system.AuditReport { return tn.Node.audits.report() }

// fill writes k0 to k<count-1>, many at a time.
func (tn *testNode) fill(t *testing.T, count int, value string) {
	t.Helper()
	for i := 0; i < count; i += 100 {
		cmd := "MSET"
		for k := i; k < min(i+100, count); k++ {
			cmd += fmt.Sprintf(" k%d %s", k, value)
		}
		tn.write(t, cmd)
	}
}

// settle waits until all nodes have applied what the first of them has.
func settle(t *testing.T, nodes ...*testNode) {
	t.Helper()
	for _, tn := range nodes {
		eventually(t, tn.cfg.NodeID+" has applied all", func() bool { return tn.machine.Applied() == nodes[0].machine.Applied() })
	}
}

// audit runs an audit that must come to a verdict; the result says who differs
// or is not known.
func (tn *testNode) audit(t *testing.T, want system.Verdict) map[string]system.Verdict {
	t.Helper()
	report, err := tn.Audit(background(t))
	if err != nil {
		t.Fatalf("audit at %s: %v", tn.cfg.NodeID, err)
	}
	if report.Verdict != want {
		t.Fatalf("audit at %s: %+v, want verdict %s", tn.cfg.NodeID, report, want)
	}
	odd := map[string]system.Verdict{}
	for _, d := range report.Nodes {
		if d.Verdict != system.AuditOK {
			odd[d.ID] = d.Verdict
		}
	}
	return odd
}

// refuses fails the test unless the node sends readers and writers to another one.
func (tn *testNode) refuses(t *testing.T) {
	t.Helper()
	var moved *system.NotLeaderError
	if _, err := tn.FollowerBarrier(background(t)); !errors.As(err, &moved) || moved.Leader.ID == tn.cfg.NodeID {
		t.Errorf("%s: read: %v, want the leader", tn.cfg.NodeID, err)
	}
	if _, err := tn.do(0, words("SET k v")); !errors.As(err, &moved) || moved.Leader.ID == tn.cfg.NodeID {
		t.Errorf("%s: write: %v, want the leader", tn.cfg.NodeID, err)
	}
	if got := tn.role(); got != system.Diverged {
		t.Errorf("%s: role = %s, want diverged", tn.cfg.NodeID, got)
	}
	if err := tn.followerRound(&round{}); err == nil { // as where the leader comes to be known just now
		t.Errorf("%s: a read round ends well", tn.cfg.NodeID)
	}
	tn.abstains.mu.Lock()
	defer tn.abstains.mu.Unlock()
	if !tn.abstains.why[hasDiverged] {
		t.Errorf("%s: it may ask for votes", tn.cfg.NodeID)
	}
}

// heal rebuilds a diverged node, asked for at another one.
func heal(t *testing.T, at *testNode, tn *testNode) {
	t.Helper()
	if err := at.Rebuild(background(t), tn.cfg.NodeID); err != nil {
		t.Fatalf("rebuild %s: %v", tn.cfg.NodeID, err)
	}
	if _, err := os.Stat(tn.dir + "/" + divergedFile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", divergedFile, err)
	}
	if got := tn.role(); got != system.Follower && got != system.Learner {
		t.Errorf("%s: role after a rebuild = %s", tn.cfg.NodeID, got)
	}
}

func TestDivergedFollowerIsFoundAndRebuilt(t *testing.T) {
	nodes := trio(t)
	n1, n2 := nodes[0], nodes[1]
	n1.fill(t, 100, "v")
	settle(t, nodes...)
	n1.audit(t, system.AuditOK)
	n2.spoil(t)
	if odd := nodes[2].audit(t, system.AuditDiffers); !maps.Equal(odd, map[string]system.Verdict{"n2": system.AuditDiffers}) {
		t.Errorf("an audit found %v, want n2 to differ", odd)
	}
	n2.refuses(t)
	if info, err := os.Stat(n2.dir + "/" + divergedFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v, want mode 0600", divergedFile, info, err)
	}
	if err := n2.Snapshot(background(t)); err == nil || !strings.Contains(err.Error(), "RAFT.REBUILD") {
		t.Errorf("snapshot of a diverged node: %v", err)
	}
	if err := n1.Transfer(background(t), "n2"); err == nil || !strings.Contains(err.Error(), "RAFT.REBUILD") {
		t.Errorf("transfer to a diverged node: %v", err)
	}
	s := n1.Status(background(t))
	if s.Nodes[1].Role != system.Diverged || s.Audit.Verdict != system.AuditDiffers {
		t.Errorf("the leader's status: %+v, %+v", s.Nodes[1], s.Audit)
	}
	eventually(t, "no client is sent to it", func() bool { return !n1.Members()[1].Alive })

	n2.stop(t)
	n2.run(t, "n2")
	eventually(t, "the restarted node knows the leader", func() bool { m, _, ok := n2.Leader(); return ok && m.ID == "n1" })
	n2.refuses(t)
	n1.write(t, "SET later v")

	heal(t, nodes[2], n2)
	n1.audit(t, system.AuditOK)
	check := func(when string) {
		t.Helper()
		for i := range 100 {
			if got := n2.read(t, fmt.Sprintf("GET k%d", i)); got != "$1\r\nv\r\n" {
				t.Fatalf("%s: GET k%d = %q", when, i, got)
			}
		}
		if got := n2.read(t, "GET wrong") + n2.read(t, "GET later"); got != "$-1\r\n$1\r\nv\r\n" {
			t.Errorf("%s: GET wrong, GET later = %q", when, got)
		}
	}
	check("after the rebuild")
	n1.write(t, "SET k100 v")
	n2.stop(t)
	n2.run(t, "n2")
	check("after a restart")
	n1.audit(t, system.AuditOK)
	if left, _ := os.ReadDir(n1.dir); slices.ContainsFunc(left, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), "rebuild-") }) {
		t.Errorf("the leader's state still lies ready: %v", left)
	}
}

func TestDivergedLeaderGoes(t *testing.T) {
	nodes := trio(t)
	nodes[0].write(t, "SET k v")
	settle(t, nodes...)
	nodes[0].spoil(t)
	report, err := nodes[1].Audit(background(t))
	if err != nil || report.Verdict != system.AuditDiffers || report.Nodes[0].Verdict != system.AuditDiffers || report.Nodes[1].Verdict != system.AuditOK {
		t.Fatalf("audit: %+v, %v, want n1 to differ", report, err)
	}
	if _, ok := nodes[0].serving(); ok {
		t.Error("n1 serves with a state that a majority does not have")
	}
	leader := leaderOf(t, nodes[1:])
	leader.write(t, "SET k w")
	eventually(t, "n1 follows", func() bool { m, _, ok := nodes[0].Leader(); return ok && m.ID == leader.cfg.NodeID })
	nodes[0].refuses(t)
	heal(t, nodes[0], nodes[0])
	leader.audit(t, system.AuditOK)
	if got := nodes[0].read(t, "GET k") + nodes[0].read(t, "GET wrong"); got != "$1\r\nw\r\n$-1\r\n" {
		t.Errorf("GET k, GET wrong = %q", got)
	}
	if err := leader.Transfer(background(t), "n1"); err != nil {
		t.Errorf("transfer to the rebuilt node: %v", err)
	}
}

// A diverged node is handed leadership by a library that knows nothing of it, and
// is the only one left to take it.
func TestDivergedNodeNeverServes(t *testing.T) {
	nodes := trio(t)
	nodes[0].write(t, "SET k v")
	settle(t, nodes...)
	nodes[1].spoil(t)
	nodes[0].audit(t, system.AuditDiffers)
	term := nodes[0].raft.Load().CurrentTerm()
	if err := nodes[0].raft.Load().LeadershipTransferToServer("n2", "n2").Error(); err != nil {
		t.Fatal(err)
	}
	others := []*testNode{nodes[0], nodes[2]}
	eventually(t, "n2 hands over at once", func() bool {
		if _, ok := nodes[1].serving(); ok {
			t.Fatal("n2 serves")
		}
		_, one := others[0].serving()
		_, other := others[1].serving()
		return (one || other) && nodes[1].raft.Load().CurrentTerm() >= term+2
	})
	leader := leaderOf(t, others)
	leader.write(t, "SET k w")
	settle(t, others...) // one that lacks what was acknowledged could not lead
	leader.stop(t)
	for _, tn := range others {
		if tn != leader {
			eventually(t, "the sound one leads", func() bool { _, ok := tn.serving(); return ok })
			if got, _ := tn.fittest(background(t)); got != "" {
				t.Errorf("%s would hand over to %s", tn.cfg.NodeID, got)
			}
			tn.stop(t)
		}
	}
	eventually(t, "the diverged node has nobody to send clients to", func() bool {
		_, err := nodes[1].FollowerBarrier(background(t))
		return errors.Is(err, system.ErrNoLeader)
	})
}

// The two reasons for which a node asks for no votes are independent.
func TestAbstainingHasTwoReasons(t *testing.T) {
	a := newNode(t, "n1")
	a.run(t, "n1")
	a.abstain(hasDiverged, true)
	a.abstain(lacksSpace, true)
	a.abstain(lacksSpace, false)
	if !a.abstains.why[hasDiverged] {
		t.Error("that there is space again makes a diverged node ask for votes")
	}
}

func TestAuditUnderLoad(t *testing.T) {
	nodes := trio(t)
	learner := newNode(t, "n4")
	learner.run(t, "n4")
	if err := nodes[0].Join(background(t), system.JoinRequest{ID: "n4", Raft: learner.addr, Learner: true}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				cmd := fmt.Sprintf("SET k%d:%d %d PX %d", w, i%5000, i, 1+i%500)
				if i%3 == 0 {
					cmd = fmt.Sprintf("APPEND k%d x", i%100)
				}
				if _, err := nodes[0].do(0, words(cmd)); err != nil {
					t.Errorf("%s: %v", cmd, err)
					return
				}
			}
		})
	}
	defer writers.Wait()
	defer cancel()
	all := append(nodes, learner)
	for i := range 100 {
		report, err := all[i%4].Audit(background(t))
		if err != nil || report.Verdict != system.AuditOK || len(report.Nodes) != 4 {
			t.Fatalf("audit %d: %+v, %v", i, report, err)
		}
	}
}

func TestDivergedLearner(t *testing.T) {
	a, b := newNode(t, "n1"), newNode(t, "n2")
	a.run(t, "n1")
	b.run(t, "n2")
	if _, err := a.Audit(background(t)); err == nil || a.state.Load().State != pristine {
		t.Errorf("audit of a fresh node: %v, state %s; want a refusal and pristine", err, a.state.Load().State)
	}
	if err := a.Join(background(t), system.JoinRequest{ID: "n2", Raft: b.addr, Learner: true}); err != nil {
		t.Fatal(err)
	}
	a.write(t, "SET k v")
	settle(t, a, b)
	b.spoil(t)
	if odd := b.audit(t, system.AuditDiffers); !maps.Equal(odd, map[string]system.Verdict{"n2": system.AuditDiffers}) {
		t.Errorf("an audit found %v, want n2 to differ", odd)
	}
	b.refuses(t)
	heal(t, b, b)
	if got := b.read(t, "GET k") + b.read(t, "GET wrong"); got != "$1\r\nv\r\n$-1\r\n" {
		t.Errorf("GET k, GET wrong = %q", got)
	}
	b.stop(t)
	if odd := a.audit(t, system.AuditIncomplete); !maps.Equal(odd, map[string]system.Verdict{"n2": system.AuditUnknown}) {
		t.Errorf("an audit found %v, want n2 unknown", odd)
	}
}

func TestAuditsRunByThemselves(t *testing.T) {
	a, b := newNode(t, "n1"), newNode(t, "n2")
	a.audits, b.audits = 100*time.Millisecond, 100*time.Millisecond
	a.run(t, "n1")
	b.run(t, "n2", a.addr)
	eventually(t, "two voters", func() bool { return len(a.otherVoters()) == 1 })
	var first uint64
	eventually(t, "both know of an audit of both", func() bool {
		first = b.lastAudit().Index
		return first > 0 && b.lastAudit().Verdict == system.AuditOK && len(b.lastAudit().Nodes) == 2 && a.lastAudit().Index > 0
	})
	settle(t, a, b)
	b.spoil(t)
	eventually(t, "the divergence is found", func() bool { return b.role() == system.Diverged })
}

func TestJudge(t *testing.T) {
	const (
		ok, differs, unknown = system.AuditOK, system.AuditDiffers, system.AuditUnknown
		incomplete           = system.AuditIncomplete
		undecided            = system.AuditUndecided
	)
	tests := []struct {
		name    string
		sums    string // of n1, the leader, n2, …; "-" is unknown, a capital a learner's
		verdict system.Verdict
		right   string
		nodes   []system.Verdict
	}{
		{"all agree", "a a a", ok, "a", []system.Verdict{ok, ok, ok}},
		{"one voter", "a", ok, "a", []system.Verdict{ok}},
		{"a follower differs", "a b a", differs, "a", []system.Verdict{ok, differs, ok}},
		{"the leader differs", "b a a", differs, "a", []system.Verdict{differs, ok, ok}},
		{"all differ", "a b c", differs, "a", []system.Verdict{ok, differs, differs}},
		{"one is down", "a a -", incomplete, "a", []system.Verdict{ok, ok, unknown}},
		{"one is down, one differs", "a b -", undecided, "", []system.Verdict{undecided, undecided, unknown}},
		{"one is down, a learner differs", "a a - B", differs, "a", []system.Verdict{ok, ok, unknown, differs}},
		{"all others are down, a learner differs", "a - - B", undecided, "", []system.Verdict{undecided, unknown, unknown, undecided}},
		{"all others are down", "a - -", incomplete, "a", []system.Verdict{ok, unknown, unknown}},
		{"two voters differ", "a b", differs, "a", []system.Verdict{ok, differs}},
		{"two of five are no majority", "a b b - -", undecided, "", []system.Verdict{undecided, undecided, undecided, unknown, unknown}},
		{"nor where all are heard", "a b b c d", differs, "a", []system.Verdict{ok, differs, differs, differs, differs}},
		{"the leader and a learner, one is not heard", "a b b - A", undecided, "", []system.Verdict{undecided, undecided, undecided, unknown, undecided}},
		{"three of five are", "a b b b -", differs, "b", []system.Verdict{differs, ok, ok, ok, unknown}},
		{"learners have no say", "a B B B", differs, "a", []system.Verdict{ok, differs, differs, differs}},
		{"a learner is down", "a a a -L", incomplete, "a", []system.Verdict{ok, ok, ok, unknown}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var answers []digestAnswer
			for i, sum := range strings.Fields(tt.sums) {
				a := digestAnswer{id: fmt.Sprintf("n%d", i+1), voter: sum == strings.ToLower(sum)}
				if !strings.HasPrefix(sum, "-") {
					a.sum = strings.ToLower(sum)
				}
				answers = append(answers, a)
			}
			ruled := judge("n1", answers)
			got, most, voters := ruled.Report, map[string]int{}, 0
			for _, a := range answers {
				if a.voter {
					most[a.sum]++
					voters++
				}
			}
			if want := got.Digest != "" && 2*most[got.Digest] > voters; ruled.Majority != want {
				t.Errorf("majority %v, want %v", ruled.Majority, want)
			}
			if got.Verdict != tt.verdict || got.Digest != tt.right {
				t.Errorf("verdict %s, right %q; want %s, %q", got.Verdict, got.Digest, tt.verdict, tt.right)
			}
			for i, d := range got.Nodes {
				if d.Verdict != tt.nodes[i] {
					t.Errorf("%s: %s, want %s", d.ID, d.Verdict, tt.nodes[i])
				}
			}
		})
	}
}

func TestRebuildRefusals(t *testing.T) {
	nodes := trio(t)
	nodes[0].write(t, "SET k v")
	lone := newNode(t, "n9")
	lone.run(t, "n9")
	for _, tt := range []struct {
		name string
		at   *testNode
		id   string
		want string
	}{
		{"the leader itself", nodes[0], "", "RAFT.TRANSFER"},
		{"the leader, asked elsewhere", nodes[1], "n1", "RAFT.TRANSFER"},
		{"unknown", nodes[1], "n7", "no member"},
		{"fresh node", lone, "", "in no cluster"},
	} {
		err := tt.at.Rebuild(background(t), tt.id)
		var refused *system.RefusedError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want a refusal with %q", tt.name, err, tt.want)
		}
	}
	// A sound node may be rebuilt, as often as one likes, under load too.
	for range 2 {
		heal(t, nodes[0], nodes[2])
	}
	nodes[0].audit(t, system.AuditOK)
}

func TestRebuildUnderLoad(t *testing.T) {
	nodes := trio(t)
	nodes[0].fill(t, 2000, strings.Repeat("x", 100))
	settle(t, nodes...)
	nodes[1].spoil(t)
	nodes[0].audit(t, system.AuditDiffers)
	ctx, cancel := context.WithCancel(context.Background())
	var writers sync.WaitGroup
	var acked [4]int
	for w := range acked {
		writers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if _, err := nodes[0].do(0, words(fmt.Sprintf("SET w%d:%d v", w, i))); err != nil {
					t.Errorf("write: %v", err)
					return
				}
				acked[w] = i + 1
			}
		})
	}
	nodes[1].chunk = 4 << 10
	heal(t, nodes[2], nodes[1])
	cancel()
	writers.Wait()
	nodes[0].audit(t, system.AuditOK)
	for w, count := range acked {
		for i := range count {
			if got := nodes[1].read(t, fmt.Sprintf("GET w%d:%d", w, i)); got != "$1\r\nv\r\n" {
				t.Fatalf("GET w%d:%d = %q", w, i, got)
			}
		}
	}
}

func TestRebuildSurvivesTheLeadersDeath(t *testing.T) {
	nodes := trio(t)
	value := strings.Repeat("x", 10<<10)
	nodes[0].fill(t, 400, value)
	settle(t, nodes...)
	nodes[1].spoil(t)
	nodes[0].audit(t, system.AuditDiffers)
	nodes[1].chunk = 64 // some 64,000 calls: nobody fetches all before the leader is gone
	done := make(chan error, 1)
	go func() { done <- nodes[1].Rebuild(context.Background(), "") }()
	eventually(t, "the leader's state lies ready", func() bool {
		sp := nodes[0].spools
		sp.mu.Lock()
		defer sp.mu.Unlock()
		return sp.byNode["n2"] != nil && sp.byNode["n2"].file != nil
	})
	nodes[0].stop(t)
	if err := <-done; err == nil {
		t.Fatal("a rebuild from a dead leader said success")
	}
	leader := leaderOf(t, []*testNode{nodes[2]})
	leader.write(t, "SET more v") // goes on without the third
	eventually(t, "n2 goes on", func() bool { return nodes[1].visible.Load() >= leader.visible.Load() })
	nodes[1].refuses(t)
	nodes[1].chunk = maxChunk
	heal(t, leader, nodes[1])
	for i := range 400 {
		if got := nodes[1].read(t, fmt.Sprintf("GET k%d", i)); !strings.HasSuffix(got, value+"\r\n") {
			t.Fatalf("GET k%d = %.20q", i, got)
		}
	}
	leftover := nodes[0].dir + "/" + strings.Replace(spoolPattern, "*", "1", 1)
	if err := os.WriteFile(leftover, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	nodes[0].run(t, "n1")
	if _, err := os.Stat(leftover); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a crash left is still there: %v", err)
	}
	settle(t, leader, nodes[0], nodes[1])
	leader.audit(t, system.AuditOK)
}

// What was found before a rebuild is past; what is found while its result is not
// yet on disk keeps the mark.
func TestMarkAndRebuildMeet(t *testing.T) {
	a := newNode(t, "n1")
	a.run(t, "n1")
	d := a.diverged
	set := func(index uint64) {
		t.Helper()
		if err := d.set(divergence{Index: index}); err != nil {
			t.Fatal(err)
		}
	}
	set(5)
	if d.keeps() {
		t.Error("the state of a diverged node may be written down")
	}
	d.replaced(10)
	set(9)
	if !d.keeps() || !d.on() {
		t.Errorf("after an old finding: keeps %v, on %v; want both", d.keeps(), d.on())
	}
	set(11)
	if d.keeps() || d.clear(10) == nil {
		t.Error("a rebuild takes away what was found after it")
	}
	d.replaced(12)
	if err := d.clear(12); err != nil || d.on() {
		t.Errorf("clear: %v, on %v", err, d.on())
	}
}

// A mark whose file cannot be read counts.
func TestDamagedMarkCounts(t *testing.T) {
	a := newNode(t, "n1")
	a.run(t, "n1")
	a.write(t, "SET k v")
	a.stop(t)
	a.wait = 200 * time.Millisecond
	if err := os.WriteFile(a.dir+"/"+divergedFile, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	a.run(t, "n1")
	eventually(t, "the library elects it", func() bool { return a.raft.Load().State() == raft.Leader })
	if _, err := a.do(0, words("SET k w")); !errors.Is(err, system.ErrNoLeader) {
		t.Errorf("write: %v, want ErrNoLeader", err)
	}
	if _, err := a.FollowerBarrier(background(t)); !errors.Is(err, system.ErrNoLeader) {
		t.Errorf("read: %v, want ErrNoLeader", err)
	}
}

// What arrives damaged, or not whole, changes nothing.
func TestRebuildTakesOnlyTheWholeState(t *testing.T) {
	nodes := trio(t)
	n1, n2 := nodes[0], nodes[1]
	n1.fill(t, 500, strings.Repeat("x", 100))
	settle(t, nodes...)
	n2.spoil(t)
	s := n1.spools.expect(spoolRequest{ID: "n2", Nonce: "nonce"})
	n1.spools.reach("nonce")
	<-s.ready
	if s.err != nil {
		t.Fatal(s.err)
	}
	if info, err := os.Stat(s.file.Name()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file that lies ready: %v, %v, want mode 0600", info, err)
	}
	before := n2.machine.Digest()
	take := func(change func(*spooled)) (*fsm.Machine, error) {
		rb := &rebuild{nonce: "nonce", ctx: background(t), from: s.result}
		change(&rb.from)
		return n2.load(rb)
	}
	n2.chunk = 1000
	for name, change := range map[string]func(*spooled){
		"another sum":      func(from *spooled) { from.Sum = strings.Repeat("0", 64) },
		"cut off":          func(from *spooled) { from.Size /= 2 },
		"too long":         func(from *spooled) { from.Size++ },
		"nobody":           func(from *spooled) { from.From = "n3" },
		"of another place": func(from *spooled) { from.Index++ },
	} {
		if _, err := take(change); err == nil || n2.machine.Digest() != before {
			t.Errorf("%s: %v; changed: %v", name, err, n2.machine.Digest() != before)
		}
	}
	whole, err := take(func(*spooled) {})
	if err != nil || whole.Digest() != n1.machine.Digest() {
		t.Errorf("the whole: %v; equal: %v", err, err == nil && whole.Digest() == n1.machine.Digest())
	}
	n2.letGo("n1", "nonce")
	if _, err := take(func(*spooled) {}); err == nil {
		t.Error("what was let go still lies ready")
	}
}
