package main

import (
	"fmt"

	"github.com/raftkv/raftkv/cluster"
	"github.com/raftkv/raftkv/cluster/logstore"
	"github.com/raftkv/raftkv/server/config"
)

// runMigrate converts a stopped node's log to another kind.
func runMigrate(args []string, env environment) error {
	cfg, done, err := config.ParseMigrate(args, env.stdout)
	if err != nil || done {
		return err
	}
	m, err := cluster.Migrate(cfg.DataDir, logstore.Kind(cfg.LogStore))
	if err != nil {
		return err
	}
	if m.From == m.To {
		_, err = fmt.Fprintf(env.stdout, "%s keeps its log as %q already.\n", cfg.DataDir, m.To)
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "%s keeps its log as %q now, no more as %q: %d entries. Start it without --log-store, or with --log-store %s.\n",
		cfg.DataDir, m.To, m.From, m.Entries, m.To)
	return err
}
