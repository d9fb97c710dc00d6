package system

import (
	"slices"
	"strings"
	"testing"
)

func TestSettings(t *testing.T) {
	if !slices.IsSortedFunc(settings[:], func(a, b Setting) int { return strings.Compare(a.Name, b.Name) }) {
		t.Fatal("settings are not ordered by name: none is found")
	}
	none := (*State)(nil)
	if got := none.Setting("hash-max-listpack-entries"); got != 512 {
		t.Errorf("without a state: %d", got)
	}
	s, err := none.Apply(SettingsSet(Value{"zset-max-listpack-value", 7}, Value{"hash-max-listpack-entries", 3}).Args)
	if err != nil {
		t.Fatal(err)
	}
	before := s.Changed()
	next, err := s.Apply(SettingsSet(Value{"hash-max-listpack-entries", 4}, Value{"list-max-listpack-size", -5}).Args)
	if err != nil {
		t.Fatal(err)
	}
	if want := []Value{{"hash-max-listpack-entries", 3}, {"zset-max-listpack-value", 7}}; !slices.Equal(before, want) {
		t.Errorf("the old state has %v, want %v", before, want)
	}
	if want := []Value{{"hash-max-listpack-entries", 4}, {"list-max-listpack-size", -5}, {"zset-max-listpack-value", 7}}; !slices.Equal(next.Changed(), want) {
		t.Errorf("got %v, want %v", next.Changed(), want)
	}
	if got := next.Setting("hash-max-listpack-entries"); got != 4 {
		t.Errorf("got %d", got)
	}
	if got := next.Setting("set-max-intset-entries"); got != 512 {
		t.Errorf("one that was not set: %d", got)
	}
}

func TestSettingsRefused(t *testing.T) {
	s, err := (&State{clusterID: "c", version: settingsVersion}).Apply(SettingsSet(Value{"hash-max-listpack-value", 5}).Args)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Command{
		"unknown": SettingsSet(Value{"hash-max-listpack-entries", 1}, Value{"nosuch", 1}), "alias": SettingsSet(Value{"hash-max-ziplist-entries", 1}),
		"too small": SettingsSet(Value{"hash-max-listpack-entries", -1}), "too large": SettingsSet(Value{"list-max-listpack-size", 1 << 40}),
		"no number": command(cmdSettingsSet, "hash-max-listpack-entries", "x"), "half a pair": command(cmdSettingsSet, "hash-max-listpack-entries"),
		"nothing": command(cmdSettingsSet),
	} {
		if next, err := s.Apply(c.Args); err == nil || next != s {
			t.Errorf("%s: error %v, state changed %v", name, err, next != s)
		}
	}
	for _, bad := range [][]Value{{{"nosuch", 1}}, {{"hash-max-listpack-entries", -1}}, {{"hash-max-listpack-entries", 1}, {"hash-max-listpack-entries", 2}}} {
		if _, err := s.WithSettings(bad); err == nil {
			t.Errorf("%v came out of a snapshot", bad)
		}
	}
}

// Programs of before the settings refuse them: so must this one in a cluster of theirs.
func TestSettingsNeedTheirVersion(t *testing.T) {
	s := &State{clusterID: "c", version: settingsVersion - 1}
	c := SettingsSet(Value{"hash-max-listpack-entries", 1})
	if s.Admits(c.Args) == nil {
		t.Error("it may be logged")
	}
	if next, err := s.Apply(c.Args); err == nil || next != s {
		t.Errorf("it is applied: %v", err)
	}
	if !ForClients(c.Args) || ForClients(MemberLeft("x").Args) {
		t.Error("what nodes may ask the leader for")
	}
}
