package fsm

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
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

// TestSmallFormsAreBounded: whatever the settings are, a small form stays so short that
// changing one takes no long time. Without a bound HSET of 40,000 fields held Apply for
// ten seconds, and of 100,000 for a minute.
func TestSmallFormsAreBounded(t *testing.T) {
	tests := []struct {
		name         string
		args         func(i int) []string // of the i-th member
		command      string
		fits, beyond int
		small, large string
	}{
		{"long hash", func(i int) []string { return []string{fmt.Sprintf("%0500d", i), fmt.Sprintf("%0500d", i)} }, "HSET", 1044, 1045, "$8 listpack", "$9 hashtable"},
		{"long sorted set", func(i int) []string { return []string{"1", fmt.Sprintf("%0991d", i)} }, "ZADD", 1046, 1047, "$8 listpack", "$8 skiplist"},
		{"hash", func(i int) []string { return []string{strconv.Itoa(i), "v"} }, "HSET", 1 << 13, 1<<13 + 1, "$8 listpack", "$9 hashtable"},
		{"sorted set", func(i int) []string { return []string{"1", strconv.Itoa(i)} }, "ZADD", 1 << 13, 1<<13 + 1, "$8 listpack", "$8 skiplist"},
		{"integers", func(i int) []string { return []string{strconv.Itoa(i)} }, "SADD", 1 << 16, 1<<16 + 1, "$6 intset", "$9 hashtable"},
	}
	most := newRig(t)
	for _, s := range system.Settings() {
		most.system(system.SettingsSet(system.Value{Name: s.Name, N: s.Most}))
	}
	for _, tt := range tests {
		for n, want := range map[int]string{tt.fits: tt.small, tt.beyond: tt.large} {
			line := []string{tt.command, "k"}
			for i := range n {
				line = append(line, tt.args(i)...)
			}
			most.do("DEL k", strings.Join(line, " "))
			most.want(fmt.Sprint(tt.name, " of ", n), most.do("OBJECT ENCODING k"), want)
			w := resp.NewWriter(2, nil)
			if err := most.m.Read(&entry.Proposal{Commands: writes("DUMP k")}, most.now, w); err != nil {
				t.Fatal(err)
			}
			_, payload, _ := strings.Cut(strings.TrimSuffix(string(w.Bytes()), "\r\n"), "\r\n")
			restore := entry.Command{Args: [][]byte{[]byte("RESTORE"), []byte("copy"), []byte("0"), []byte(payload), []byte("REPLACE")}}
			most.want("RESTORE", most.apply(entry.Proposal{Commands: []entry.Command{restore}})[0], "+OK")
			most.want(fmt.Sprint(tt.name, " of ", n, " restored"), most.do("OBJECT ENCODING copy"), want)
			most.do("ZUNIONSTORE copy 1 k", "SUNIONSTORE copy k")
			if tt.command != "HSET" {
				most.want(fmt.Sprint(tt.name, " of ", n, " combined"), most.do("OBJECT ENCODING copy"), want)
			}
		}
	}
}

// TestSmallHashIsBoundedByWhatIsThere: what has expired and is stored counts as little for
// the bound in bytes as for the limits, or the form would follow from how much was removed.
func TestSmallHashIsBoundedByWhatIsThere(t *testing.T) {
	r := newRig(t)
	r.system(system.SettingsSet(system.Value{Name: "hash-max-listpack-value", N: 1 << 20}, system.Value{Name: system.ActiveExpire, N: 0}))
	for i := range 4 {
		r.do("HSET h stays 1 "+fmt.Sprintf("f%d ", i)+strings.Repeat("x", 600_000), fmt.Sprintf("HPEXPIRE h 1000 FIELDS 1 f%d", i))
		r.now += 2000
	}
	r.want("expired", r.do("HSET h stays 2", "OBJECT ENCODING h"), ":0 $10 listpackex")
	r.want("there", r.do("HSET h a "+strings.Repeat("x", 600_000)+" b "+strings.Repeat("x", 600_000), "OBJECT ENCODING h"), ":2 $9 hashtable")
}
