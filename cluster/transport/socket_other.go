//go:build !linux

package transport

import (
	"net"
	"time"
)

// setUserTimeout leaves it to keepalive to find a dead path: only Linux can bound
// the time that sent bytes stay unacknowledged.
func setUserTimeout(*net.TCPConn, time.Duration) {}

// quiet cannot look into a socket here. A connection that the peer has closed is
// then found by the first request that fails on it.
func quiet(net.Conn) bool { return true }
