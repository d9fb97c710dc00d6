package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"

	"github.com/raftkv/raftkv/cluster/transport"
)

// whoLives asks addresses, all at once, which node answers there. A Peer without
// an id stands for what took the connection and did not say who it is: a node of
// another version or one that hangs, for all that is known from here. Who asks
// belongs to no cluster, so nobody notes its address.
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
			if !nobodyThere(err) || peer.ID != "" { // it lives, whatever it says
				mu.Lock()
				found[addr] = peer
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return found, t.Close()
}

// nobodyThere reports whether an error means that there was not even a connection. One
// that is reset at once may show only as the dial's error.
func nobodyThere(err error) bool {
	var failed *net.OpError
	return errors.As(err, &failed) && failed.Op == "dial" && !errors.Is(err, syscall.ECONNRESET)
}
