package security

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// late is a user whose rights are taken away at the leader just before it uses them.
type late struct {
	*witness
	follower *proc.Node
}

// tries is how often each race is run.
const tries = 20

// grant changes the user's rules.
func (w late) grant(rules ...any) {
	w.leader.MustDo(append([]any{"ACL", "SETUSER", "late"}, rules...)...)
}

// changedMeanwhile: what was allowed when it was asked for is refused once the rules have
// changed, also by a node that has not heard of it yet.
func (w *witness) changedMeanwhile(t *testing.T) {
	w.leader.MustDo("ACL", "SETUSER", "late", "on", ">pw", "~key*", "+ping", "+select", "+readonly", "+multi", "+exec")
	l := late{w, w.c.Follower()}
	l.execAfterChange(t)
	l.readBehind(t)
	l.forwardBehind(t)
	l.clusterBehind(t)
	l.deletedUser(t)
}

// execAfterChange: a transaction is judged by the rules at EXEC.
func (w late) execAfterChange(t *testing.T) {
	w.attack(t, byCommand, "EXEC after the user was changed", func(t *testing.T) (string, string) {
		var got string
		for _, n := range places(w.witness) {
			for range tries {
				w.grant("+get")
				c := dialAs(t, n, "late", "pw")
				if queued := c.say(line("READONLY")); queued != "+OK\r\n" {
					t.Fatalf("%q", queued)
				}
				proc.Eventually(t, patience, "the user may", func() error {
					if got := c.say(line("GET", "key1")); got != "$6\r\nvalue1\r\n" {
						return fmt.Errorf("%q", got)
					}
					return nil
				})
				ask, end := c.ask, c.end
				c.ask, c.end = line("GET", "key2"), "+QUEUED\r\n+QUEUED\r\n"
				if queued := c.say(line("MULTI") + line("GET", "key1")); queued != "+OK\r\n" {
					t.Fatalf("%q", queued)
				}
				c.ask, c.end = ask, end
				w.grant("-get")
				if got = c.say(line("EXEC")); strings.Contains(got, "value1") || !strings.Contains(got, "ACLs rules changed") {
					t.Fatalf("at %s: %q", n.ID, got)
				}
				c.Close()
			}
		}
		return fmt.Sprintf("MULTI, GET, GET; -get; EXEC: %d times at the leader and at a follower", tries), "NOPERM ACLs rules changed …"
	})
}

// readBehind: a follower that has not heard of it yet reads nothing.
func (w late) readBehind(t *testing.T) {
	w.attack(t, byCommand, "a read at a follower that is behind", func(t *testing.T) (string, string) {
		c := dialAs(t, w.follower, "late", "pw")
		c.say(line("READONLY"))
		for range tries {
			w.grant("+get")
			proc.Eventually(t, patience, "the follower allows it", func() error {
				if got := c.say(line("GET", "key1")); got != "$6\r\nvalue1\r\n" {
					return fmt.Errorf("%q", got)
				}
				return nil
			})
			w.grant("-get")
			if got := c.say(line("GET", "key1")); !strings.HasPrefix(got, "-NOPERM ") {
				t.Fatalf("%q", got)
			}
		}
		return fmt.Sprintf("-get at the leader, at once GET at a follower: %d times", tries), "NOPERM each time"
	})
}

// forwardBehind: nor does it forward anything.
func (w late) forwardBehind(t *testing.T) {
	w.attack(t, byCommand, "a command that a follower forwards", func(t *testing.T) (string, string) {
		admin := dialAs(t, w.leader, "default", w.leader.Password)
		c := dialAs(t, w.follower, "late", "pw")
		c.say(line("SELECT", "5"))
		for range tries {
			w.grant("+flushdb")
			proc.Eventually(t, patience, "the follower forwards it", func() error {
				if got := c.say(line("FLUSHDB")); got != "+OK\r\n" {
					return fmt.Errorf("%q", got)
				}
				return nil
			})
			if got := admin.say(line("SELECT", "5") + line("SET", "kept", "v")); got != "+OK\r\n+OK\r\n" {
				t.Fatalf("%q", got)
			}
			w.grant("-flushdb")
			got := c.say(line("FLUSHDB"))
			if kept := admin.say(line("GET", "kept")); !strings.HasPrefix(got, "-NOPERM ") || kept != "$1\r\nv\r\n" {
				t.Fatalf("%q, and the key is %q", got, kept)
			}
		}
		admin.say(line("FLUSHDB"))
		return fmt.Sprintf("-flushdb at the leader, at once FLUSHDB at a follower: %d times", tries), "NOPERM each time, nothing is deleted"
	})
}

// clusterBehind: nor does it change the cluster, or its users.
func (w late) clusterBehind(t *testing.T) {
	w.attack(t, byCommand, "a change of the cluster by a follower that is behind", func(t *testing.T) (string, string) {
		kinds := []struct {
			rule  string
			words []string
		}{
			{"acl|setuser", []string{"ACL", "SETUSER", "evil", "on", "nopass", "+@all", "allkeys"}}, {"acl|deluser", []string{"ACL", "DELUSER", "evil"}},
			{"config|set", []string{"CONFIG", "SET", "requirepass", "evil"}}, {"raft.token|off", []string{"RAFT.TOKEN", "OFF"}}, {"raft.token|create", []string{"RAFT.TOKEN", "CREATE"}},
			{"raft.leave", []string{"RAFT.LEAVE", "nodeX"}}, {"raft.join", []string{"RAFT.JOIN", "nodeX", "127.0.0.1:1"}}, {"raft.transfer", []string{"RAFT.TRANSFER", "nodeX"}},
		}
		c := dialAs(t, w.follower, "late", "pw")
		for _, try := range kinds {
			for range tries / 4 {
				w.grant("+" + try.rule)
				w.c.WaitCaughtUp(w.follower)
				w.grant("-" + try.rule)
				if got := c.say(line(try.words...)); !strings.HasPrefix(got, "-NOPERM ") {
					t.Errorf("%s: %q", try.words, got)
				}
			}
		}
		for _, try := range []struct{ rule, path, body string }{
			{"raft.leave", "/leave", `{"node_id":"nodeX"}`}, {"raft.join", "/join", `{"node_id":"nodeX","raft_address":"127.0.0.1:1"}`},
		} {
			for range tries / 4 {
				w.grant("+" + try.rule)
				w.c.WaitCaughtUp(w.follower)
				w.grant("-" + try.rule)
				if code, body := ask(t, w.follower, "POST", try.path, try.body, "late", "pw"); code != http.StatusForbidden {
					t.Errorf("%s: %d %s", try.path, code, body)
				}
			}
		}
		if got := fmt.Sprint(w.leader.MustDo("ACL", "USERS")); strings.Contains(got, "evil") {
			t.Error(got)
		}
		return fmt.Sprintf("- at the leader, at once ACL SETUSER, CONFIG SET requirepass, RAFT.LEAVE, /leave … at a follower: %d kinds, %d times each", len(kinds)+2, tries/4), "NOPERM, 403 each time"
	})
}

// deletedUser: whoever is gone is gone from all nodes.
func (w late) deletedUser(t *testing.T) {
	w.attack(t, byCommand, "connections of a deleted user", func(t *testing.T) (string, string) {
		w.grant("+get")
		var open []*client
		for _, n := range w.c.Nodes {
			open = append(open, dialAs(t, n, "late", "pw"))
		}
		w.leader.MustDo("ACL", "DELUSER", "late")
		for _, c := range open {
			if got := c.say(line("READONLY") + line("GET", "key1")); strings.Contains(got, "value1") {
				t.Errorf("%q", got)
			}
			proc.Eventually(t, patience, "the connection is cut", func() error {
				if got := c.say(""); !c.gone {
					return fmt.Errorf("it answers %q", got)
				}
				return nil
			})
		}
		return "ACL DELUSER while it is connected to all nodes, then GET there", "closed everywhere"
	})
}
