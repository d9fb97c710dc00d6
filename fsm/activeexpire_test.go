package fsm

import (
	"testing"

	"github.com/raftkv/raftkv/fsm/system"
)

// TestActiveExpire: switched off, nothing is removed because its time has come, and
// nobody is told to wait for it; all the same it is gone for every reader. It is the
// cluster's setting: a snapshot has it.
func TestActiveExpire(t *testing.T) {
	r := newRig(t)
	r.do("SET a 1 PX 100", "SET b 1", "HSET h f v g w", "HPEXPIRE h 100 FIELDS 1 f")
	r.want("off", r.system(system.SettingsSet(system.Value{Name: system.ActiveExpire, N: 0})), "+OK")
	if _, ok := r.m.NextDue(); ok {
		t.Error("something is due that nothing removes")
	}
	r.now += 1000
	for _, of := range []*Machine{r.m, r.copy()} {
		o := &rig{t: t, m: of, index: r.index, now: r.now}
		before := of.Bytes()
		o.want("gone", o.do("EXISTS a b", "DBSIZE", "HLEN h"), ":1 :2 :1")
		if got := of.Stats(); of.Bytes() != before || got.Expired != 0 {
			t.Errorf("%d bytes, %d before; %d expired", of.Bytes(), before, got.Expired)
		}
		if _, ok := of.NextDue(); ok {
			t.Error("something is due that nothing removes")
		}
		o.want("on", o.system(system.SettingsSet(system.Value{Name: system.ActiveExpire, N: 1})), "+OK")
		o.apply()
		if got := of.Stats(); of.Bytes() >= before || got.Expired != 1 {
			t.Errorf("%d bytes, %d before; %d expired, want 1", of.Bytes(), before, got.Expired)
		}
		if _, ok := of.NextDue(); ok {
			t.Error("something is due still")
		}
	}
}
