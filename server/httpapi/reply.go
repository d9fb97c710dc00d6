package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

// reply is a reply of one value: a string, status or number as its bytes, or null.
type reply struct {
	data []byte
	null bool
}

// parseReply reads a reply in RESP form; an error reply comes back as a resp.Error.
func parseReply(raw []byte) (reply, error) {
	line, rest, ok := bytes.Cut(raw, []byte("\r\n"))
	if !ok || len(line) == 0 {
		return reply{}, fmt.Errorf("reply cut short: %q", line)
	}
	text := line[1:]
	switch line[0] {
	case '-':
		return reply{}, resp.Error(text)
	case '+', ':':
		return reply{data: text}, nil
	case '_':
		return reply{null: true}, nil
	case '$':
		n, err := strconv.Atoi(string(text))
		switch {
		case err == nil && n == -1:
			return reply{null: true}, nil
		case err == nil && n >= 0 && len(rest) == n+2:
			return reply{data: rest[:n]}, nil
		}
	}
	return reply{}, fmt.Errorf("reply of an unexpected kind: %q", line)
}

// isMoved says whether the error sends the client to another node.
func isMoved(err error) bool {
	var moved *system.NotLeaderError
	if errors.As(err, &moved) {
		return true
	}
	var e resp.Error
	return errors.As(err, &e) && strings.HasPrefix(string(e), "MOVED ")
}

// exceeds says that the command was too large for the log.
func exceeds(err error) bool {
	var e resp.Error
	return errors.Is(err, system.ErrTooLarge) ||
		errors.As(err, &e) && (e == resp.ErrStringTooLong || strings.Contains(string(e), system.ErrTooLarge.Error()))
}

// redirect answers with the leader's address of the same key. 307 keeps method
// and body, so curl -L works.
func (s *Server) redirect(w http.ResponseWriter, leader system.Member, key string) {
	if leader.HTTP == "" {
		noLeader(w, "this node is not the leader; "+leader.ID+" is, but its HTTP address is not known yet; try again")
		return
	}
	scheme := "http"
	if s.Secure {
		scheme = "https"
	}
	to := scheme + "://" + leader.HTTP + keyPath(key)
	w.Header().Set("Location", to)
	writeJSON(w, http.StatusTemporaryRedirect, struct {
		Error  string `json:"error"`
		Leader string `json:"leader"`
		URL    string `json:"url"`
	}{"this node is not the leader; follow the redirect to " + leader.ID, leader.ID, to})
}

// noLeader answers that nothing was done and that it is worth another try.
func noLeader(w http.ResponseWriter, text string) {
	w.Header().Set("Retry-After", "1")
	writeError(w, http.StatusServiceUnavailable, text)
}

// refuse answers with an error that is not a redirect.
func (s *Server) refuse(w http.ResponseWriter, err error) {
	var refused *system.RefusedError
	var e resp.Error
	switch {
	case errors.As(err, &refused):
		writeError(w, http.StatusConflict, refused.Reason)
	case errors.As(err, &e):
		s.refuseReply(w, e)
	case errors.Is(err, system.ErrNoLeader):
		noLeader(w, noLeaderKnown+"; nothing was done")
	case errors.Is(err, system.ErrOverloaded), errors.Is(err, system.ErrShutdown), errors.Is(err, system.ErrRemoved):
		noLeader(w, err.Error())
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		noLeader(w, "it took too long and was given up")
	case errors.Is(err, system.ErrDiskFull):
		writeError(w, http.StatusInsufficientStorage, err.Error())
	case errors.Is(err, system.ErrUnknownOutcome):
		unknownOutcome(w, err.Error())
	default:
		s.Logger.Error("HTTP request", "error", err)
		writeError(w, http.StatusInternalServerError, err.Error())
	}
}

// refuseReply maps a Redis error to a status.
func (s *Server) refuseReply(w http.ResponseWriter, e resp.Error) {
	word, _, _ := strings.Cut(string(e), " ")
	switch {
	case word == "NOPERM":
		writeError(w, http.StatusForbidden, string(e))
	case word == "WRONGTYPE":
		writeError(w, http.StatusConflict, string(e))
	case word == "CLUSTERDOWN", word == "TRYAGAIN", word == "LOADING":
		noLeader(w, string(e))
	case word == "UNKNOWN":
		unknownOutcome(w, string(e))
	case word == "OOM":
		writeError(w, http.StatusInsufficientStorage, string(e))
	default:
		s.Logger.Error("HTTP request", "error", e)
		writeError(w, http.StatusInternalServerError, string(e))
	}
}

// unknownOutcome is no 503, which would say that nothing was done.
func unknownOutcome(w http.ResponseWriter, text string) {
	writeJSON(w, http.StatusInternalServerError, struct {
		Error   string `json:"error"`
		Outcome string `json:"outcome"`
	}{text, "unknown"})
}
