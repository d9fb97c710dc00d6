// Command raftkv runs one node of a RaftKV cluster, or with a subcommand does
// something near it: run-local runs three nodes on this machine, check looks at a
// stopped node's data, recover goes on after a majority was lost for good, migrate
// converts a stopped node's log to another kind, certs makes certificates.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
	variables      []string // as os.Environ gives them
	stdout, stderr io.Writer
}

func main() {
	os.Exit(run(os.Args[1:], environment{os.Environ(), os.Stdout, os.Stderr}))
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
	case "check":
		return runCheck(args[1:], env)
	case "recover":
		return runRecover(args[1:], env)
	case "migrate":
		return runMigrate(args[1:], env)
	case "certs":
		return runCerts(args[1:], env)
	case "commands":
		return writeCommands(env.stdout)
	case "help":
		return runNode([]string{"--help"}, env)
	case "version":
		return runNode([]string{"--version"}, env)
	}
	if ext := filepath.Ext(args[0]); ext == ".yml" || ext == ".yaml" || ext == ".conf" {
		return config.Usagef("there is no subcommand %q: a YAML file of settings is read by --config %s", args[0], args[0])
	}
	return config.Usagef("there is no subcommand %q: there are run-local, check, recover, migrate and certs, and without a subcommand a node runs (see raftkv --help)", args[0])
}
