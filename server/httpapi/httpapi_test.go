package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

// node is a node in memory: a map of strings, and a membership that a test sets.
type node struct {
	mu       sync.Mutex
	keys     map[string]string
	answer   func(args [][]byte) ([]byte, error) // if set, instead of the map
	leader   system.Member
	self     bool
	known    bool
	role     system.Role // leader if empty
	barrier  error
	member   error
	joined   system.JoinRequest
	left     []string
	password string // of the default user, who may do everything; empty: none
	users    map[string]user
	denied   func(client string) bool // nil: nobody is
	maxValue int64

	connections, bodies int // 0: many

	server *Server // that it was started with
}

// user is somebody else than the default user.
type user struct {
	password string
	may      []string
}

func (n *node) Open() bool { return n.password == "" }

func (n *node) Authenticate(_ string, logins ...system.Login) (string, bool) {
	for _, l := range logins {
		want, ok := n.password, l.User == "default"
		if u, known := n.users[l.User]; known {
			want, ok = u.password, true
		}
		if ok && (want == l.Password || l.User == "default" && want == "") {
			return l.User, true
		}
	}
	return "", false
}

func (n *node) Permits(name string, words ...string) error {
	if u, ok := n.users[name]; ok && !slices.Contains(u.may, words[0]) {
		return resp.Error("NOPERM no " + words[0])
	}
	return nil
}

func (n *node) Do(_ context.Context, user string, args ...[]byte) ([]byte, error) {
	if err := n.Permits(user, string(args[0])); err != nil {
		return []byte("-" + err.Error() + "\r\n"), nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.answer != nil {
		return n.answer(args)
	}
	key := string(args[1])
	v, ok := n.keys[key]
	switch string(args[0]) {
	case "GET":
		if !ok {
			return []byte("$-1\r\n"), nil
		}
		return fmt.Appendf(nil, "$%d\r\n%s\r\n", len(v), v), nil
	case "SET":
		n.keys[key] = string(args[2])
		return []byte("+OK\r\n"), nil
	case "DEL":
		delete(n.keys, key)
		if ok {
			return []byte(":1\r\n"), nil
		}
		return []byte(":0\r\n"), nil
	}
	return nil, errors.New("unexpected command")
}

func (n *node) Leader() (system.Member, bool, bool)            { return n.leader, n.self, n.known }
func (n *node) FollowerBarrier(context.Context) (int64, error) { return 0, n.barrier }
func (n *node) Members() []system.MemberStatus                 { return n.Status(context.Background()).Nodes }
func (n *node) Join(_ context.Context, r system.JoinRequest) error {
	n.joined = r
	return n.member
}
func (n *node) Leave(_ context.Context, id string) error {
	n.left = append(n.left, id)
	return n.member
}
func (n *node) Status(context.Context) system.Status {
	m := func(id string) system.Member {
		return system.Member{ID: id, Raft: id + ":8000", RESP: id + ":6379", HTTP: id + ":8080"}
	}
	role := system.Leader
	if n.role != "" {
		role = n.role
	}
	return system.Status{
		NodeID: "n1", ClusterID: "c", ClusterVersion: 2, Role: role, Term: 3, Leader: m("n1"), CommitIndex: 9, AppliedIndex: 9, LastLogIndex: 9,
		Nodes: []system.MemberStatus{
			{Member: m("n1"), Role: system.Leader, Reachable: true, MatchIndex: 9, Knows: 3},
			{Member: m("n2"), Role: system.Follower},
		},
	}
}

// checked refuses what holds bad.
func checked(text, bad string) error {
	if strings.Contains(text, bad) {
		return fmt.Errorf("%q cannot be", text)
	}
	return nil
}

// start serves a node and returns its address.
func start(t *testing.T, n *node) string {
	t.Helper()
	if n.keys == nil {
		n.keys = make(map[string]string)
	}
	if n.maxValue == 0 {
		n.maxValue = 1 << 20
	}
	s := New(Options{
		Executor: n, Cluster: n,
		Metrics:        http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "metrics here") }),
		Denies:         func(client string) bool { return n.denied != nil && n.denied(client) },
		Users:          n,
		MaxValue:       func(key int) int64 { return n.maxValue - int64(key) },
		CheckID:        func(id string) error { return checked(id, " ") },
		CheckAddress:   func(addr string) error { return checked(addr, "nonsense") },
		MaxConnections: or(n.connections, 100), MaxBodies: int64(or(n.bodies, 1<<30)),
		Logger: slog.New(slog.DiscardHandler),
	})
	n.server = s
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		http.DefaultClient.CloseIdleConnections()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return "http://" + ln.Addr().String()
}

// call makes one request, following nothing. headers are "Name: value".
func call(t *testing.T, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, strings.TrimSuffix(string(out), "\n")
}

// expect makes one request and checks status and body; a body that ends in "…"
// is a beginning.
func expect(t *testing.T, method, url, body string, status int, want string, headers ...string) *http.Response {
	t.Helper()
	res, got := call(t, method, url, body, headers...)
	start, partly := strings.CutSuffix(want, "…")
	if res.StatusCode != status || got != want && !(partly && strings.HasPrefix(got, start)) {
		t.Errorf("%s %s %q: got %d %s, want %d %s", method, url, body, res.StatusCode, got, status, want)
	}
	return res
}

func TestSeedsWalk(t *testing.T) {
	url := start(t, &node{})
	expect(t, "PUT", url+"/key/mykey", `{"value": "myvalue"}`, 200, `{"key":"mykey"}`, "Content-Type: application/json")
	expect(t, "GET", url+"/key/mykey", "", 200, `{"key":"mykey","value":"myvalue"}`)
	expect(t, "DELETE", url+"/key/mykey", "", 200, `{"key":"mykey","deleted":true}`)
	expect(t, "DELETE", url+"/key/mykey", "", 200, `{"key":"mykey","deleted":false}`)
	res := expect(t, "GET", url+"/key/mykey", "", 404, `{"error":"no such key","key":"mykey"}`)
	if got := res.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q of a 404", got)
	}
}

func TestValues(t *testing.T) {
	n := &node{}
	url := start(t, n)
	for _, tt := range []struct{ body, stored, shown string }{
		{`{"value":"plain"}`, "plain", `{"key":"k","value":"plain"}`},
		{`{"value":""}`, "", `{"key":"k","value":""}`},
		{`{"value":"<é\u00e9\ud83d\ude00>"}`, "<éé😀>", `{"key":"k","value":"<éé😀>"}`},
		{`{"value": 1.50 }`, "1.50", `{"key":"k","value":"1.50"}`},
		{`{"value": null}`, "null", `{"key":"k","value":"null"}`},
		{`{"value": {"a" : [1, 2,
			true]}}`, `{"a":[1,2,true]}`, `{"key":"k","value":"{\"a\":[1,2,true]}"}`},
		{`{"value":"/wAB","encoding":"base64"}`, "\xff\x00\x01", `{"key":"k","value":"/wAB","encoding":"base64"}`},
	} {
		for _, kind := range []string{"application/json", "application/json; charset=utf-8", "application/json; charset", "application/x-www-form-urlencoded", ""} {
			expect(t, "PUT", url+"/key/k", tt.body, 200, `{"key":"k"}`, "Content-Type: "+kind)
		}
		if got := n.keys["k"]; got != tt.stored {
			t.Errorf("%s: stored %q, want %q", tt.body, got, tt.stored)
		}
		expect(t, "GET", url+"/key/k", "", 200, tt.shown)
		expect(t, "GET", url+"/key/k", "", 200, tt.stored, "Accept: text/html, application/octet-stream;q=0.5")
	}
}

func TestRawBytes(t *testing.T) {
	n := &node{}
	url := start(t, n)
	var all []byte
	for i := range 256 {
		all = append(all, byte(i))
	}
	expect(t, "PUT", url+"/key/k", string(all), 200, `{"key":"k"}`, "Content-Type: application/octet-stream")
	if n.keys["k"] != string(all) {
		t.Errorf("stored %q", n.keys["k"])
	}
	res, got := call(t, "GET", url+"/key/k", "", "Accept: application/octet-stream")
	if got != string(all) || res.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("got %q as %s", got, res.Header.Get("Content-Type"))
	}
	expect(t, "GET", url+"/key/k", "", 200, `{"key":"k","value":"`+base64.StdEncoding.EncodeToString(all)+`","encoding":"base64"}`)
	expect(t, "GET", url+"/key/none", "", 404, `{"error":"no such key","key":"none"}`, "Accept: application/octet-stream")
}

// TestKeys: the key is what stands behind /key/, percent-decoded once and never cleaned.
func TestKeys(t *testing.T) {
	n := &node{}
	url := start(t, n)
	for _, tt := range []struct{ path, key, shown string }{
		{"/key/", "", `"key":""`},
		{"/key/a/b", "a/b", `"key":"a/b"`},
		{"/key/a%2Fb", "a/b", `"key":"a/b"`},
		{"/key//a//b/", "/a//b/", `"key":"/a//b/"`},
		{"/key/a/../b/./c", "a/../b/./c", `"key":"a/../b/./c"`},
		{"/key/%2E%2e", "..", `"key":".."`},
		{"/key/a+b%20c%2520", "a+b c%20", `"key":"a+b c%20"`},
		{"/key/%3Fx%23y", "?x#y", `"key":"?x#y"`},
		{"/key/%C3%A9", "é", `"key":"é"`},
		{"/key/%00%ff%0d%0a", "\x00\xff\r\n", `"key":"AP8NCg==","key_encoding":"base64"`},
	} {
		res := rawRequest(t, url, "PUT "+tt.path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n"+`{"value":1}`)
		if res.StatusCode != 200 || n.keys[tt.key] != "1" || len(n.keys) != 1 {
			t.Errorf("PUT %s: status %d, keys %q, want %q", tt.path, res.StatusCode, n.keys, tt.key)
		}
		res = rawRequest(t, url, "GET "+tt.path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		body, _ := io.ReadAll(res.Body)
		if want := "{" + tt.shown + `,"value":"1"}`; strings.TrimSpace(string(body)) != want {
			t.Errorf("GET %s: got %s, want %s", tt.path, body, want)
		}
		n.keys = make(map[string]string)
	}
}

// rawRequest sends a request as it is written, past the client's own cleaning.
func rawRequest(t *testing.T, url, request string) *http.Response {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	io.WriteString(c, request)
	rec := httptest.NewRecorder()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	rec.Code = res.StatusCode
	io.Copy(rec.Body, res.Body)
	return rec.Result()
}

func TestBadRequests(t *testing.T) {
	n := &node{maxValue: 101} // 100 under a key of one byte
	url := start(t, n)
	const isJSON, isForm = "application/json", "application/x-www-form-urlencoded"
	large := strings.Repeat("x", 101)
	const tooLarge = `{"error":"the value is too large: at most 100 bytes fit under this key"}`
	for _, tt := range []struct {
		method, path, body, kind string
		status                   int
		want                     string
	}{
		{"PUT", "/key/k", "hello", isJSON, 400, `{"error":"the body must be {\"value\": …} in JSON …`},
		{"PUT", "/key/k", "name=x", isForm, 400, `{"error":"the body must be {\"value\": …} in JSON …`},
		{"PUT", "/key/k", "", isForm, 400, `{"error":"…`},
		{"PUT", "/key/k", "x", "multipart/form-data; boundary=x", 415, `{"error":"forms are not taken apart…`},
		{"PUT", "/key/k", `{"value":"x","encoding":"rot13"}`, "", 400, `{"error":"\"encoding\" can be…`},
		{"PUT", "/key/k", `{"value":"x","encoding":"rot13"}`, isJSON, 400, `{"error":"\"encoding\" can be…`},
		{"PUT", "/key/k", `{"value":"x","encoding":"base64"}`, isJSON, 400, `{"error":"\"value\" is not base64…`},
		{"PUT", "/key/k", `{"value":1,"encoding":"base64"}`, isJSON, 400, `{"error":"\"encoding\" goes…`},
		{"PUT", "/key/k", large, "application/octet-stream", 413, tooLarge},
		{"PUT", "/key/k", large, "", 413, tooLarge},
		{"PUT", "/key/k", `{"value":"` + large + `"}`, isJSON, 413, tooLarge},
		{"PUT", "/key/k", `{"value":"` + strings.Repeat("x", 5000) + `"}`, isForm, 413, tooLarge},
		{"GET", "/key/k?x=1", "", "", 400, `{"error":"there are no query…`},
		{"GET", "/key/k?", "", "", 400, `{"error":"there are no query…`},
		{"POST", "/leave?node_id=n2", "", "", 400, `{"error":"there are no query…`},
		{"POST", "/join?node_id=n2", "{}", "", 400, `{"error":"there are no query…`},
		{"GET", "/", "", "", 404, `{"error":"no such path…`},
		{"GET", "/key", "", "", 404, `{"error":"no such path…`},
		{"POST", "/join", "x", "", 400, `{"error":"the body must be…`},
		{"POST", "/join", `{"node_id":"n2"}`, "", 400, `{"error":"\"node_id\" and…`},
		{"POST", "/join", `{"node_id":2,"raft_address":"h:1"}`, "", 400, `{"error":"\"node_id\" must be a string, not a number"}`},
		{"POST", "/join", `{"node_id":"n 2","raft_address":"h:1"}`, "", 400, `{"error":"\"node_id\": \"n 2\" cannot be"}`},
		{"POST", "/join", `{"node_id":"n2","raft_address":"nonsense"}`, "", 400, `{"error":"\"raft_address\": \"nonsense\" cannot be"}`},
		{"POST", "/join", `{"node_id":"n2","raft_address":"h:1","learner":"yes"}`, "", 400, `{"error":"\"learner\" must be true or false…`},
		{"POST", "/leave", "x", "", 400, `{"error":"the body must be…`},
		{"POST", "/leave", "{}", "", 400, `{"error":"\"node_id\" is needed…`},
		{"POST", "/leave", `{"node_id":["n2"]}`, "", 400, `{"error":"\"node_id\" must be a string, not an array"}`},
		{"POST", "/leave", strings.Repeat(" ", maxRequest+1), "", 413, `{"error":"the body is too large: at most 65536 bytes are taken"}`},
	} {
		res := expect(t, tt.method, url+tt.path, tt.body, tt.status, tt.want, "Content-Type: "+tt.kind)
		if got := res.Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("%s %s: error as %q", tt.method, tt.path, got)
		}
	}
	if len(n.keys) != 0 || len(n.left) != 0 || n.joined.ID != "" {
		t.Errorf("something was done: keys %q, left %q, joined %q", n.keys, n.left, n.joined.ID)
	}
}

// TestLargestValue: a value of exactly the bound is taken in every form, however
// JSON writes it, and one byte more in none.
func TestLargestValue(t *testing.T) {
	const largest = 10000
	n := &node{maxValue: largest + 1}
	url := start(t, n)
	for _, tt := range []struct {
		kind string
		body func(value string) string
	}{
		{"application/octet-stream", func(v string) string { return v }},
		{"", func(v string) string { return v }},
		{"", func(v string) string { return `{"value":"` + v + `"}` }},
		{"application/json", func(v string) string { return `{"value":"` + v + `"}` }},
		{"application/json", func(v string) string { return `{"value":"` + strings.Repeat(`\u0078`, len(v)) + `"}` }},
		{"application/json", func(v string) string {
			return `{"value":"` + base64.StdEncoding.EncodeToString([]byte(v)) + `","encoding":"base64"}`
		}},
	} {
		value := strings.Repeat("x", largest)
		n.keys = make(map[string]string)
		expect(t, "PUT", url+"/key/k", tt.body(value), 200, `{"key":"k"}`, "Content-Type: "+tt.kind)
		if n.keys["k"] != value {
			t.Errorf("%s: stored %d bytes", tt.kind, len(n.keys["k"]))
		}
		expect(t, "PUT", url+"/key/k", tt.body(value+"x"), 413,
			`{"error":"the value is too large: at most 10000 bytes fit under this key"}`, "Content-Type: "+tt.kind)
	}
}

// TestChunkedBodyIsBounded: without a Content-Length the bound holds as well.
func TestChunkedBodyIsBounded(t *testing.T) {
	url := start(t, &node{maxValue: 100})
	r, _ := http.NewRequest("PUT", url+"/key/k", io.MultiReader(strings.NewReader(strings.Repeat("x", 101))))
	r.Header.Set("Content-Type", octetStream)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 413 {
		t.Errorf("status %d, want 413", res.StatusCode)
	}
}

func TestErrorsFromBelow(t *testing.T) {
	for _, tt := range []struct {
		name   string
		reply  string
		err    error
		status int
		want   string
	}{
		{"wrong type", "-WRONGTYPE Operation against\r\n", nil, 409, `{"error":"WRONGTYPE Operation against"}`},
		{"cluster down", "-CLUSTERDOWN The cluster has no leader\r\n", nil, 503, `{"error":"CLUSTERDOWN…`},
		{"no leader", "", system.ErrNoLeader, 503, `{"error":"no leader is known…`},
		{"overloaded", "", system.ErrOverloaded, 503, `…`},
		{"unknown", "-UNKNOWN the outcome\r\n", nil, 500, `{"error":"UNKNOWN the outcome","outcome":"unknown"}`},
		{"unknown error", "", fmt.Errorf("x: %w", system.ErrUnknownOutcome), 500, `{"error":"x: outcome unknown","outcome":"unknown"}`},
		{"too late", "", context.DeadlineExceeded, 503, `{"error":"it took too long…`},
		{"too large", "", system.ErrTooLarge, 413, `{"error":"the value is too large: at most 1048575 bytes…`},
		{"too large reply", "-ERR " + system.ErrTooLarge.Error() + "\r\n", nil, 413, `{"error":"the value is too large: at most 1048575 bytes…`},
		{"string too long", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n", nil, 413, `{"error":"the value is too large: at most 1048575 bytes…`},
		{"memory", "-OOM command not allowed\r\n", nil, 507, `…`},
		{"other", "-ERR odd\r\n", nil, 500, `{"error":"ERR odd"}`},
		{"garbage", "*1\r\n$1\r\nx\r\n", nil, 500, `…`},
		{"cut", "$5\r\nab", nil, 500, `…`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := start(t, &node{answer: func([][]byte) ([]byte, error) { return []byte(tt.reply), tt.err }})
			res := expect(t, "PUT", url+"/key/k", `{"value":"x"}`, tt.status, tt.want)
			if again := res.Header.Get("Retry-After") != ""; again != (tt.status == 503) {
				t.Errorf("Retry-After %v with status %d", again, res.StatusCode)
			}
		})
	}
}

func TestNullOfRESP3(t *testing.T) {
	url := start(t, &node{answer: func([][]byte) ([]byte, error) { return []byte("_\r\n"), nil }})
	expect(t, "GET", url+"/key/k", "", 404, `{"error":"no such key","key":"k"}`)
}

func moved([][]byte) ([]byte, error) { return []byte("-MOVED 12706 127.0.0.1:6380\r\n"), nil }

// TestRedirect: a follower sends to the same key on the leader, and Go's own
// client gets there with its method and body.
func TestRedirect(t *testing.T) {
	leader := &node{}
	leaderURL := start(t, leader)
	follower := &node{answer: moved, known: true, leader: system.Member{ID: "n1", HTTP: strings.TrimPrefix(leaderURL, "http://")}}
	url := start(t, follower)
	for _, tt := range []struct{ path, to, key string }{
		{"/key/k", "/key/k", "k"},
		{"/key/a/b%20c?", "", ""},
		{"/key/a/b%20c%3F%25", "/key/a%2Fb%20c%3F%25", "a/b c?%"},
		{"/key/%FF%00", "/key/%FF%00", "\xff\x00"},
		{"/key/%2E%2E", "/key/%2E%2E", ".."},
		{"/key/", "/key/", ""},
	} {
		if tt.to == "" {
			expect(t, "PUT", url+tt.path, `{"value":"x"}`, 400, `…`)
			continue
		}
		to := leaderURL + tt.to
		res := expect(t, "PUT", url+tt.path, `{"value":"x"}`, 307,
			`{"error":"this node is not the leader; follow the redirect to n1","leader":"n1","url":"`+to+`"}`)
		if got := res.Header.Get("Location"); got != to {
			t.Errorf("Location %s, want %s", got, to)
		}
		r, _ := http.NewRequest("PUT", url+tt.path, strings.NewReader(`{"value":"x"}`))
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 200 || leader.keys[tt.key] != "x" {
			t.Errorf("%s: status %d, keys %q", tt.path, res.StatusCode, leader.keys)
		}
	}
	follower.answer = func([][]byte) ([]byte, error) { return nil, &system.NotLeaderError{Leader: follower.leader} }
	expect(t, "GET", url+"/key/k", "", 307, `…`)
	follower.leader.HTTP = ""
	expect(t, "GET", url+"/key/k", "", 503, `…`)
	follower.known = false
	expect(t, "GET", url+"/key/k", "", 503, `{"error":"the leader is changing; try again"}`)
}

// TestLeaderSinceThen: a node that leads by the time it looks tries once more.
func TestLeaderSinceThen(t *testing.T) {
	n := &node{known: true, self: true}
	n.answer = func(args [][]byte) ([]byte, error) {
		n.answer = nil
		return moved(args)
	}
	url := start(t, n)
	expect(t, "PUT", url+"/key/k", `{"value":"x"}`, 200, `{"key":"k"}`)
}

func TestMembers(t *testing.T) {
	n := &node{}
	url := start(t, n)
	expect(t, "POST", url+"/join", `{"node_id": "node2", "raft_address": "localhost:8001"}`, 200, `{"node_id":"node2","role":"voter"}`)
	if want := (system.JoinRequest{ID: "node2", Raft: "localhost:8001"}); n.joined != want {
		t.Errorf("joined %+v, want %+v", n.joined, want)
	}
	expect(t, "POST", url+"/join", `{"node_id": "n3", "raft_address": "h:1", "learner": true}`, 200, `{"node_id":"n3","role":"learner"}`)
	if !n.joined.Learner {
		t.Error("not joined as a learner")
	}
	expect(t, "POST", url+"/leave", `{"node_id": "node2"}`, 200, `{"left":true}`)
	expect(t, "POST", url+"/leave", "", 200, `{"left":true}`)
	if got := fmt.Sprintf("%q", n.left); got != `["node2" ""]` {
		t.Errorf("left %s", got)
	}
	n.member = &system.RefusedError{Reason: "node2 is already a member"}
	expect(t, "POST", url+"/join", `{"node_id": "node2", "raft_address": "h:1"}`, 409, `{"error":"node2 is already a member"}`)
	n.member = &system.RefusedError{Reason: "no"}
	expect(t, "POST", url+"/leave", `{"node_id": "nobody"}`, 404, `{"error":"no"}`)
	expect(t, "POST", url+"/leave", `{"node_id": "n2"}`, 409, `{"error":"no"}`)
	expect(t, "POST", url+"/leave", "", 409, `{"error":"no"}`)
	n.member = &system.NotLeaderError{}
	expect(t, "POST", url+"/leave", "", 503, `…`)
}

func TestStatus(t *testing.T) {
	url := start(t, &node{})
	_, body := call(t, "GET", url+"/status", "")
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	nodes := got["nodes"].([]any)
	first, second := nodes[0].(map[string]any), nodes[1].(map[string]any)
	if got["leader_id"] != "n1" || got["role"] != "leader" || first["match_index"] != 9.0 || second["match_index"] != nil || second["http"] != "n2:8080" ||
		got["cluster_version"] != 2.0 || first["known_version"] != 3.0 || second["known_version"] != nil {
		t.Errorf("got %s", body)
	}
}

func TestHealth(t *testing.T) {
	n := &node{barrier: system.ErrNoLeader, password: "secret"}
	url := start(t, n)
	expect(t, "GET", url+"/healthz", "", 200, `{"status":"ok"}`)
	for _, tt := range []struct {
		err         error
		leader      string
		self, known bool
		want        string
	}{
		{system.ErrNoLeader, "", false, false, "no leader is known: one is being elected, or a majority of the nodes cannot be reached"},
		{context.DeadlineExceeded, "", false, false, "no leader is known: one is being elected, or a majority of the nodes cannot be reached"},
		{context.DeadlineExceeded, "n1", true, true, "this node leads, but a majority of the nodes does not answer"},
		{context.DeadlineExceeded, "n1", false, true, "this node has not caught up with the leader, n1, or that one reaches no majority"},
		{context.DeadlineExceeded, "n2", false, true, "the leader, n2, does not answer"},
		{system.ErrShutdown, "n1", true, true, "node is shutting down"},
	} {
		n.barrier, n.leader, n.self, n.known = tt.err, system.Member{ID: tt.leader}, tt.self, tt.known
		expect(t, "GET", url+"/readyz", "", 503, `{"error":"not ready: `+tt.want+`"}`)
	}
	n.barrier, n.role = &system.NotLeaderError{Leader: system.Member{ID: "n2"}}, system.Diverged
	expect(t, "GET", url+"/readyz", "", 503, `{"error":"not ready: this node's state differs from the others': RAFT.REBUILD replaces it"}`)
	n.role = system.Removed // it knows who leads, and is not just behind
	expect(t, "GET", url+"/readyz", "", 503, `{"error":"not ready: this node was removed from its cluster; stop it, and use a member"}`)
	n.barrier = nil
	expect(t, "GET", url+"/readyz", "", 200, `{"status":"ready"}`)
	expect(t, "HEAD", url+"/readyz", "", 200, "")
}

// TestProtectedMode: whom protected mode denies gets nothing but the two probes.
func TestProtectedMode(t *testing.T) {
	var asked string
	n := &node{denied: func(client string) bool { asked = client; return true }}
	url := start(t, n)
	for _, path := range []string{"/key/k", "/status", "/metrics", "/join", "/leave", "/nonsense"} {
		expect(t, "GET", url+path, "", 403, `{"error":"this node is in protected mode: no password is set, …`)
	}
	expect(t, "PUT", url+"/key/k", `{"value":"v"}`, 403, `…`)
	if host, _, err := net.SplitHostPort(asked); err != nil || host != "127.0.0.1" || len(n.keys) != 0 {
		t.Errorf("asked about %q, keys %v", asked, n.keys)
	}
	expect(t, "GET", url+"/healthz", "", 200, `{"status":"ok"}`)
	n.denied = nil
	expect(t, "PUT", url+"/key/k", `{"value":"v"}`, 200, `{"key":"k"}`)
}

func TestPassword(t *testing.T) {
	n := &node{password: "s3cret"}
	url := start(t, n)
	basic := func(user, pass string) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+pass))
	}
	for _, path := range []string{"/key/k", "/status", "/metrics", "/join", "/nonsense"} {
		res := expect(t, "GET", url+path, "", 401, `{"error":"user and password are needed…`)
		if res.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", path)
		}
	}
	for _, bad := range []string{basic("", "wrong"), basic("", ""), basic("root", "s3cret"), "Authorization: Bearer x", "Authorization: s3cret", "Authorization: Basic !"} {
		expect(t, "GET", url+"/metrics", "", 401, `…`, bad)
	}
	for _, good := range []string{basic("", "s3cret"), basic("default", "s3cret"), "Authorization: Bearer s3cret", "Authorization: bearer s3cret"} {
		expect(t, "GET", url+"/metrics", "", 200, "metrics here", good)
	}
	n.password = "" // CONFIG SET takes effect at once
	expect(t, "GET", url+"/metrics", "", 200, "metrics here")
}

// TestUsers: every path asks whether the user may run the command that does the same.
func TestUsers(t *testing.T) {
	n := &node{password: "s3cret", users: map[string]user{
		"reader": {"pa:ss", []string{"GET"}}, "boss": {"b", []string{"RAFT.JOIN", "RAFT.LEAVE", "RAFT.STATUS", "INFO"}},
	}}
	url := start(t, n)
	n.keys["k"] = "v"
	basic := func(user, pass string) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+pass))
	}
	const join = `{"node_id":"n2","raft_address":"h:1"}`
	for _, tt := range []struct {
		method, path, body string
		reader, boss       int
	}{
		{"GET", "/key/k", "", 200, 403},
		{"PUT", "/key/k", `{"value":"v"}`, 403, 403},
		{"DELETE", "/key/k", "", 403, 403},
		{"GET", "/status", "", 403, 200},
		{"GET", "/metrics", "", 403, 200},
		{"POST", "/join", join, 403, 200},
		{"POST", "/leave", `{"node_id":"n2"}`, 403, 200},
		{"GET", "/healthz", "", 200, 200},
	} {
		expect(t, tt.method, url+tt.path, tt.body, tt.reader, `…`, basic("reader", "pa:ss"))
		expect(t, tt.method, url+tt.path, tt.body, tt.reader, `…`, "Authorization: Bearer reader:pa:ss")
		expect(t, tt.method, url+tt.path, tt.body, tt.boss, `…`, "Authorization: Bearer boss:b")
	}
	expect(t, "PUT", url+"/key/k", `{"value":"v"}`, 403, `{"error":"NOPERM no SET"}`, basic("reader", "pa:ss"))
	for _, bad := range []string{basic("reader", "b"), basic("nobody", "b"), "Authorization: Bearer reader", "Authorization: Bearer reader:", "Authorization: Bearer b"} {
		expect(t, "GET", url+"/key/k", "", 401, `{"error":"user and password are needed…`, bad)
	}
}

// TestBrowsersElsewhere: a web page of another origin cannot change a thing.
func TestBrowsersElsewhere(t *testing.T) {
	n := &node{}
	url := start(t, n)
	expect(t, "POST", url+"/leave", "", 403, `…`, "Sec-Fetch-Site: cross-site")
	expect(t, "POST", url+"/leave", "", 403, `{"error":"a web page of another origin…`, "Origin: http://evil.example")
	if len(n.left) != 0 {
		t.Error("a foreign page removed the node")
	}
}

// TestConnectionLimit: one more than allowed waits until another is closed.
func TestConnectionLimit(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := limit(inner, 1)
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	var clients []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		clients = append(clients, c)
	}
	first := <-accepted
	select {
	case <-accepted:
		t.Fatal("a second connection was accepted beside the first")
	default:
	}
	first.Close()
	first.Close() // a second Close frees no second slot
	second := <-accepted
	io.WriteString(clients[1], "x")
	if n, _ := second.Read(make([]byte, 1)); n != 1 {
		t.Error("the second connection does not work")
	}
	ln.Close() // with the slot still taken
	for range accepted {
		t.Error("accepted after Close")
	}
}

// or is n, or another number where that is 0.
func or(n, other int) int {
	if n == 0 {
		return other
	}
	return n
}

// TestQuietConnectionsMakeRoom: who connects and says nothing, or has its answer and
// stays, keeps nobody out; who has a request under way is let alone.
func TestQuietConnectionsMakeRoom(t *testing.T) {
	url := start(t, &node{connections: 3})
	host := strings.TrimPrefix(url, "http://")
	dial := func() net.Conn {
		c, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		return c
	}
	answer := func(c net.Conn) int {
		t.Helper()
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		return res.StatusCode
	}
	busy := dial()
	io.WriteString(busy, "PUT /key/k HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
	if code := answer(busy); code != 100 {
		t.Fatalf("status %d, want 100", code)
	}
	for range 50 { // new ones, and some that had an answer
		c := dial()
		io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		if code := answer(c); code != 200 {
			t.Fatalf("status %d, want 200", code)
		}
		dial()
	}
	io.WriteString(busy, "ab")
	if code := answer(busy); code != 200 && code != 204 {
		t.Errorf("the one with a request under way: status %d", code)
	}
}

// TestHeadersAreBounded: what is longer than the bound is refused, whatever it is.
func TestHeadersAreBounded(t *testing.T) {
	url := start(t, &node{})
	long := strings.Repeat("x", headerBytes+8192)
	for name, request := range map[string]string{
		"address": "GET /key/" + long + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"header":  "GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + long + "\r\n\r\n",
		"many":    "GET /healthz HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", headerBytes/4) + "\r\n",
	} {
		if res := rawRequest(t, url, request); res.StatusCode != 431 {
			t.Errorf("%s: status %d, want 431", name, res.StatusCode)
		}
	}
	expect(t, "GET", url+"/key/"+strings.Repeat("k", headerBytes-1024), "", 404, `…`)
}

// TestBodiesShareMemory: bodies that are in memory together are bounded, and what one
// had is another's once it is done.
func TestBodiesShareMemory(t *testing.T) {
	n := &node{bodies: 100_000}
	url := start(t, n)
	half := strings.Repeat("x", 60_000)
	reading, more := io.Pipe()
	first := make(chan int)
	go func() {
		r, _ := http.NewRequest("PUT", url+"/key/k", reading)
		r.Header.Set("Content-Type", octetStream)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			first <- 0
			return
		}
		res.Body.Close()
		first <- res.StatusCode
	}()
	if _, err := io.WriteString(more, half); err != nil {
		t.Fatal(err)
	}
	// Before that another body would take the memory from the first one.
	for deadline := time.Now().Add(20 * time.Second); n.server.bodies.used.Load() < 50_000; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are counted", n.server.bodies.used.Load())
		}
	}
	if res, text := call(t, "PUT", url+"/key/l", half, "Content-Type: "+octetStream); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("the second: status %d, %s", res.StatusCode, text)
	}
	more.Close()
	if code := <-first; code != 200 && code != 204 {
		t.Errorf("the first: status %d", code)
	}
	for range 5 {
		res, text := call(t, "PUT", url+"/key/l", half, "Content-Type: "+octetStream)
		if res.StatusCode != 200 && res.StatusCode != 204 {
			t.Fatalf("status %d, %s", res.StatusCode, text)
		}
	}
}

func TestParseReplyNeverPanics(t *testing.T) {
	for _, raw := range [][]byte{nil, []byte("\r\n"), []byte("$"), []byte("$\r\n"), []byte("$-2\r\n"), []byte("$3\r\nab\r\n"), bytes.Repeat([]byte("*"), 9)} {
		if _, err := parseReply(raw); err == nil {
			t.Errorf("%q: no error", raw)
		}
	}
}
