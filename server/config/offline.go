package config

import (
	"io"

	"github.com/alecthomas/kong"
)

// Check is the configuration of raftkv check.
type Check struct {
	DataDir string `group:"node" required:"" placeholder:"DIR" type:"plain" help:"Data directory of a stopped node."`
	Format  string `group:"other" enum:"text,json" default:"text" help:"text or json."`
	Help    bool   `group:"other" short:"h" help:"Print this help."`
}

// Recover is the configuration of raftkv recover.
type Recover struct {
	DataDir string   `group:"node" required:"" placeholder:"DIR" type:"plain" help:"Data directory of the stopped node that is to go on alone."`
	Ask     []string `group:"addresses" placeholder:"ADDR" help:"More Raft addresses at which a member may live, besides those that the directory knows."`
	Foreign []string `group:"addresses" placeholder:"ADDR" help:"Raft addresses that members had, and at which something else answers now: what does not say there that it is a member counts as nobody."`
	Compare []string `group:"node" placeholder:"DIR" help:"Data directories of the other survivors: it is refused where one of them holds more."`
	Yes     bool     `group:"other" help:"Do it without asking."`
	Help    bool     `group:"other" short:"h" help:"Print this help."`
}

// Migrate is the configuration of raftkv migrate.
type Migrate struct {
	DataDir  string `group:"node" required:"" placeholder:"DIR" type:"plain" help:"Data directory of a stopped node."`
	LogStore string `group:"node" required:"" placeholder:"KIND" help:"How it is to keep its log: bolt or segments."`
	Help     bool   `group:"other" short:"h" help:"Print this help."`
}

const migrateDescription = "Converts the log of a stopped node to the other kind, with all its entries. It can be cut off at any point and run again; " +
	"until it is done, the node starts with the kind it had."

const checkDescription = "Reads the data directory of a stopped node, without changing a byte, and reports what it holds. " +
	"Exit status 0: all is sound; 1: something is damaged, one line for each; 2: the command line makes no sense."

const recoverDescription = "For a cluster that lost the majority of its nodes for good: makes one survivor the only voter of a new cluster, " +
	"with all the data that it has. Run raftkv check on all surviving data directories first and take the one with the highest last " +
	"(term, index). Fresh nodes can join afterwards; what is left of the old cluster is refused for ever."

// ParseCheck reads the arguments of raftkv check; as ParseLocal.
func ParseCheck(args []string, out io.Writer) (c *Check, done bool, err error) {
	c = &Check{}
	done, err = parseOffline(c, offline{"raftkv check", checkDescription, out}, args)
	return c, done, err
}

// ParseRecover reads the arguments of raftkv recover; as ParseLocal.
func ParseRecover(args []string, out io.Writer) (r *Recover, done bool, err error) {
	r = &Recover{}
	done, err = parseOffline(r, offline{"raftkv recover", recoverDescription, out}, args)
	return r, done, err
}

// ParseMigrate reads the arguments of raftkv migrate; as ParseLocal.
func ParseMigrate(args []string, out io.Writer) (m *Migrate, done bool, err error) {
	m = &Migrate{}
	done, err = parseOffline(m, offline{"raftkv migrate", migrateDescription, out}, args)
	if err == nil && !done {
		err = checkLogStore(m.LogStore)
	}
	return m, done, err
}

// offline names a subcommand that works on a stopped node.
type offline struct {
	name, description string
	out               io.Writer
}

func parseOffline(into any, o offline, args []string) (done bool, err error) {
	parser, err := kong.New(into, Options(o.name, o.description, o.out)...)
	if err != nil {
		return false, err
	}
	if done, err := printOnly(parser, args, o.out); done || err != nil {
		return done, err
	}
	if args, err = tidy(args, parser.Model.Flags); err != nil {
		return false, err
	}
	ctx, err := parser.Parse(args)
	if err == nil {
		err = refuseEmpty(ctx)
	}
	if err != nil {
		return false, Usagef("%v (see %s --help)", err, o.name)
	}
	return false, nil
}
