package system

import (
	"reflect"
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
	tests := []struct {
		name string
		cmds []Command
		want []Member
	}{
		{"none", nil, nil},
		{"ordered by id", []Command{MemberSet(b), MemberSet(a)}, []Member{a, b}},
		{"set again replaces", []Command{MemberSet(a), MemberSet(b), MemberSet(moved)}, []Member{moved, b}},
		{"delete", []Command{MemberSet(a), MemberSet(b), MemberDel("a")}, []Member{b}},
		{"delete the unknown", []Command{MemberDel("x"), MemberSet(a), MemberDel("x")}, []Member{a}},
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
	after := apply(t, before, MemberSet(Member{ID: "b", Raft: "new"}), MemberSet(Member{ID: "a"}), MemberDel("b"))
	if m, _ := before.Member("b"); m.Raft != "old" || len(before.Members()) != 1 {
		t.Errorf("a state changed under its holder: %v", before.Members())
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
		{"AUDIT"}, {"AUDIT", "nonce"},
	} {
		before := apply(t, nil, MemberSet(Member{ID: "a"}))
		after, err := before.Apply(command(words...).Args)
		if err == nil || after != before {
			t.Errorf("%q: got error %v, changed: %v", words, err, after != before)
		}
	}
}

func TestNewState(t *testing.T) {
	s, err := NewState("u", 1, []Member{{ID: "b"}, {ID: "a"}})
	if err != nil || s.Members()[0].ID != "a" {
		t.Errorf("got %v, %v", s, err)
	}
	for _, tt := range []struct {
		name    string
		version uint64
		members []Member
	}{
		{"newer version", FirstVersion + 1, nil},
		{"member without id", 1, []Member{{}}},
		{"member twice", 1, []Member{{ID: "a"}, {ID: "a"}}},
	} {
		if _, err := NewState("u", tt.version, tt.members); err == nil {
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
	if other := MemberDel("a"); func() bool { _, _, ok := AuditMark(&other); return ok }() {
		t.Error("another command is taken for an audit")
	}
}
