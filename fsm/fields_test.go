package fsm

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

// TestFieldsNeedTicks: a field that is due by the leader's clock but not by the logged
// one is neither there nor gone until an entry says so.
func TestFieldsNeedTicks(t *testing.T) {
	tests := []struct {
		line string
		tick bool
		want string // after the tick
	}{
		{"HGET h e", true, "$-1"},
		{"HGET h f", false, "$1 v"},
		{"HGET h absent", false, "$-1"},
		{"HMGET h f e", true, "*2 $1 v $-1"},
		{"HEXISTS h e", true, ":0"},
		{"HSTRLEN h e", true, ":0"},
		{"HLEN h", true, ":1"},
		{"HGETALL h", true, "*2 $1 f $1 v"},
		{"HKEYS h", true, "*1 $1 f"},
		{"HVALS h", true, "*1 $1 v"},
		{"HSCAN h 0", true, "*2 $1 0 *2 $1 f $1 v"},
		{"HRANDFIELD h", true, "$1 f"},
		{"HRANDFIELD h -3", true, "*3 $1 f $1 f $1 f"},
		{"HTTL h FIELDS 1 e", true, "*1 :-2"},
		{"HPTTL h FIELDS 1 f", false, "*1 :-1"},
		{"HPEXPIRETIME h FIELDS 2 f e", true, "*2 :-1 :-2"},
		{"EXISTS h", false, ":1"},
		{"EXISTS all", true, ":0"},
		{"TYPE all", true, "+none"},
		{"HGET all e", true, "$-1"},
		{"DBSIZE", true, ":1"},
		{"KEYS *", true, "*1 $1 h"},
		{"SCAN 0", true, "*2 $1 0 *1 $1 h"},
		{"RANDOMKEY", true, "$1 h"},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			r := newRig(t)
			r.do("HSET h f v e v", "HPEXPIRE h 100 FIELDS 1 e", "HSET all e v", "HPEXPIRE all 100 FIELDS 1 e")
			if due, ok := r.m.NextDue(); !ok || due != start+100 {
				t.Fatalf("next due at %d, %v", due-start, ok)
			}
			got, err := r.read(start+100, tt.line)
			if tick := errors.Is(err, system.ErrTickNeeded); tick != tt.tick || err != nil && !tick {
				t.Fatalf("got error %v, want a tick: %v", err, tt.tick)
			}
			if err == nil {
				r.want("without a tick", got, tt.want)
			}
			r.now += 100
			r.apply()
			got, err = r.read(r.now, tt.line)
			if err != nil {
				t.Fatal(err)
			}
			r.want("after the tick", got, tt.want)
			if _, ok := r.m.NextDue(); ok {
				t.Error("something is due still")
			}
		})
	}
}

// TestWatchFields: a field that expires is a change of its hash, when the log says so
// and whenever it is removed.
func TestWatchFields(t *testing.T) {
	const runs, aborts = true, false
	many := func(ms int) []string {
		line, names := "HSET k", ""
		for i := range 300 {
			line, names = line+fmt.Sprintf(" f%d v", i), names+fmt.Sprintf(" f%d", i)
		}
		return []string{line + " stays v", fmt.Sprintf("HPEXPIRE k %d FIELDS 300%s", ms, names)}
	}
	for _, tt := range []struct {
		name          string
		before, after []string
		early, late   int64 // when the WATCH is, and the EXEC
		want          bool
	}{
		{"set", []string{"HSET k f v"}, []string{"HSET k f v"}, 0, 0, aborts},
		{"nothing deleted", []string{"HSET k f v"}, []string{"HDEL k g"}, 0, 0, runs},
		{"not set", []string{"HSET k f v"}, []string{"HSETNX k f w"}, 0, 0, runs},
		{"not expired", many(50), nil, 0, 49, runs},
		{"expired", many(50), nil, 0, 50, aborts},
		{"expired before, and being removed", many(50), []string{"GET none"}, 50, 50, runs},
		{"expiry set", []string{"HSET k f v"}, []string{"HEXPIRE k 10 FIELDS 1 f"}, 0, 0, aborts},
		{"no expiry set", []string{"HSET k f v"}, []string{"HEXPIRE k 10 XX FIELDS 1 f"}, 0, 0, runs},
		{"persisted", append(many(50), "GET none"), []string{"HPERSIST k FIELDS 1 f0"}, 0, 0, aborts},
		{"nothing persisted", many(50), []string{"HPERSIST k FIELDS 1 stays"}, 0, 0, runs},
		{"gone with its last field", append(many(50), "HDEL k stays"), nil, 0, 50, aborts},
		{"gone before", append(many(50), "HDEL k stays"), nil, 50, 60, runs},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.do(tt.before...)
			r.now = start + tt.early
			r.apply()
			watches := r.watch(0, "k")
			cut := &rig{t: t, m: r.copy(), index: r.index}
			for _, r := range []*rig{r, cut} {
				r.now = start + tt.late
				r.do(tt.after...)
				w := resp.NewWriter(2, nil)
				p := entry.Proposal{Atomic: true, Watches: watches, Commands: writes("GET none")}
				if err := r.m.Read(&p, r.now, w); err != nil {
					t.Fatal(err)
				}
				read, exec := short(w) != "*-1", r.apply(p)[0] != "*-1"
				if read != tt.want || exec != tt.want {
					t.Errorf("read ran: %v, EXEC ran: %v; want %v", read, exec, tt.want)
				}
			}
		})
	}
	r := newRig(t)
	r.do(many(50)...)
	p := entry.Proposal{Atomic: true, Watches: r.watch(0, "k"), Commands: writes("GET none")}
	if err := r.m.Read(&p, start+50, resp.NewWriter(2, nil)); !errors.Is(err, system.ErrTickNeeded) {
		t.Errorf("a field of a watched hash is due: got error %v", err)
	}
}

// TestFieldsMove: times to live go with their fields, whatever becomes of the key.
func TestFieldsMove(t *testing.T) {
	for _, fields := range []int{3, 1000} { // a small hash and a large one
		r := newRig(t)
		line, names := "HSET h", ""
		for i := range fields {
			line, names = line+fmt.Sprintf(" f%d v", i), names+fmt.Sprintf(" f%d", i)
		}
		r.do(line, fmt.Sprintf("HPEXPIRE h 1000 FIELDS %d%s", fields, names), "HPEXPIRE h 500 FIELDS 1 f0", "HSET h stays v",
			"COPY h copy", "RENAME h h2", "COPY h2 h2 DB 1", "MOVE h2 2")
		if err := r.m.Refound("another", []system.Member{{ID: "n1"}}); err != nil {
			t.Fatal(err)
		}
		r.m = r.copy()
		for db, key := range []string{"copy", "h2", "h2"} {
			got := r.doIn(db, "HLEN "+key, "HPTTL "+key+" FIELDS 4 f0 f1 stays none")
			r.want(fmt.Sprint("db ", db), got, fmt.Sprintf(":%d *4 :500 :1000 :-1 :-2", fields+1))
		}
		if due, ok := r.m.NextDue(); !ok || due != start+500 {
			t.Errorf("next due at %d, %v", due-start, ok)
		}
		r.now += 1000
		for db, key := range []string{"copy", "h2", "h2"} {
			r.want(fmt.Sprint("db ", db), r.doIn(db, "HGETALL "+key), "*2 $5 stays $1 v")
		}
		for range 30 {
			r.apply()
		}
		if due, ok := r.m.NextDue(); ok {
			t.Errorf("something is due still, at %d", due-start)
		}
		other := newRig(t)
		other.do("HSET copy stays v")
		if a, b := r.m.Bytes(), 3*other.m.Bytes(); a > 2*b {
			t.Errorf("%d bytes are counted of what should take %d", a, b)
		}
	}
}

// TestHugeReplies: what is asked for in one line must not use up all memory.
func TestHugeReplies(t *testing.T) {
	r := newRig(t)
	r.do("HSET h f " + strings.Repeat("v", 100))
	for _, line := range []string{"HRANDFIELD h -4611686018427387903 WITHVALUES", "HRANDFIELD h -9223372036854775807"} {
		got, err := r.read(start, line)
		if err != nil || got != "-"+string(resp.ErrReplyTooLong) {
			t.Errorf("%s: got %.100q, %v", line, got, err)
		}
	}
}

// TestGrowthOfHashes: what a hash grows by beside what the arguments say.
func TestGrowthOfHashes(t *testing.T) {
	set, names := "HSET h", ""
	for i := range 512 {
		set, names = set+fmt.Sprintf(" f%d v", i), names+fmt.Sprintf(" f%d", i)
	}
	expire := "HEXPIRE h 100 FIELDS 512" + names
	for _, tt := range []struct {
		name   string
		before []string
		line   string
		least  int64
	}{
		{"becomes a large one", []string{set}, "HSETNX h f v", 8_000},
		{"becomes a large one for a long value", []string{set}, "HSET h f0 " + strings.Repeat("v", 65), 8_000},
		{"becomes a large one with times", []string{set, expire}, "HINCRBY h f 1", 20_000},
		{"becomes a large one by a sum", []string{set, "HSET h f0 1"}, "HINCRBYFLOAT h f0 1e70", 8_000},
		{"gets times", []string{set}, "HEXPIRE h 100 FIELDS 1 f0", 512},
		{"gets times, a large one", []string{set, "HSET h f v"}, expire, 16_000},
		{"a sum", []string{"HSET h f 1e4900"}, "HINCRBYFLOAT h f 1e-10", 4_000},
	} {
		r := newRig(t)
		r.do(tt.before...)
		before, most := r.m.Bytes(), r.m.Growth(0, words(tt.line))
		if got := r.do(tt.line); strings.HasPrefix(got, "-") {
			t.Errorf("%s: %s", tt.name, got)
		}
		got := r.m.Bytes() - before
		if got < tt.least || got > most || most > 2*got+70_000 {
			t.Errorf("%s: %d bytes were added, at least %d expected, at most %d foretold", tt.name, got, tt.least, most)
		}
	}
}
