// Command raftkv runs one node of a RaftKV cluster, or with a subcommand does
// something near it: raftkv run-local runs three nodes on this machine.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/raftkv/raftkv/server/config"
)

// The exit codes: a command line or file that makes no sense is told from what
// could not be done.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// environment is what a subcommand has beside its arguments.
type environment struct {
	lookup         func(string) (string, bool)
	stdout, stderr io.Writer
}

func main() {
	os.Exit(run(os.Args[1:], environment{os.LookupEnv, os.Stdout, os.Stderr}))
}

// run picks the subcommand and returns the exit code.
func run(args []string, env environment) int {
	err := dispatch(args, env)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(env.stderr, "raftkv: "+strings.ReplaceAll(err.Error(), "\n", "; "))
	if errors.Is(err, config.ErrUsage) {
		return exitUsage
	}
	return exitError
}

func dispatch(args []string, env environment) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return runNode(args, env)
	}
	switch args[0] {
	case "run-local":
		return runLocal(args[1:], env)
	case "commands":
		return writeCommands(env.stdout)
	case "help":
		return runNode([]string{"--help"}, env)
	case "version":
		return runNode([]string{"--version"}, env)
	}
	return config.Usagef("there is no subcommand %q: there is run-local, and without a subcommand a node runs (see raftkv --help)", args[0])
}
