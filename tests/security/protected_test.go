package security

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

const (
	protected = "protected mode"
	// outside is the address of a machine's that is not loopback, in a network namespace
	// where nothing else is.
	outside = "192.0.2.7"
)

// TestProtectedMode: without a password only clients of the same machine are served. The
// node runs in a network namespace of its own, as the only one who listens beyond loopback.
func TestProtectedMode(t *testing.T) {
	t.Parallel()
	alone(t, protected, "a start without a password", func(t *testing.T) (string, string) {
		for _, flag := range []string{"--resp-addr", "--http-addr"} {
			n := proc.NewNode(t, "node1")
			n.Start(flag, "0.0.0.0:1", flag[:len("--resp-")]+"advertise", "127.0.0.1:1")
			if err := n.Wait(patience); err == nil || !strings.Contains(n.LogTail(1), flag+" 0.0.0.0:1 can be reached from other machines and no password is set") {
				t.Errorf("%s: %v, %s", flag, err, n.LogTail(1))
			}
		}
		return "--resp-addr or --http-addr 0.0.0.0", "does not start: … no password is set"
	})
	alone(t, protected, "a password that was taken away", func(t *testing.T) (string, string) {
		n := proc.NewNode(t, "node1")
		n.Binary = insideNamespace(t)
		n.Env = append(n.Env, "RAFTKV_REQUIREPASS="+password)
		_, resp, _ := net.SplitHostPort(n.RESP)
		_, web, _ := net.SplitHostPort(n.HTTP)
		n.Flags = append(n.Flags, "--resp-advertise", n.RESP, "--http-advertise", n.HTTP)
		n.Start("--resp-addr", "0.0.0.0:"+resp, "--http-addr", "0.0.0.0:"+web)
		logged(t, n, "node started")
		expect := func(host, port, say, want string) {
			t.Helper()
			if got := within(t, n, host, port, say); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %.60q: %q, want %q", host, say, got, want)
			}
		}
		get := "GET /key/k HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
		expect(outside, resp, "PING\r\nQUIT\r\n", noAuth)
		expect(outside, web, get, "HTTP/1.1 401 ")
		expect("127.0.0.1", resp, "AUTH "+password+"\r\nCONFIG SET requirepass \"\"\r\nQUIT\r\n", "+OK\r\n+OK\r\n")
		expect(outside, resp, "PING\r\nQUIT\r\n", "-DENIED Redis is running in protected mode ")
		expect(outside, web, get, "HTTP/1.1 403 ")
		expect(outside, web, strings.Replace(get, "/key/k", "/healthz", 1), "HTTP/1.1 200 ")
		expect("127.0.0.1", resp, "PING\r\nQUIT\r\n", "+PONG\r\n")
		expect("127.0.0.1", web, get, "HTTP/1.1 404 ")
		return "CONFIG SET requirepass \"\", then RESP and HTTP from an address that is not loopback", "-DENIED … protected mode, 403; loopback is served"
	})
}

// insideNamespace is a program that starts raftkv in a network namespace of its own, which
// has an address that is not loopback. Where that may not be done the test is left out.
func insideNamespace(t *testing.T) string {
	t.Helper()
	if err := exec.Command("unshare", "-n", "sh", "-c", "ip link set lo up && command -v nsenter bash").Run(); err != nil {
		t.Skip("no network namespace can be made: it needs root, ip, nsenter and bash")
	}
	path := filepath.Join(t.TempDir(), "raftkv")
	inner := fmt.Sprintf(`ip link set lo up && ip address add %s/32 dev lo && exec %s "$@"`, outside, proc.Build(t))
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexec unshare -n sh -c '"+inner+"' raftkv \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// within sends bytes to a port in a node's namespace and returns all that comes back until
// the node ends the connection.
func within(t *testing.T, n *proc.Node, host, port, say string) string {
	t.Helper()
	late, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	script := fmt.Sprintf("exec 3<>/dev/tcp/%s/%s && cat >&3 && cat <&3", host, port)
	cmd := exec.CommandContext(late, "nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", n.PID()), "bash", "-c", script)
	cmd.Stdin = strings.NewReader(say)
	out, err := cmd.Output()
	if err != nil && len(out) == 0 {
		t.Fatalf("%s:%s: %v", host, port, err)
	}
	return string(out)
}
