package fsm

import (
	"testing"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/system"
)

// TestSettingsAreLimits: each setting changes a limit, and none that is not set.
func TestSettingsAreLimits(t *testing.T) {
	if limits(nil) != keyspace.DefaultLimits {
		t.Error("without settings the limits are not the defaults")
	}
	base, err := (*system.State)(nil).Apply(system.SettingsSet(system.Value{Name: "hash-max-listpack-entries", N: 512}).Args)
	if err != nil {
		t.Fatal(err)
	}
	if limits(base) != keyspace.DefaultLimits {
		t.Errorf("the settings' defaults are %+v, the limits' %+v", limits(base), keyspace.DefaultLimits)
	}
	seen := map[keyspace.Limits]string{}
	for _, s := range system.Settings() {
		if s.Name == system.ActiveExpire { // is none
			continue
		}
		next, err := base.Apply(system.SettingsSet(system.Value{Name: s.Name, N: 77}).Args)
		if err != nil {
			t.Fatal(s.Name, err)
		}
		l := limits(next)
		if other := seen[l]; other != "" || l == keyspace.DefaultLimits {
			t.Errorf("%s does nothing, or what %q does", s.Name, other)
		}
		seen[l] = s.Name
	}
}

// TestSettingsHold: they count from their place in the log on, and after a snapshot, and
// in a cluster that is founded anew.
func TestSettingsHold(t *testing.T) {
	r := newRig(t)
	r.do("HSET small a 1 b 2 c 3")
	r.want("set", r.system(system.SettingsSet(system.Value{Name: "hash-max-listpack-entries", N: 2})), "+OK")
	r.want("an old one stays", r.do("OBJECT ENCODING small"), "$8 listpack")
	r.want("a new one", r.do("HSET h a 1 b 2 c 3", "OBJECT ENCODING h"), ":3 $9 hashtable")

	other := &rig{t: t, m: r.copy(), index: r.index, now: r.now}
	other.want("after a snapshot", other.do("HSET i a 1 b 2 c 3", "OBJECT ENCODING i"), ":3 $9 hashtable")
	if err := other.m.Refound("another", nil); err != nil {
		t.Fatal(err)
	}
	other.want("founded anew", other.do("HSET j a 1 b 2 c 3", "OBJECT ENCODING j"), ":3 $9 hashtable")
	if got := other.copy().Setting("hash-max-listpack-entries"); got != 2 {
		t.Errorf("its snapshot says %d", got)
	}
	r.want("refused", r.system(system.SettingsSet(system.Value{Name: "nosuch", N: 2})), `-ERR unknown setting "nosuch"`)
}
