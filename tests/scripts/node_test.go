package scripts

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// oneNode is a cluster of one.
type oneNode struct {
	stay
	node *proc.Node
}

func (o *oneNode) open() (client, error) { return dial("tcp", o.node.RESP) }

func TestOneNode(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	n := proc.NewNode(t, "node1", "--enable-debug-command", "yes").Start().WaitReady(time.Minute)
	for _, s := range corpus(t) {
		t.Run(s.path, func(t *testing.T) { run(t, &oneNode{node: n}, s) })
	}
}

// threeNodes is a cluster whose leader changes while a script runs. Its clients
// are connected to the leader, and follow it.
type threeNodes struct {
	cluster *proc.Cluster
	leader  *proc.Node
	term    int64 // in which that was found to lead
	// faults says what happens before which step: the leader hands over, or dies.
	faults map[int]fault
	step   int
	down   *proc.Node // killed, to be started again
}

type fault int

const (
	transfer fault = iota
	kill
)

// plan puts at most two faults into a script, seeded with its name: the same in each run.
func (c *threeNodes) plan(s *script) {
	c.faults, c.step = map[int]fault{}, 0
	if s.has("pinned") {
		return
	}
	h := fnv.New64a()
	h.Write([]byte(s.path))
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	steps := len(s.steps())
	for range 2 {
		c.faults[r.IntN(steps)] = transfer
	}
	if r.IntN(10) == 0 { // kill -9 in some
		for at := range c.faults {
			c.faults[at] = kill
			break
		}
	}
}

func (c *threeNodes) open() (client, error) { return &follower{cluster: c}, nil }

func (c *threeNodes) between(t *testing.T, _ *step) {
	t.Helper()
	what, due := c.faults[c.step]
	if c.step++; !due {
		return
	}
	switch what {
	case transfer:
		old := c.leader
		old.MustDo("RAFT.TRANSFER")
		proc.Eventually(t, 30*time.Second, "another leader", func() error {
			if c.find(); c.leader == old {
				return errors.New("still " + old.ID)
			}
			return nil
		})
	case kill:
		c.down = c.leader
		c.down.Kill()
		c.find()
	}
}

// find notes who leads, and in which term.
func (c *threeNodes) find() {
	c.leader = c.cluster.Leader()
	c.term = 0
	if s, err := c.leader.Status(); err == nil {
		c.term = s.Term
	}
}

// unasked: under load a leader may lose its term by itself. MOVED without another leader
// or term is none of that, and stays a failure. The faults come again as well.
func (c *threeNodes) unasked(reply string) bool {
	if !strings.Contains(reply, "MOVED ") {
		return false
	}
	leader, term := c.leader, c.term
	if c.find(); c.leader == leader && c.term == term {
		return false
	}
	c.mend()
	c.step = 0
	return true
}

// mend brings back what a script killed.
func (c *threeNodes) mend() {
	if c.down == nil {
		return
	}
	c.down.Start()
	c.cluster.WaitCaughtUp(c.down)
	c.down = nil
	c.find()
}

// follower is a connection to the leader. When that changes it connects to the new
// one and brings along what it had asked for: the database.
type follower struct {
	cluster *threeNodes
	node    *proc.Node
	conn    *conn
	db      int
}

func (f *follower) close() {
	if f.conn != nil {
		f.conn.close()
	}
}

func (f *follower) do(proto int, args []string) (resp.Value, error) {
	if f.node != f.cluster.leader {
		if err := f.connect(); err != nil {
			return resp.Value{}, err
		}
	}
	v, err := f.conn.do(proto, args)
	if strings.EqualFold(args[0], "SELECT") && v.Kind == resp.KindSimple && string(v.Str) == "OK" {
		f.db, _ = strconv.Atoi(args[1])
	}
	return v, err
}

func (f *follower) connect() (err error) {
	f.close()
	if f.conn, err = dial("tcp", f.cluster.leader.RESP); err != nil {
		return err
	}
	f.node = f.cluster.leader
	if f.db != 0 {
		v, err := f.conn.do(2, []string{"SELECT", fmt.Sprint(f.db)})
		if err == nil {
			err = v.Err()
		}
		return err
	}
	return nil
}

func TestThreeNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	c := &threeNodes{cluster: proc.StartCluster(t, 3, "--enable-debug-command", "yes")}
	c.find()
	transfers, kills := 0, 0
	for _, s := range corpus(t) {
		t.Run(s.path, func(t *testing.T) {
			c.plan(s)
			run(t, c, s)
		})
		for at, what := range c.faults {
			switch {
			case at >= c.step: // not reached
			case what == kill:
				kills++
			default:
				transfers++
			}
		}
		c.mend()
	}
	t.Logf("the leader handed over %d times, and was killed %d times", transfers, kills)
}

// hasty are three nodes whose leader hands over once behind the runner's back.
type hasty struct {
	*threeNodes
	at, steps int
}

func (h *hasty) open() (client, error) {
	return &intruder{client: &follower{cluster: h.threeNodes}, h: h}, nil
}

// intruder is a client before whose command of that number the leader changes.
type intruder struct {
	client
	h *hasty
}

func (i *intruder) do(proto int, args []string) (resp.Value, error) {
	if i.h.steps++; i.h.steps == i.h.at {
		i.h.leader.MustDo("RAFT.TRANSFER")
		i.h.cluster.Leader()
	}
	return i.client.do(proto, args)
}

// TestLeaderChangesUnasked: a script goes on, from its beginning, wherever a change of
// leader that nobody planned meets it, in a transaction and before its first command too.
func TestLeaderChangesUnasked(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	s, err := parse("unasked.txt", "# What a transaction sees.\n\nINCR k\n(integer) 1\n\nMULTI\nOK\n\nINCR k\nQUEUED\n\nEXEC\n1) (integer) 2\n\nGET k\n\"2\"\n")
	if err != nil {
		t.Fatal(err)
	}
	c := &threeNodes{cluster: proc.StartCluster(t, 3)}
	for at := 1; at <= 6; at++ {
		t.Run(fmt.Sprint("command ", at), func(t *testing.T) {
			c.find()
			h := &hasty{threeNodes: c, at: at}
			if run(t, h, s); h.steps <= len(s.steps())+1 {
				t.Errorf("%d commands: it did not begin anew", h.steps)
			}
		})
	}
}
