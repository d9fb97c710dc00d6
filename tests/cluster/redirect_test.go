package cluster

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// slots of some keys, by Redis' own CLUSTER KEYSLOT.
var slots = map[string]int{"foo": 12182, "bar": 5061, "{user}:1": 5474, "{user}:2": 5474, "": 0}

func TestRedirects(t *testing.T) {
	c := proc.StartCluster(t, 3)
	leader, follower := c.Leader(), c.Follower()

	t.Run("plain client gets MOVED with the real slot", func(t *testing.T) {
		for key, slot := range slots {
			want := fmt.Sprintf("MOVED %d %s", slot, leader.RESP)
			for _, args := range [][]any{{"SET", key, "v"}, {"GET", key}} {
				if _, err := follower.Do(args...); err == nil || err.Error() != want {
					t.Errorf("%v: %v, want %s", args, err, want)
				}
			}
		}
	})
	t.Run("plain client, keyless commands", func(t *testing.T) {
		leader.MustDo("SET", "somekey", "v")
		if got := follower.MustDo("PING"); got != "PONG" {
			t.Errorf("PING = %v", got)
		}
		size, err := strconv.Atoi(fmt.Sprint(follower.MustDo("DBSIZE")))
		if err != nil || size < 1 {
			t.Errorf("DBSIZE = %v, %v", size, err)
		}
		follower.MustDo("FLUSHALL") // forwarded
		if got := leader.MustDo("DBSIZE"); got != int64(0) {
			t.Errorf("DBSIZE on the leader after FLUSHALL on a follower = %v, want 0", got)
		}
	})
	t.Run("plain client reads its own after READONLY", func(t *testing.T) {
		ro := follower.ReadOnly()
		for i := range 50 {
			leader.MustDo("SET", "counter", i)
			if got, err := ro.Get(ctx, "counter").Int(); err != nil || got != i {
				t.Fatalf("read %d on the follower, %v, after %d was acknowledged", got, err, i)
			}
		}
		if err := ro.Set(ctx, "counter", 1, 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "MOVED ") {
			t.Errorf("SET after READONLY: %v, want MOVED", err)
		}
	})
	t.Run("MULTI on a follower is moved", func(t *testing.T) {
		_, err := follower.Client().TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.Set(ctx, "foo", "v", 0)
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), "MOVED") && !errors.Is(err, redis.TxFailedErr) && !strings.Contains(err.Error(), "EXECABORT") {
			t.Errorf("transaction on a follower: %v, want MOVED or EXECABORT", err)
		}
	})
	for name, client := range map[string]redis.UniversalClient{
		"cluster client that knows one follower": redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{follower.RESP}}),
		"universal client with three addresses":  redis.NewUniversalClient(&redis.UniversalOptions{Addrs: c.Addrs()}),
		"cluster client that reads anywhere":     redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), RouteRandomly: true}),
		"universal client of the leader alone":   redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{leader.RESP}}),
	} {
		t.Run(name, func(t *testing.T) {
			defer client.Close()
			useClient(t, client)
		})
	}
	t.Run("cluster client follows a new leader", func(t *testing.T) {
		client := c.Client()
		for i := range 3 {
			target := c.Follower()
			target.MustDo("RAFT.TRANSFER", target.ID)
			key := fmt.Sprint("moved", i)
			check(t, client.Set(ctx, key, i, 0).Err())
			if got, err := client.Get(ctx, key).Int(); err != nil || got != i {
				t.Errorf("GET %s = %d, %v, want %d", key, got, err, i)
			}
		}
	})
}

// useClient does what an application does: single keys, pipelines, transactions
// and optimistic locking.
func useClient(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	for i := range 50 {
		key := fmt.Sprintf("app:%d", i)
		check(t, client.Set(ctx, key, i, 0).Err())
		if got, err := client.Get(ctx, key).Int(); err != nil || got != i {
			t.Fatalf("GET %s = %d, %v, want %d", key, got, err, i)
		}
	}
	fill(t, client, "pipelined", 100)
	check(t, client.Del(ctx, "{tx}n").Err())
	_, err := client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Incr(ctx, "{tx}n")
		p.Incr(ctx, "{tx}n")
		return nil
	})
	check(t, err)
	err = client.Watch(ctx, func(tx *redis.Tx) error {
		n, err := tx.Get(ctx, "{tx}n").Int()
		if err != nil {
			return err
		}
		if err := client.Incr(ctx, "{tx}n").Err(); err != nil { // somebody else
			return err
		}
		_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error { return p.Set(ctx, "{tx}n", n+100, 0).Err() })
		return err
	}, "{tx}n")
	if !errors.Is(err, redis.TxFailedErr) {
		t.Errorf("EXEC after a change of a watched key: %v, want it to fail", err)
	}
	if got, err := client.Get(ctx, "{tx}n").Int(); err != nil || got != 3 {
		t.Errorf("{tx}n = %d, %v, want 3", got, err)
	}
}

// A follower that lost the others does not answer from its own copy.
func TestMinorityAnswersNothing(t *testing.T) {
	c := proc.StartCluster(t, 3, "--leader-wait", "200ms")
	leader, follower := c.Leader(), c.Follower()
	leader.MustDo("SET", "k", "v")
	for _, n := range c.Nodes {
		if n != follower {
			n.Kill()
		}
	}
	for _, client := range []*redis.Client{follower.Client(), follower.ReadOnly()} {
		for _, args := range [][]any{{"GET", "k"}, {"SET", "k", "w"}} {
			err := client.Do(ctx, args...).Err()
			// A leader that is gone may be named until its absence is noticed.
			if err == nil || !strings.HasPrefix(err.Error(), "CLUSTERDOWN ") && !strings.HasPrefix(err.Error(), "MOVED ") {
				t.Errorf("%v in a minority: %v, want CLUSTERDOWN", args, err)
			}
		}
	}
	proc.Eventually(t, patience, "CLUSTERDOWN", func() error {
		_, err := follower.Do("SET", "k", "w")
		if err == nil || !strings.HasPrefix(err.Error(), "CLUSTERDOWN ") {
			return fmt.Errorf("got %v", err)
		}
		return nil
	})
	s, err := follower.Status()
	if err != nil || s.NodeID != follower.ID || len(s.Nodes) != 3 {
		t.Errorf("RAFT.STATUS in a minority: %+v, %v, want all three nodes", s, err)
	}
	for _, n := range c.Nodes {
		if n != follower {
			n.Start()
		}
	}
	c.WaitVoters(3)
	if got := c.Leader().MustDo("GET", "k"); got != "v" {
		t.Errorf("k = %v, want v", got)
	}
}
