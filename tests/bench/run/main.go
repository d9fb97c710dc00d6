//go:build linux

// Command run measures RaftKV beside its peers and writes a report: make bench. It
// exits with 1 if a part failed; a missed goal is a result, not a failure.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9/logging"

	"github.com/raftkv/raftkv/tests/bench"
	"github.com/raftkv/raftkv/tests/bench/echo"
	"github.com/raftkv/raftkv/tests/bench/peers"
	"github.com/raftkv/raftkv/tests/bench/report"
)

// settings are the command line.
type settings struct {
	bench.Options
	results, data string
}

func main() {
	if addr := os.Getenv(peers.EchoEnv); addr != "" {
		fail(echo.Serve(addr))
	}
	logging.Disable() // go-redis logs every refused dial; the results say what failed
	s, err := parse()
	if err != nil {
		fail(err)
	}
	code, err := s.run()
	if err != nil {
		fail(err)
	}
	os.Exit(code)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(2)
}

func parse() (*settings, error) {
	s := &settings{Options: bench.Options{Out: os.Stdout}}
	var only, without string
	var quick bool
	flag.StringVar(&s.RaftKV, "raftkv", "./raftkv", "the binary to measure")
	flag.StringVar(&only, "only", "", "comma-separated, some of the parts:\n"+list())
	flag.StringVar(&without, "without", "", "comma-separated systems that take no part: redis,redis everysec,echo,etcd")
	flag.IntVar(&s.Rounds, "rounds", 3, "how often each figure is taken")
	flag.BoolVar(&quick, "quick", false, "small sizes, for development")
	flag.StringVar(&s.results, "results", "tests/bench/results", "where a folder for the results is made")
	flag.StringVar(&s.data, "data", "", "directory on a disk for the servers' data (default: that of the results)")
	flag.Parse()
	if flag.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q", flag.Arg(0))
	}
	if s.Rounds < 1 {
		return nil, fmt.Errorf("-rounds must be at least 1, not %d", s.Rounds)
	}
	comma := func(r rune) bool { return r == ',' }
	s.Only, s.Without = strings.FieldsFunc(only, comma), strings.FieldsFunc(without, comma)
	s.Scale = bench.FullScale
	if quick {
		s.Scale = bench.QuickScale
	}
	return s, nil
}

func list() string {
	var text strings.Builder
	for _, p := range bench.PartNames() {
		fmt.Fprintf(&text, "%-9s %s\n", p[0], p[1])
	}
	return text.String()
}

func (s *settings) run() (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := s.prepare(); err != nil {
		return 0, err
	}
	res, err := bench.Run(ctx, s.Options)
	if err = errors.Join(err, os.RemoveAll(s.Work)); err != nil {
		return 0, err
	}
	report.Text(s.Out, res)
	dir := filepath.Join(s.results, res.Conditions.Started.Format("20060102-150405")+"-"+res.Conditions.Commit)
	if err := report.Write(dir, res); err != nil {
		return 0, err
	}
	fmt.Fprintf(s.Out, "\nFor the README, section Speed:\n\n")
	report.Speed(s.Out, res)
	fmt.Fprintf(s.Out, "\nwritten to %s\n", dir)
	if len(res.Failed) > 0 {
		return 1, nil
	}
	return 0, nil
}

// prepare makes the directory for data and finds the programs.
func (s *settings) prepare() (err error) {
	if s.data == "" {
		s.data = s.results
	}
	for _, dir := range []string{s.results, s.data} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if s.RaftKV, err = filepath.Abs(s.RaftKV); err != nil {
		return err
	}
	if _, err := os.Stat(s.RaftKV); err != nil {
		return err
	}
	if s.Self, err = os.Executable(); err != nil {
		return err
	}
	if s.data, err = filepath.Abs(s.data); err != nil {
		return err
	}
	s.Work, err = os.MkdirTemp(s.data, "data-")
	return err
}
