// Package config is a node's configuration: flags, RAFTKV_* variables of the
// environment and an optional YAML file, in this order of precedence, checked as
// a whole. It starts nothing and opens no sockets.
package config

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// Config is a node's configuration, checked and with every default filled in.
// Settings that Redis has keep Redis's names and spelling.
type Config struct {
	NodeID        string        `group:"node" placeholder:"ID" help:"Name of this node, unique in its cluster for ever: letters, digits, dot, dash and underscore. Required."`
	DataDir       string        `group:"node" placeholder:"DIR" type:"plain" help:"Directory of this node's log, vote and snapshots (default: ./data/NODE-ID)."`
	DiskReserve   Bytes         `group:"node" default:"64mb" help:"With less than this free on the data directory's disk the node refuses writes, and lets others lead that have more."`
	AuditInterval time.Duration `group:"node" default:"1h" help:"How often the leader compares all nodes' states, give or take a tenth; 0 is never."`
	LogStore      string        `group:"node" placeholder:"KIND" help:"How a fresh data directory keeps its log: segments (the default), which waits for the disk once per write, or bolt, one bbolt file. One that has a log keeps its kind; raftkv migrate converts it."`
	Join          []string      `group:"node" placeholder:"ADDR" help:"Raft addresses of members of the cluster to join. Needed on the first start, and on one node where all of them have moved to other addresses; otherwise it does no harm."`
	RaftAddr      string        `group:"addresses" default:"127.0.0.1:8000" help:"Where to listen for the other nodes."`
	RESPAddr      string        `group:"addresses" name:"resp-addr" default:"127.0.0.1:6379" help:"Where to listen for Redis clients."`
	HTTPAddr      string        `group:"addresses" name:"http-addr" default:"127.0.0.1:8080" help:"Where to listen for HTTP."`
	// The advertised addresses are what others are told; they are never wildcards.
	RaftAdvertise string        `group:"addresses" placeholder:"HOST:PORT" help:"Address that the other nodes reach this one by (default: --raft-addr)."`
	RESPAdvertise string        `group:"addresses" name:"resp-advertise" placeholder:"HOST:PORT" help:"Address that Redis clients are sent to (default: --resp-addr)."`
	HTTPAdvertise string        `group:"addresses" name:"http-advertise" placeholder:"HOST:PORT" help:"Address that HTTP clients are sent to (default: --http-addr)."`
	Network       string        `group:"addresses" enum:"lan,wan" default:"lan" help:"What lies between the members, the same on all of them: lan (round trips up to about 20 ms) or wan (up to about 150 ms). It sets how soon a leader that is not heard of is replaced."`
	DebugCommand  string        `group:"clients" name:"enable-debug-command" enum:"no,yes,local" default:"no" help:"yes allows the DEBUG command, which can end the node and stop it from serving; local allows it to clients of this machine."`
	LeaderWait    time.Duration `group:"clients" placeholder:"DURATION" help:"How long a request waits for a leader before it is refused (default: 3s, with --network wan 10s)."`
	RequirePass   Secret        `group:"clients" name:"requirepass" placeholder:"PASSWORD" help:"Password for Redis clients and HTTP, until the cluster has its own (CONFIG SET requirepass). Better given by environment or file: other users of the machine can read flags."`
	ProtectedMode string        `group:"clients" enum:"yes,no" default:"yes" help:"yes refuses to listen beyond this machine, and to serve clients of other machines, while no password is set; no allows it."`
	MaxClients    int           `group:"clients" name:"maxclients" default:"10000" help:"How many clients may be connected at once."`
	Timeout       int           `group:"clients" default:"0" help:"Close a client's connection after this many idle seconds; 0 is never."`
	TCPKeepAlive  int           `group:"clients" name:"tcp-keepalive" default:"300" help:"Seconds between TCP keep-alive probes; 0 is none."`
	SlowlogSlower int64         `group:"clients" name:"slowlog-log-slower-than" default:"10000" help:"Commands that take more than so many microseconds go into the slow log; 0 is all of them, -1 none."`
	SlowlogLen    int64         `group:"clients" name:"slowlog-max-len" default:"128" help:"How many entries the slow log keeps."`
	MaxBulk       Bytes         `group:"clients" name:"proto-max-bulk-len" default:"512mb" help:"Largest single argument of a command, in Redis's units (1k is 1000, 1kb 1024). The log takes no command above 16mb in any case."`
	MaxMemory     Bytes         `group:"clients" name:"maxmemory" default:"0" help:"While keys and values take more than this, a node that leads refuses whatever would add to them; 0 is no limit. The same on every node, in Redis's units."`
	QueryLimit    Bytes         `group:"clients" name:"client-query-buffer-limit" default:"1gb" help:"Close a client that sends more than this of one command."`
	OutputLimits  string        `group:"clients" name:"client-output-buffer-limit" placeholder:"LIMITS" help:"Close clients for which more than this waits, as Redis writes it: a class (normal, pubsub), the hard limit, the soft limit and its seconds (default: normal 0 0 0 pubsub 32mb 8mb 60)."`
	TLS
	LogLevel   string `group:"log" enum:"debug,info,warn,error" default:"info" help:"debug, info, warn or error."`
	LogFormat  string `group:"log" enum:"text,json" default:"text" help:"text or json."`
	ConfigFile string `group:"other" name:"config" placeholder:"FILE" type:"plain" help:"YAML file of settings, each under its flag's name without the dashes."`
	Version    bool   `group:"other" help:"Print version, commit and Go version."`
	Help       bool   `group:"other" short:"h" help:"Print this help."`
	// SecretsInFile says that the password or the join token stands in ConfigFile.
	SecretsInFile bool `kong:"-"`
}

// ErrUsage marks errors of the configuration: what was asked for makes no sense,
// as opposed to what could not be done.
var ErrUsage = errors.New("usage")

// usageError is one clear line for the person who typed it.
type usageError string

func (e usageError) Error() string        { return string(e) }
func (e usageError) Is(target error) bool { return target == ErrUsage }

// Usagef makes an error of one line that matches ErrUsage.
func Usagef(format string, args ...any) error { return usageError(fmt.Sprintf(format, args...)) }

const description = "A Redis-compatible server that keeps every acknowledged write on a majority of its nodes.\n\n" +
	"raftkv --node-id ID runs a node. raftkv run-local runs three of them on this machine, raftkv check looks at a stopped node's data, raftkv recover goes on when a majority is lost for good, raftkv migrate converts the log, raftkv certs makes certificates (each has --help).\n\n" +
	"Every flag can also be given in the environment (--resp-addr as RAFTKV_RESP_ADDR) or in a YAML file (resp-addr: ...). A flag wins over the environment, the environment over the file."

// Parse reads the configuration from the arguments (without the program's name),
// the environment (as os.Environ gives it) and the file that they name. done says
// that help or version was asked for and has been written to out. Errors are one
// line each and match ErrUsage.
func Parse(args, environ []string, out io.Writer) (cfg *Config, done bool, err error) {
	cfg = &Config{}
	src := newSource(environ)
	parser, err := kong.New(cfg, append(Options("raftkv", description, out), kong.Resolvers(src))...)
	if err != nil {
		return nil, false, err
	}
	if done, err := printOnly(parser, args, out); done || err != nil {
		return nil, done, err
	}
	if err := src.checkNames(parser.Model.Flags); err != nil {
		return nil, false, err
	}
	if args, err = tidy(args, parser.Model.Flags); err != nil {
		return nil, false, err
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		return nil, false, src.explain(err)
	}
	if err := refuseEmpty(ctx); err != nil {
		return nil, false, err
	}
	cfg.SecretsInFile = src.hasSecrets()
	if !given(ctx, "leader-wait") {
		cfg.LeaderWait = leaderWaits[cfg.Network]
	}
	if err := cfg.check(); err != nil {
		return nil, false, err
	}
	return cfg, false, nil
}

// leaderWaits are the defaults of --leader-wait: longer than a leader that is not
// heard of takes to be replaced.
var leaderWaits = map[string]time.Duration{"lan": 3 * time.Second, "wan": 10 * time.Second}

// given reports whether a setting has a value from anywhere but its default.
func given(ctx *kong.Context, name string) bool {
	return slices.ContainsFunc(ctx.Path, func(p *kong.Path) bool { return p.Flag != nil && p.Flag.Name == name })
}

// Options are the settings of every command line of the program, so that all of
// them print help in the same way.
func Options(name, description string, out io.Writer) []kong.Option {
	return []kong.Option{
		kong.Name(name),
		kong.Description(description),
		kong.Writers(out, out),
		kong.NoDefaultHelp(),
		kong.NamedMapper("plain", kong.MapperFunc(decodePlain)),
		kong.ConfigureHelp(kong.HelpOptions{WrapUpperBound: 100}),
		kong.ExplicitGroups([]kong.Group{
			{Key: "node", Title: "Node:"},
			{Key: "addresses", Title: "Addresses:"},
			{Key: "clients", Title: "Clients:"},
			{Key: "tls", Title: "TLS, and who may join:"},
			{Key: "log", Title: "Log:"},
			{Key: "other", Title: "Other:"},
		}),
	}
}

// decodePlain takes a path as it was typed: it may come from a file, and is
// resolved against the working directory by the system alone.
func decodePlain(ctx *kong.DecodeContext, target reflect.Value) error {
	var s string
	if err := ctx.Scan.PopValueInto("path", &s); err != nil {
		return err
	}
	target.SetString(s)
	return nil
}

// printOnly answers --help and --version, whatever else stands on the line.
func printOnly(parser *kong.Kong, args []string, out io.Writer) (bool, error) {
	for _, arg := range args {
		switch arg {
		case "--help", "-h":
			return true, PrintHelp(parser)
		case "--version":
			_, err := io.WriteString(out, VersionText())
			return true, err
		case "--":
			return false, nil
		}
	}
	return false, nil
}

// PrintHelp writes the help of a command line made with Options.
func PrintHelp(parser *kong.Kong) error {
	ctx, err := kong.Trace(parser, nil)
	if err != nil {
		return err
	}
	return ctx.PrintUsage(false)
}

// check fills in what is derived and refuses what cannot work.
func (c *Config) check() error {
	if c.NodeID == "" {
		return Usagef("--node-id is missing: give this node a name that no other node of the cluster has, for example --node-id node1")
	}
	if err := CheckNodeID(c.NodeID); err != nil {
		return Usagef("--node-id: %v", err)
	}
	if c.DataDir == "" {
		c.DataDir = filepath.Join("data", c.NodeID)
	}
	if err := checkLogStore(c.LogStore); err != nil {
		return err
	}
	if err := c.checkNumbers(); err != nil {
		return err
	}
	if err := c.checkAddresses(); err != nil {
		return err
	}
	if err := c.checkTLS(); err != nil {
		return err
	}
	return c.checkJoin()
}

// logStores are the words for the kinds of log.
var logStores = []string{"bolt", "segments"}

// checkLogStore takes what may be said of the kind of log; nothing is a choice, too.
func checkLogStore(kind string) error {
	if kind != "" && !slices.Contains(logStores, kind) {
		return Usagef("--log-store must be bolt or segments, not %q", kind)
	}
	return nil
}

// checkJoin refuses what can never lead to a cluster. Among others a node may name
// itself, so that all can be given the same list.
func (c *Config) checkJoin() error {
	others := 0
	for i, addr := range c.Join {
		c.Join[i] = strings.TrimSpace(addr)
		if err := CheckDialable(c.Join[i]); err != nil {
			return Usagef("--join: %v", err)
		}
		if c.Join[i] != c.RaftAddr && c.Join[i] != c.RaftAdvertise {
			others++
		}
	}
	if len(c.Join) > 0 && others == 0 {
		return Usagef("--join %s is this node itself: name a member of the cluster to join, or leave --join out to begin a new one", c.Join[0])
	}
	return nil
}

func (c *Config) checkNumbers() error {
	for _, n := range []struct {
		flag          string
		got, min, max int64
	}{
		{"maxclients", int64(c.MaxClients), 1, 1 << 20},
		{"proto-max-bulk-len", int64(c.MaxBulk), 1 << 20, 1<<63 - 1},
		{"maxmemory", int64(c.MaxMemory), 0, 1<<63 - 1},
		{"client-query-buffer-limit", int64(c.QueryLimit), 1 << 20, 1<<63 - 1},
		{"timeout", int64(c.Timeout), 0, 1<<31 - 1},
		{"tcp-keepalive", int64(c.TCPKeepAlive), 0, 1<<31 - 1},
		{"slowlog-log-slower-than", c.SlowlogSlower, -1, 1<<63 - 1},
		{"slowlog-max-len", c.SlowlogLen, 0, 1<<63 - 1},
	} {
		if n.got < n.min || n.got > n.max {
			return Usagef("--%s must be between %d and %d, not %d", n.flag, n.min, n.max, n.got)
		}
	}
	if c.LeaderWait < 0 || c.LeaderWait > time.Minute {
		return Usagef("--leader-wait must be between 0s and 1m, not %s", c.LeaderWait)
	}
	if c.AuditInterval < 0 || c.AuditInterval > 0 && c.AuditInterval < time.Second {
		return Usagef("--audit-interval must be 0s, for never, or at least 1s, not %s", c.AuditInterval)
	}
	return nil
}
