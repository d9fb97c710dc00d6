package cluster

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// far is a way to a node that takes time: a proxy that holds back all bytes, in both
// directions, for half of a round trip.
type far struct {
	ln     net.Listener
	target string
	delay  time.Duration
	all    sync.WaitGroup

	mu    sync.Mutex
	ended bool              // guarded by mu
	conns map[net.Conn]bool // guarded by mu
}

// startFar listens, and connects on to target.
func startFar(t *testing.T, target string, roundTrip time.Duration) *far {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	f := &far{ln: ln, target: target, delay: roundTrip / 2, conns: map[net.Conn]bool{}}
	f.all.Go(f.accept)
	t.Cleanup(f.close)
	return f
}

func (f *far) accept() {
	for {
		near, err := f.ln.Accept()
		if err != nil {
			return
		}
		f.all.Go(func() { f.serve(near) })
	}
}

// serve carries one connection until either end closes it.
func (f *far) serve(near net.Conn) {
	defer near.Close()
	if !f.keep(near) {
		return
	}
	there, err := net.Dial("tcp", f.target)
	if err != nil {
		return
	}
	defer there.Close()
	if !f.keep(there) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { f.carry(near, there) })
	both.Go(func() { f.carry(there, near) })
	both.Wait()
}

// carry copies from one connection to another, late, and then ends that one.
func (f *far) carry(from, to net.Conn) {
	type parcel struct {
		bytes []byte
		due   time.Time
	}
	parcels := make(chan parcel, 1<<10)
	f.all.Go(func() {
		defer to.Close()
		for p := range parcels {
			time.Sleep(time.Until(p.due)) // the distance
			if _, err := to.Write(p.bytes); err != nil {
				from.Close() // no more parcels come
			}
		}
	})
	defer close(parcels)
	for {
		b := make([]byte, 32<<10)
		n, err := from.Read(b)
		if n > 0 {
			parcels <- parcel{b[:n], time.Now().Add(f.delay)}
		}
		if err != nil {
			return
		}
	}
}

// keep notes a connection, to be closed at the end.
func (f *far) keep(c net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns[c] = true
	return !f.ended
}

func (f *far) close() {
	f.ln.Close()
	f.mu.Lock()
	f.ended = true
	for c := range f.conns {
		c.Close()
	}
	f.mu.Unlock()
	f.all.Wait()
}

// Each preset keeps its leader at the distance that it is for, and replaces one that
// is killed within the time that requests wait. (The proxies live on, so it is the
// timers that notice.)
func TestNetworkFitsItsDistance(t *testing.T) {
	for _, tt := range []struct {
		network   string
		roundTrip time.Duration
	}{
		{"lan", 20 * time.Millisecond},
		{"wan", 150 * time.Millisecond},
	} {
		t.Run(tt.network, func(t *testing.T) {
			var nodes []*proc.Node
			for i := range 3 {
				n := proc.NewNode(t, fmt.Sprintf("node%d", i+1), "--network", tt.network)
				n.Flags = append(n.Flags, "--raft-advertise", startFar(t, n.Raft, tt.roundTrip).ln.Addr().String())
				nodes = append(nodes, n)
			}
			c := proc.StartClusterOf(t, nodes...)
			before := leadership(t, c)
			leader := c.Leader()
			for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
				began := time.Now()
				leader.MustDo("SET", "k", "v")
				if took := time.Since(began); took < tt.roundTrip {
					t.Fatalf("a write took %s: the others are not far", took)
				}
			}
			if after := leadership(t, c); after != before {
				t.Errorf("%s leads, want %s", after, before)
			}
			follower := c.Follower()
			began := time.Now()
			leader.Kill()
			proc.Eventually(t, patience, "a write", func() error {
				_, err := follower.Do("SET", "k", "w")
				if err != nil && strings.HasPrefix(err.Error(), "MOVED ") {
					for _, n := range nodes {
						if strings.HasSuffix(err.Error(), n.RESP) && n != leader {
							follower = n
						}
					}
				}
				if err != nil && strings.HasPrefix(err.Error(), "CLUSTERDOWN") {
					t.Errorf("a request was refused after %s", time.Since(began))
				}
				return err
			})
			fmt.Printf("%s, round trip %s: the next write was acknowledged %s after kill -9\n", tt.network, tt.roundTrip, time.Since(began).Round(time.Millisecond))
		})
	}
}
