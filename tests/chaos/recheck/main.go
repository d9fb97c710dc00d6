// Command recheck checks a history again that `make chaos` has kept, and draws it:
//
//	go run ./tests/chaos/recheck [-per-key 1m] [-out BASE] FILE
//
// It writes BASE.svg and, of each violation, BASE-… as check.Report.Save says; BASE is
// FILE without its ending by default. It ends with 1 if anything was violated.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/raftkv/raftkv/tests/chaos/check"
)

func main() {
	perKey := flag.Duration("per-key", time.Minute, "how long to look for the verdict of one key")
	out := flag.String("out", "", "where the pictures go: a path without an ending")
	flag.Parse()
	if flag.NArg() != 1 || *perKey <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	file := flag.Arg(0)
	if *out == "" {
		*out = strings.TrimSuffix(file, filepath.Ext(file))
	}
	sound, err := recheck(file, *out, *perKey)
	if err != nil {
		fmt.Fprintln(os.Stderr, "recheck:", err)
		os.Exit(2)
	}
	if !sound {
		os.Exit(1)
	}
}

func recheck(file, out string, perKey time.Duration) (sound bool, err error) {
	h, err := check.ReadFile(file)
	if err != nil {
		return false, err
	}
	faults := h.Faults()
	fmt.Print(check.TimelineText(h, faults))
	report := check.Check(context.Background(), h, perKey)
	fmt.Print(report.Summary())
	audit := check.Audit(h, h.Finals())
	fmt.Print(audit)
	files, err := report.Save(out)
	if err != nil {
		return false, err
	}
	if err := draw(h, faults, out+".svg"); err != nil {
		return false, err
	}
	for _, f := range append(files, out+".svg") {
		fmt.Println("wrote", f)
	}
	return report.OK() && audit.OK(), nil
}

func draw(h *check.History, faults []check.Fault, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(check.Timeline(h, faults, f), f.Close())
}
