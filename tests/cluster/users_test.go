package cluster

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// TestUsers: a user made on one node exists on all, over both protocols, survives
// kill -9 of all nodes, and is gone everywhere once it is deleted, connections too.
func TestUsers(t *testing.T) {
	c := proc.StartCluster(t, 3)
	leader, follower := c.Leader(), c.Follower()
	follower.MustDo("ACL", "SETUSER", "app", "on", ">pw", "+@all", "-@dangerous", "~app:*", "&*")
	list := fmt.Sprint(follower.MustDo("ACL", "LIST"))
	for _, n := range c.Nodes {
		n := n
		proc.Eventually(t, 10*time.Second, n.ID+" knows the user", func() error {
			if got := fmt.Sprint(n.MustDo("ACL", "LIST")); got != list {
				return errors.New(got)
			}
			return nil
		})
	}
	app := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), Username: "app", Password: "pw"})
	defer app.Close()
	if err := app.Set(ctx, "app:1", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := app.Set(ctx, "other", "v", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM ") {
		t.Errorf("another's key: %v", err)
	}
	if _, err := leader.Do("CONFIG", "SET", "requirepass", "sesame"); err != nil {
		t.Fatal(err)
	}

	for _, n := range c.Nodes {
		proc.Eventually(t, 10*time.Second, n.ID+" keeps the users beside its log", func() error {
			text, err := os.ReadFile(filepath.Join(n.Dir, "users.json"))
			if err == nil && !strings.Contains(string(text), `"ZGVmYXVsdA=="`) { // default
				err = errors.New(string(text))
			}
			return err
		})
	}
	for _, n := range c.Nodes {
		n.Kill()
	}
	for _, n := range c.Nodes {
		n.Start()
		// The first one alone, too: by what it knew last, as there is no leader.
		proc.Eventually(t, 20*time.Second, n.ID+" answers", func() error {
			stranger := redis.NewClient(&redis.Options{Addr: n.RESP, Protocol: 2, MaxRetries: -1, DisableIdentity: true})
			defer stranger.Close()
			err := stranger.Do(ctx, "CONFIG", "GET", "port").Err()
			switch {
			case err == nil:
				t.Errorf("%s lets anybody in", n.ID)
			case !strings.HasPrefix(err.Error(), "NOAUTH "):
				return err
			}
			return nil
		})
	}
	admin := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), Password: "sesame"})
	defer admin.Close()
	proc.Eventually(t, 30*time.Second, "the user is there again", func() error { return app.Get(ctx, "app:1").Err() })
	leader = leaderBy(t, c, "sesame")
	for _, tt := range []struct {
		user, path string
		want       int
	}{
		{"app", "/key/app:1", 200}, {"app", "/key/other", 403}, {"app", "/status", 403}, {"default", "/key/other", 404}, {"nobody", "/key/app:1", 401},
	} {
		r, _ := http.NewRequest("GET", "http://"+leader.HTTP+tt.path, nil)
		r.SetBasicAuth(tt.user, map[string]string{"default": "sesame"}[tt.user]+map[string]string{"app": "pw"}[tt.user])
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != tt.want || tt.want >= 400 && !strings.HasPrefix(string(body), `{"error":`) {
			t.Errorf("%s %s: %d %s, want %d", tt.user, tt.path, res.StatusCode, body, tt.want)
		}
	}

	// One connection a node, cut by a deletion on one of them.
	var open []*redis.Conn
	for _, n := range c.Nodes {
		one := redis.NewClient(&redis.Options{Addr: n.RESP, Username: "app", Password: "pw", MaxRetries: -1})
		defer one.Close()
		conn := one.Conn()
		if err := conn.Ping(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
	}
	if n, err := admin.Do(ctx, "ACL", "DELUSER", "app").Int(); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	for i, conn := range open {
		proc.Eventually(t, 10*time.Second, c.Nodes[i].ID+" cuts the connection", func() error {
			switch err := conn.Ping(ctx).Err(); {
			case err == nil:
				return errors.New("it answers")
			case strings.HasPrefix(err.Error(), "NOPERM"), strings.HasPrefix(err.Error(), "NOAUTH"):
				t.Errorf("answered %v", err)
			}
			return nil
		})
	}
	if err := app.Get(ctx, "app:1").Err(); err == nil {
		t.Error("a user that was deleted still reads")
	}
}

// leaderBy asks who leads, of nodes that want a password.
func leaderBy(t *testing.T, c *proc.Cluster, password string) (leader *proc.Node) {
	t.Helper()
	proc.Eventually(t, 30*time.Second, "a leader", func() error {
		for _, n := range c.Nodes {
			one := redis.NewClient(&redis.Options{Addr: n.RESP, Password: password})
			role, err := one.Do(ctx, "ROLE").Slice()
			one.Close()
			if err == nil && role[0] == "master" {
				leader = n
				return nil
			}
		}
		return errors.New("nobody leads")
	})
	return leader
}
