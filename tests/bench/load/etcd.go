package load

import (
	"context"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// EtcdClient returns a client of these endpoints that logs nothing.
func EtcdClient(endpoints ...string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
}

// Etcd is a closed loop of callers of etcd, which share a few connections.
type Etcd struct {
	Endpoint string // the leader's: it serves faster than its followers
	Callers  int
	Reads    bool // linearizable gets instead of puts
	Over     Keyspace
}

// etcdConns is over how many connections callers are spread. With 50 callers, 1 to 8
// connections to the leader served best, 16 and 50 worse, all three nodes worse still.
const etcdConns = 4

// Run loads etcd for so long.
func (l Etcd) Run(ctx context.Context, long time.Duration) (*Outcome, error) {
	var clients []*clientv3.Client
	defer func() {
		for _, c := range clients {
			c.Close()
		}
	}()
	for range min(etcdConns, l.Callers) {
		c, err := EtcdClient(l.Endpoint)
		if err != nil {
			return nil, err
		}
		clients = append(clients, c)
		// The first call connects.
		if _, err := c.Get(ctx, "none"); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, long+replyLimit)
	defer cancel()
	start := time.Now()
	return together(l.Callers, start, func(caller int) (Outcome, error) {
		return l.call(ctx, clients[caller%len(clients)], caller, start.Add(long))
	})
}

func (l Etcd) call(ctx context.Context, c *clientv3.Client, caller int, end time.Time) (out Outcome, err error) {
	var key []byte
	value, random := string(l.Over.value()), l.Over.random(caller)
	for now := time.Now(); now.Before(end); {
		key = AppendKey(key, random.IntN(l.Over.Keys))
		if l.Reads {
			_, err = c.Get(ctx, string(key))
		} else {
			_, err = c.Put(ctx, string(key), value)
		}
		if err != nil {
			return out, err
		}
		after := time.Now()
		out.Requests++
		out.Latency = append(out.Latency, after.Sub(now))
		now = after
	}
	return out, nil
}

// FillEtcd stores every key of a keyspace once, as many in one transaction as etcd
// takes by default.
func FillEtcd(ctx context.Context, endpoint string, over Keyspace) error {
	const perTxn = 128
	c, err := EtcdClient(endpoint)
	if err != nil {
		return err
	}
	defer c.Close()
	var key []byte
	value := strings.Repeat("v", over.Size)
	for from := 0; from < over.Keys; from += perTxn {
		var puts []clientv3.Op
		for number := from; number < min(from+perTxn, over.Keys); number++ {
			key = AppendKey(key, number)
			puts = append(puts, clientv3.OpPut(string(key), value))
		}
		if _, err := c.Txn(ctx).Then(puts...).Commit(); err != nil {
			return fmt.Errorf("fill etcd: %w", err)
		}
	}
	return nil
}
