package system

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Setting is a number that decides something of the replicated state, most in which form
// values are kept, so the cluster has it and not a node. Names, bounds and defaults are Redis's.
type Setting struct {
	Name           string
	Alias          string // the name that Redis had for it before 7.0, if any
	Default, Least int64
	Most           int64
	Bytes          bool // a size in bytes, for which units may be written
	Hidden         bool // it is no parameter of CONFIG
}

// ActiveExpire is the setting that says whether entries remove the keys, and fields of
// hashes, whose time has come: 1, or 0 after DEBUG SET-ACTIVE-EXPIRE 0. How many an entry
// removes is part of its meaning, so it is the cluster's.
const ActiveExpire = "active-expire"

// settings are all that there are, ordered by name. One that comes later needs a
// version of the cluster of its own: older programs refuse it.
var settings = [...]Setting{
	{Name: ActiveExpire, Default: 1, Least: 0, Most: 1, Hidden: true},
	{Name: "hash-max-listpack-entries", Alias: "hash-max-ziplist-entries", Default: 512, Most: math.MaxInt64},
	{Name: "hash-max-listpack-value", Alias: "hash-max-ziplist-value", Default: 64, Most: math.MaxInt64, Bytes: true},
	{Name: "hll-sparse-max-bytes", Default: 3000, Most: math.MaxInt64, Bytes: true},
	{Name: "list-max-listpack-size", Alias: "list-max-ziplist-size", Default: -2, Least: math.MinInt32, Most: math.MaxInt32},
	{Name: "set-max-intset-entries", Default: 512, Most: math.MaxInt64},
	{Name: "set-max-listpack-entries", Default: 128, Most: math.MaxInt64},           // 7.2
	{Name: "set-max-listpack-value", Default: 64, Most: math.MaxInt64, Bytes: true}, // 7.2
	{Name: "stream-node-max-bytes", Default: 4096, Most: math.MaxInt64, Bytes: true},
	{Name: "stream-node-max-entries", Default: 100, Most: math.MaxInt64},
	{Name: "zset-max-listpack-entries", Alias: "zset-max-ziplist-entries", Default: 128, Most: math.MaxInt64},
	{Name: "zset-max-listpack-value", Alias: "zset-max-ziplist-value", Default: 64, Most: math.MaxInt64, Bytes: true},
}

// Settings are all settings, ordered by name. The caller must not change them.
func Settings() []Setting { return settings[:] }

// findSetting returns the number of a setting.
func findSetting(name string) (i int, ok bool) {
	return slices.BinarySearchFunc(settings[:], name, func(s Setting, name string) int { return strings.Compare(s.Name, name) })
}

// Value is what a setting was set to.
type Value struct {
	Name string
	N    int64
}

// Setting returns the value of a setting: what it was set to, or its default. Of an
// unknown name it is 0.
func (s *State) Setting(name string) int64 {
	i, ok := findSetting(name)
	if !ok {
		return 0
	}
	for _, v := range s.Changed() {
		if v.Name == name {
			return v.N
		}
	}
	return settings[i].Default
}

// ExpiresActively says what ActiveExpire is.
func (s *State) ExpiresActively() bool {
	for _, v := range s.Changed() {
		if v.Name == ActiveExpire {
			return v.N != 0
		}
	}
	return true
}

// Changed are the settings that were ever set, ordered by name. The caller must not
// change the slice; it is another one after each change.
func (s *State) Changed() []Value {
	if s == nil {
		return nil
	}
	return s.settings
}

// WithSettings returns the state with settings that a snapshot told of, in any order;
// the error says what cannot be.
func (s *State) WithSettings(values []Value) (*State, error) {
	if len(values) == 0 || s == nil {
		return s, nil
	}
	for i, v := range values {
		if err := v.check(); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(values[:i], func(w Value) bool { return w.Name == v.Name }) {
			return nil, fmt.Errorf("setting %q twice", v.Name)
		}
	}
	return s.withSettings(values), nil
}

// withSettings changes some settings.
func (s *State) withSettings(values []Value) *State {
	next := State{}
	if s != nil {
		next = *s
	}
	next.settings = slices.Clone(next.settings)
	for _, v := range values {
		i, ok := slices.BinarySearchFunc(next.settings, v.Name, func(v Value, name string) int { return strings.Compare(v.Name, name) })
		if !ok {
			next.settings = slices.Insert(next.settings, i, v)
		}
		next.settings[i] = v
	}
	return &next
}

func (v *Value) check() error {
	i, ok := findSetting(v.Name)
	switch {
	case !ok:
		return fmt.Errorf("unknown setting %q", v.Name)
	case v.N < settings[i].Least || v.N > settings[i].Most:
		return fmt.Errorf("setting %s cannot be %d", v.Name, v.N)
	}
	return nil
}

const cmdSettingsSet = "SETTINGS-SET"

// SettingsSet changes settings, all or none. Of one that is there twice the last counts.
func SettingsSet(values ...Value) Command {
	words := []string{cmdSettingsSet}
	for _, v := range values {
		words = append(words, v.Name, strconv.FormatInt(v.N, 10))
	}
	return command(words...)
}

// IsSettingsSet says whether a command's arguments are those of a SettingsSet.
func IsSettingsSet(args [][]byte) bool {
	return len(args) >= 3 && len(args)%2 == 1 && string(args[0]) == cmdSettingsSet
}

// ForClients says whether a command's arguments are those of a system command that a
// node may ask the leader to log for a client.
func ForClients(args [][]byte) bool { return IsUsersSet(args) || IsSettingsSet(args) }

// setSettings applies a SettingsSet; words are what is behind its name.
func (s *State) setSettings(words []string) (*State, error) {
	if since(cmdSettingsSet) > s.Effective() {
		return s, fmt.Errorf("the cluster has no settings yet")
	}
	var values []Value
	for i := 0; i < len(words); i += 2 {
		n, err := strconv.ParseInt(words[i+1], 10, 64)
		if err != nil {
			return s, fmt.Errorf("setting %q cannot be %q", words[i], words[i+1])
		}
		v := Value{words[i], n}
		if err := v.check(); err != nil {
			return s, err
		}
		values = append(values, v)
	}
	return s.withSettings(values), nil
}
