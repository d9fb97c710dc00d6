package proc

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
)

// ports that were given away in this process.
var ports struct {
	mu   sync.Mutex
	used map[int]bool
}

// FreeAddr returns FreeAddress's for a test.
func FreeAddr(tb testing.TB) string {
	tb.Helper()
	addr, err := FreeAddress()
	if err != nil {
		tb.Fatal(err)
	}
	return addr
}

// FreeAddress returns an address of 127.0.0.1 that nobody listens on. Its port is
// below those that the kernel gives to outgoing connections: a node is started
// again on the port it had, and must not find a client's connection there.
func FreeAddress() (string, error) {
	low := 32768
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		fmt.Sscan(string(text), &low)
	}
	const first = 10000
	if low < first+2000 {
		low = 32768 // the kernel's range leaves no room: take the risk
	}
	ports.mu.Lock()
	defer ports.mu.Unlock()
	if ports.used == nil {
		ports.used = map[int]bool{}
	}
	for range 1000 {
		port := first + rand.IntN(low-first)
		if ports.used[port] {
			continue
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		ln.Close()
		ports.used[port] = true
		return addr, nil
	}
	return "", errors.New("no free port found")
}
