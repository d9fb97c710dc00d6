package server

import (
	"context"
	"time"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

const (
	// tokenTTL is how long a join token lasts where nothing is said.
	tokenTTL = time.Hour
	// maxTokenTTL is the longest that can be asked for.
	maxTokenTTL = 30 * 24 * time.Hour
)

const errTokenTTL resp.Error = "ERR the time to live of a join token is given in seconds, from 1 to 2592000"

func declRaftToken() command {
	sub := func(name, syntax, summary string, run func(*Session, [][]byte, *resp.Writer) error) command {
		return command{
			Command: spec.Command{
				Name: name, Syntax: syntax, Group: spec.RaftGroup, Flags: raftFlags, Since: "7.2.0",
				Cost: "O(N), where N is the number of tokens", Tips: []string{"nondeterministic_output"}, Summary: summary,
			},
			run: run,
		}
	}
	return command{
		Command: spec.Command{
			Name: "RAFT.TOKEN", Group: spec.RaftGroup, Since: "7.2.0", Cost: "Depends on subcommand.",
			Summary: "A container for commands about join tokens.",
		},
		sub: []command{
			sub("CREATE", "[seconds]", "Makes a join token, which lets one node in, and from then on --join needs one. It lasts an hour, or as many seconds.", forAll(cmdTokenCreate)),
			helpCommand("RAFT.TOKEN", spec.RaftGroup, spec.Stale, "7.2.0"),
			sub("LIST", "", "Lists the join tokens that wait to be used: the beginning of the token's hash and the Unix time at which it expires.", cmdTokenList),
			sub("OFF", "", "Drops all join tokens, and --join needs none any more.", forAll(cmdTokenOff)),
		},
	}
}

func cmdTokenCreate(s *Session, args [][]byte, w *resp.Writer) error {
	ttl := tokenTTL
	switch {
	case len(args) > 3:
		return resp.SubcommandSyntax(args[0], args[1])
	case len(args) == 3:
		n, ok := parseLong(args[2])
		if !ok || n < 1 || n > int64(maxTokenTTL/time.Second) {
			return errTokenTTL
		}
		ttl = time.Duration(n) * time.Second
	}
	var token string
	err := s.await(func(ctx context.Context) (err error) {
		token, err = s.srv.rep.CreateToken(ctx, ttl)
		return err
	})
	if err != nil {
		return err
	}
	w.BulkString(token)
	return nil
}

func cmdTokenList(s *Session, _ [][]byte, w *resp.Writer) error {
	var open []system.Token
	var required bool
	err := s.await(func(ctx context.Context) (err error) {
		open, required, err = s.srv.rep.Tokens(ctx)
		return err
	})
	if err != nil {
		return err
	}
	w.Map(2)
	w.BulkString("required")
	w.BulkString(yesNo(required))
	w.BulkString("tokens")
	w.Array(len(open))
	for _, t := range open {
		w.Map(2)
		w.BulkString("id")
		w.BulkString(t.ID())
		w.BulkString("expires")
		w.Int(t.Expires / 1000)
	}
	return nil
}

func cmdTokenOff(s *Session, _ [][]byte, w *resp.Writer) error {
	return s.change(w, s.srv.rep.DropTokens)
}
