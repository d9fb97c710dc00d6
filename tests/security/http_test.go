package security

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// ask sends an HTTP request whose path is taken to the letter, by a user, "" for none, and
// returns status and body. It follows no redirect.
func ask(t *testing.T, n *proc.Node, method, path, body, user, password string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, n.URL("/"), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.URL = &url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host, Opaque: path}
	if user != "" {
		r.SetBasicAuth(user, password)
	}
	c := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{TLSClientConfig: n.TLS, DisableKeepAlives: true},
	}
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// restrictedHTTP is the user app over HTTP, which may do no more there.
func (w *witness) restrictedHTTP(t *testing.T) {
	follower := w.c.Follower()
	requests := []struct{ method, path, body string }{
		{"GET", "/key/key1", ""}, {"HEAD", "/key/key1", ""}, {"PUT", "/key/key1", `{"value":"v"}`}, {"PUT", "/key/key1", "v"}, {"DELETE", "/key/key1", ""},
		{"GET", "/key/%6bey1", ""}, {"DELETE", "/key/%6B%65%79%31", ""}, {"GET", "/key//app:1", ""}, {"GET", "/key/./app:1", ""}, {"GET", "/key/APP:1", ""},
		{"GET", "/key/wo:1", ""}, {"PUT", "/key/ro:1", "v"}, {"DELETE", "/key/ro:1", ""},
		{"POST", "/join", `{"node_id":"nodeX","raft_address":"127.0.0.1:1"}`}, {"POST", "/leave", fmt.Sprintf(`{"node_id":%q}`, follower.ID)}, {"POST", "/leave", ""},
		{"GET", "/status", ""}, {"GET", "/metrics", ""},
	}
	w.attack(t, byHTTP, "keys and paths that it may not", func(t *testing.T) (string, string) {
		for _, n := range places(w) {
			for _, r := range requests {
				if code, body := ask(t, n, r.method, r.path, r.body, "app", "pw"); code != http.StatusForbidden || strings.Contains(body, "value1") {
					t.Errorf("%s %s at %s: %d %s", r.method, r.path, n.ID, code, body)
				}
			}
		}
		// A key that looks like a way up is a key of the user's own, to the letter.
		if code, body := ask(t, w.leader, "PUT", "/key/app:1/../../key1", "v", "app", "pw"); code != http.StatusOK {
			t.Errorf("%d %s", code, body)
		}
		if got := w.leader.MustDo("GETDEL", "app:1/../../key1"); got != "v" {
			t.Errorf("the key with dots in it is %v", got)
		}
		return fmt.Sprintf("GET, HEAD, PUT, DELETE, percent-encoded, /join, /leave, /status, /metrics; leader and follower: %d requests", 2*len(requests)), "403 each time; /key/app:1/../../key1 is a key of that name"
	})
}
