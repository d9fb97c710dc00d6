package security

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// token makes a join token on a node.
func token(t *testing.T, n *proc.Node, args ...any) string {
	t.Helper()
	got, ok := n.MustDo(append([]any{"RAFT.TOKEN", "CREATE"}, args...)...).(string)
	if !ok || len(got) < 30 {
		t.Fatalf("RAFT.TOKEN CREATE returned %v", got)
	}
	return got
}

// joiner is a node that asks to be let in with a token, "" for none.
func joiner(t *testing.T, id, at, token string) *proc.Node {
	t.Helper()
	n := proc.NewNode(t, id, append([]string{"--join", at}, patient...)...)
	if token != "" {
		n.Env = append(n.Env, "RAFTKV_JOIN_TOKEN="+token)
	}
	return n
}

// refused starts a node that must end with one line that has all the words, and returns
// the last of them.
func refused(t *testing.T, n *proc.Node, words ...string) string {
	t.Helper()
	n.Start()
	if err := n.Wait(patience); err == nil {
		t.Errorf("%s ended well", n.ID)
	}
	line := n.LogTail(1)
	for _, word := range append([]string{"raftkv: ", "does not admit it"}, words...) {
		if !strings.Contains(line, word) {
			t.Errorf("%s ended with %q, want %q", n.ID, line, word)
		}
	}
	return "the joiner ends: does not admit it … " + words[len(words)-1]
}

const byJoining = "joining"

// TestJoinTokens: from the first token on nobody joins by itself without one, and each
// lets one node in, whatever member is asked, also after a restart of all.
func TestJoinTokens(t *testing.T) {
	t.Parallel()
	c := proc.StartCluster(t, 3, patient...)
	w := before(t, c)
	follower := c.Follower()
	first := token(t, follower) // made on a follower, counts on all
	for _, try := range []struct{ name, token, want string }{
		{"without a token", "", "a join token is needed"},
		{"with a guessed token", "raftkv-join-GUESSED", "unknown here, or was used already"},
	} {
		w.attack(t, byJoining, try.name, func(t *testing.T) (_, did string) {
			for _, at := range []*proc.Node{w.leader, follower} {
				did = refused(t, joiner(t, "node4", at.Raft, try.token), at.Raft, try.want)
			}
			return "raftkv --join, at the leader and at a follower", did
		})
	}
	logged(t, w.leader, "a node that asks to join was turned away", "node=node4")

	n4 := joiner(t, "node4", follower.Raft, first).Start()
	c.Add(n4)
	c.WaitVoters(4)
	w = w.again(t)
	w.attack(t, byJoining, "with a used token", func(t *testing.T) (string, string) {
		return "the token of a node that is in, by a fresh node", refused(t, joiner(t, "node5", w.leader.Raft, first), "unknown here, or was used already")
	})

	// An expired one; the clock of the log decides, so one waits for that.
	second := token(t, w.leader, 1)
	proc.Eventually(t, patience, "the token expires", func() error {
		open := w.leader.MustDo("RAFT.TOKEN", "LIST").(map[any]any)["tokens"].([]any)
		expires := open[0].(map[any]any)["expires"].(int64)
		if time.Now().Unix() <= expires+1 {
			return fmt.Errorf("it expires %d", expires)
		}
		return nil
	})
	w.attack(t, byJoining, "with an expired token", func(t *testing.T) (string, string) {
		return "a token of one second, two seconds later", refused(t, joiner(t, "node5", w.leader.Raft, second), "has expired")
	})
	w.left()

	// A restart of all forgets neither the need nor the tokens, and a snapshot neither.
	third := token(t, w.leader)
	for _, n := range c.Nodes {
		n.MustDo("RAFT.SNAPSHOT")
	}
	for _, n := range c.Nodes {
		n.Kill()
	}
	for _, n := range c.Nodes {
		n.Start() // node4 with a token that was spent: it is a member
	}
	c.WaitVoters(4)
	leader := c.Leader()
	did := refused(t, joiner(t, "node5", leader.Raft, ""), "a join token is needed")
	table.Add(byJoining, "without a token, after a restart", "kill -9 of all nodes, then raftkv --join", did, "–", "–")
	n5 := joiner(t, "node5", leader.Raft, third).Start()
	c.Add(n5)
	c.WaitVoters(5)

	noSecrets(t, c, first, second, third)

	// An operator needs none, and may end it.
	n6 := proc.NewNode(t, "node6", patient...).Start().WaitReady(patience)
	leader.MustDo("RAFT.JOIN", "node6", n6.Raft)
	c.Add(n6)
	c.WaitVoters(6)
	leader.MustDo("RAFT.TOKEN", "OFF")
	n7 := joiner(t, "node7", leader.Raft, "").Start()
	c.Add(n7)
	c.WaitVoters(7)
}

// noSecrets checks that no token stands in a log or in what servers tell.
func noSecrets(t *testing.T, c *proc.Cluster, tokens ...string) {
	t.Helper()
	for _, n := range c.Nodes {
		text, err := os.ReadFile(n.LogPath)
		if err != nil {
			t.Fatal(err)
		}
		said := string(text)
		for _, ask := range [][]any{{"INFO", "everything"}, {"CONFIG", "GET", "*"}, {"SLOWLOG", "GET", "-1"}, {"RAFT.STATUS"}, {"RAFT.TOKEN", "LIST"}} {
			said += fmt.Sprint(n.MustDo(ask...))
		}
		if at := slices.IndexFunc(tokens, func(token string) bool { return strings.Contains(said, token) }); at >= 0 {
			t.Errorf("%s tells token %d", n.ID, at+1)
		}
	}
}

// TestATokenWithTLS: both are needed, the certificate and the token.
func TestATokenWithTLS(t *testing.T) {
	t.Parallel()
	a, foreign := certs(t), certs(t)
	c := a.cluster(t)
	w := before(t, c)
	secret := token(t, w.leader)
	const where = "joining, TLS"
	w.attack(t, where, "a good token and a foreign certificate", func(t *testing.T) (string, string) {
		stranger := joiner(t, "node4", w.leader.Raft, secret)
		stranger.Flags = append(stranger.Flags, foreign.flags("node4")...)
		stranger.Start()
		logged(t, stranger, "not admitted to a cluster yet", "is not accepted")
		stranger.Kill()
		return "raftkv --join", "does not let it in; the token stays unspent"
	})
	w.attack(t, where, "a good certificate and no token", func(t *testing.T) (string, string) {
		uninvited := joiner(t, "node4", w.leader.Raft, "")
		uninvited.Flags = append(uninvited.Flags, a.flags("node4")...)
		return "raftkv --join", refused(t, uninvited, "a join token is needed")
	})
	w.left()
	n := a.node(t, "node4", append(patient, "--join", w.leader.Raft, "--join-token", secret)...).Start()
	c.Add(n)
	c.WaitVoters(4)
}

// TestATokenOnAFreshNode: the first thing that a cluster ever does may be a token.
func TestATokenOnAFreshNode(t *testing.T) {
	t.Parallel()
	n1 := proc.NewNode(t, "node1", patient...).Start().WaitReady(patience)
	none := n1.MustDo("RAFT.TOKEN", "LIST").(map[any]any)
	if none["required"] != "no" || len(none["tokens"].([]any)) != 0 {
		t.Errorf("RAFT.TOKEN LIST at first: %v", none)
	}
	secret := token(t, n1)
	refused(t, joiner(t, "node2", n1.Raft, ""), "a join token is needed")
	// One that waits to join makes none, which would make it a cluster of its own.
	waits := joiner(t, "node3", proc.FreeAddr(t), "").Start()
	proc.Eventually(t, patience, "node3 refuses to make a token", func() error {
		_, err := waits.Do("RAFT.TOKEN", "CREATE")
		if err == nil || !strings.Contains(err.Error(), "waiting to join") {
			return fmt.Errorf("it answers %v", err)
		}
		return nil
	})
	n2 := joiner(t, "node2", n1.Raft, secret).Start()
	c := proc.ClusterOf(t, n1, n2)
	proc.Eventually(t, patience, "two voters", func() error {
		s, err := n1.Status()
		if err == nil && s.Voters() != 2 {
			err = fmt.Errorf("%d voters", s.Voters())
		}
		return err
	})
	noSecrets(t, c, secret)
}
