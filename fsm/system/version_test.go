package system

import (
	"errors"
	"testing"

	"github.com/raftkv/raftkv/fsm/entry"
)

func TestClusterVersion(t *testing.T) {
	s := apply(t, nil, ClusterInit("u"), MemberSet(Member{ID: "a"}))
	if s.Version() != FirstVersion {
		t.Errorf("a cluster begins at version %d, want %d", s.Version(), FirstVersion)
	}
	raised := apply(t, s, ClusterVersion(NewestVersion), ClusterVersion(NewestVersion))
	if raised.Version() != NewestVersion || raised.ClusterID() != "u" || len(raised.Members()) != 1 {
		t.Errorf("raised: version %d, %+v", raised.Version(), raised)
	}
	if s.Version() != FirstVersion {
		t.Error("a state changed under its holder")
	}
	if kept := apply(t, raised, MemberSet(Member{ID: "b"}), MemberLeft("a"), ClusterInit("u")); kept.Version() != NewestVersion {
		t.Errorf("other commands made it version %d", kept.Version())
	}
	for _, tt := range []struct {
		name string
		from *State
		cmd  Command
		want error // nil: any
	}{
		{"lower", raised, ClusterVersion(FirstVersion), nil},
		{"none", raised, ClusterVersion(0), nil},
		{"no number", raised, command(cmdClusterVersion, "x"), nil},
		{"a number that no batch can have", raised, command(cmdClusterVersion, "65536"), nil},
		{"no word", raised, command(cmdClusterVersion), nil},
		{"no cluster", nil, ClusterVersion(NewestVersion), nil},
		{"unknown here", s, ClusterVersion(NewestVersion + 1), entry.ErrVersion},
	} {
		after, err := tt.from.Apply(tt.cmd.Args)
		if err == nil || after != tt.from || tt.want != nil && !errors.Is(err, tt.want) || tt.want == nil && errors.Is(err, entry.ErrVersion) {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
}

func TestRaisesTo(t *testing.T) {
	for _, tt := range []struct {
		cmd  Command
		want uint64
	}{
		{ClusterVersion(7), 7}, {command(cmdClusterVersion, "65536"), 0}, {command(cmdClusterVersion), 0}, {MemberLeft("7"), 0}, {Command{}, 0},
	} {
		if got := RaisesTo(&tt.cmd); got != tt.want {
			t.Errorf("%q raises to %d, want %d", tt.cmd.Args, got, tt.want)
		}
	}
}

// TestNewCommandsInAnOldCluster: they are not to be logged there. What is in a log of
// the first version counts, as it did when it was written.
func TestNewCommandsInAnOldCluster(t *testing.T) {
	old := apply(t, nil, ClusterInit("u"))
	all := []Command{
		UsersSet(0, UserChange{"a", "on"}), TokenAdd(Token{HashToken("a"), 1}, 0), TokensOff(), MemberAdmit(Member{ID: "a"}, "", 0),
	}
	for _, c := range all {
		if old.Admits(c.Args) == nil || old.HasAccess() {
			t.Errorf("%s is admitted at version 1", c.Args[0])
		}
	}
	for _, s := range []*State{nil, apply(t, old, ClusterVersion(accessVersion))} {
		for _, c := range all {
			if err := s.Admits(c.Args); err != nil || !s.HasAccess() {
				t.Errorf("%s at version %d: %v", c.Args[0], s.Version(), err)
			}
		}
	}
	for _, s := range []*State{nil, old, apply(t, old, ClusterVersion(accessVersion))} {
		if got := apply(t, s, all...); got.Users().At() != 1 || len(got.Members()) != 1 {
			t.Errorf("what was logged at version %d has no effect", s.Version())
		}
	}
	for _, c := range []Command{ClusterInit("u"), MemberSet(Member{ID: "a"}), MemberLeft("a"), Audit("", ""), ClusterVersion(2), {}} {
		if err := old.Admits(c.Args); err != nil {
			t.Errorf("%q at version 1: %v", c.Args, err)
		}
	}
}
