//go:build linux

// Command run puts a cluster of real nodes under faults and says whether it kept
// what it promises: make chaos. It exits with 1 if it did not, and keeps the seed,
// the history, pictures and the nodes' logs then.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/raftkv/raftkv/tests/chaos"
	"github.com/raftkv/raftkv/tests/chaos/check"
	"github.com/raftkv/raftkv/tests/chaos/nemesis"
	"github.com/raftkv/raftkv/tests/chaos/network"
	"github.com/raftkv/raftkv/tests/chaos/workload"
	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// dirEnv tells the isolated process where everything is to go.
const dirEnv = "RAFTKV_CHAOS_DIR"

// settings are the command line.
type settings struct {
	chaos.Options
	keep bool
}

func main() {
	s, err := parse()
	if err == nil {
		var code int
		if code, err = s.run(); err == nil {
			os.Exit(code)
		}
	}
	fmt.Fprintln(os.Stderr, "chaos:", err)
	os.Exit(2)
}

func parse() (*settings, error) {
	s := &settings{Options: chaos.Options{Out: os.Stdout}}
	var workloads, faults string
	flag.IntVar(&s.Nodes, "nodes", 3, "how many nodes: 3, 5 or another odd number up to 9")
	flag.Uint64Var(&s.Seed, "seed", 0, "decides the schedule and what clients do; 0 draws one")
	flag.DurationVar(&s.Duration, "duration", time.Minute, "how long faults are made")
	flag.StringVar(&workloads, "workloads", "", fmt.Sprintf("comma-separated, some of %v; all if empty", workload.All))
	flag.StringVar(&faults, "faults", "", "comma-separated, some of "+strings.Join(nemesis.Names(), ",")+"; all if empty")
	flag.StringVar(&s.Dir, "dir", "", "new directory for data, logs and results; a temporary one if empty")
	flag.StringVar(&s.Planted, "plant", "", "bugs to plant in the nodes, as RAFTKV_FAULT of package cluster/faults has them")
	flag.BoolVar(&s.Short, "short", false, "make the single faults short")
	flag.BoolVar(&s.keep, "keep", false, "keep everything that was written, also if all is well")
	flag.Parse()
	if flag.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q", flag.Arg(0))
	}
	if s.Nodes < 3 || s.Nodes > 9 || s.Nodes%2 == 0 {
		return nil, fmt.Errorf("-nodes must be 3, 5, 7 or 9, not %d", s.Nodes)
	}
	s.Faults = list(faults)
	if _, err := nemesis.NewSchedule(0, s.Faults, false); err != nil {
		return nil, fmt.Errorf("-faults: %w", err)
	}
	s.Workloads = workload.All
	if workloads != "" {
		s.Workloads = nil
		for _, name := range list(workloads) {
			s.Workloads = append(s.Workloads, check.Workload(name))
		}
	}
	return s, workload.Known(s.Workloads)
}

// list takes apart what commas separate.
func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
}

// run builds the binary, unless the environment names one, and goes on in a network
// of its own.
func (s *settings) run() (code int, err error) {
	if network.Inside() {
		return s.inside()
	}
	if s.Dir == "" {
		s.Dir, err = os.MkdirTemp("", "raftkv-chaos-")
	} else if s.Dir, err = filepath.Abs(s.Dir); err == nil {
		err = os.Mkdir(s.Dir, 0o700)
	}
	if err != nil {
		return 0, err
	}
	binary := os.Getenv(proc.FaultsEnv)
	if binary == "" {
		binary = filepath.Join(s.Dir, "raftkv")
		if err := proc.BuildTo(binary, "-tags", "faults"); err != nil {
			return 0, errors.Join(err, os.RemoveAll(s.Dir))
		}
	}
	if binary, err = filepath.Abs(binary); err != nil {
		return 0, err
	}
	code, err = network.Isolate(dirEnv+"="+s.Dir, proc.FaultsEnv+"="+binary)
	if err == nil && code == 0 && !s.keep {
		return code, os.RemoveAll(s.Dir)
	}
	fmt.Printf("kept: %s\n", s.Dir)
	return code, err
}

// inside makes the run.
func (s *settings) inside() (code int, err error) {
	s.Dir = os.Getenv(dirEnv)
	s.Binary = os.Getenv(proc.FaultsEnv)
	if s.Seed == 0 {
		s.Seed = rand.Uint64N(1 << 32)
	}
	fmt.Printf("chaos: %d nodes, seed %d, %s\n", s.Nodes, s.Seed, s.Duration)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	res, err := chaos.Run(ctx, s.Options)
	if err != nil {
		return 0, err
	}
	fmt.Print("\n", res.Summary)
	if len(res.Violations) == 0 {
		fmt.Println("no violation")
		return 0, nil
	}
	fmt.Printf("\n%d VIOLATIONS, seed %d:\n", len(res.Violations), s.Seed)
	for _, v := range res.Violations {
		fmt.Println(" ", v)
	}
	fmt.Println(strings.Join(res.Files, "\n"))
	return 1, nil
}
