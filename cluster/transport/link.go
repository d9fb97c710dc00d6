package transport

import (
	"net"
	"sync/atomic"
	"time"
)

// link is a connection whose handshake is done. Closing it takes it off the
// Transport's books.
type link struct {
	net.Conn
	t        *Transport
	stream   stream
	peer     Peer
	instance uint64   // of the peer's process
	dir      string   // the UUID of the peer's data directory, "" where it did not say
	odd      bool     // dir was not that of its id
	self     Identity // what this side said it was
	dialled  string   // the address that was dialled; "" on the accepting side
	dead     atomic.Bool
}

func (l *link) Close() error {
	if l.dead.Swap(true) {
		return nil
	}
	l.t.mu.Lock()
	_, entered := l.t.links[l]
	delete(l.t.links, l)
	last := entered && l.fromMember() && !l.t.linkedLocked(l.peer.ID)
	l.t.mu.Unlock()
	err := l.Conn.Close()
	if last && l.t.cfg.Lost != nil {
		l.t.cfg.Lost(l.peer.ID)
	}
	return err
}

// fromMember says that a node of the cluster holds this connection open.
func (l *link) fromMember() bool { return l.dialled == "" && l.stream != streamIntro && !l.odd }

// adopt enters a link in the books, unless what its handshake rested on no
// longer holds; then it returns why. On 0 with a closed Transport the link is closed.
func (t *Transport) adopt(l *link) Refusal {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.stream != streamIntro && t.self != l.self {
		return RefusedCluster
	}
	if l.dialled == "" {
		if why := t.admitLocked(l); why != 0 {
			return why
		}
	}
	if t.closed {
		l.dead.Store(true)
		l.Conn.Close()
		return 0
	}
	t.links[l] = struct{}{}
	return 0
}

// admitLocked is the part of adopt for an accepted connection.
func (t *Transport) admitLocked(l *link) Refusal {
	if l.stream == streamRaft && (t.raft == nil || t.raft.closed()) {
		return RefusedRaft
	}
	accepted, strangers := 0, 0
	for other := range t.links {
		if other.dialled == "" {
			accepted++
			if other.stream == streamIntro {
				strangers++
			}
		}
	}
	// Strangers have a cap of their own, so that they cannot take the members' places.
	if accepted >= t.limits.accepted || l.stream == streamIntro && strangers >= t.limits.strangers {
		return RefusedFull
	}
	return 0
}

// met draws the conclusions from a handshake with a node of the same cluster: its
// address, and, where it is another process than the one that our connections
// lead to, that those are dead even if TCP does not know it yet.
func (t *Transport) met(l *link) {
	if l.self.Cluster == "" || l.peer.Cluster != l.self.Cluster || l.peer.ID == l.self.ID {
		return
	}
	if l.odd {
		t.complain(l)
		return
	}
	t.mu.Lock()
	if p := t.peers[l.peer.ID]; p != nil {
		p.arrive()
	}
	t.mu.Unlock()
	t.closeLinks(func(o *link) bool {
		return o.dialled != "" && o.peer.ID == l.peer.ID && o.stream != streamIntro && o.instance != l.instance
	})
	if t.cfg.Learned != nil && l.peer.Addr != "" {
		t.cfg.Learned(l.peer.ID, l.peer.Addr)
	}
}

// complain warns of a node under another one's id, once.
func (t *Transport) complain(l *link) {
	const most = 64
	t.mu.Lock()
	again := t.odd[l.dir] || len(t.odd) == most
	if !again {
		t.odd[l.dir] = true
	}
	t.mu.Unlock()
	if !again {
		t.log.Warn("a node has the id of another one, and another data directory; stop it, and start it with a new --node-id and a fresh --data-dir",
			"node", l.peer.ID, "address", l.peer.Addr)
	}
}

// closeLinks closes all links that match.
func (t *Transport) closeLinks(match func(*link) bool) {
	var found []*link
	t.mu.Lock()
	for l := range t.links {
		if match(l) {
			found = append(found, l)
		}
	}
	t.mu.Unlock()
	for _, l := range found {
		l.Close()
	}
}

// tune sets what every connection between nodes needs: no Nagle (net's default),
// and a dead peer or path noticed in seconds. Idle is as short because of paths that
// lose one direction: the side whose answers are not acknowledged gives up without a
// word that gets through, and the other, which waits for the answer with nothing
// unacknowledged of its own, learns it from a probe alone.
func tune(c net.Conn, unacked time.Duration) {
	tcp, ok := socket(c).(*net.TCPConn)
	if !ok {
		return
	}
	tcp.SetNoDelay(true)
	tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 3})
	setUserTimeout(tcp, unacked)
}
