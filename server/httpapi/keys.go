package httpapi

import (
	"context"
	"encoding/base64"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// key answers /key/{key}. key is percent-decoded and otherwise as it was sent.
func (s *Server) key(w http.ResponseWriter, r *http.Request, key string) {
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		writeError(w, http.StatusBadRequest, "there are no query parameters; a question mark in a key is written %3F")
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		s.getKey(w, r, key)
	case http.MethodPut:
		s.putKey(w, r, key)
	case http.MethodDelete:
		s.deleteKey(w, r, key)
	default:
		refuseMethod(w, r, http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete)
	}
}

// keyName is how a key is shown: as text if it is UTF-8, else as base64.
type keyName struct {
	Key         string `json:"key"`
	KeyEncoding string `json:"key_encoding,omitempty"`
}

func showKey(key string) keyName {
	if utf8.ValidString(key) {
		return keyName{Key: key}
	}
	return keyName{Key: base64.StdEncoding.EncodeToString([]byte(key)), KeyEncoding: "base64"}
}

func (s *Server) getKey(w http.ResponseWriter, r *http.Request, key string) {
	rep, ok := s.do(w, r, key, []byte("GET"), []byte(key))
	if !ok {
		return
	}
	if rep.null {
		writeJSON(w, http.StatusNotFound, struct {
			Error string `json:"error"`
			keyName
		}{"no such key", showKey(key)})
		return
	}
	if acceptsRaw(r) {
		h := w.Header()
		h.Set("Content-Type", octetStream)
		h.Set("X-Content-Type-Options", "nosniff")
		w.Write(rep.data)
		return
	}
	out := struct {
		keyName
		Value    string `json:"value"`
		Encoding string `json:"encoding,omitempty"`
	}{keyName: showKey(key)}
	if utf8.Valid(rep.data) {
		out.Value = string(rep.data)
	} else {
		out.Value, out.Encoding = base64.StdEncoding.EncodeToString(rep.data), "base64"
	}
	writeJSON(w, http.StatusOK, out)
}

func (s *Server) putKey(w http.ResponseWriter, r *http.Request, key string) {
	value, ok := s.readValue(w, r)
	if !ok {
		return
	}
	if _, ok := s.do(w, r, key, []byte("SET"), []byte(key), value); ok {
		writeJSON(w, http.StatusOK, showKey(key))
	}
}

func (s *Server) deleteKey(w http.ResponseWriter, r *http.Request, key string) {
	rep, ok := s.do(w, r, key, []byte("DEL"), []byte(key))
	if !ok {
		return
	}
	writeJSON(w, http.StatusOK, struct {
		keyName
		Deleted bool `json:"deleted"`
	}{showKey(key), string(rep.data) != "0"})
}

// do runs a command; where it cannot give the reply it writes the response itself
// and ok is false.
func (s *Server) do(w http.ResponseWriter, r *http.Request, key string, args ...[]byte) (rep reply, ok bool) {
	ctx, cancel := context.WithTimeout(r.Context(), commandTimeout)
	defer cancel()
	// Twice: this node may become the leader just after it has refused.
	for range 2 {
		raw, err := s.Executor.Do(ctx, args...)
		if err == nil {
			rep, err = parseReply(raw)
		}
		if err == nil {
			return rep, true
		}
		if !isMoved(err) {
			s.refuse(w, err)
			return reply{}, false
		}
		if m, self, known := s.Cluster.Leader(); known && !self {
			redirect(w, m, key)
			return reply{}, false
		}
	}
	noLeader(w, "the leader is changing; try again")
	return reply{}, false
}

const (
	octetStream = "application/octet-stream"
	// jsonSlack is what a JSON body has beside the value.
	jsonSlack = 4096
)

// readValue reads the value to store from the request's body: raw bytes where its
// type says so, else JSON. Where it cannot, it writes the response itself.
func (s *Server) readValue(w http.ResponseWriter, r *http.Request) (value []byte, ok bool) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		kind = "" // a header that cannot be read is no header
	}
	largest := s.MaxValue()
	raw := kind == octetStream
	bound := largest
	if !raw {
		bound = 2*largest + jsonSlack // base64 and escapes take more room than the bytes they stand for
	}
	switch {
	case raw, kind == "", kind == "application/json", strings.HasSuffix(kind, "+json"),
		kind == "application/x-www-form-urlencoded": // what curl -d says when it is told nothing
	default:
		writeError(w, http.StatusUnsupportedMediaType, "the body must be application/json, or application/octet-stream for raw bytes, not "+kind)
		return nil, false
	}
	body, ok := readBody(w, r, bound)
	if !ok {
		return nil, false
	}
	if raw {
		return body, true
	}
	value, err = jsonValue(body)
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return nil, false
	}
	if int64(len(value)) > largest {
		tooLarge(w, largest)
		return nil, false
	}
	return value, true
}

// readBody reads at most bound bytes; more is answered with 413.
func readBody(w http.ResponseWriter, r *http.Request, bound int64) (body []byte, ok bool) {
	if r.ContentLength > bound {
		tooLarge(w, bound)
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bound))
	if err == nil {
		return body, true
	}
	if isTooLarge(err) {
		tooLarge(w, bound)
	} else {
		writeError(w, http.StatusBadRequest, "the body could not be read: "+err.Error())
	}
	return nil, false
}

// acceptsRaw says whether the client asks for the bytes themselves.
func acceptsRaw(r *http.Request) bool {
	for _, header := range r.Header.Values("Accept") {
		for _, part := range strings.Split(header, ",") {
			if kind, _, err := mime.ParseMediaType(part); err == nil && kind == octetStream {
				return true
			}
		}
	}
	return false
}

// keyPath is the path of a key in which nothing can be taken for anything else:
// clients take "." and ".." between slashes out of an address before they use it.
func keyPath(key string) string {
	if key == "." || key == ".." {
		return "/key/" + strings.Repeat("%2E", len(key))
	}
	return "/key/" + url.PathEscape(key)
}
