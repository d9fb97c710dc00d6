package check

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// mixed is a history with a violation in a register and one among the transactions,
// and with everything that a file must keep.
func mixed() *History {
	h := NewHistory(Meta{Seed: 42, Nodes: []string{"n1", "n2"}, TTL: TTLBounds{Slack: 0.1, Lag: time.Second}, Notes: map[string]string{"build": "x"}})
	for _, op := range []Op{
		at(0, 1, Set, "a", ok), at(2, 3, Get, "", NilValue()),
		at(0, 1, CAS, "b", NilValue()).with(expecting(TextValue("a"))).with(failed).with(func(o *Op) { o.Error = "CLUSTERDOWN" }),
	} {
		op.Workload, op.Key = Register, "../r 1"
		h.Record(op)
	}
	h.Record(Op{Workload: TTL, Kind: Set, Key: "t", Arg: "a", TTL: time.Second, Outcome: Unknown, Node: "n1", Return: 5})
	h.Record(tx(0, 1, app("x", "a", 1)))
	h.Record(tx(2, 3, get("x", "")))
	h.AddFault(Fault{Node: "n1", Kind: "kill", From: 1e6, To: 2e6, Note: "-9"})
	h.SetFinal("n1", Final{"x": TextValue("a"), "l": ListValue("p", "q")})
	return h
}

func TestFileKeepsEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.history")
	h := mixed()
	if err := h.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	got, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Ops(), h.Ops()) {
		t.Errorf("operations:\n%v\n%v", got.Ops(), h.Ops())
	}
	if !reflect.DeepEqual(got.Faults(), h.Faults()) || !reflect.DeepEqual(got.Finals(), h.Finals()) {
		t.Errorf("%v %v", got.Faults(), got.Finals())
	}
	a, b := got.Meta(), h.Meta()
	if !a.Started.Equal(b.Started) {
		t.Errorf("began at %v, want %v", a.Started, b.Started)
	}
	a.Started = b.Started
	if !reflect.DeepEqual(a, b) {
		t.Errorf("%+v, want %+v", a, b)
	}
}

func TestBrokenFileIsRefused(t *testing.T) {
	for _, text := range []string{"{", `{"op": 3}`, `{}`} {
		path := filepath.Join(t.TempDir(), "bad")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), "record 1") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestReportSaysAndSavesViolations(t *testing.T) {
	report := Check(context.Background(), mixed(), time.Second)
	if report.OK() || len(report.Violations()) != 1 || len(report.Txns.Anomalies) == 0 {
		t.Fatalf("%+v", report)
	}
	summary := report.Summary()
	for _, want := range []string{
		"register   3 operations: 2 ok, 1 failed, 0 unknown; 1 keys of at most 3: 0 ok, 1 violation",
		"ttl        1 operations: 0 ok, 0 failed, 1 unknown; 1 keys of at most 1: 1 ok",
		"listappend 2 operations: 2 ok, 0 failed, 0 unknown; 2 transactions",
		"VIOLATION: register ../r 1: nothing explains #1 client 0 [0.002000s, 0.003000s] GET ../r 1 → nil after the 1 operations before it",
		"VIOLATION: listappend: lost write on x",
	} {
		if !strings.Contains(summary, want) {
			t.Errorf("no %q in\n%s", want, summary)
		}
	}
	dir := t.TempDir()
	files, err := report.Save(filepath.Join(dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"run-register-_r_1.txt", "run-register-_r_1.html", "run-listappend.txt"}
	for i, name := range want {
		if i >= len(files) || filepath.Base(files[i]) != name {
			t.Fatalf("%v, want %v", files, want)
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || len(text) == 0 {
			t.Errorf("%s: %d bytes, %v", name, len(text), err)
		}
	}
}

func TestManyRecordAtOnce(t *testing.T) {
	h := NewHistory(Meta{})
	var all sync.WaitGroup
	for client := range 8 {
		all.Go(func() {
			for range 100 {
				began := h.Now()
				h.Record(Op{Client: client, Call: began, Return: h.Now()})
				h.AddFault(Fault{From: began})
			}
		})
	}
	all.Wait()
	for i, op := range h.Ops() {
		if op.ID != i || op.Return < op.Call {
			t.Fatalf("%v stands at %d", op, i)
		}
	}
	if h.Len() != 800 || len(h.Faults()) != 800 {
		t.Errorf("%d operations, %d faults", h.Len(), len(h.Faults()))
	}
}
