package security

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

const (
	byStranger = "no password"
	wrongPass  = "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
	noAuth     = "-NOAUTH Authentication required.\r\n"
)

// password is that of the default user where there is one.
const password = "hush-password-of-default"

// guarded starts three nodes that want a password, which they have from the environment.
func guarded(t *testing.T, flags ...string) *proc.Cluster {
	t.Helper()
	var nodes []*proc.Node
	for _, id := range []string{"node1", "node2", "node3"} {
		n := proc.NewNode(t, id, flags...)
		n.Env = append(n.Env, "RAFTKV_REQUIREPASS="+password)
		n.Password = password
		nodes = append(nodes, n)
	}
	return proc.StartClusterOf(t, nodes...)
}

// TestStrangers: who has no password gets nothing, at no port and no path.
func TestStrangers(t *testing.T) {
	t.Parallel()
	w := before(t, guarded(t, patient...))
	w.strangersCommands(t)
	w.strangersRequests(t)
	w.wrongUsers(t)
	w.fooledBrowser(t)
	w.openPorts(t)
}

func (w *witness) strangersCommands(t *testing.T) {
	w.attack(t, byStranger, "every command", func(t *testing.T) (string, string) {
		list := commands(t, w.leader)
		count := 0
		for _, n := range places(w) {
			c := dialStranger(t, n)
			for _, d := range list {
				if strings.Contains(d.flags, "no_auth") {
					continue
				}
				words := d.anyLine("key1")
				if len(words) > 10 {
					t.Fatalf("%v: more arguments than a stranger may send", words)
				}
				for _, f := range forms {
					if f.name == "in RESP3" { // HELLO itself wants a password
						continue
					}
					got := c.say(f.raw(words))
					left := strings.ReplaceAll(got, "-EXECABORT Transaction discarded because of: "+noAuth[1:], "")
					if left = strings.ReplaceAll(left, noAuth, ""); left != "" || got == "" {
						t.Errorf("%s at %s, %s: %q", words, n.ID, f.name, got)
					}
					count++
				}
			}
		}
		return fmt.Sprintf("all %d commands and subcommands, %d forms, leader and follower: %d lines", len(list), len(forms)-1, count), "NOAUTH each time"
	})
}

// strangersRequests: nothing but the two probes answers, pprof least of all.
func (w *witness) strangersRequests(t *testing.T) {
	w.attack(t, byStranger, "every HTTP path, pprof", func(t *testing.T) (string, string) {
		paths := []string{
			"/", "/key/key1", "/key/", "/join", "/leave", "/status", "/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/vars", "/debug/requests", "/admin", "/config",
			"/healthz/../status", "/healthz/", "/readyz/../metrics", "//status", "/%73tatus", "/STATUS",
		}
		for _, n := range places(w) {
			for _, path := range paths {
				for _, method := range []string{"GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "TRACE", "PATCH"} {
					if code, body := ask(t, n, method, path, "", "", ""); code != http.StatusUnauthorized && !(method == "TRACE" && code == http.StatusMethodNotAllowed) {
						t.Errorf("%s %s at %s: %d %s", method, path, n.ID, code, body)
					}
				}
			}
			// With the password there is no pprof either.
			for _, path := range []string{"/debug/pprof/", "/debug/vars", "/admin"} {
				if code, body := ask(t, n, "GET", path, "", "default", password); code != http.StatusNotFound {
					t.Errorf("GET %s with the password: %d %s", path, code, body)
				}
			}
			for _, path := range []string{"/healthz", "/readyz"} {
				if code, body := ask(t, n, "GET", path, "", "", ""); code != http.StatusOK || strings.Contains(body, "node") {
					t.Errorf("GET %s: %d %s", path, code, body)
				}
			}
		}
		return fmt.Sprintf("%d paths, 8 methods, leader and follower", len(paths)), "401; /healthz and /readyz answer, and say one word; there is no pprof (404 with the password)"
	})
}

// wrongUsers: nobody learns whether it is the name or the password that is wrong.
func (w *witness) wrongUsers(t *testing.T) {
	w.leader.MustDo("ACL", "SETUSER", "known", "on", ">pw", "allkeys", "+@all")
	w.leader.MustDo("ACL", "SETUSER", "off", "off", ">pw", "allkeys", "+@all")
	pairs := [][2]string{
		{"default", ""}, {"default", password + "x"}, {"default", password[:len(password)-1]}, {"DEFAULT", password}, {"nobody", password}, {"nobody", ""}, {"known", "pW"}, {"known", ""}, {"known", "pw\x00"},
		{"known ", "pw"}, {"off", "pw"}, {"", password},
	}
	w.attack(t, byStranger, "wrong users and passwords, AUTH and HELLO", func(t *testing.T) (string, string) {
		for _, n := range places(w) {
			c := dialStranger(t, n)
			c.ask, c.end = line("PING"), noAuth
			for _, p := range pairs {
				for _, l := range []string{line("AUTH", p[0], p[1]), line("HELLO", "3", "AUTH", p[0], p[1])} {
					if got := c.say(l); got != wrongPass {
						t.Errorf("%q at %s: %q", l, n.ID, got)
					}
				}
			}
		}
		return fmt.Sprintf("%d pairs: no such user, case, empty, right prefix, one too many, a user that is off", len(pairs)), "one answer: WRONGPASS"
	})
	w.attack(t, byStranger, "wrong users and passwords, HTTP", func(t *testing.T) (string, string) {
		for _, n := range places(w) {
			_, want := ask(t, n, "GET", "/key/key1", "", "", "")
			for _, p := range pairs {
				if p[0] == "" {
					continue // no user is the default user over HTTP
				}
				if code, body := ask(t, n, "GET", "/key/key1", "", p[0], p[1]); code != http.StatusUnauthorized || body != want {
					t.Errorf("%q at %s: %d %s", p, n.ID, code, body)
				}
			}
			for _, header := range []string{
				"Bearer ", "Bearer wrong", "Bearer known:", "Bearer known:pW", "Bearer nobody:" + password, "Bearer off:pw", "Bearer : " + password, "Basic", "Basic !", "Digest username=default",
				"Basic " + base64.StdEncoding.EncodeToString([]byte("known")), "bearer\t" + password, password,
			} {
				got := speak(t, n.HTTP, "GET /key/key1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: "+header+"\r\n\r\n")
				if !strings.HasPrefix(got, "HTTP/1.1 401 ") || !strings.HasSuffix(got, want) {
					t.Errorf("%q at %s: %q", header, n.ID, got)
				}
			}
			// Of two headers the first counts, so that the second cannot be another user's.
			got := speak(t, n.HTTP, "GET /key/key1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer wrong\r\nAuthorization: Bearer "+password+"\r\n\r\n")
			if !strings.HasPrefix(got, "HTTP/1.1 401 ") {
				t.Errorf("two headers at %s: %q", n.ID, got)
			}
		}
		return "the same pairs as Basic; Bearer, other schemes, half a header, two headers", "one answer: 401 with the same body"
	})
}

// fooledBrowser is a web page, or a proxy, that has somebody's browser speak HTTP to the
// Redis port.
func (w *witness) fooledBrowser(t *testing.T) {
	w.attack(t, "POST and Host:", "commands in the body of an HTTP request", func(t *testing.T) (string, string) {
		n := 0
		for _, c := range []func() *client{
			func() *client { return dialStranger(t, w.leader) },
			func() *client { return dialAs(t, w.leader, "default", password) },
			func() *client { return dialAs(t, w.c.Follower(), "default", password) },
		} {
			for _, raw := range []string{
				"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 30\r\n\r\nAUTH " + password + "\r\nSET pwn 1\r\n",
				"post / HTTP/1.1\r\nAUTH " + password + "\r\nSET pwn 1\r\n",
				"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nAUTH " + password + "\r\nSET pwn 1\r\n",
				line("POST", "/") + line("AUTH", password) + line("SET", "pwn", "1"),
				line("hOsT:", "x") + line("AUTH", password) + line("SET", "pwn", "1"),
			} {
				one := c()
				if got := one.say(raw); !one.gone || strings.Contains(got, "+OK") {
					t.Errorf("%.30q: %q, and the connection is there: %v", raw, got, !one.gone)
				}
				n++
			}
		}
		if got := w.leader.MustDo("EXISTS", "pwn"); got != int64(0) {
			t.Error("it was written")
		}
		logged(t, w.leader, "Possible SECURITY ATTACK detected")
		return fmt.Sprintf("POST and Host: in RESP and as text, AUTH and SET behind it, with and without a password before: %d connections", n), "cut off at once, nothing behind it runs; logs: Possible SECURITY ATTACK detected"
	})
	w.attack(t, "POST and Host:", "a page of another origin, HTTP port", func(t *testing.T) (string, string) {
		auth := "Authorization: Bearer " + password + "\r\n"
		for _, from := range []string{"Origin: http://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\n"} {
			for _, what := range []string{"PUT /key/key1", "DELETE /key/key1", "POST /leave", "POST /join"} {
				got := speak(t, w.leader.HTTP, what+" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 0\r\n"+from+auth+"\r\n")
				if !strings.HasPrefix(got, "HTTP/1.1 403 ") {
					t.Errorf("%s, %s: %q", what, from, got)
				}
			}
		}
		return "PUT, DELETE, /leave, /join as a browser sends them for a foreign page, with the right password", "403"
	})
}

// openPorts: a node listens on its three ports and on nothing else.
func (w *witness) openPorts(t *testing.T) {
	w.attack(t, byStranger, "ports that nobody was told of", func(t *testing.T) (string, string) {
		for _, n := range w.c.Nodes {
			want := []string{n.RESP, n.HTTP, n.Raft}
			slices.Sort(want)
			if got := listening(t, n.PID()); !slices.Equal(got, want) {
				t.Errorf("%s listens on %v, want %v", n.ID, got, want)
			}
		}
		return "/proc/PID/fd and /proc/net: every socket that a node listens on", "three: RESP, HTTP, Raft"
	})
}

// listening are the addresses that a process listens on, ordered.
func listening(t *testing.T, pid int) (addrs []string) {
	t.Helper()
	mine := map[string]bool{}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	if len(fds) == 0 {
		t.Skip("this system does not tell what a process has open")
	}
	for _, fd := range fds {
		to, _ := os.Readlink(fd) // it may be closed meanwhile
		mine[to] = true
	}
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6", "raw"} {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table)) // some systems have no IPv6
		for l := range strings.Lines(string(text)) {
			f := strings.Fields(l)
			const listens = "0A"
			if len(f) < 10 || !mine["socket:["+f[9]+"]"] || strings.HasPrefix(table, "tcp") && f[3] != listens {
				continue
			}
			host, port, _ := strings.Cut(f[1], ":")
			number, err := strconv.ParseUint(port, 16, 16)
			if err != nil {
				t.Fatal(err)
			}
			if host == "0100007F" {
				host = "127.0.0.1"
			}
			addrs = append(addrs, net.JoinHostPort(host, fmt.Sprint(number)))
		}
	}
	slices.Sort(addrs)
	return addrs
}
