//go:build linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/raftkv/raftkv/tests/chaos/check"
	"github.com/raftkv/raftkv/tests/chaos/fleet"
	"github.com/raftkv/raftkv/tests/chaos/workload"
	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// readings is how often the nodes are read while they differ. A command whose client
// has long given up may still be on its way, by TCP's repetition, and be done between
// the reading of one node and of another; nodes that really differ go on to.
const readings = 3

// readAll reads every key of the run from every node itself. All reads belong to
// the history, so the checkers see a lost write on any node, and a stale read; and the
// finals, those of the last reading, are compared by themselves.
func (r *run) readAll() error {
	keys := r.rec.Keys()
	h := r.rec.History
	err := r.readNodes(keys)
	for i := 1; err == nil && i < readings && check.Differ(h, h.Finals()); i++ {
		err = r.readNodes(keys)
	}
	return errors.Join(err, proc.Poll(r.settle, r.compareKeys), r.compareDigests())
}

// readNodes reads keys from all nodes at once.
func (r *run) readNodes(keys map[string]check.Workload) error {
	errs := make([]error, len(r.fleet.Nodes))
	var reading sync.WaitGroup
	for i, n := range r.fleet.Nodes {
		reading.Go(func() {
			final := check.Final{}
			s := workload.NewSession(r.rec, r.env.Places[i], workload.Follower)
			defer s.Close()
			for _, key := range slices.Sorted(maps.Keys(keys)) {
				op := s.Do(context.Background(), check.Op{Workload: keys[key], Kind: check.Get, Key: key})
				if op.Outcome != check.OK {
					errs[i] = fmt.Errorf("GET %s on %s: %s", key, n.Name, op.Error)
					return
				}
				if op.Node != n.Name {
					errs[i] = fmt.Errorf("GET %s: %s answered for %s", key, op.Node, n.Name)
					return
				}
				final[key] = op.Result
			}
			r.rec.History.SetFinal(n.Name, final)
		})
	}
	reading.Wait()
	return errors.Join(errs...)
}

// compareDigests has the nodes compare their whole states at one log index, times
// to live and versions included, which no client sees.
func (r *run) compareDigests() error {
	return proc.Poll(r.settle, func() error {
		leader, _ := r.fleet.Leader()
		if leader == nil {
			return errors.New("no leader")
		}
		ctx, cancel := context.WithTimeout(context.Background(), r.settle)
		defer cancel()
		reply, err := leader.Do(ctx, "RAFT.AUDIT")
		if err != nil {
			return fmt.Errorf("RAFT.AUDIT: %w", err)
		}
		top := pairs(reply)
		nodes, _ := top["nodes"].([]any)
		if len(nodes) != len(r.fleet.Nodes) {
			return fmt.Errorf("RAFT.AUDIT: %d nodes: %v", len(nodes), reply)
		}
		for _, n := range nodes {
			if node := pairs(n); node["digest"] == nil || node["digest"] != top["digest"] {
				return fmt.Errorf("RAFT.AUDIT: %v at index %v: digest %v, not %v", node["id"], top["index"], node["digest"], top["digest"])
			}
		}
		return nil
	})
}

// pairs takes the flat array that a map is in RESP2.
func pairs(reply any) map[string]any {
	list, _ := reply.([]any)
	out := map[string]any{}
	for i := 0; i+1 < len(list); i += 2 {
		if name, ok := list[i].(string); ok {
			out[name] = list[i+1]
		}
	}
	return out
}

// compareKeys compares the lists of the nodes' keys: one may hold a key that no
// client ever named. Keys that expire may be gone on one node a little earlier.
func (r *run) compareKeys() error {
	var first []string
	for i, n := range r.fleet.Nodes {
		keys, err := allKeys(n)
		if err != nil {
			return fmt.Errorf("KEYS on %s: %w", n.Name, err)
		}
		if i == 0 {
			first = keys
		} else if !slices.Equal(first, keys) {
			return fmt.Errorf("%s and %s hold different keys: %d and %d, for example %s",
				r.fleet.Nodes[0].Name, n.Name, len(first), len(keys), difference(first, keys))
		}
	}
	return nil
}

func allKeys(n *fleet.Node) (keys []string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	reply, err := n.Do(ctx, "KEYS", "*")
	if err != nil {
		return nil, err
	}
	list, _ := reply.([]any)
	for _, k := range list {
		if key, ok := k.(string); ok && !strings.HasPrefix(key, string(check.TTL)+":") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// difference is a key that only one of two sorted lists holds.
func difference(a, b []string) string {
	for _, pair := range [][2][]string{{a, b}, {b, a}} {
		for _, key := range pair[0] {
			if _, found := slices.BinarySearch(pair[1], key); !found {
				return key
			}
		}
	}
	return ""
}

// The bounds of checking.
const (
	perKeyTime = 20 * time.Second
	checkTime  = 10 * time.Minute
	// mostUndecided is the share of keys without a verdict that is borne.
	mostUndecided = 0.05
)

// judge checks the history and writes down everything that people may want to see.
func (r *run) judge() (*Result, error) {
	h := r.rec.History
	ctx, cancel := context.WithTimeout(context.Background(), checkTime)
	defer cancel()
	report := check.Check(ctx, h, perKeyTime)
	audit := check.Audit(h, h.Finals())
	if !report.OK() {
		r.violate("the history is not linearizable; see below")
	}
	if share := report.UndecidedShare(); share > mostUndecided {
		r.violate("%.1f %% of the keys got no verdict", 100*share)
	}
	if !audit.OK() {
		r.violate("the audit failed; see below")
	}
	for text, times := range r.rec.Strange() {
		r.violate("%d times an error reply that no fault explains: %s", times, text)
	}
	res := &Result{Violations: r.violations}
	res.Summary = check.TimelineText(h, h.Faults()) + "\n" + report.Summary() + "\n" + audit.String() + "\n" + r.faultSummary()
	var errs []error
	keep := func(file string, err error) {
		res.Files = append(res.Files, file)
		errs = append(errs, err)
	}
	keep(r.file(r.base()+".history"), h.WriteFile(r.file(r.base()+".history")))
	keep(r.write(r.base()+".svg", func(w io.Writer) error { return check.Timeline(h, h.Faults(), w) }))
	keep(r.write(r.base()+".log", func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s\n%s\n%s", r.log.String(), res.Summary, strings.Join(res.Violations, "\n"))
		return err
	}))
	pictures, err := report.Save(r.file(r.base()))
	res.Files = append(res.Files, pictures...)
	return res, errors.Join(append(errs, err)...)
}

// faultSummary says what was done and how soon the service was back.
func (r *run) faultSummary() string {
	var b strings.Builder
	kinds := make([]string, 0, len(r.faults))
	total := 0
	for kind, times := range r.faults {
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, times))
		total += times
	}
	slices.Sort(kinds)
	fmt.Fprintf(&b, "faults: %d, %d more could not be made: %s\n", total, r.skipped, strings.Join(kinds, ", "))
	slices.SortFunc(r.back, func(a, b unavailability) int { return int(b.took - a.took) })
	if len(r.back) > 0 {
		fmt.Fprintf(&b, "service back after each of %d heals; longest %s, after %s; median %s\n", len(r.back),
			r.back[0].took.Round(time.Millisecond), r.back[0].step, r.back[len(r.back)/2].took.Round(time.Millisecond))
	}
	return b.String()
}
