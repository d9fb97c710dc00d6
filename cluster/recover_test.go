package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/cluster/logstore"
	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

const oldCluster = "11111111-2222-3333-4444-555555555555"

// survivor makes the data directory of n1, one of three voters of which no other
// lives: keys k0 to k9, the first five behind a snapshot if there is one.
func survivor(t *testing.T, snapshot bool) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	must(t, os.Mkdir(dir, 0o700))
	d := &dataDir{path: dir}
	must(t, d.save(identity{Format: 1, NodeID: "n1", UUID: oldCluster, State: founded, Cluster: oldCluster, Stores: true, Bootstrapped: true}))
	must(t, writeFileDurably(d.file(peersFile), bookFile{Addresses: map[string]string{"n2": "127.0.0.1:1"}}))
	votes, err := logstore.CreateVote(d.file(voteFile), oldCluster)
	must(t, err)
	must(t, votes.SetUint64([]byte("CurrentTerm"), 7))
	must(t, votes.SetUint64([]byte("LastVoteTerm"), 6))
	must(t, votes.Set([]byte("LastVoteCand"), []byte("n2")))
	logs, err := logstore.Bolt.Create(d.path, oldCluster)
	must(t, err)
	servers := raft.Configuration{}
	for _, id := range []string{"n1", "n2", "n3"} {
		servers.Servers = append(servers.Servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(id)})
	}
	entries := []*raft.Log{
		{Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(servers)},
		{Type: raft.LogNoop},
		command(entry.Proposal{System: true, Commands: []entry.Command{system.ClusterInit(oldCluster), system.MemberSet(system.Member{ID: "n1", Raft: "127.0.0.1:1", Dir: oldCluster})}}),
	}
	for i := range 10 {
		entries = append(entries, command(entry.Proposal{Commands: []entry.Command{{Args: [][]byte{[]byte("SET"), fmt.Appendf(nil, "k%d", i), []byte("v")}}}}))
	}
	for i, e := range entries {
		e.Index, e.Term = uint64(i+1), uint64(1+i/4)
	}
	must(t, logs.StoreLogs(entries))
	if snapshot {
		snaps, err := logstore.OpenSnapshots(d.file(snapshotDir), 2, nil)
		must(t, err)
		must(t, snaps.Guard(votes))
		m := fsm.New()
		for _, e := range entries[:8] {
			if b, err := entry.Decode(e.Data); e.Type == raft.LogCommand {
				must(t, err)
				m.Apply(fsm.Position{Index: e.Index, Term: e.Term}, b, nil)
			}
		}
		sink, err := snaps.Create(1, 8, entries[7].Term, servers, 1, nil)
		must(t, err)
		_, err = m.Snapshot().WriteTo(sink)
		must(t, errors.Join(err, sink.Close()))
		must(t, logs.DeleteRange(1, 8))
	}
	must(t, errors.Join(votes.Close(), logs.Close()))
	return dir
}

// command is an entry as the first programs wrote it.
func command(p entry.Proposal) *raft.Log {
	return &raft.Log{Type: raft.LogCommand, Data: entry.Append(nil, &entry.Batch{Version: system.FirstVersion, ID: 1, Now: 1, Proposals: []entry.Proposal{p}})}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// holds fails the test unless a recovery of the directory would find all keys.
func holds(t *testing.T, dir string) *Recovery {
	t.Helper()
	r := &Recovery{dir: dir, machine: fsm.New()}
	var err error
	r.Report, err = Check(dir)
	must(t, err)
	if len(r.Report.Findings) > 0 {
		t.Fatalf("not sound: %q", r.Report.Findings)
	}
	must(t, r.replay())
	for i := range 10 {
		w := resp.NewWriter(2, nil)
		p := entry.Proposal{Commands: []entry.Command{{Read: true, Args: [][]byte{[]byte("GET"), fmt.Appendf(nil, "k%d", i)}}}}
		must(t, r.machine.Read(&p, 1, w))
		if got := string(w.Bytes()); got != "$1\r\nv\r\n" {
			t.Errorf("k%d = %q", i, got)
		}
	}
	return r
}

// Whichever step a crash comes before, the directory is the old one or the new
// one, whole, with all data; and recover can be run again: on an old one, and on a
// new one to have the rest done.
func TestRecoverCrashes(t *testing.T) {
	for _, snapshot := range []bool{false, true} {
		steps, switched := []string{}, false
		for at := 0; ; at++ {
			dir := survivor(t, snapshot)
			r, err := OpenRecovery(context.Background(), dir, Around{})
			must(t, err)
			crashed, n := errors.New("crash"), 0
			r.crash = func(step string) error {
				if n++; n > at {
					steps = append(steps, step)
					return crashed
				}
				switched = switched || step == "identity"
				return nil
			}
			switched = false // until the step that switches over was taken
			_, err = r.Apply()
			r.Close()
			if err != nil && !errors.Is(err, crashed) {
				t.Fatal(err)
			}
			got := holds(t, dir)
			if isNew := got.Report.ClusterID != oldCluster; isNew != switched {
				t.Errorf("crash before %q: cluster %s", steps[len(steps)-1], got.Report.ClusterID)
			}
			if switched {
				checkRecovered(t, got)
			} else {
				checkAgain(t, dir)
			}
			if err == nil {
				checkKept(t, dir)
				break
			}
			if switched {
				checkFinishes(t, dir, got.Report.ClusterID)
			}
		}
		if len(steps) != 15 || steps[0] != "clean" || steps[6] != "identity" || steps[14] != "done" {
			t.Errorf("steps: %q", steps)
		}
	}
}

// checkFinishes runs recover after one that was cut off when the directory was the
// new cluster's already: before each of the steps that are left, and to the end.
func checkFinishes(t *testing.T, dir, cluster string) {
	t.Helper()
	crashed := errors.New("crash")
	for at := 0; ; at++ {
		r, err := OpenRecovery(context.Background(), dir, Around{})
		must(t, err)
		if r.Unfinished != oldCluster {
			t.Fatalf("%q is said to be unfinished, want %s", r.Unfinished, oldCluster)
		}
		n := 0
		r.crash = func(string) error {
			if n++; n > at {
				return crashed
			}
			return nil
		}
		id, err := r.Apply()
		r.Close()
		if err == nil {
			if id != cluster {
				t.Errorf("cluster %s became %s", cluster, id)
			}
			break
		}
		if !errors.Is(err, crashed) {
			t.Fatal(err)
		}
		checkRecovered(t, holds(t, dir))
	}
	checkRecovered(t, holds(t, dir))
	checkKept(t, dir)
}

// checkKept: what the node had before is kept, whole, and nothing of it is left
// where it was; nor is there anything left to do.
func checkKept(t *testing.T, dir string) {
	t.Helper()
	before := filepath.Join(dir, beforePrefix+oldCluster)
	if old, err := Check(before); err != nil || len(old.Findings) > 0 || old.ClusterID != oldCluster || old.Last() != (Place{13, 4}) {
		t.Errorf("what was kept: %+v, %v", old, err)
	}
	left := []string{}
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		if name := e.Name(); !strings.HasPrefix(name, recoveredPrefix) && name != lockFile {
			left = append(left, name)
		}
	}
	if want := []string{filepath.Base(before), identityFile}; !slices.Equal(left, want) {
		t.Errorf("the data dir holds %q, want %q", left, want)
	}
	_, err = OpenRecovery(context.Background(), dir, Around{})
	if err == nil || !strings.Contains(err.Error(), "nothing to recover") {
		t.Errorf("recover of a recovered node: %v", err)
	}
}

// A node that was recovered is recovered once more, and that is cut off: the first
// recovery's stores, which are not at the top of the data directory, are kept too.
func TestRecoverTwice(t *testing.T) {
	dir := survivor(t, true)
	r, err := OpenRecovery(context.Background(), dir, Around{})
	must(t, err)
	first, err := r.Apply()
	r.Close()
	must(t, err)
	again := &Recovery{dir: dir, machine: fsm.New()} // as if others had joined and were lost
	again.Report, err = Check(dir)
	must(t, errors.Join(err, again.resume(), again.replay()))
	again.crash = func(step string) error {
		if step == "keep vote" {
			return errors.New("crash")
		}
		return nil
	}
	if _, err := again.Apply(); err == nil {
		t.Fatal("it was to crash")
	}
	r, err = OpenRecovery(context.Background(), dir, Around{})
	must(t, err)
	if r.Unfinished != first {
		t.Errorf("unfinished %q, want %q", r.Unfinished, first)
	}
	second, err := r.Apply()
	r.Close()
	must(t, err)
	for path, cluster := range map[string]string{dir: second, filepath.Join(dir, beforePrefix+first): first} {
		if got := holds(t, path).Report.ClusterID; got != cluster {
			t.Errorf("%s is of cluster %s, want %s", path, got, cluster)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, recoveredPrefix+"*")); len(left) != 1 || !strings.HasSuffix(left[0], second) {
		t.Errorf("left over: %q", left)
	}
}

// checkAgain runs recover after one that was cut off.
func checkAgain(t *testing.T, dir string) {
	t.Helper()
	r, err := OpenRecovery(context.Background(), dir, Around{})
	must(t, err)
	id, err := r.Apply()
	r.Close()
	must(t, err)
	checkRecovered(t, holds(t, dir))
	if left, _ := filepath.Glob(filepath.Join(dir, recoveredPrefix+"*")); len(left) != 1 || !strings.HasSuffix(left[0], id) {
		t.Errorf("left over: %q", left)
	}
	if old, err := Check(filepath.Join(dir, beforePrefix+oldCluster)); err != nil || len(old.Findings) > 0 || old.ClusterID != oldCluster {
		t.Errorf("what was kept: %+v, %v", old, err)
	}
}

func checkRecovered(t *testing.T, r *Recovery) {
	t.Helper()
	rep := r.Report
	if !slices.Equal(rep.Configuration.Voters, []string{"n1"}) || rep.Last() != (Place{13, 4}) || rep.State != founded {
		t.Errorf("voters %q, last %v, %s", rep.Configuration.Voters, rep.Last(), rep.State)
	}
	if rep.Term != 7 || rep.Vote != (VoteReport{6, "n2"}) {
		t.Errorf("term %d, vote %v: want 7, and n2 in 6", rep.Term, rep.Vote)
	}
	if got := r.machine.Members(); r.machine.ClusterID() != rep.ClusterID || len(got) != 1 || got[0].Dir != rep.ClusterID {
		t.Errorf("cluster %s, members %v", r.machine.ClusterID(), got)
	}
	if rep.id.voids(oldCluster) {
		t.Error("the directory claims that the old cluster was never founded")
	}
}

func TestRecoverRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T) string
		want string
	}{
		{"no directory", func(t *testing.T) string { return t.TempDir() + "/none" }, "no such file"},
		{"no data dir", func(t *testing.T) string { return t.TempDir() }, identityFile},
		{"pristine", func(t *testing.T) string {
			dir := t.TempDir()
			must(t, (&dataDir{path: dir}).create("n1"))
			return dir
		}, "nothing to recover"},
		{"damaged", func(t *testing.T) string {
			dir := survivor(t, false)
			must(t, os.Truncate(logstore.Bolt.Path(dir), 4096))
			return dir
		}, "not sound"},
		{"removed", func(t *testing.T) string {
			dir := survivor(t, false)
			d := &dataDir{path: dir}
			id, err := readIdentity(dir)
			must(t, err)
			id.State = left
			must(t, d.save(id))
			return dir
		}, "was removed from cluster"},
		{"in the way", func(t *testing.T) string {
			dir := survivor(t, false)
			must(t, os.Mkdir(filepath.Join(dir, beforePrefix+oldCluster), 0o700))
			return dir
		}, "move it away"},
		{"running", func(t *testing.T) string {
			dir := survivor(t, false)
			d, err := openDataDir(dir, "n1")
			must(t, err)
			t.Cleanup(d.close)
			return dir
		}, "a node runs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := c.make(t)
			before := listing(t, dir)
			_, err := OpenRecovery(context.Background(), dir, Around{})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, c.want)
			}
			if after := listing(t, dir); !slices.Equal(before, after) {
				t.Errorf("changed from %q to %q", before, after)
			}
		})
	}
}

// What takes a connection at a voter's address may be that voter, whatever it says.
func TestRecoverCountsWhoDoesNotSay(t *testing.T) {
	for _, c := range []struct{ name, says string }{
		{"another version", "RAFTKV\r\n\x63\x01\x00\x00"},
		{"another protocol", "-ERR unknown command\r\n"},
		{"a reset", ""},
	} {
		addr := answering(t, c.says)
		t.Run(c.name, func(t *testing.T) {
			for _, at := range []struct {
				name  string
				book  map[string]string
				know  Around
				alive string // "" where it counts as nobody
			}{
				{"a voter's address", map[string]string{"n2": addr}, Around{}, "n2 at " + addr},
				{"an address to ask", map[string]string{}, Around{Ask: []string{addr}}, addr},
				{"known to be foreign", map[string]string{"n2": addr}, Around{Foreign: []string{addr}}, ""},
				{"nobody's address", map[string]string{"n9": addr}, Around{}, ""},
			} {
				dir := survivor(t, false)
				must(t, writeFileDurably(filepath.Join(dir, peersFile), bookFile{Addresses: at.book}))
				r, err := OpenRecovery(context.Background(), dir, at.know)
				if err == nil {
					r.Close()
				}
				refused := err != nil && strings.Contains(err.Error(), "a quorum may be reached") && strings.Contains(err.Error(), at.alive)
				if at.alive == "" && err != nil || at.alive != "" && !refused {
					t.Errorf("%s: error %v", at.name, err)
				}
			}
		})
	}
}

// One that takes the connection and is silent may be a voter that hangs.
func TestRecoverCountsWhoHangs(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // the kernel takes connections
	must(t, err)
	defer ln.Close()
	dir := survivor(t, false)
	must(t, writeFileDurably(filepath.Join(dir, peersFile), bookFile{Addresses: map[string]string{"n2": ln.Addr().String()}}))
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if _, err := OpenRecovery(ctx, dir, Around{}); err == nil || !strings.Contains(err.Error(), "a quorum may be reached") {
		t.Errorf("error %v", err)
	}
}

// answering listens and says the same to everybody, then hangs up; with nothing to
// say, it resets the connection.
func answering(t *testing.T, says string) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			if says == "" {
				_ = conn.(*net.TCPConn).SetLinger(0)
			} else {
				_, _ = io.ReadAtLeast(conn, make([]byte, 512), 1) // unread, it would be a reset too
				_, _ = io.WriteString(conn, says)
			}
			conn.Close()
		}
	})
	t.Cleanup(func() {
		ln.Close()
		work.Wait()
	})
	return ln.Addr().String()
}

// listing is the names and contents below a directory, but for the lock.
func listing(t *testing.T, dir string) (list []string) {
	t.Helper()
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && e.Name() != lockFile {
			text, err := os.ReadFile(path)
			must(t, err)
			list = append(list, path+string(text))
		}
		return nil
	})
	return list
}

func TestCheckChangesNothing(t *testing.T) {
	dir := survivor(t, true)
	before := listing(t, dir)
	r, err := Check(dir)
	must(t, err)
	want := LogReport{Store: logstore.Bolt, First: Place{9, 3}, Last: Place{13, 4}, Entries: 5, Bytes: r.Log.Bytes}
	if r.Log != want || len(r.Findings) > 0 || r.Addresses["n2"] != "127.0.0.1:1" || len(r.Configuration.Voters) != 3 {
		t.Errorf("%+v", r)
	}
	if !slices.Equal(before, listing(t, dir)) {
		t.Error("it was changed")
	}
	if _, err := os.Stat(filepath.Join(dir, lockFile)); err == nil {
		t.Error("a lock file was made")
	}
}
