package security

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// forgery is what somebody says on a Raft port who knows the protocol: who it is, who
// is meant, and for which cluster; and then entries of a term far ahead.
type forgery struct{ id, receiver, cluster string }

// hello is the handshake, see cluster/transport/DESIGN.md.
func (f forgery) hello() []byte {
	body := []byte{1, 0} // a Raft stream, group 0
	body = binary.LittleEndian.AppendUint64(body, rand.Uint64())
	for _, s := range []string{f.receiver, f.id, f.cluster, "127.0.0.1:1", ""} {
		body = append(append(body, byte(len(s))), s...)
	}
	msg := append([]byte("RAFTKV\r\n"), 2)
	msg = binary.LittleEndian.AppendUint16(msg, uint16(len(body)))
	return append(msg, body...)
}

// forgedTerm is one that no test reaches by itself.
const forgedTerm = 99_999

// entries is an AppendEntries of that term with one entry.
func (f forgery) entries() []byte {
	le := binary.LittleEndian
	text := func(b []byte, s string) []byte { return append(le.AppendUint32(b, uint32(len(s))), s...) }
	body := le.AppendUint32(nil, 3)
	body = text(text(body, f.id), f.id)
	for _, n := range []uint64{forgedTerm, 0, 0, 0} { // term, previous index and term, commit index
		body = le.AppendUint64(body, n)
	}
	body = le.AppendUint32(body, 1)
	body = le.AppendUint64(le.AppendUint64(body, 1), forgedTerm)
	body = le.AppendUint64(append(body, 0), 0)
	body = text(text(body, "forged"), "")
	return append(append(le.AppendUint32(nil, uint32(len(body))), 1), body...)
}

// attack says it all over a connection and returns what was answered; it gives up
// where nothing comes.
func (f forgery) attack(t *testing.T, c net.Conn) []byte {
	t.Helper()
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := c.Write(append(f.hello(), f.entries()...)); err != nil {
		return nil
	}
	got, _ := io.ReadAll(c)
	return got
}

func connect(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// refusals are the codes with which a node answers a handshake that it refuses, see
// cluster/transport/errors.go.
var refusals = map[byte]string{2: "another cluster", 3: "another node is meant", 4: "the sender is this node itself", 11: "it speaks TLS", 13: "another node's certificate"}

// answer is what the node said to a handshake: "" where nothing, "accepted", or why not.
func answer(got []byte) string {
	const head = len("RAFTKV\r\n\x02") // then the code
	switch {
	case len(got) <= head:
		return ""
	case got[head] == 0:
		return "accepted"
	}
	if why, ok := refusals[got[head]]; ok {
		return "refuses: " + why
	}
	return fmt.Sprint("refuses: code ", got[head])
}

// forged waits until a forgery counts: the leader has learned of the term that only it
// names.
func forged(t *testing.T, w *witness) {
	t.Helper()
	proc.Eventually(t, patience, "the forged term counts", func() error {
		s, err := w.leader.Status()
		if err == nil && s.Term < forgedTerm {
			err = fmt.Errorf("term %d", s.Term)
		}
		return err
	})
}

const (
	onRaftPort = "Raft port"
	onRaftTLS  = "Raft port, TLS"
)

// TestRaftPortWithoutTLS: nothing of another cluster, and nothing that is no protocol,
// gets through. Whoever knows it all is believed, which --insecure-raft says.
func TestRaftPortWithoutTLS(t *testing.T) {
	t.Parallel()
	c := proc.StartCluster(t, 3, patient...)
	w := before(t, c)
	other := c.Follower()
	for _, try := range []struct {
		name, want string
		f          forgery
	}{
		{"forged entries, wrong cluster UUID", "refuses: another cluster", forgery{other.ID, w.leader.ID, "00000000-0000-4000-8000-000000000000"}},
		{"forged entries, no cluster UUID", "refuses: another cluster", forgery{other.ID, w.leader.ID, ""}},
		{"forged entries, for another node", "refuses: another node is meant", forgery{other.ID, "nodeX", w.status.ClusterID}},
		{"forged entries, as the leader itself", "refuses: the sender is this node itself", forgery{w.leader.ID, w.leader.ID, w.status.ClusterID}},
	} {
		w.attack(t, onRaftPort, try.name, func(t *testing.T) (string, string) {
			got := answer(try.f.attack(t, connect(t, w.leader.Raft)))
			if got != try.want {
				t.Errorf("answered %q, want %q", got, try.want)
			}
			return fmt.Sprintf("AppendEntries of term %d", forgedTerm), got
		})
	}
	w.attack(t, onRaftPort, "raw bytes", func(t *testing.T) (string, string) {
		return sayGarbage(t, w.leader.Raft), "closed, or waits for more; says nothing of itself"
	})
	w.left()
	// The forgery itself is good. The other tests would prove nothing with one that nobody
	// could believe.
	forgery{other.ID, w.leader.ID, w.status.ClusterID}.attack(t, connect(t, w.leader.Raft))
	forged(t, w)
	table.Add(onRaftPort, "forged entries, all of it right", "without TLS, to see that the forgery is one", "believed: only TLS helps, as --insecure-raft says", "moved", "–")
}

// sayGarbage sends what is no protocol, short and long, and says in words what.
func sayGarbage(t *testing.T, addr string) string {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return string(b)
	}
	say := []string{
		"*1\r\n$4\r\nPING\r\n", "POST / HTTP/1.1\r\nHost: x\r\n\r\n", "\x00", strings.Repeat("\xff", 1<<20),
		"RAFTKV\r\n\x02\xff\xff" + noise(1<<16), "RAFTKV\r\n\x02\x20\x00" + noise(32), "\x16\x03\x01\x02\x00" + noise(512), noise(1 << 20),
	}
	var work sync.WaitGroup
	for _, one := range say {
		c := connect(t, addr)
		work.Go(func() {
			defer c.Close()
			c.SetDeadline(time.Now().Add(2 * time.Second))
			c.Write([]byte(one)) // it may be cut off meanwhile
			if got, _ := io.ReadAll(c); bytes.Contains(got, []byte("node")) {
				t.Errorf("%.10q was told %q", one, got)
			}
		})
	}
	work.Wait()
	return fmt.Sprintf("RESP, HTTP, TLS records, noise up to 1 MiB: %d kinds", len(say))
}

// TestForgedEntriesWithTLS: who has no certificate of a node does not reach the log,
// and a node's opens no other node's place.
func TestForgedEntriesWithTLS(t *testing.T) {
	t.Parallel()
	a, foreign := certs(t), certs(t)
	a.sign(t, "late", expired("node2"))
	c := a.cluster(t)
	w := before(t, c)
	other := c.Follower()
	f := forgery{other.ID, w.leader.ID, w.status.ClusterID}
	secretly := func(config *tls.Config) net.Conn {
		config.InsecureSkipVerify = true
		return tls.Client(connect(t, w.leader.Raft), config)
	}
	const handshake = "a connection between nodes failed in its TLS handshake"
	for _, try := range []struct {
		name, logs string
		config     *tls.Config
	}{
		{"no certificate", handshake, a.client(t)},
		{"a client's certificate", handshake, a.client(t, "client-app")},
		{"another CA's certificate", handshake, foreign.client(t, other.ID)},
		{"an expired certificate", handshake, a.client(t, "late")},
		{"another node's certificate", "shows the certificate of another node", a.client(t, "node4")},
		{"the leader's own certificate", "shows the certificate of another node", a.client(t, w.leader.ID)},
		{"TLS 1.1, the right certificate", handshake, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, GetClientCertificate: a.client(t, other.ID).GetClientCertificate}},
	} {
		w.attack(t, onRaftTLS, "forged entries, "+try.name, func(t *testing.T) (string, string) {
			got := answer(f.attack(t, secretly(try.config)))
			if got == "accepted" {
				t.Error("the handshake was accepted")
			}
			if got == "" {
				got = "closes"
			}
			logged(t, w.leader, try.logs)
			return fmt.Sprintf("AppendEntries of term %d", forgedTerm), got + "; logs: " + try.logs
		})
	}
	w.attack(t, onRaftTLS, "forged entries in plaintext", func(t *testing.T) (string, string) {
		if got := answer(f.attack(t, connect(t, w.leader.Raft))); got == "accepted" {
			t.Error("the handshake was accepted")
		}
		logged(t, w.leader, "a node without TLS connects to the Raft port")
		return fmt.Sprintf("AppendEntries of term %d", forgedTerm), "closes; logs: a node without TLS connects to the Raft port"
	})
	w.attack(t, onRaftTLS, "raw bytes, plaintext", func(t *testing.T) (string, string) {
		return sayGarbage(t, w.leader.Raft), "closes"
	})
	w.left()
	// The forgery itself is good: with the certificate of the node that it claims to be it
	// gets through. So it was the certificates that kept the others out.
	f.attack(t, secretly(a.client(t, other.ID)))
	forged(t, w)
	table.Add(onRaftTLS, "forged entries, the stolen certificate of a node", "to see that the forgery is one", "believed: that is the node", "moved", "–")
}

// TestNodesWithWrongCertificatesDoNotJoin: the joiner's log says in one line what is
// wrong, the cluster is as it was.
func TestNodesWithWrongCertificatesDoNotJoin(t *testing.T) {
	t.Parallel()
	a, foreign := certs(t), certs(t)
	a.sign(t, "late", expired(""))
	c := a.cluster(t)
	w := before(t, c)
	const where = "joining, TLS"
	for _, try := range []struct {
		name, want string
		flags      []string
	}{
		{"a certificate of another CA", "certificate of " + w.leader.Raft + " is not accepted", foreign.flags("node4")},
		{"no TLS", w.leader.Raft + " speaks TLS between nodes, and this node does not", nil},
	} {
		w.attack(t, where, try.name, func(t *testing.T) (string, string) {
			n := proc.NewNode(t, "node4", append(try.flags, "--join", w.leader.Raft)...)
			n.Start()
			logged(t, n, "not admitted to a cluster yet", try.want)
			n.Kill()
			return "raftkv --join", "does not let it in; the joiner logs: " + portless(try.want)
		})
	}
	// These would be refused by all others, so they do not even start.
	for _, try := range []struct {
		name, want string
		flags      []string
	}{
		{"an expired certificate", "expired", a.flags("late")},
		{"another node's certificate", `is the certificate of node \"node1\"`, a.flags("node1")},
		{"a client's certificate", "it is not one of a node", a.flags("client-app")},
	} {
		w.attack(t, where, try.name, func(t *testing.T) (string, string) {
			n := proc.NewNode(t, "node4", append(try.flags, "--join", w.leader.Raft)...)
			n.Start()
			if err := n.Wait(patience); err == nil {
				t.Error("it ended well")
			}
			got := n.LogTail(1)
			if !strings.Contains(got, strings.ReplaceAll(try.want, `\"`, `"`)) {
				t.Errorf("%q, want %q", got, try.want)
			}
			return "raftkv --join", "the joiner does not even start: " + strings.ReplaceAll(try.want, `\"`, `"`)
		})
	}
	w.left()
	n := a.node(t, "node4", "--join", w.leader.Raft).Start()
	c.Add(n)
	c.WaitVoters(4)
}
