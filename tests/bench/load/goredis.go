package load

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// ClusterClient writes all the time through a ClusterClient of go-redis with its
// defaults, and notes which calls failed.
type ClusterClient struct {
	client  *redis.ClusterClient
	cancel  context.CancelFunc
	calling sync.WaitGroup

	mu      sync.Mutex
	calls   int           // guarded by mu
	failed  []error       // guarded by mu
	slowest time.Duration // guarded by mu
}

// clusterCallers is how many callers share the client.
const clusterCallers = 4

// StartClusterClient begins to write.
func StartClusterClient(ctx context.Context, addrs []string) *ClusterClient {
	ctx, cancel := context.WithCancel(ctx)
	c := &ClusterClient{client: redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs}), cancel: cancel}
	for caller := range clusterCallers {
		c.calling.Go(func() { c.call(ctx, fmt.Sprintf("caller:%d", caller)) })
	}
	return c
}

func (c *ClusterClient) call(ctx context.Context, key string) {
	for ctx.Err() == nil {
		start := time.Now()
		// Without ctx: one that is cancelled at the end would be an error of ours.
		err := c.client.Set(context.WithoutCancel(ctx), key, "1", 0).Err()
		c.note(err, time.Since(start))
		select {
		case <-ctx.Done():
		case <-time.After(time.Millisecond):
		}
	}
}

func (c *ClusterClient) note(err error, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	c.slowest = max(c.slowest, took)
	if err != nil {
		c.failed = append(c.failed, err)
	}
}

// Stop ends it, and returns how many calls there were, the errors of those that
// failed, and how long the slowest took.
func (c *ClusterClient) Stop() (calls int, failed []error, slowest time.Duration) {
	c.cancel()
	c.calling.Wait()
	c.client.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls, c.failed, c.slowest
}
