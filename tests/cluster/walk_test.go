package cluster

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// request does what curl does, without following redirects.
func request(t *testing.T, method, url, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	check(t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	check(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	check(t, err)
	return res, string(text)
}

// expectJSON checks status and one field of the answer.
func expectJSON(t *testing.T, method, url, body string, status int, field, want string) {
	t.Helper()
	res, text := request(t, method, url, body)
	if res.StatusCode != status {
		t.Errorf("%s %s: %s: %s, want status %d", method, url, res.Status, text, status)
		return
	}
	if field == "" {
		return
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(text), &got); err != nil || got[field] != want {
		t.Errorf("%s %s: %s: %s = %v, want %s", method, url, text, field, got[field], want)
	}
}

// The walk of the project's first README, word for word but for the ports.
func TestSeedsWalk(t *testing.T) {
	n1 := proc.NewNode(t, "node1").Start().WaitReady(patience)
	n2 := proc.NewNode(t, "node2").Start().WaitReady(patience)
	expectJSON(t, "POST", "http://"+n1.HTTP+"/join", `{"node_id": "node2", "raft_address": "`+n2.Raft+`"}`, 200, "", "")
	expectJSON(t, "PUT", "http://"+n1.HTTP+"/key/mykey", `{"value": "myvalue"}`, 200, "", "")
	expectJSON(t, "GET", "http://"+n1.HTTP+"/key/mykey", "", 200, "value", "myvalue")

	// What the first README promised besides, and what follows from it.
	res, _ := request(t, "GET", "http://"+n2.HTTP+"/key/mykey", "")
	if want := "http://" + n1.HTTP + "/key/mykey"; res.StatusCode != http.StatusTemporaryRedirect || res.Header.Get("Location") != want {
		t.Errorf("GET at the follower: %s to %q, want 307 to %s", res.Status, res.Header.Get("Location"), want)
	}
	if got := n1.MustDo("GET", "mykey"); got != "myvalue" {
		t.Errorf("redis-cli reads %v, want myvalue", got)
	}
	n1.MustDo("SET", "from redis-cli", "there")
	expectJSON(t, "GET", "http://"+n1.HTTP+"/key/from%20redis-cli", "", 200, "value", "there")
	expectJSON(t, "GET", "http://"+n1.HTTP+"/key/missing", "", 404, "", "")
	expectJSON(t, "GET", "http://"+n2.HTTP+"/status", "", 200, "leader_id", "node1")
	expectJSON(t, "DELETE", "http://"+n1.HTTP+"/key/mykey", "", 200, "", "")
	expectJSON(t, "GET", "http://"+n1.HTTP+"/key/mykey", "", 404, "", "")

	// A joining node announces its own addresses; both survive a kill of both.
	n1.Kill()
	n2.Kill()
	n1.Start()
	n2.Start()
	n1.WaitReady(patience)
	s, err := n1.Status()
	check(t, err)
	if m, _ := s.Member("node2"); m.RESP != n2.RESP || m.HTTP != n2.HTTP {
		t.Errorf("node2 is known at %s and %s, want %s and %s", m.RESP, m.HTTP, n2.RESP, n2.HTTP)
	}
	expectJSON(t, "POST", "http://"+n1.HTTP+"/join", `{"node_id": "node3"`, 400, "", "")
	expectJSON(t, "POST", "http://"+n1.HTTP+"/join", `{"node_id": "node3", "raft_address": "nowhere"}`, 400, "", "")
	expectJSON(t, "POST", "http://"+n1.HTTP+"/leave", `{"node_id": "node3"}`, 404, "", "")
	expectJSON(t, "POST", "http://"+n2.HTTP+"/leave", `{"node_id": "node3"}`, 404, "", "")
	expectJSON(t, "POST", "http://"+n1.HTTP+"/leave", `{"node_id": "node2"}`, 200, "", "")
	n2.Kill()
	n1.MustDo("SET", "alone", "again")
}
