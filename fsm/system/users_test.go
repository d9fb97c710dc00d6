package system

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestUsers(t *testing.T) {
	set := func(at uint64, pairs ...string) Command {
		var changes []UserChange
		for i := 0; i < len(pairs); i += 2 {
			changes = append(changes, UserChange{pairs[i], pairs[i+1]})
		}
		return UsersSet(at, changes...)
	}
	for _, tt := range []struct {
		name string
		cmds []Command
		want []User
	}{
		{"ordered by name", []Command{set(0, "b", "on", "a", "off"), set(1, "default", "on")}, []User{{"a", "off", 1}, {"b", "on", 1}, {"default", "on", 2}}},
		{"changed", []Command{set(0, "a", "on"), set(1, "a", "off")}, []User{{"a", "off", 1}}},
		{"deleted", []Command{set(0, "a", "on", "b", "on"), set(1, "a", "", "c", "")}, []User{{"b", "on", 1}}},
		{"made again is another one", []Command{set(0, "a", "on"), set(1, "a", ""), set(2, "a", "on")}, []User{{"a", "on", 3}}},
		{"the members stay", []Command{MemberSet(Member{ID: "n"}), set(0, "a", "on"), MemberSet(Member{ID: "m"}), MemberLeft("n")}, []User{{"a", "on", 1}}},
		{"the cluster is founded later", []Command{set(0, "a", "on"), ClusterInit("u")}, []User{{"a", "on", 1}}},
	} {
		s := apply(t, nil, tt.cmds...)
		if got := s.Users().List; !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	s := apply(t, nil, set(0, "a", "on", "default", "on"))
	for _, tt := range []struct {
		name string
		cmd  Command
	}{
		{"an older revision", set(0, "b", "on")},
		{"a revision to come", set(2, "b", "on")},
		{"the default user", set(1, "b", "on", "default", "")},
		{"a long name", set(1, strings.Repeat("x", maxUserName+1), "on")},
		{"long rules", set(1, "b", strings.Repeat("x", maxUserRules+1))},
		{"words that make no pairs", command(cmdUsersSet, "1", "b")},
	} {
		next, err := s.Apply(tt.cmd.Args)
		if err == nil || next != s {
			t.Errorf("%s: %v", tt.name, err)
		}
		if changed := errors.Is(err, ErrUsersChanged); changed != strings.Contains(tt.name, "revision") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	var none *State
	if _, ok := none.Users().Get("a"); ok || none.Users().At() != 0 {
		t.Error("no state has no users")
	}
}

func TestUsersHaveABound(t *testing.T) {
	u := &Users{}
	for i := range maxUsers {
		u.List = append(u.List, User{Name: fmt.Sprintf("u%06d", i), Rules: "on"})
	}
	if err := u.change("one more", "on"); err == nil {
		t.Error("there is no bound")
	}
	if err := u.change("u000000", "off"); err != nil {
		t.Error(err)
	}
}

func TestWithUsers(t *testing.T) {
	s := apply(t, nil, ClusterInit("u"))
	for name, u := range map[string]*Users{
		"twice": {Revision: 1, List: []User{{"a", "on", 1}, {"a", "on", 1}}}, "no rules": {Revision: 1, List: []User{{"a", "", 1}}},
		"not born yet": {Revision: 1, List: []User{{"a", "on", 2}}}, "long": {List: []User{{strings.Repeat("x", maxUserName+1), "on", 0}}},
	} {
		if _, err := s.WithUsers(u); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	with, err := s.WithUsers(&Users{Revision: 3, List: []User{{"b", "on", 1}, {"a", "on", 3}}})
	if err != nil || with.ClusterID() != "u" || with.Users().At() != 3 || with.Users().List[0].Name != "a" || s.Users() != nil {
		t.Errorf("%v, %v", with, err)
	}
}
