package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

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
