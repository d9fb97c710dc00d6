package system

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Token is what is kept of a join token that was not spent: its hash, never the token
// itself. A token is random and long, so the hash tells nothing of it.
type Token struct {
	Hash    string // SHA-256 of the token, in hexadecimal
	Expires int64  // Unix milliseconds
}

// ID is what a token is called where it is listed.
func (t Token) ID() string { return t.Hash[:8] }

// HashToken is the hash of a token.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// tokens are the join tokens of a cluster. The nil *tokens is that of one that never
// had any.
type tokens struct {
	required bool
	open     []Token // ordered by hash
}

// maxTokens bounds how many tokens wait to be spent.
const maxTokens = 1024

const (
	cmdTokenAdd    = "TOKEN-ADD"
	cmdTokensOff   = "TOKENS-OFF"
	cmdMemberAdmit = "MEMBER-ADMIT"
)

// TokenAdd adds a join token; from then on a node that asks for admission by itself
// needs one. now, in Unix milliseconds, is when: tokens that have expired by then go.
func TokenAdd(t Token, now int64) Command {
	return command(cmdTokenAdd, t.Hash, strconv.FormatInt(t.Expires, 10), strconv.FormatInt(now, 10))
}

// TokensOff drops all join tokens, and nobody needs one any more.
func TokensOff() Command { return command(cmdTokensOff) }

// MemberAdmit is MemberSet for a node that asked for admission by itself: the token of
// that hash is spent by it. It is refused where the cluster needs one and there is no
// such token, or it had expired by now, in Unix milliseconds. Repeated for the same
// node it spends none.
func MemberAdmit(m Member, hash string, now int64) Command {
	return command(cmdMemberAdmit, m.ID, m.Raft, m.RESP, m.HTTP, strconv.FormatBool(m.Learner), m.Dir, hash, strconv.FormatInt(now, 10))
}

var (
	// ErrNeedsToken says that a node asked for admission without a token.
	ErrNeedsToken = errors.New("a join token is needed here: make one on a member with RAFT.TOKEN CREATE and start the node with it (RAFTKV_JOIN_TOKEN, or --join-token)")
	// ErrTokenUnknown says that there is no such token; one that was spent is gone.
	ErrTokenUnknown = errors.New("the join token is unknown here, or was used already: each lets one node in; make another with RAFT.TOKEN CREATE on a member")
	// ErrTokenExpired says that it is too late.
	ErrTokenExpired = errors.New("the join token has expired: make another with RAFT.TOKEN CREATE on a member")
)

// Tokens returns the join tokens that wait to be spent, ordered by hash, and whether
// joining needs one. The caller must not change the slice.
func (s *State) Tokens() (open []Token, required bool) {
	if s == nil || s.joining == nil {
		return nil, false
	}
	return s.joining.open, s.joining.required
}

// WithTokens returns the state with other tokens, as a snapshot told of them; the
// error says what cannot be.
func (s *State) WithTokens(open []Token, required bool) (*State, error) {
	if len(open) > maxTokens {
		return s, fmt.Errorf("%d join tokens; there are at most %d", len(open), maxTokens)
	}
	open = slices.Clone(open)
	slices.SortFunc(open, func(a, b Token) int { return strings.Compare(a.Hash, b.Hash) })
	for i, t := range open {
		if !validHash(t.Hash) || i > 0 && t.Hash == open[i-1].Hash {
			return s, errors.New("a join token is none, or there twice")
		}
	}
	return s.withTokens(&tokens{required: required, open: open}), nil
}

func (s *State) withTokens(t *tokens) *State {
	next := s.with(s.Members(), s.Departures())
	next.joining = t
	return next
}

func validHash(hash string) bool {
	_, err := hex.DecodeString(hash)
	return err == nil && len(hash) == 2*sha256.Size && hash == strings.ToLower(hash)
}

// CheckToken says why the token of that hash lets nobody in now; "" is none.
func (s *State) CheckToken(hash string, now int64) error {
	open, required := s.Tokens()
	if !required {
		return nil
	}
	if hash == "" {
		return ErrNeedsToken
	}
	found := -1
	for i, t := range open { // all of them, so that time tells nothing
		if subtle.ConstantTimeCompare([]byte(t.Hash), []byte(hash)) == 1 {
			found = i
		}
	}
	switch {
	case found < 0:
		return ErrTokenUnknown
	case open[found].Expires <= now:
		return ErrTokenExpired
	}
	return nil
}

// applyToken runs a command about tokens; known is false for any other.
func (s *State) applyToken(name string, words []string) (next *State, known bool, err error) {
	number := func(i int) int64 {
		n, failed := strconv.ParseInt(words[i], 10, 64)
		if failed != nil {
			err = fmt.Errorf("%s with a bad time %s", name, strconv.Quote(words[i]))
		}
		return n
	}
	next = s
	switch {
	case name == cmdTokenAdd && len(words) == 3:
		expires, now := number(1), number(2)
		if err == nil {
			next, err = s.addToken(Token{words[0], expires}, now)
		}
	case name == cmdTokensOff && len(words) == 0:
		next = s.withTokens(nil)
	case name == cmdMemberAdmit && len(words) == 8 && isBool(words[4]):
		now := number(7)
		if err == nil {
			next, err = s.admit(memberOf(words), words[6], now)
		}
	default:
		return s, false, nil
	}
	return next, true, err
}

func (s *State) addToken(t Token, now int64) (*State, error) {
	if !validHash(t.Hash) {
		return s, errors.New("a join token's hash is not one")
	}
	open, _ := s.Tokens()
	open = slices.DeleteFunc(slices.Clone(open), func(o Token) bool { return o.Expires <= now })
	if len(open) >= maxTokens {
		return s, fmt.Errorf("%d join tokens wait to be used, and that is the most: wait until they expire, or drop all with RAFT.TOKEN OFF", maxTokens)
	}
	return s.WithTokens(append(open, t), true)
}

// admit adds a member and spends its token.
func (s *State) admit(m Member, hash string, now int64) (*State, error) {
	known, ok := s.Member(m.ID)
	again := ok && known.Dir == m.Dir
	if !again {
		if err := s.CheckToken(hash, now); err != nil {
			return s, err
		}
	}
	next, err := s.setMember(m)
	if err != nil || again {
		return next, err
	}
	open, required := s.Tokens()
	at := slices.IndexFunc(open, func(t Token) bool { return t.Hash == hash })
	if at < 0 {
		return next, nil
	}
	return next.withTokens(&tokens{required: required, open: slices.Delete(slices.Clone(open), at, at+1)}), nil
}
