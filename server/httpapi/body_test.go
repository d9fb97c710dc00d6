package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestBodyWithoutType: what curl -T and most libraries send is JSON if it is
// exactly the object that PUT takes, and else the value itself.
func TestBodyWithoutType(t *testing.T) {
	n := &node{}
	url := start(t, n)
	for _, tt := range []struct{ body, kind, stored string }{
		{`{"value":"x"}`, "", "x"},
		{" {\n\"value\": [1, 2]}\n", "", "[1,2]"},
		{"hello\n", "", "hello\n"},
		{"", "", ""},
		{`{"value":"x"`, "", `{"value":"x"`},
		{`{"valeu":"x"}`, "", `{"valeu":"x"}`},
		{`{"value":"x","name":"y"}`, "", `{"value":"x","name":"y"}`},
		{`{"Value":"x"}`, "", `{"Value":"x"}`},
		{`["x"]`, "", `["x"]`},
		{"{\"value\":\"\xff\"}", "", "{\"value\":\"\xff\"}"},
		{`{"value":"x"}`, "text/plain", `{"value":"x"}`},
		{`{"value":"x"}`, "application/octet-stream", `{"value":"x"}`},
		{`{"value":"x"}`, "application/ld+json", `{"value":"x"}`},
		{`{"value":"x"}`, "no media type", "x"},
	} {
		n.keys = make(map[string]string)
		expect(t, "PUT", url+"/key/k", tt.body, 200, `{"key":"k"}`, "Content-Type: "+tt.kind)
		if got, ok := n.keys["k"]; !ok || got != tt.stored {
			t.Errorf("%q as %q: stored %q, want %q", tt.body, tt.kind, got, tt.stored)
		}
	}
}

// TestNoBody: a PUT that forgot its body is told from one of an empty value.
func TestNoBody(t *testing.T) {
	n := &node{}
	url := start(t, n)
	for _, tt := range []struct {
		headers string
		status  int
	}{
		{"", 400}, {"Content-Type: application/octet-stream\r\n", 400}, {"Content-Length: 0\r\n", 200},
	} {
		if res := rawRequest(t, url, "PUT /key/k HTTP/1.1\r\nHost: x\r\n"+tt.headers+"\r\n"); res.StatusCode != tt.status {
			t.Errorf("%q: status %d, want %d", tt.headers, res.StatusCode, tt.status)
		}
	}
}

func TestJSONMistakes(t *testing.T) {
	url := start(t, &node{})
	for _, tt := range []struct{ body, want string }{
		{"", "it is empty"}, {" ", "it is empty"}, {"[1]", "it is an array"}, {"7", "it is a number"}, {"null", "it is null"},
		{`"x"`, "it is a string"}, {"true", "it is true or false"}, {"hello", "it is no JSON from byte 1 on"},
		{`{"value":"x"`, "it is no JSON, or ends too early"}, {`{"value":"x"} {}`, "it is no JSON from byte 15 on"},
		{`{"value":x}`, "it is no JSON from byte 10 on"}, {"{\"value\":\"\xff\"}", "it is not UTF-8"},
		{`{"valeu":1}`, `"valeu" is none of its fields, which are ["value" "encoding"]`},
		{`{"value":1,"value":2}`, `"value" stands in it twice`},
		{`{}`, `"value" is missing`}, {`{"encoding":"base64"}`, `"value" is missing`},
		{`{"value":"x","encoding":7}`, `"encoding" must be a string, not a number`},
		{`{"value":"\ud800"}`, `"value" holds half of a surrogate pair`},
		{`{"value":"\ud83d\u0041"}`, `"value" holds half`}, {`{"value":"\udc00\ud800"}`, `"value" holds half`}, {`{"value":"\ud83dx"}`, `"value" holds half`},
	} {
		res, body := call(t, "PUT", url+"/key/k", tt.body, "Content-Type: application/json")
		var got struct{ Error string }
		err := json.Unmarshal([]byte(body), &got)
		if err != nil || res.StatusCode != 400 || !strings.Contains(got.Error, tt.want) {
			t.Errorf("%s: got %d %s; want 400 with %q", tt.body, res.StatusCode, body, tt.want)
		}
		for _, goes := range []string{"json:", "Go ", "struct", "unmarshal", "invalid character"} {
			if strings.Contains(got.Error, goes) {
				t.Errorf("%s: Go's words: %s", tt.body, got.Error)
			}
		}
	}
}

// TestConditions: what the client wants done only on a condition, or packed, is
// not done without looking.
func TestConditions(t *testing.T) {
	n := &node{keys: map[string]string{"k": "old"}}
	url := start(t, n)
	for _, tt := range []struct {
		method, header string
		status         int
	}{
		{"PUT", "If-None-Match: *", 501}, {"PUT", `If-Match: "x"`, 501}, {"DELETE", `If-Match: "x"`, 501},
		{"PUT", "Content-Range: bytes 0-1/5", 501}, {"PUT", "Content-Encoding: gzip", 415},
	} {
		expect(t, tt.method, url+"/key/k", `{"value":"new"}`, tt.status, `{"error":"…`, tt.header)
	}
	if n.keys["k"] != "old" {
		t.Errorf("stored %q", n.keys["k"])
	}
	expect(t, "GET", url+"/key/k", "", 200, `{"key":"k","value":"old"}`, `If-None-Match: "x"`)
	expect(t, "PUT", url+"/key/k", `{"value":"new"}`, 200, `{"key":"k"}`, "Content-Encoding: identity")
}

func TestAccept(t *testing.T) {
	url := start(t, &node{keys: map[string]string{"k": "v"}})
	for _, tt := range []struct {
		accept string
		raw    bool
	}{
		{"", false}, {"*/*", false}, {"text/html", false}, {"application/octet-stream", true}, {"APPLICATION/Octet-Stream", true},
		{"application/octet-stream;q=0", false}, {"application/json, application/octet-stream", false},
		{"application/octet-stream, application/json", true}, {"application/json;q=0.5, application/octet-stream", true},
		{"application/octet-stream;q=0.2, application/json;q=0.3", false}, {"*/*, application/octet-stream;q=0.1", true}, {",;", false},
	} {
		want := map[bool]string{true: "v", false: `{"key":"k","value":"v"}`}[tt.raw]
		expect(t, "GET", url+"/key/k", "", 200, want, "Accept: "+tt.accept)
	}
}

// TestMethods: a wrong method gets 405 with Allow, HEAD the headers of GET.
func TestMethods(t *testing.T) {
	value := strings.Repeat("x", 100000)
	url := start(t, &node{keys: map[string]string{"k": value}})
	for _, tt := range []struct{ method, path, allow string }{
		{"POST", "/key/k", "GET, HEAD, PUT, DELETE"}, {"PATCH", "/key/k", "GET, HEAD, PUT, DELETE"}, {"OPTIONS", "/key/k", "GET, HEAD, PUT, DELETE"},
		{"GET", "/join", "POST"}, {"HEAD", "/join", "POST"}, {"PUT", "/leave", "POST"}, {"POST", "/status", "GET, HEAD"},
		{"POST", "/metrics", "GET, HEAD"}, {"DELETE", "/healthz", "GET, HEAD"}, {"BREW", "/readyz", "GET, HEAD"},
	} {
		want := `{"error":"method ` + tt.method + ` is not for this path; it takes ` + tt.allow + `"}`
		if tt.method == "HEAD" {
			want = ""
		}
		if got := expect(t, tt.method, url+tt.path, "", 405, want).Header.Get("Allow"); got != tt.allow {
			t.Errorf("%s %s: Allow %q, want %q", tt.method, tt.path, got, tt.allow)
		}
	}
	for _, accept := range []string{"application/json", "application/octet-stream"} {
		get, _ := call(t, "GET", url+"/key/k", "", "Accept: "+accept)
		head, body := call(t, "HEAD", url+"/key/k", "", "Accept: "+accept)
		if head.StatusCode != 200 || body != "" || head.ContentLength != get.ContentLength || head.ContentLength < int64(len(value)) {
			t.Errorf("HEAD as %s: %d, length %d, body %q; GET's length is %d", accept, head.StatusCode, head.ContentLength, body, get.ContentLength)
		}
	}
	if res := expect(t, "HEAD", url+"/key/none", "", 404, ""); res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("HEAD of no key: %q", res.Header)
	}
	expect(t, "HEAD", url+"/nowhere", "", 404, "")
}

// TestUnreadableRequests: what net/http refuses before a handler sees it is
// answered in JSON too.
func TestUnreadableRequests(t *testing.T) {
	url := start(t, &node{})
	for _, tt := range []struct {
		request string
		status  int
		want    string
	}{
		{"GET /key/%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400, "a percent sign is written %25"},
		{"GET /key/% HTTP/1.1\r\nHost: x\r\n\r\n", 400, "a percent sign is written %25"},
		{"GET /key/a b HTTP/1.1\r\nHost: x\r\n\r\n", 400, "a space %20"},
		{"PING\r\n\r\n", 400, "cannot be understood"},
		{"GET /key/k HTTP/1.1\r\n\r\n", 400, "Host"},
		{"GET /key/k HTTP/7.0\r\nHost: x\r\n\r\n", 505, "protocol version"},
		{"GET /" + strings.Repeat("x", 2<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n", 431, "too long"},
		{"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404, "no such path"},
		{"PUT /key/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "could not be read"},
	} {
		res := rawRequest(t, url, tt.request)
		body, _ := io.ReadAll(res.Body)
		var got errorJSON
		if err := json.Unmarshal(body, &got); err != nil || res.StatusCode != tt.status || !strings.Contains(got.Error, tt.want) {
			t.Errorf("%.40q: got %d %s; want %d with %q", tt.request, res.StatusCode, body, tt.status, tt.want)
		}
	}
}

// TestValueLikeARefusal: a value that looks like one of net/http's own refusals is
// given back as it is, on a fresh connection and on one that was used before.
func TestValueLikeARefusal(t *testing.T) {
	n := &node{keys: make(map[string]string)}
	url := start(t, n)
	refusal := "HTTP/1.1 400 Bad Request" + plainHeaders + "400 Bad Request"
	// Behind the response's headers net/http's buffer of 4096 bytes ends somewhere;
	// the rest of the value is then written by itself.
	for pad := 3800; pad < 4096; pad++ {
		n.keys["k"] = strings.Repeat("x", pad) + refusal
		if _, got := call(t, "GET", url+"/key/k", "", "Accept: application/octet-stream"); got != n.keys["k"] {
			t.Fatalf("pad %d: got %q", pad, got[pad:])
		}
	}
}

// FuzzBody: no body and no type makes readValue panic; JSON that is taken gives
// back what encoding/json reads, and other bytes are themselves.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{`{"value":"x"}`, `{"value":[1, 2],"encoding":null}`, `{"value":"/w==","encoding":"base64"}`,
		`{"value":"\ud83d\ude00\\u"}`, `{"value":"\ud800"}`, `{"a":1,"a":2}`, "[1]", "", "\xff", `{"value":"\"}`, `{"value":nul}`} {
		f.Add([]byte(seed), uint8(len(seed)))
	}
	f.Fuzz(func(t *testing.T, body []byte, how uint8) {
		value, err := parseValue(form(how%3), body, how%7 == 6)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") && !bytes.ContainsAny(body, "\r\n") || !utf8.ValidString(err.Error()) {
				t.Errorf("not one line of text: %q", err)
			}
			return
		}
		var in struct {
			Value    any `json:"value"`
			Encoding any `json:"encoding"`
		}
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		text, isText := "", false
		if d.Decode(&in) == nil {
			text, isText = in.Value.(string)
		}
		switch {
		case bytes.Equal(value, body) && form(how%3) != asJSON:
		case form(how%3) == asBytes:
			t.Errorf("bytes %q became %q", body, value)
		case isText && in.Encoding == nil && text != string(value):
			t.Errorf("%q: got %q, want %q", body, value, text)
		case !isText && !json.Valid(value):
			t.Errorf("%q: got %q, which is no JSON", body, value)
		}
	})
}
