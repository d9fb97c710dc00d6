package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/raftkv/raftkv/cluster"
	"github.com/raftkv/raftkv/server/config"
)

// runCheck reports what a stopped node's data directory holds.
func runCheck(args []string, env environment) error {
	cfg, done, err := config.ParseCheck(args, env.stdout)
	if err != nil || done {
		return err
	}
	r, err := cluster.Check(cfg.DataDir)
	if err != nil {
		return err
	}
	if cfg.Format == "json" {
		out := json.NewEncoder(env.stdout)
		out.SetIndent("", "  ")
		err = out.Encode(r)
	} else {
		err = printReport(env.stdout, r)
	}
	if err == nil && len(r.Findings) > 0 {
		err = errors.New("this data dir is not sound")
	}
	return err
}

func printReport(out io.Writer, r *cluster.Report) error {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-15s"+format+"\n", append([]any{name}, args...)...)
	}
	row("data dir", "%s", r.DataDir)
	row("node", "%s", r.NodeID)
	row("state", "%s", r.State)
	row("cluster", "%s", r.ClusterID)
	row("term", "%d, last vote: %s in term %d", r.Term, orNone(r.Vote.Candidate), r.Vote.Term)
	row("log", "%s: %d entries whole, from (term %d, index %d) to (term %d, index %d), %d bytes",
		orNone(string(r.Log.Store)), r.Log.Entries, r.Log.First.Term, r.Log.First.Index, r.Log.Last.Term, r.Log.Last.Index, r.Log.Bytes)
	for _, s := range r.Snapshots {
		state := "whole"
		if !s.Whole {
			state = "DAMAGED"
		}
		row("snapshot", "(term %d, index %d), %d bytes, %s", s.Term, s.Index, s.Bytes, state)
	}
	row("last", "(term %d, index %d)", r.Last().Term, r.Last().Index)
	row("voters", "%s", orNone(strings.Join(r.Configuration.Voters, " ")))
	row("learners", "%s", orNone(strings.Join(r.Configuration.Learners, " ")))
	for _, id := range slices.Sorted(maps.Keys(r.Addresses)) {
		row("address", "%s %s", id, r.Addresses[id])
	}
	row("free space", "%d MB", r.FreeBytes>>20)
	for _, f := range r.Findings {
		row("FOUND", "%s", strings.ReplaceAll(f, "\n", "; "))
	}
	if len(r.Findings) == 0 {
		row("verdict", "sound")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
