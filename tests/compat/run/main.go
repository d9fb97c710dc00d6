// Command run compares random commands with a real Redis: make compat. It exits with 1
// if a reply differs in what rules.go does not allow.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/raftkv/raftkv/tests/compat"
)

func main() {
	o := compat.Options{Out: os.Stdout}
	flag.IntVar(&o.Commands, "commands", 1_000_000, "how many commands to run")
	flag.Uint64Var(&o.Seed, "seed", 0, "decides all of them; 0 draws one")
	flag.StringVar(&o.Only, "only", "", "a group (hash, sorted-set ...) or a command; all if empty")
	flag.IntVar(&o.Most, "most", 10, "end when so many commands differ")
	flag.Parse()
	if o.Seed == 0 {
		o.Seed = 1 + rand.Uint64N(1<<32)
	}
	fmt.Printf("# seed %d\n", o.Seed)
	start := time.Now()
	result, err := compat.Run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "compat:", err)
		os.Exit(2)
	}
	took := time.Since(start)
	fmt.Printf("%sin %v, %.0f commands a second\n", result.Summary(), took.Round(time.Second), float64(result.Commands)/took.Seconds())
	if len(result.Differing) > 0 {
		os.Exit(1)
	}
}
