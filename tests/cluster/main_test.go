// Package cluster tests whole clusters as their users see them: real processes,
// real sockets, real disks, go-redis and net/http as clients.
package cluster

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// patience is how long a test waits for what takes a second on an idle machine.
const patience = 30 * time.Second

var ctx = context.Background()

func TestMain(m *testing.M) { os.Exit(proc.Main(m)) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fill writes count keys with this prefix through the client; each value is its key.
func fill(t *testing.T, client redis.UniversalClient, prefix string, count int) (keys []string) {
	t.Helper()
	for i := range count {
		keys = append(keys, fmt.Sprintf("%s%d", prefix, i))
	}
	for i := 0; i < count; i += 500 {
		_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, key := range keys[i:min(i+500, count)] {
				p.Set(ctx, key, key, 0)
			}
			return nil
		})
		check(t, err)
	}
	return keys
}

// lost reads all keys, whose values are their names, from one node itself and
// returns those that are not there as they should.
func lost(t *testing.T, n *proc.Node, keys []string) (missing []string) {
	t.Helper()
	client := n.ReadOnly()
	for i := 0; i < len(keys); i += 500 {
		part := keys[i:min(i+500, len(keys))]
		cmds, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, key := range part {
				p.Get(ctx, key)
			}
			return nil
		})
		if err != nil && err != redis.Nil {
			t.Fatalf("%s: %v", n.ID, err)
		}
		for j, cmd := range cmds {
			if got, err := cmd.(*redis.StringCmd).Result(); err != nil || got != part[j] {
				missing = append(missing, part[j])
			}
		}
	}
	return missing
}

// checkAll fails the test if one of the nodes lacks one of the keys.
func checkAll(t *testing.T, nodes []*proc.Node, keys []string) {
	t.Helper()
	for _, n := range nodes {
		if missing := lost(t, n, keys); len(missing) > 0 {
			t.Errorf("%s lacks %d of %d keys, first %s", n.ID, len(missing), len(keys), missing[0])
		}
	}
}
