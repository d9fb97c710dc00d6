package check

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// chaosRun is a run of 60 s: a leader that is killed after 10 s, a pause, a partition.
func chaosRun(nodes int) *History {
	rng := rand.New(rand.NewPCG(7, 7))
	h := NewHistory(Meta{Seed: 7, Started: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)})
	for i := range nodes {
		h.meta.Nodes = append(h.meta.Nodes, fmt.Sprintf("node%d", i+1))
	}
	const s = int64(time.Second)
	for now := int64(0); now < 60*s; now += int64(time.Millisecond) {
		op := Op{Workload: Register, Kind: Get, Key: "k", Outcome: OK, Call: now, Return: now + 1e6 + rng.Int64N(4e6)}
		if down := now > 10*s && now < 11*s || now > 40*s && now < 42*s; down {
			if rng.IntN(20) > 0 {
				continue
			}
			op.Outcome, op.Return = Unknown, now+3e8
			if rng.IntN(2) == 0 {
				op.Outcome = Failed
			}
		}
		if now > 25*s && now < 30*s {
			op.Return += rng.Int64N(2e8)
		}
		h.Record(op)
	}
	for _, f := range []Fault{
		{Node: "node1", Kind: Leading, From: 0, To: 10 * s},
		{Node: "node1", Kind: "kill", Note: "-9", From: 10 * s, To: 20 * s},
		{Node: "node2", Kind: Leading, From: 11 * s, To: 40 * s},
		{Node: "node3", Kind: "pause", From: 25 * s, To: 30 * s},
		{Node: "node2", Kind: "isolate", From: 40 * s, To: 50 * s},
		{Node: "node2", Kind: "clock", Note: "+1h", From: 38 * s, To: 45 * s},
		{Kind: "snapshot", From: 33 * s, To: 33 * s},
		{Node: "node3", Kind: Leading, From: 42 * s},
	} {
		h.AddFault(f)
	}
	return h
}

func TestTimelineIsWellFormed(t *testing.T) {
	for name, h := range map[string]*History{"run": chaosRun(3), "empty": NewHistory(Meta{})} {
		var b bytes.Buffer
		if err := Timeline(h, h.Faults(), &b); err != nil {
			t.Fatal(err)
		}
		if path := os.Getenv("RAFTKV_TIMELINE"); path != "" && name == "run" {
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if name == "run" {
			for _, want := range []string{"node3", "isolate", "snapshot", "+1h", unknownColor, "seed 7"} {
				if !strings.Contains(b.String(), want) {
					t.Errorf("%s: no %q", name, want)
				}
			}
		}
		if strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
			t.Errorf("%s: a coordinate is no number", name)
		}
		for d := xml.NewDecoder(&b); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

func TestTextFitsTerminal(t *testing.T) {
	for _, nodes := range []int{0, 3, 60} {
		h := chaosRun(nodes)
		text := TimelineText(h, h.Faults())
		lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
		if len(lines) > 40 {
			t.Errorf("%d nodes: %d lines", nodes, len(lines))
		}
		if nodes == 3 {
			t.Log("\n" + text)
			for _, want := range []string{"node1 |=====", "?", "!", "k kill", "C", "3"} {
				if !strings.Contains(text, want) {
					t.Errorf("no %q", want)
				}
			}
		}
	}
}

func TestErrorsOfWriterAreReported(t *testing.T) {
	h := chaosRun(3)
	if err := Timeline(h, h.Faults(), failing{}); err == nil {
		t.Error("no error")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
