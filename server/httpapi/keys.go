package httpapi

import (
	"context"
	"encoding/base64"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// key answers /key/{key}. key is percent-decoded and otherwise as it was sent.
func (s *Server) key(w http.ResponseWriter, r *http.Request, key string) {
	if refuseQuery(w, r, "a question mark in a key is written %3F") || refuseConditions(w, r) {
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

// refuseConditions refuses, where it is true, a change that the client wants only
// on a condition, or of a part of the value: done without, it might destroy data.
func refuseConditions(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodPut && r.Method != http.MethodDelete {
		return false
	}
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "Content-Range"} {
		if r.Header.Get(name) != "" {
			writeError(w, http.StatusNotImplemented, name+" is not understood here, and nothing was done; Redis's commands SET NX, SETRANGE, WATCH and EXEC have such conditions")
			return true
		}
	}
	return false
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
		writeBody(w, http.StatusOK, octetStream, rep.data)
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
	value, ok := s.readValue(w, r, key)
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
		raw, err := s.Executor.Do(ctx, userOf(r), args...)
		if err == nil {
			rep, err = parseReply(raw)
		}
		if err == nil {
			return rep, true
		}
		if exceeds(err) { // the bound was lowered meanwhile
			tooLarge(w, s.MaxValue(len(key)))
			return reply{}, false
		}
		if !isMoved(err) {
			s.refuse(w, err)
			return reply{}, false
		}
		if m, self, known := s.Cluster.Leader(); known && !self {
			s.redirect(w, m, key)
			return reply{}, false
		}
	}
	noLeader(w, "the leader is changing; try again")
	return reply{}, false
}

// acceptsRaw says whether the client asks for the bytes themselves: more than for
// JSON, or first.
func acceptsRaw(r *http.Request) bool {
	best, raw := 0.0, false
	for _, header := range r.Header.Values("Accept") {
		for _, part := range strings.Split(header, ",") {
			kind, params, err := mime.ParseMediaType(part)
			if err != nil || kind != octetStream && kind != "application/json" {
				continue
			}
			q, err := strconv.ParseFloat(params["q"], 64)
			if err != nil {
				q = 1
			}
			if q > best {
				best, raw = q, kind == octetStream
			}
		}
	}
	return raw
}

// keyPath is the path of a key in which nothing can be taken for anything else:
// clients take "." and ".." between slashes out of an address before they use it.
func keyPath(key string) string {
	if key == "." || key == ".." {
		return "/key/" + strings.Repeat("%2E", len(key))
	}
	return "/key/" + url.PathEscape(key)
}
