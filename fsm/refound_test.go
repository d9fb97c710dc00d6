package fsm

import (
	"bytes"
	"testing"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
)

// A refounded Machine has the keys, times to live, clock and position of before,
// and is what another node gets from its snapshot.
func TestRefound(t *testing.T) {
	r := newRig(t)
	r.apply(entry.Proposal{Commands: writes("SET a 1", "SET b 2 PX 5000", "SET gone x", "DEL gone", "APPEND long "+string(bytes.Repeat([]byte("x"), 5000)))})
	r.apply(entry.Proposal{DB: 3, Commands: writes("SET a other")})
	r.apply(entry.Proposal{System: true, Commands: []entry.Command{system.UsersSet(0, system.UserChange{Name: "bob", Rules: "on"})}})
	var users *system.Users
	r.m.OnUsers(func(u *system.Users) { users = u })
	at, now := r.m.Applied(), r.m.Now()
	if err := r.m.Refound("another", []system.Member{{ID: "n1"}}); err != nil {
		t.Fatal(err)
	}
	if r.m.ClusterID() != "another" || r.m.Applied() != at || r.m.Now() != now || len(r.m.Members()) != 1 {
		t.Errorf("cluster %s, at %v, now %d, members %v", r.m.ClusterID(), r.m.Applied(), r.m.Now(), r.m.Members())
	}
	if due, ok := r.m.NextDue(); !ok || due != now+5000 {
		t.Errorf("next due %d, %t", due, ok)
	}
	if _, ok := users.Get("bob"); !ok { // or a recovered cluster would let anybody in
		t.Error("the users are lost")
	}
	var buf bytes.Buffer
	if _, err := r.m.Snapshot().WriteTo(&buf); err != nil {
		t.Fatal(err)
	}
	other := New()
	if err := other.Restore(&buf); err != nil {
		t.Fatal(err)
	}
	if other.Digest() != r.m.Digest() {
		t.Error("a node that takes its snapshot has another state")
	}
	got := r.apply(
		entry.Proposal{Commands: writes("GET a", "PTTL b", "EXISTS gone", "STRLEN long", "SET new 1")},
		entry.Proposal{DB: 3, Commands: writes("GET a")},
	)
	r.want("database 0", got[0], "$1 1 :5000 :0 :5000 +OK")
	r.want("database 3", got[1], "$5 other")
}

// TestRefoundForgetsTokens, which were made for another cluster, and not that joining
// needs one: recover must not open a door.
func TestRefoundForgetsTokens(t *testing.T) {
	for _, required := range []bool{false, true} {
		r := newRig(t)
		if required {
			r.apply(entry.Proposal{System: true, Commands: []entry.Command{system.TokenAdd(system.Token{Hash: system.HashToken("a"), Expires: 1 << 60}, 0)}})
		}
		if err := r.m.Refound("another", []system.Member{{ID: "n1"}}); err != nil {
			t.Fatal(err)
		}
		if open, needed := r.m.Tokens(); len(open) != 0 || needed != required {
			t.Errorf("required %v before; after: %v, required %v", required, open, needed)
		}
	}
}
