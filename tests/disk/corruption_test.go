package disk

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// seedEnv makes the random places of damage those of another run.
const seedEnv = "RAFTKV_CORRUPTION_SEED"

// damage is one way in which a file goes bad.
type damage struct {
	name string
	do   func(text []byte) []byte // nil: the file goes
}

func damages(rnd *rand.Rand) []damage {
	flip := func(at func(size int) int) func([]byte) []byte {
		return func(text []byte) []byte {
			if len(text) > 0 {
				text[at(used(text))] ^= 1 << rnd.IntN(8)
			}
			return text
		}
	}
	list := []damage{
		{"missing", nil},
		{"emptied", func([]byte) []byte { return []byte{} }},
		{"half", func(text []byte) []byte { return text[:used(text)/2] }},
		{"-1 byte", func(text []byte) []byte { return text[:len(text)-1] }},
		{"zeroes", func(text []byte) []byte { clear(text[:min(4096, len(text))]); return text }},
		{"flip head", flip(func(size int) int { return rnd.IntN(min(64, size)) })},
		{"flip mid", flip(func(size int) int { return size / 2 })},
		{"flip tail", flip(func(size int) int { return size - 1 - rnd.IntN(min(64, size)) })},
	}
	for i := range 4 {
		list = append(list, damage{fmt.Sprint("random ", i+1), flip(rnd.IntN)})
	}
	return list
}

// used is how much of a file holds something: bbolt's reach far beyond.
func used(text []byte) int { return len(bytes.TrimRight(text, "\x00")) }

// files lists the files of a data directory, below it, that hold state.
func files(t *testing.T, dir string) (list []string) {
	t.Helper()
	list = []string{"identity.json", "peers.json", "vote.db"}
	logs, err := filepath.Glob(dir + "/log*/*") // the segmented log's
	check(t, err)
	if len(logs) == 0 {
		logs = []string{"log.db"}
	}
	for _, path := range logs {
		list = append(list, strings.TrimPrefix(path, dir+"/"))
	}
	snaps, err := filepath.Glob(dir + "/snapshots/*.snap")
	check(t, err)
	slices.Sort(snaps)
	for _, path := range snaps {
		list = append(list, "snapshots/"+filepath.Base(path))
	}
	return list
}

// shortName is what a file is called in the table.
func shortName(file string) string {
	name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	switch dir := filepath.Dir(file); {
	case strings.HasPrefix(dir, "snapshots"):
		return "snapshot " + strings.TrimLeft(strings.SplitN(name, "-", 2)[0], "0")
	case dir == "log":
		return "log " + strings.TrimLeft(name, "0")
	}
	return name
}

// spoil copies a data directory and damages one file of the copy.
func spoil(t *testing.T, dir, file string, d damage) string {
	t.Helper()
	to := copyOf(t, dir)
	path := filepath.Join(to, file)
	if d.do == nil {
		check(t, os.Remove(path))
		return to
	}
	text, err := os.ReadFile(path)
	check(t, err)
	check(t, os.WriteFile(path, d.do(bytes.Clone(text)), 0o600))
	return to
}

// Every file of a data directory is damaged in every way, and the node started:
// it says in one line which file it is and what to do, or it comes up with all
// that it ever acknowledged. It never panics.
func TestCorruption(t *testing.T) {
	seed := uint64(envInt(t, seedEnv, int(time.Now().UnixNano()&0xffffff)))
	t.Logf("%s=%d", seedEnv, seed)
	for _, size := range []int{1, 3} {
		t.Run(fmt.Sprint(size), func(t *testing.T) { corruptAll(t, size, rand.New(rand.NewPCG(seed, uint64(size)))) })
	}
}

// corruptAll runs the matrix on the last node of a cluster. A cluster of one has
// nobody who could bring back what it lost.
func corruptAll(t *testing.T, size int, rnd *rand.Rand) {
	nodes, leader := start(t, size)
	victim := nodes[size-1]
	keys := fill(t, leader, "a", 200)
	has(t, victim, keys)
	victim.MustDo("RAFT.SNAPSHOT")
	keys = append(keys, fill(t, leader, "b", 200)...)
	has(t, victim, keys)
	victim.MustDo("RAFT.SNAPSHOT")
	for i := range 20 { // so that the log's tree has a history
		keys = append(keys, fill(t, leader, fmt.Sprintf("c%d-", i), 20)...)
	}
	has(t, victim, keys)
	victim.Kill()
	good := victim.Dir
	kinds := damages(rnd)
	if snaps, err := filepath.Glob(good + "/snapshots/*.snap"); err != nil || len(snaps) != 2 {
		t.Fatalf("%d snapshots, %v; want 2", len(snaps), err)
	}
	header := []string{fmt.Sprintf("%-13s", fmt.Sprintf("%d node(s)", size))}
	for _, d := range kinds {
		header = append(header, fmt.Sprintf("%-9s", d.name))
	}
	table := []string{strings.Join(header, " ")}
	for _, file := range files(t, good) {
		label := shortName(file)
		row := []string{fmt.Sprintf("%-13s", label)}
		for _, d := range kinds {
			victim.Dir = spoil(t, good, file, d)
			verdict := startDamaged(t, victim, damaged{keys, good, file, label + ", " + d.name})
			row = append(row, fmt.Sprintf("%-9s", verdict))
			check(t, os.RemoveAll(victim.Dir))
		}
		table = append(table, strings.Join(row, " "))
	}
	fmt.Println(strings.Join(table, "\n"))
	victim.Dir = good
	victim.Start().WaitReady(patience)
	checkAll(t, victim, keys)
}

// start starts a cluster and returns who leads it.
func start(t *testing.T, size int) ([]*proc.Node, *proc.Node) {
	t.Helper()
	if size == 1 {
		n := proc.NewNode(t, "node1").Start().WaitReady(patience)
		n.MustDo("SET", "first", "1") // it founds its cluster
		return []*proc.Node{n}, n
	}
	c := proc.StartCluster(t, size)
	return c.Nodes, c.Leader()
}

// has waits until a node has all keys.
func has(t *testing.T, n *proc.Node, keys []string) {
	t.Helper()
	proc.Eventually(t, patience, n.ID+" has all", func() error {
		if missing := lost(t, n, keys); len(missing) > 0 {
			return fmt.Errorf("it lacks %d keys", len(missing))
		}
		return nil
	})
}

// damaged is what is known of a node that is to be started.
type damaged struct {
	keys             []string // acknowledged by its cluster before
	good, file, what string
}

// startDamaged starts the node and returns what came of it.
func startDamaged(t *testing.T, n *proc.Node, d damaged) string {
	t.Helper()
	if _, err := raftkvCheckEnds(t, n.Dir); err != nil {
		t.Errorf("%s: %v", d.what, err)
	}
	mark := n.LogTail(1 << 20)
	n.Start()
	err := proc.Poll(patience, func() error {
		if !n.Running() {
			return nil
		}
		return n.Ready()
	})
	said := strings.TrimSpace(strings.TrimPrefix(n.LogTail(1<<20), mark))
	switch {
	case err != nil:
		t.Errorf("%s: neither refused nor ready: %v\n%s", d.what, err, said)
		n.Kill()
		return "HANGS"
	case n.Running():
		missing := lost(t, n, d.keys)
		n.Kill()
		if len(missing) > 0 {
			t.Errorf("%s: it came up without %d of %d keys, first %s", d.what, len(missing), len(d.keys), missing[0])
			return "LOST"
		}
		return "up"
	}
	line := lastLine(said)
	file := filepath.Join(n.Dir, d.file)
	if d.file != "identity.json" && strings.HasPrefix(d.file, "snapshots") && strings.Contains(line, "is missing") {
		file = filepath.Dir(file) // whose name was it?
	}
	named := strings.Contains(line, file) || d.file == "identity.json" && strings.Contains(line, "identity.json")
	if n.Wait(patience) == nil || !strings.HasPrefix(line, "raftkv: ") || !named || strings.Contains(said, "goroutine ") || strings.Count(said, "raftkv: ") != 1 {
		t.Errorf("%s: it ended without one clear line: %v\n%s", d.what, n.Wait(patience), said)
		return "UNCLEAR"
	}
	if !wayOut(line) {
		t.Errorf("%s: no way out in %q", d.what, line)
	}
	return "refused"
}

func wayOut(line string) bool {
	for _, words := range []string{"restore", "choose another", "put it back", "use the version", "start this node anew", "start it with", "was it removed"} {
		if strings.Contains(line, words) {
			return true
		}
	}
	return false
}

// raftkvCheckEnds runs check, which must end with 0 or 1 and change nothing.
func raftkvCheckEnds(t *testing.T, dir string) (string, error) {
	before := contents(t, dir)
	out, status := raftkv(t, "check", "--data-dir", dir)
	if status != 0 && status != 1 {
		return out, fmt.Errorf("check: status %d, %s", status, out)
	}
	if !slices.Equal(before, contents(t, dir)) {
		return out, errors.New("check changed something")
	}
	return out, nil
}

func contents(t *testing.T, dir string) (list []string) {
	t.Helper()
	check(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		list = append(list, path, string(text))
		return err
	}))
	return list
}

// A bit of a stored entry flips on a leader's disk while it runs, and a follower
// that was away needs the entry: the leader ends with one line and sends nothing
// wrong, and the other two go on with all data.
func TestDamageMetWhileRunning(t *testing.T) {
	c := proc.StartCluster(t, 3)
	away := c.Follower()
	away.Kill()
	keys := fill(t, c.Leader(), "spoil-this-key-", 50)
	for _, n := range c.Nodes {
		n.Kill() // what they wrote is in their memory otherwise
	}
	for _, n := range c.Nodes {
		if n != away {
			n.Start()
		}
	}
	leader := c.Leader()
	path := filepath.Join(leader.Dir, files(t, leader.Dir)[3])
	if strings.HasSuffix(path, "tail") { // of a segmented log, whose first entries are all in one file
		path = filepath.Join(leader.Dir, "log", fmt.Sprintf("%016d.seg", 1))
	}
	text, err := os.ReadFile(path)
	check(t, err)
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	check(t, err)
	spoilt := 0
	for at := 0; ; at, spoilt = at+1, spoilt+1 {
		next := bytes.Index(text[at:], []byte("spoil-this-key-7"))
		if next < 0 {
			break
		}
		at += next
		_, err := file.WriteAt([]byte{text[at] ^ 1}, int64(at))
		check(t, err)
	}
	check(t, file.Close())
	if spoilt == 0 {
		t.Fatal("the entry is not in the file")
	}
	away.Start()
	if err := leader.Wait(patience); err == nil || leader.Running() {
		t.Errorf("the leader read a damaged entry and ended with %v", err)
	}
	if line := lastLine(leader.LogTail(1)); !strings.HasPrefix(line, "raftkv: ") || !strings.Contains(line, path) || !wayOut(line) {
		t.Errorf("it said %q", line)
	}
	has(t, away, keys)
	c.Leader().MustDo("SET", "after", "1")
	if got, err := away.ReadOnly().Keys(ctx, "*").Result(); err != nil || len(got) != len(keys)+1 {
		t.Errorf("%d keys, %v; want %d", len(got), err, len(keys)+1)
	}
}
