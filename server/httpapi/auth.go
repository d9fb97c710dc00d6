package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// denied is the answer of protected mode to those outside, in the sense of Redis's.
const denied = "this node is in protected mode: no password is set, so only clients on its own machine are served; " +
	"set a password there with CONFIG SET requirepass, or allow it with CONFIG SET protected-mode no, or start it with --requirepass or --protected-mode no"

// authorized says whether the request carries the password, or none is needed.
func (s *Server) authorized(r *http.Request) bool {
	want := s.Password()
	if want == "" {
		return true
	}
	if user, pass, ok := r.BasicAuth(); ok {
		return samePassword(pass, want) && (user == "" || user == "default")
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer") && samePassword(token, want)
}

// samePassword takes the same time whatever the two share, length included.
func samePassword(got, want string) bool {
	g, w := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(g[:], w[:]) == 1
}
