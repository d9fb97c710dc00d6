package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/raftkv/raftkv/cluster/transport"
)

// whoLives asks addresses, all at once, which node answers there. Who asks belongs
// to no cluster, so nobody notes its address.
func whoLives(ctx context.Context, addrs []string) (map[string]transport.Peer, error) {
	t, err := transport.New(transport.Config{
		Addr: "127.0.0.1:0", Self: transport.Identity{ID: "raftkv-recover"},
		Resolve: func(string) (string, bool) { return "", false },
	})
	if err != nil {
		return nil, fmt.Errorf("asking the other members: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		found = map[string]transport.Peer{}
		asked = map[string]bool{"": true}
	)
	for _, addr := range addrs {
		if asked[addr] {
			continue
		}
		asked[addr] = true
		wg.Go(func() {
			peer, _, err := t.CallAddr(ctx, addr, kindHello, []byte("{}"))
			var refused *transport.HandshakeError
			if err == nil || errors.As(err, &refused) || peer.ID != "" { // it lives, whatever it says
				mu.Lock()
				found[addr] = peer
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return found, t.Close()
}
