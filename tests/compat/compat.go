package compat

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
	"github.com/raftkv/raftkv/tests/compat/gen"
	"github.com/raftkv/raftkv/tests/peer"
	"github.com/raftkv/raftkv/tests/realredis"
)

// Options say what Run does.
type Options struct {
	Commands int       // how many to run, at least; the looks at the state are not counted
	Seed     uint64    // decides all of them
	Only     string    // a group or a command: of the others only those of no type are made
	Most     int       // end when so many commands differ
	Out      io.Writer // where differences are printed
}

// Result is what Run saw.
type Result struct {
	Commands  int            // that ran
	ByProto   [4]int         // of them those in RESP2 and RESP3
	Queued    int            // of them those that ran in a transaction
	Checks    int            // looks at the state
	Sequences int            // those were in
	Ran       map[string]int // by command: how often without an error
	Rarely    []string       // commands that ran without an error in fewer than one of 20,000
	Parted    map[string]int // by reason: how many sequences ended with it
	LeftOut   []string       // commands that were not made: the real Redis has none, or see rules.go
	Differing map[string]int // by command: how many sequences ended with it
}

// Run compares until enough commands ran. The error is not about differences: those are
// in the Result, and printed.
func Run(o Options) (*Result, error) {
	r, err := newRig()
	if err != nil {
		return nil, err
	}
	defer r.close()
	return r.run(o)
}

// rig is both ends.
type rig struct {
	redis    *realredis.Server
	conn     *realredis.Conn
	ours     *peer.Machine
	specs    []spec.Command
	known    *known
	settings []string // those that both have
	result   Result
	gen      *gen.Generator
	// distort changes our replies, for the test that shows that a difference is found.
	distort func(args [][]byte, reply []byte) []byte
}

func newRig() (*rig, error) {
	server, err := realredis.Start()
	if err != nil {
		return nil, err
	}
	r := &rig{redis: server}
	if r.conn, err = server.Dial(); err == nil {
		r.known, err = ask(r.conn)
	}
	if err == nil {
		r.settings, err = settingsOf(r.conn)
	}
	if err == nil {
		r.ours, err = peer.NewMachine()
	}
	if err != nil {
		r.close()
		return nil, err
	}
	r.specs = r.ours.Specs()
	r.result.Ran, r.result.Differing, r.result.Parted = map[string]int{}, map[string]int{}, map[string]int{}
	return r, nil
}

func (r *rig) close() {
	if r.conn != nil {
		r.conn.Close()
	}
	r.redis.Stop()
}

func (r *rig) run(o Options) (*Result, error) {
	if err := r.generator(o); err != nil {
		return nil, err
	}
	for n := uint64(0); r.result.Commands < o.Commands && len(r.result.Differing) < o.Most; n++ {
		s := r.sequence(o.Seed, n)
		d, err := r.play(s)
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s: %w: the real Redis has ended itself, in%s\n%s", s.title(), err, lines(s.steps), r.redis.LastWords())
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.title(), err)
		}
		r.result.Sequences++
		if d == nil {
			continue
		}
		r.result.Differing[d.name]++
		if r.result.Differing[d.name] == 1 {
			if err := r.report(o.Out, s, d); err != nil {
				return nil, err
			}
		}
	}
	for _, c := range r.gen.Commands() {
		if name := c.FullName(); r.result.Ran[name] < 1+r.result.Commands/20_000 {
			r.result.Rarely = append(r.result.Rarely, fmt.Sprintf("%s (%d)", name, r.result.Ran[name]))
		}
	}
	return &r.result, nil
}

// generator makes the generator, of what the real Redis has.
func (r *rig) generator(o Options) error {
	r.gen = gen.New(o.Seed, r.specs, func(command, token string) bool {
		if token != "" {
			return r.known.tokens[command][strings.ToUpper(token)]
		}
		if leftOut[command] != "" || !r.known.commands[command] {
			r.result.LeftOut = append(r.result.LeftOut, command)
			return false
		}
		return true
	})
	r.gen.Now, r.gen.Long = time.Now().UnixMilli(), true
	return r.gen.Only(o.Only)
}

// difference is where two replies are not as equal as they can be.
type difference struct {
	name         string // its command
	ours, theirs []byte
	log          []exchange // all up to there
}

// known is what the real Redis has.
type known struct {
	commands map[string]bool            // "get", "object|encoding"
	tokens   map[string]map[string]bool // by command
}

// ask has the real Redis tell its commands and their options.
func ask(c *realredis.Conn) (*known, error) {
	raw, err := c.Do(words("COMMAND", "DOCS"))
	if err != nil {
		return nil, err
	}
	docs, err := resp.Parse(raw)
	if err != nil {
		return nil, err
	}
	if docs.Err() != nil || len(docs.Elems) == 0 {
		return nil, fmt.Errorf("COMMAND DOCS: %.200q", raw)
	}
	k := &known{map[string]bool{}, map[string]map[string]bool{}}
	k.add(docs)
	return k, nil
}

func (k *known) add(docs resp.Value) {
	for i := 0; i+1 < len(docs.Elems); i += 2 {
		name := docs.Elems[i].Text()
		k.commands[name], k.tokens[name] = true, map[string]bool{}
		if args, ok := docs.Elems[i+1].Lookup("arguments"); ok {
			collect(args, k.tokens[name])
		}
		if subs, ok := docs.Elems[i+1].Lookup("subcommands"); ok {
			k.add(subs)
		}
	}
}

func collect(args resp.Value, tokens map[string]bool) {
	for _, a := range args.Elems {
		if token, ok := a.Lookup("token"); ok {
			tokens[strings.ToUpper(token.Text())] = true
		}
		if inner, ok := a.Lookup("arguments"); ok {
			collect(inner, tokens)
		}
	}
}

// Summary is the result as text.
func (r *Result) Summary() string {
	names := make([]string, 0, len(r.Differing))
	for name, n := range r.Differing {
		names = append(names, fmt.Sprintf("%s (%d)", name, n))
	}
	slices.Sort(names)
	good := 0
	for _, n := range r.Ran {
		good += n
	}
	text := fmt.Sprintf("%d commands (RESP2 %d, RESP3 %d; %d of them ran in transactions) and %d looks at the state in %d sequences; %d commands without an error, of %d names\n",
		r.Commands, r.ByProto[2], r.ByProto[3], r.Queued, r.Checks, r.Sequences, good, len(r.Ran))
	text += fmt.Sprintf("%d rules of what may differ, %d of them end the sequence\n", len(rules)+len(parting)+len(newer), len(parting))
	if len(r.LeftOut) > 0 {
		text += "left out: " + strings.Join(r.LeftOut, ", ") + "\n"
	}
	if len(r.Rarely) > 0 {
		text += "rarely without an error: " + strings.Join(r.Rarely, ", ") + "\n"
	}
	for _, p := range parting {
		if n := r.Parted[p.why]; n > 0 {
			text += fmt.Sprintf("%d sequences ended early: %s\n", n, p.why)
		}
	}
	if len(names) > 0 {
		return text + "DIFFERENT: " + strings.Join(names, ", ") + "\n"
	}
	return text + "no difference\n"
}
