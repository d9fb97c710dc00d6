package server

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
	"github.com/raftkv/raftkv/server/acl"
)

func aclCommands() []command { return []command{declACL()} }

func declACL() command {
	sub := func(name, syntax, summary string, run func(*Session, [][]byte, *resp.Writer) error) command {
		return command{
			Command: spec.Command{
				Name: name, Syntax: syntax, Group: spec.Server, Flags: adminClient, Since: "6.0.0", Cost: "O(1)", Summary: summary,
			},
			run: run, early: true,
		}
	}
	anybody := func(c command) command {
		c.Flags = aboutClient
		return c
	}
	logged := func(c command) command { // by Raft
		c.run, c.early, c.Cost = forAll(c.run), false, "O(N), where N is the number of rules or users"
		return c
	}
	dryrun := sub("DRYRUN", "username command [arg [arg ...]]", "Says whether a user may run a command, without running it.", cmdACLDryrun)
	dryrun.Since = "7.0.0"
	return command{
		Command: spec.Command{
			Name: "ACL", Group: spec.Server, Since: "6.0.0", Cost: "Depends on subcommand.",
			Summary: "A container for commands about users and what they may do.",
		},
		sub: []command{
			anybody(sub("CAT", "[categoryname]", "Returns the categories of commands, or the commands of one.", cmdACLCat)),
			logged(sub("DELUSER", "username [username ...]", "Deletes users on all nodes and closes their connections.", cmdACLDeluser)),
			dryrun,
			anybody(sub("GENPASS", "[bits]", "Returns a random password of 256 bits, or of so many.", cmdACLGenpass)),
			sub("GETUSER", "username", "Returns the rules of a user.", cmdACLGetuser),
			helpCommand("ACL", spec.Server, spec.Loading|spec.Stale, "6.0.0"),
			sub("LIST", "", "Returns the users with their rules, in the words of ACL SETUSER.", cmdACLList),
			sub("LOAD", "", "Not available: users are in the Raft log, on all nodes, and in no file.", cmdACLFile),
			sub("LOG", "[count | RESET]", "Returns what this node refused last, or forgets it.", cmdACLLog),
			sub("SAVE", "", "Not available: users are in the Raft log, on all nodes, and in no file.", cmdACLFile),
			logged(sub("SETUSER", "username [rule [rule ...]]", "Makes or changes a user on all nodes.", cmdACLSetuser)),
			sub("USERS", "", "Returns the names of the users.", cmdACLUsers),
			anybody(sub("WHOAMI", "", "Returns the name of this connection's user.", cmdACLWhoami)),
		},
	}
}

func cmdACLCat(s *Session, args [][]byte, w *resp.Writer) error {
	if len(args) > 3 {
		return resp.SubcommandSyntax(args[0], args[1])
	}
	names := (^spec.Categories(0)).Names()
	if len(args) == 3 {
		category, ok := spec.CategoryByName(strings.ToLower(string(args[2])))
		if !ok {
			return resp.Error("ERR Unknown category '" + string(args[2][:min(len(args[2]), 128)]) + "'")
		}
		names = s.srv.users.commands.In(category)
	}
	writeStrings(w, names)
	return nil
}

func writeStrings(w *resp.Writer, list []string) {
	w.Array(len(list))
	for _, text := range list {
		w.BulkString(text)
	}
}

func cmdACLDeluser(s *Session, args [][]byte, w *resp.Writer) error {
	names := make([]string, 0, len(args)-2)
	for _, a := range args[2:] {
		if string(a) == defaultUser {
			return resp.Error("ERR The 'default' user cannot be removed")
		}
		names = append(names, string(a))
	}
	deleted := 0
	err := s.changeUsers(func(t *userTable) (changes []system.UserChange, _ error) {
		for _, name := range names {
			if _, ok := t.raw.Get(name); ok {
				changes = append(changes, system.UserChange{Name: name})
			}
		}
		deleted = countNames(changes)
		return changes, nil
	})
	if err != nil {
		return err
	}
	w.Int(int64(deleted))
	return nil
}

// countNames counts each name once.
func countNames(changes []system.UserChange) int {
	seen := make(map[string]bool)
	for _, c := range changes {
		seen[c.Name] = true
	}
	return len(seen)
}

func cmdACLDryrun(s *Session, args [][]byte, w *resp.Writer) error {
	a := s.srv.accounts().byName[string(args[2])]
	if a == nil {
		return resp.Error("ERR User '" + string(args[2]) + "' not found")
	}
	line := args[3:]
	decl, ok := s.srv.catalog.called(line)
	switch {
	case !ok:
		return resp.Error("ERR Command '" + string(line[0]) + "' not found")
	case !decl.Accepts(len(line)):
		return resp.WrongArity(decl.FullName())
	}
	switch d := a.Check(decl, line); d.Reason {
	case acl.Allowed, acl.DeniedPattern: // Redis looks at such options when the command runs
		w.OK()
	case acl.DeniedCommand:
		w.BulkString("This user has no permissions to run the '" + decl.FullName() + "' command")
	default:
		w.BulkString("This user has no permissions to access the '" + string(line[d.Arg]) + "' " + d.Reason.String())
	}
	return nil
}

func cmdACLGenpass(_ *Session, args [][]byte, w *resp.Writer) error {
	const most = 4096
	bits := int64(256)
	if len(args) > 3 {
		return resp.SubcommandSyntax(args[0], args[1])
	}
	if len(args) == 3 {
		var ok bool
		if bits, ok = parseLong(args[2]); !ok {
			return resp.ErrNotInteger
		}
	}
	if bits <= 0 || bits > most {
		return resp.Error("ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to " + strconv.Itoa(most))
	}
	digits := (bits + 3) / 4
	random := make([]byte, (digits+1)/2)
	_, _ = rand.Read(random) // never fails
	w.BulkString(hex.EncodeToString(random)[:digits])
	return nil
}

func cmdACLGetuser(s *Session, args [][]byte, w *resp.Writer) error {
	a := s.srv.accounts().byName[string(args[2])]
	if a == nil {
		w.Null()
		return nil
	}
	w.Map(6)
	w.BulkString("flags")
	flags := a.Flags()
	w.Set(len(flags))
	for _, f := range flags {
		w.BulkString(f)
	}
	w.BulkString("passwords")
	w.Array(len(a.Passwords()))
	for _, p := range a.Passwords() {
		w.BulkString(p.String())
	}
	selectors := a.Selectors()
	writeSelector(w, selectors[0])
	w.BulkString("selectors")
	w.Array(len(selectors) - 1)
	for _, d := range selectors[1:] {
		w.Map(3)
		writeSelector(w, d)
	}
	return nil
}

func writeSelector(w *resp.Writer, d acl.Described) {
	for _, text := range []string{"commands", d.Commands, "keys", d.Keys, "channels", d.Channels} {
		w.BulkString(text)
	}
}

func cmdACLList(s *Session, _ [][]byte, w *resp.Writer) error {
	t := s.srv.accounts()
	names := t.names()
	w.Array(len(names))
	for _, name := range names {
		w.BulkString(t.byName[name].String())
	}
	return nil
}

// cmdACLFile is LOAD and SAVE. The beginning is Redis's, its advice would be wrong.
func cmdACLFile(*Session, [][]byte, *resp.Writer) error {
	return resp.Error("ERR This Redis instance is not configured to use an ACL file. Users made with ACL SETUSER are in the Raft log: all nodes have them, and they survive restarts.")
}

func cmdACLLog(s *Session, args [][]byte, w *resp.Writer) error {
	count := int64(10)
	switch {
	case len(args) > 3:
		return resp.SubcommandSyntax(args[0], args[1])
	case len(args) == 3 && upper(args[2]) == "RESET":
		s.srv.users.log.Reset()
		w.OK()
		return nil
	case len(args) == 3:
		var ok bool
		if count, ok = parseLong(args[2]); !ok {
			return resp.ErrNotInteger
		}
	}
	entries := s.srv.users.log.Latest(int(min(count, math.MaxInt32)))
	now := s.srv.now()
	w.Array(len(entries))
	for i := range entries {
		e := &entries[i]
		w.Map(7)
		w.BulkString("count")
		w.Int(e.Count)
		for _, text := range []string{"reason", e.Reason.String(), "context", e.Context, "object", e.Object, "username", e.User} {
			w.BulkString(text)
		}
		w.BulkString("age-seconds")
		w.Double(float64(now.Sub(e.At).Milliseconds()) / 1000)
		w.BulkString("client-info")
		w.BulkString(e.Client)
	}
	return nil
}

func cmdACLSetuser(s *Session, args [][]byte, w *resp.Writer) error {
	rules := make([]string, 0, len(args)-3)
	for _, a := range args[3:] {
		rules = append(rules, string(a))
	}
	if err := s.setUser(string(args[2]), rules); err != nil {
		return err
	}
	w.OK()
	return nil
}

// setUser makes or changes a user on all nodes.
func (s *Session) setUser(name string, rules []string) error {
	if err := acl.CheckName(name); err != nil {
		return resp.Error("ERR " + err.Error())
	}
	return s.changeUsers(func(t *userTable) ([]system.UserChange, error) {
		user := s.srv.users.commands.NewUser(name)
		if a := t.byName[name]; a != nil {
			user = a.User
		}
		user, err := user.Modify(rules)
		if err != nil {
			return nil, resp.Error("ERR " + err.Error())
		}
		return []system.UserChange{{Name: name, Rules: strings.Join(user.Rules(), "\n")}}, nil
	})
}

func cmdACLUsers(s *Session, _ [][]byte, w *resp.Writer) error {
	writeStrings(w, s.srv.accounts().names())
	return nil
}

func cmdACLWhoami(s *Session, _ [][]byte, w *resp.Writer) error {
	w.BulkString(s.account.Name)
	return nil
}

// aclLogLength is acllog-max-len.
type aclLogLength struct{ log *acl.Log }

func (l aclLogLength) Load() int64   { return int64(l.log.Max()) }
func (l aclLogLength) Store(n int64) { l.log.SetMax(int(n)) }

// errUserGone answers an HTTP client whose user was deleted in this moment.
var errUserGone = errors.New("the user is no more")
