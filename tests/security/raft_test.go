package security

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
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

// TestForgedEntriesWithoutTLS shows that the forgery is a good one: without TLS
// whoever reaches the port is believed, and --insecure-raft says so. The other tests
// would prove nothing with one that nobody could believe.
func TestForgedEntriesWithoutTLS(t *testing.T) {
	c := proc.StartCluster(t, 3, patient...)
	w := before(t, c)
	other := c.Follower()
	forgery{other.ID, w.leader.ID, w.status.ClusterID}.attack(t, connect(t, w.leader.Raft))
	proc.Eventually(t, patience, "the forged term counts", func() error {
		s, err := w.leader.Status()
		if err == nil && s.Term < forgedTerm {
			err = fmt.Errorf("term %d", s.Term)
		}
		return err
	})
}

// TestWhatIsRefusedWithoutTLS: even so nothing of another cluster, and nothing that is
// no protocol, gets through.
func TestWhatIsRefusedWithoutTLS(t *testing.T) {
	c := proc.StartCluster(t, 3, patient...)
	w := before(t, c)
	other := c.Follower()
	for name, f := range map[string]forgery{
		"another cluster's UUID": {other.ID, w.leader.ID, "00000000-0000-4000-8000-000000000000"},
		"no UUID":                {other.ID, w.leader.ID, ""},
		"another receiver":       {other.ID, "nodeX", w.status.ClusterID},
		"the leader's own id":    {w.leader.ID, w.leader.ID, w.status.ClusterID},
	} {
		if got := f.attack(t, connect(t, w.leader.Raft)); len(got) < 10 || got[9] == 0 {
			t.Errorf("%s: answered %q, want a refusal", name, got)
		}
	}
	sayGarbage(t, w.leader.Raft)
	w.unmoved(t)
}

// sayGarbage sends what is no protocol, short and long.
func sayGarbage(t *testing.T, addr string) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return string(b)
	}
	for _, say := range []string{
		"*1\r\n$4\r\nPING\r\n", "POST / HTTP/1.1\r\nHost: x\r\n\r\n", "\x00", strings.Repeat("\xff", 1<<20),
		"RAFTKV\r\n\x02\xff\xff" + noise(1<<16), "RAFTKV\r\n\x02\x20\x00" + noise(32), "\x16\x03\x01\x02\x00" + noise(512), noise(1 << 20),
	} {
		c := connect(t, addr)
		c.SetDeadline(time.Now().Add(2 * time.Second))
		c.Write([]byte(say)) // it may be cut off meanwhile
		if got, _ := io.ReadAll(c); bytes.Contains(got, []byte("node")) {
			t.Errorf("%.10q was told %q", say, got)
		}
		c.Close()
	}
}

// TestForgedEntriesWithTLS: who has no certificate of a node does not reach the log,
// and a node's opens no other node's place.
func TestForgedEntriesWithTLS(t *testing.T) {
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
	for name, config := range map[string]*tls.Config{
		"no certificate":          a.client(t),
		"a client's":              a.client(t, "client-app"),
		"another CA's":            foreign.client(t, other.ID),
		"an expired one":          a.client(t, "late"),
		"another node's":          a.client(t, "node4"),
		"the leader's own":        a.client(t, w.leader.ID),
		"TLS 1.1, with the right": {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, GetClientCertificate: a.client(t, other.ID).GetClientCertificate},
	} {
		got := f.attack(t, secretly(config))
		if len(got) > 9 && got[9] == 0 {
			t.Errorf("%s: the handshake was accepted", name)
		}
	}
	if got := f.attack(t, connect(t, w.leader.Raft)); len(got) > 9 && got[9] == 0 {
		t.Error("in plaintext: the handshake was accepted")
	}
	sayGarbage(t, w.leader.Raft)
	w.unmoved(t)
	logged(t, w.leader, "a connection between nodes failed in its TLS handshake")
	logged(t, w.leader, "shows the certificate of another node")
	logged(t, w.leader, "a node without TLS connects to the Raft port")
	// The forgery itself is good: with the certificate of the node that it claims to be it
	// gets through. So it was the certificates that kept the others out.
	f.attack(t, secretly(a.client(t, other.ID)))
	proc.Eventually(t, patience, "the forged term counts", func() error {
		s, err := w.leader.Status()
		if err == nil && s.Term < forgedTerm {
			err = fmt.Errorf("term %d", s.Term)
		}
		return err
	})
}

// TestNodesWithWrongCertificatesDoNotJoin: the joiner's log says in one line what is
// wrong, the cluster is as it was.
func TestNodesWithWrongCertificatesDoNotJoin(t *testing.T) {
	a, foreign := certs(t), certs(t)
	a.sign(t, "late", func(c *x509.Certificate) { expired("")(c) })
	c := a.cluster(t)
	w := before(t, c)
	for _, try := range []struct {
		name, want string
		flags      []string
	}{
		{"another CA", "certificate of " + w.leader.Raft + " is not accepted", foreign.flags("node4")},
		{"no TLS", w.leader.Raft + " speaks TLS between nodes, and this node does not", nil},
	} {
		n := proc.NewNode(t, "node4", append(try.flags, "--join", w.leader.Raft)...)
		n.Start()
		logged(t, n, "not admitted to a cluster yet", try.want)
		n.Kill()
	}
	// These would be refused by all others, so they do not even start.
	for _, try := range []struct {
		name, want string
		flags      []string
	}{
		{"expired", "expired", a.flags("late")},
		{"another node's", `is the certificate of node \"node1\"`, a.flags("node1")},
		{"a client's", "it is not one of a node", a.flags("client-app")},
	} {
		n := proc.NewNode(t, "node4", append(try.flags, "--join", w.leader.Raft)...)
		n.Start()
		if err := n.Wait(patience); err == nil {
			t.Errorf("%s: it ended well", try.name)
		}
		if got := n.LogTail(1); !strings.Contains(got, strings.ReplaceAll(try.want, `\"`, `"`)) {
			t.Errorf("%s: %q, want %q", try.name, got, try.want)
		}
	}
	w.unmoved(t)
	n := a.node(t, "node4", "--join", w.leader.Raft).Start()
	c.Add(n)
	c.WaitVoters(4)
}
