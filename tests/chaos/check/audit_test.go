package check

import (
	"fmt"
	"strings"
	"testing"
)

// TestAudit gives final states of one node: what is wrong must be found, what the
// history allows must not.
func TestAudit(t *testing.T) {
	text, none := TextValue, NilValue()
	for _, tt := range []struct {
		name     string
		workload Workload
		ops      []Op
		final    Value
		want     string // "what writes" of the count; "" is nothing
	}{
		{"the last value", Register, []Op{at(0, 1, Set, "a", ok), at(2, 3, Set, "b", ok)}, text("b"), ""},
		{"an older value", Register, []Op{at(0, 1, Set, "a", ok), at(2, 3, Set, "b", ok)}, text("a"), "lost 1"},
		{"either of two at once", Register, []Op{at(0, 3, Set, "a", ok), at(2, 3, Set, "b", ok)}, text("a"), ""},
		{"nothing", Register, []Op{at(0, 1, Set, "a", ok)}, none, "lost 1"},
		{"nothing after DEL", Register, []Op{at(0, 1, Set, "a", ok), at(2, 3, Del, "", IntValue(1))}, none, ""},
		{"a value after DEL", Register, []Op{at(0, 1, Set, "a", ok), at(2, 3, Del, "", IntValue(1))}, text("a"), "lost 1"},
		{"an unknown write came late", Register, []Op{at(0, 1, Set, "a", ok).with(unknown), at(2, 3, Set, "b", ok)}, text("a"), ""},
		{"a failed write", Register, []Op{at(0, 1, Set, "a", ok).with(failed), at(0, 1, Set, "b", ok)}, text("a"), "phantom 1"},
		{"an unknown DEL", Register, []Op{at(0, 1, Set, "a", ok), at(2, 3, Del, "", none).with(unknown)}, none, ""},
		{"a refused SET NX", Register, []Op{at(0, 1, Set, "a", ok), at(2, 3, SetNX, "b", none)}, text("b"), "phantom 1"},
		{"never written", Register, []Op{at(0, 1, Get, "", none)}, none, ""},
		{"the sum", Counter, []Op{at(0, 1, Incr, "", IntValue(1)), at(0, 1, IncrBy, "4", IntValue(5))}, text("5"), ""},
		{"too little", Counter, []Op{at(0, 1, Incr, "", IntValue(1)), at(0, 1, IncrBy, "4", IntValue(5))}, text("3"), "lost 2"},
		{"unknown increments either way", Counter, []Op{at(0, 1, Incr, "", none), at(0, 1, Incr, "", none).with(unknown)}, text("2"), ""},
		{"too much", Counter, []Op{at(0, 1, Incr, "", none), at(0, 1, Incr, "", none).with(unknown)}, text("3"), "phantom 1"},
		{"no number", Counter, []Op{at(0, 1, Incr, "", none)}, text("x"), "phantom 1"},
		{"all tokens", Appends, []Op{at(0, 1, Append, "aa", none), at(0, 1, Append, "bb", none)}, text("bbaa"), ""},
		{"lost tokens", Appends, []Op{at(0, 1, Append, "aa", none), at(0, 1, Append, "bb", none)}, none, "lost 2"},
		{"a token twice", Appends, []Op{at(0, 1, Append, "aa", none)}, text("aaaa"), "phantom 1"},
		{"a token of nobody", Appends, []Op{at(0, 1, Append, "aa", none)}, text("aazz"), "phantom 1"},
		{"a failed token", Appends, []Op{at(0, 1, Append, "aa", none).with(failed)}, text("aa"), "phantom 1"},
		{"an unknown token", Appends, []Op{at(0, 1, Append, "aa", none).with(unknown)}, text("aa"), ""},
		{"expired", TTL, []Op{at(0, 1, Set, "a", ok).with(expires(5))}, none, ""},
		{"without a TTL", TTL, []Op{at(0, 1, Set, "a", ok).with(expires(5)), at(2, 3, Set, "b", ok)}, none, "lost 1"},
		{"a TTL given later", TTL, []Op{at(0, 1, Set, "a", ok), at(2, 3, PExpire, "", IntValue(1)).with(expires(5))}, none, ""},
		{"of a transaction", ListAppend, []Op{{Kind: Txn, Outcome: OK, Steps: []Step{app("k", "a", 1), app("k", "b", 2)}}}, text("a"), "lost 1"},
		{"a list", ListAppend, []Op{{Kind: Txn, Outcome: OK, Steps: []Step{{Kind: RPush, Key: "k", Arg: "long"}}}}, ListValue("long"), ""},
	} {
		h := recorded(tt.workload, Meta{}, tt.ops...)
		report := Audit(h, map[string]Final{"n1": {"k": tt.final}})
		got := ""
		switch c := report.Workloads[tt.workload]; {
		case c.Lost > 0:
			got = fmt.Sprintf("lost %d", c.Lost)
		case c.Phantom > 0:
			got = fmt.Sprintf("phantom %d", c.Phantom)
		}
		if got != tt.want || report.OK() != (tt.want == "") {
			t.Errorf("%s %s: %q, want %q\n%s", tt.workload, tt.name, got, tt.want, report)
		}
	}
}

func TestAuditComparesNodes(t *testing.T) {
	h := recorded(Register, Meta{}, at(0, 3, Set, "a", ok), at(0, 3, Set, "b", ok))
	finals := map[string]Final{"n1": {"k": TextValue("a")}, "n2": {"k": TextValue("a")}, "n3": {"k": TextValue("b")}}
	report := Audit(h, finals)
	if c := report.Workloads[Register]; report.OK() || c.Differ != 1 || c.Acknowledged != 2 || c.Keys != 1 {
		t.Errorf("%+v", c)
	}
	if want := `DIFFER: register k on n3: "b", but "a" on n1`; !strings.Contains(report.String(), want) {
		t.Errorf("no %q in\n%s", want, report)
	}
	finals["n3"] = Final{"k": TextValue("a")}
	if report := Audit(h, finals); !report.OK() {
		t.Error(report)
	}
	finals["n2"]["stranger"] = TextValue("x")
	if report := Audit(h, finals); report.OK() {
		t.Error("a key of nobody passed")
	}
}

// TestDiffer: only a difference between nodes is one.
func TestDiffer(t *testing.T) {
	h := recorded(Register, Meta{}, at(0, 1, Set, "a", ok), at(2, 3, Set, "b", ok).with(unknown))
	for _, tt := range []struct {
		one, other string
		want       bool
	}{
		{"a", "b", true},
		{"b", "b", false},
		{"lost", "lost", false},
	} {
		finals := map[string]Final{"n1": {"k": TextValue(tt.one)}, "n2": {"k": TextValue(tt.other)}}
		if got := Differ(h, finals); got != tt.want {
			t.Errorf("%s and %s: %v", tt.one, tt.other, got)
		}
	}
}
