package system

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// applied applies commands that must succeed.
func applied(t *testing.T, s *State, cmds ...Command) *State {
	t.Helper()
	for _, c := range cmds {
		next, err := s.Apply(c.Args)
		if err != nil {
			t.Fatalf("%q: %v", c.Args, err)
		}
		s = next
	}
	return s
}

func hashes(s *State) (all []string) {
	open, _ := s.Tokens()
	for _, t := range open {
		all = append(all, t.Hash)
	}
	return all
}

func TestATokenLetsOneNodeIn(t *testing.T) {
	a, b := HashToken("a"), HashToken("b")
	s := applied(t, nil, ClusterInit("X"), ClusterVersion(NewestVersion), TokenAdd(Token{a, 1000}, 0), TokenAdd(Token{b, 2000}, 0))
	n1, n2 := Member{ID: "n1", Raft: "h:1", Dir: "d1"}, Member{ID: "n2", Raft: "h:2", Dir: "d2"}
	for _, c := range []struct {
		name, hash string
		now        int64
		want       error
	}{
		{"none", "", 0, ErrNeedsToken},
		{"unknown", HashToken("c"), 0, ErrTokenUnknown},
		{"no hash at all", "a", 0, ErrTokenUnknown},
		{"its hash in other letters", strings.ToUpper(a), 0, ErrTokenUnknown},
		{"expired", a, 1000, ErrTokenExpired},
	} {
		if err := s.CheckToken(c.hash, c.now); !errors.Is(err, c.want) {
			t.Errorf("%s: CheckToken: %v, want %v", c.name, err, c.want)
		}
		next, err := s.Apply(MemberAdmit(n1, c.hash, c.now).Args)
		if !errors.Is(err, c.want) || next != s {
			t.Errorf("%s: %v, want %v and nothing changed", c.name, err, c.want)
		}
	}
	s = applied(t, s, MemberAdmit(n1, a, 999))
	if m, ok := s.Member("n1"); !ok || m != n1 {
		t.Errorf("n1 is %+v, %v", m, ok)
	}
	if got := hashes(s); len(got) != 1 || got[0] != b {
		t.Errorf("left are %v, want that of b", got)
	}
	if _, err := s.Apply(MemberAdmit(n2, a, 999).Args); !errors.Is(err, ErrTokenUnknown) {
		t.Errorf("a spent token: %v, want %v", err, ErrTokenUnknown)
	}
	// A join that was cut off and is repeated needs no other token, and spends none.
	n1.Raft = "h:9"
	s = applied(t, s, MemberAdmit(n1, a, 5000), MemberAdmit(n1, b, 999), MemberAdmit(n1, "", 999))
	if m, _ := s.Member("n1"); m != n1 || len(hashes(s)) != 1 {
		t.Errorf("n1 is %+v, left are %v", m, hashes(s))
	}
	// Its id with another data directory is another node.
	if _, err := s.Apply(MemberAdmit(Member{ID: "n1", Dir: "d3"}, b, 0).Args); err == nil {
		t.Error("another node got in under the id of a member")
	}
	if len(hashes(s)) != 1 {
		t.Error("a refused node has spent a token")
	}
	// What an operator adds needs none.
	s = applied(t, s, MemberSet(n2))
	if len(hashes(s)) != 1 {
		t.Error("an operator has spent a token")
	}
	if _, required := applied(t, s, MemberAdmit(Member{ID: "n3", Dir: "d3"}, b, 0)).Tokens(); !required {
		t.Error("with the last token the need for one went, too")
	}
}

func TestWithoutTokensEverybodyMayAsk(t *testing.T) {
	s := applied(t, nil, ClusterInit("X"), ClusterVersion(NewestVersion), MemberAdmit(Member{ID: "n1", Dir: "d1"}, "", 0), MemberAdmit(Member{ID: "n2", Dir: "d2"}, HashToken("whatever"), 0))
	if len(s.Members()) != 2 {
		t.Errorf("members %v", s.Members())
	}
	s = applied(t, s, TokenAdd(Token{HashToken("a"), 10}, 0), TokensOff())
	if open, required := s.Tokens(); len(open) != 0 || required {
		t.Errorf("after TokensOff: %v, required %v", open, required)
	}
	applied(t, s, MemberAdmit(Member{ID: "n3", Dir: "d3"}, "", 0))
}

func TestTokensAreBounded(t *testing.T) {
	s := applied(t, nil, ClusterInit("X"), ClusterVersion(NewestVersion))
	for i := range maxTokens {
		s = applied(t, s, TokenAdd(Token{HashToken(fmt.Sprint(i)), 1000}, 0))
	}
	if _, err := s.Apply(TokenAdd(Token{HashToken("more"), 1000}, 999).Args); err == nil {
		t.Error("one more was taken")
	}
	s = applied(t, s, TokenAdd(Token{HashToken("later"), 2000}, 1000)) // all others have expired
	if got := hashes(s); len(got) != 1 {
		t.Errorf("%d are left, want 1", len(got))
	}
}

func TestBadTokenCommands(t *testing.T) {
	s := applied(t, nil, ClusterInit("X"), ClusterVersion(NewestVersion), TokenAdd(Token{HashToken("a"), 1000}, 0))
	for _, words := range [][]string{
		{cmdTokenAdd, HashToken("b"), "x", "0"}, {cmdTokenAdd, HashToken("b"), "1", ""}, {cmdTokenAdd, "short", "1", "0"},
		{cmdTokenAdd, strings.ToUpper(HashToken("b")), "1", "0"}, {cmdTokenAdd, HashToken("a"), "1", "0"}, {cmdTokenAdd, HashToken("b"), "1"},
		{cmdTokensOff, "now"}, {cmdMemberAdmit, "n", "h", "", "", "false", "d", "", "soon"}, {cmdMemberAdmit, "n", "h", "", "", "maybe", "d", "", "0"},
		{cmdMemberAdmit, "", "h", "", "", "false", "d", HashToken("a"), "0"},
	} {
		if next, err := s.Apply(command(words...).Args); err == nil || next != s {
			t.Errorf("%q: %v, want an error and nothing changed", words, err)
		}
	}
}

// TestTokensOutliveOtherChanges: no other command forgets them.
func TestTokensOutliveOtherChanges(t *testing.T) {
	s := applied(t, nil, TokenAdd(Token{HashToken("a"), 1000}, 0), ClusterInit("X"), MemberSet(Member{ID: "n1"}), MemberSet(Member{ID: "n1", Raft: "h:1"}), MemberLeft("n1"), Audit("x", ""))
	if open, required := s.Tokens(); len(open) != 1 || !required {
		t.Errorf("%v, required %v", open, required)
	}
}

func TestWithTokensRefusesWhatCannotBe(t *testing.T) {
	s := applied(t, nil, ClusterInit("X"), ClusterVersion(NewestVersion))
	a := Token{HashToken("a"), 1}
	for name, open := range map[string][]Token{"twice": {a, a}, "no hash": {{Hash: "x"}}, "too many": make([]Token, maxTokens+1)} {
		if _, err := s.WithTokens(open, true); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
