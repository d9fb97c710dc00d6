package system

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func apply(t *testing.T, s *State, cmds ...Command) *State {
	t.Helper()
	for _, c := range cmds {
		next, err := s.Apply(c.Args)
		if err != nil {
			t.Fatalf("%s: %v", c.Args, err)
		}
		s = next
	}
	return s
}

func TestMembers(t *testing.T) {
	a := Member{ID: "a", Raft: "h:1", RESP: "h:2", HTTP: "h:3"}
	b := Member{ID: "b", Raft: "i:1", RESP: "i:2", HTTP: "i:3", Learner: true, Dir: "d"}
	moved := Member{ID: "a", Raft: "j:1", RESP: "j:2", HTTP: "j:3"}
	reused := Member{ID: "b", Raft: "i:1", Dir: "e"}
	tests := []struct {
		name string
		cmds []Command
		want []Member
	}{
		{"none", nil, nil},
		{"ordered by id", []Command{MemberSet(b), MemberSet(a)}, []Member{a, b}},
		{"set again replaces", []Command{MemberSet(a), MemberSet(b), MemberSet(moved)}, []Member{moved, b}},
		{"leave", []Command{MemberSet(a), MemberSet(b), MemberLeft("a")}, []Member{b}},
		{"the unknown leaves", []Command{MemberLeft("a"), MemberSet(a), MemberLeft("x")}, []Member{a}},
		{"removed by an older program", []Command{MemberSet(a), MemberSet(b), command(cmdMemberDel, "a")}, []Member{b}},
		{"removed by an older program and back", []Command{MemberSet(b), command(cmdMemberDel, "b"), MemberSet(reused)}, []Member{reused}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := apply(t, nil, tt.cmds...)
			if got := s.Members(); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			for _, m := range tt.want {
				if got, ok := s.Member(m.ID); !ok || got != m {
					t.Errorf("Member(%q) = %v, %v", m.ID, got, ok)
				}
			}
			if _, ok := s.Member("nobody"); ok {
				t.Error("found a member that is none")
			}
		})
	}
}

func TestStateNeverChanges(t *testing.T) {
	before := apply(t, nil, ClusterInit("u"), MemberSet(Member{ID: "b", Raft: "old"}))
	after := apply(t, before, MemberSet(Member{ID: "b", Raft: "new"}), MemberSet(Member{ID: "a"}), MemberLeft("b"))
	if m, _ := before.Member("b"); m.Raft != "old" || len(before.Members()) != 1 {
		t.Errorf("a state changed under its holder: %v", before.Members())
	}
	if len(before.Departures()) != 0 || len(after.Departures()) != 1 {
		t.Errorf("left before %v, after %v", before.Departures(), after.Departures())
	}
	if after.ClusterID() != "u" || after.Version() != FirstVersion {
		t.Errorf("a member's change lost the identity: %q, %d", after.ClusterID(), after.Version())
	}
}

func TestClusterInit(t *testing.T) {
	var s *State
	if s.ClusterID() != "" || s.Version() != 0 || s.HashKey() != [16]byte{} {
		t.Error("a state without a cluster has an identity")
	}
	s = apply(t, s, ClusterInit("one"), ClusterInit("one"))
	if s.ClusterID() != "one" {
		t.Errorf("got cluster %q", s.ClusterID())
	}
	if _, err := s.Apply(ClusterInit("two").Args); err == nil || !strings.Contains(err.Error(), "one") {
		t.Errorf("a second identity: got error %v", err)
	}
	other := apply(t, nil, ClusterInit("two"))
	if s.HashKey() == other.HashKey() || s.HashKey() == [16]byte{} {
		t.Error("two clusters share a hash key")
	}
}

func TestApplyRefuses(t *testing.T) {
	for _, words := range [][]string{
		nil, {"NOSUCH"}, {"MEMBER-SET", "a"}, {"MEMBER-DEL"}, {"CLUSTER-INIT"},
		{"CLUSTER-INIT", ""}, {"MEMBER-SET", "", "r", "s", "h", "false", "d"}, {"MEMBER-SET", "a", "r", "s", "h", "maybe", "d"},
		{"AUDIT"}, {"AUDIT", "nonce"}, {"MEMBER-LEFT"}, {"MEMBER-LEFT", "a", "b"},
	} {
		before := apply(t, nil, MemberSet(Member{ID: "a"}))
		after, err := before.Apply(command(words...).Args)
		if err == nil || after != before {
			t.Errorf("%q: got error %v, changed: %v", words, err, after != before)
		}
	}
}

func TestNewState(t *testing.T) {
	s, err := NewState("u", 1, []Member{{ID: "b"}, {ID: "a"}}, []Departure{{ID: "d"}, {ID: "c"}})
	if err != nil || s.Members()[0].ID != "a" || s.Departures()[0].ID != "c" {
		t.Errorf("got %v, %v", s, err)
	}
	for _, tt := range []struct {
		name     string
		version  uint64
		members  []Member
		departed []Departure
	}{
		{"newer version", NewestVersion + 1, nil, nil},
		{"member without id", 1, []Member{{}}, nil},
		{"member twice", 1, []Member{{ID: "a"}, {ID: "a"}}, nil},
		{"former member without id", 1, nil, []Departure{{}}},
		{"former member twice", 1, nil, []Departure{{ID: "a"}, {ID: "a"}}},
		{"former member that is one", 1, []Member{{ID: "a"}}, []Departure{{ID: "a"}}},
		{"too many", 1, []Member{{ID: "a"}}, make([]Departure, maxIDs)},
	} {
		if _, err := NewState("u", tt.version, tt.members, tt.departed); err == nil {
			t.Errorf("%s: no error", tt.name)
		}
	}
}

func TestAuditChangesNothing(t *testing.T) {
	for _, before := range []*State{nil, apply(t, nil, MemberSet(Member{ID: "a"}))} {
		cmd := Audit("nonce", "a")
		if after, err := before.Apply(cmd.Args); err != nil || after != before {
			t.Errorf("an audit gives %v, %v, want the state as it was", after, err)
		}
		if nonce, rebuild, ok := AuditMark(&cmd); !ok || nonce != "nonce" || rebuild != "a" {
			t.Errorf("the mark says %q, %q, %v", nonce, rebuild, ok)
		}
	}
	if other := MemberLeft("a"); func() bool { _, _, ok := AuditMark(&other); return ok }() {
		t.Error("another command is taken for an audit")
	}
}

// An id is used once: by one data directory, and by none once its member has left,
// be it the same one.
func TestIDIsUsedOnce(t *testing.T) {
	b := Member{ID: "b", Raft: "i:1", Dir: "d"}
	moved, other := b, b
	moved.Raft, other.Dir = "i:2", "e"
	s := apply(t, nil, ClusterInit("u"), MemberSet(Member{ID: "b", Raft: "i:1"}), MemberSet(b), MemberSet(moved))
	refused := func(m Member, want string) {
		t.Helper()
		cmd := MemberSet(m)
		if after, err := s.Apply(cmd.Args); err == nil || !strings.Contains(err.Error(), want) || after != s {
			t.Errorf("set %v: got error %v, changed: %v, want an error with %q", m, err, after != s, want)
		}
	}
	refused(other, "in use")
	s = apply(t, s, MemberSet(Member{ID: "c", Dir: "f"}), MemberLeft("c"), MemberLeft("b"), MemberLeft("b"))
	if got, want := s.Departures(), []Departure{{"b", "d"}, {"c", "f"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("left: %v, want %v", got, want)
	}
	if got, ok := s.Departure("b"); !ok || got.Dir != "d" {
		t.Errorf("Departure(b) = %v, %v", got, ok)
	}
	if _, ok := s.Departure("a"); ok {
		t.Error("one that was never there has left")
	}
	refused(b, "used once")
	refused(other, "used once")
	s = apply(t, s, ClusterInit("u"), MemberSet(Member{ID: "a"}), command(cmdMemberDel, "a"))
	if got := len(s.Departures()); got != 2 {
		t.Errorf("%d have left, want 2", got)
	}
}

// The ids are kept for ever, so there is an end of them.
func TestIDsAreBounded(t *testing.T) {
	departed := make([]Departure, maxIDs-1)
	for i := range departed {
		departed[i].ID = "n" + strconv.Itoa(i)
	}
	s, err := NewState("u", 1, nil, departed)
	if err != nil {
		t.Fatal(err)
	}
	last, more := Member{ID: "last"}, MemberSet(Member{ID: "more"})
	s = apply(t, s, MemberSet(last), MemberSet(last))
	if _, err := s.Apply(more.Args); err == nil || !strings.Contains(err.Error(), "used up") {
		t.Errorf("one id too many: got error %v", err)
	}
}
