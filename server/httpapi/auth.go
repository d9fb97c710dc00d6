package httpapi

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/raftkv/raftkv/fsm/system"
)

// Users says who may be here, and what each may do. *server.Server has it.
type Users interface {
	// Open says that who gives no password is the default user.
	Open() bool
	// Authenticate says which of the logins that a request may mean is right; client is
	// where it came from, for the log of refusals. It takes as long whatever is wrong.
	Authenticate(client string, logins ...system.Login) (user string, ok bool)
	// Permits says whether a user may run a command; the error is Redis's.
	Permits(user string, words ...string) error
}

// denied is the answer of protected mode to those outside, in the sense of Redis's.
const denied = "this node is in protected mode: no password is set, so only clients on its own machine are served; " +
	"set a password there with CONFIG SET requirepass, or allow it with CONFIG SET protected-mode no, or start it with --requirepass or --protected-mode no"

const defaultUser = "default"

type userKey struct{}

// userOf is the user that a request was authenticated as.
func userOf(r *http.Request) string {
	user, _ := r.Context().Value(userKey{}).(string)
	return user
}

// authenticate says whose request it is: of who gives no password, the default user's,
// where that needs none.
func (s *Server) authenticate(r *http.Request) (user string, ok bool) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return defaultUser, s.Users.Open()
	}
	if user, pass, ok := r.BasicAuth(); ok {
		if user == "" {
			user = defaultUser
		}
		return s.Users.Authenticate(r.RemoteAddr, system.Login{User: user, Password: pass})
	}
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return defaultUser, s.Users.Open()
	}
	// A token with a colon may be the default user's password all the same.
	logins := []system.Login{{User: defaultUser, Password: token}}
	if user, pass, both := strings.Cut(token, ":"); both {
		logins = slices.Insert(logins, 0, system.Login{User: user, Password: pass})
	}
	return s.Users.Authenticate(r.RemoteAddr, logins...)
}

// as is h for those who may run a command that does the same.
func (s *Server) as(h http.HandlerFunc, words ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := s.Users.Permits(userOf(r), words...); err != nil {
			s.refuse(w, err)
			return
		}
		h(w, r)
	}
}

// forAll is as for a request that concerns more than this node. A follower can be behind,
// and so can a leader that has only begun: they ask again once they have heard of what the
// others know.
func (s *Server) forAll(h http.HandlerFunc, words ...string) http.HandlerFunc {
	again := s.as(h, words...)
	return s.as(func(w http.ResponseWriter, r *http.Request) {
		if len(s.Cluster.Members()) > 1 { // an only one knows all
			ctx, cancel := context.WithTimeout(r.Context(), commandTimeout)
			defer cancel()
			var other *system.NotLeaderError // this node may not answer at all: it goes by what it has applied
			if _, err := s.Cluster.FollowerBarrier(ctx); err != nil && !errors.As(err, &other) {
				s.refuseMember(w, err)
				return
			}
		}
		again(w, r)
	}, words...)
}
