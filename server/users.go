package server

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
	"github.com/raftkv/raftkv/server/acl"
)

// users are who may be here, and what each may do: what the log says, made ready for
// use. server/acl/DESIGN.md tells how the log, the flag and the file go together.
type users struct {
	commands *acl.Commands
	trusted  *account // of commands that need no permission: they had it elsewhere
	local    *acl.Hash
	log      *acl.Log

	// raw is what is in force. It is all that a command looks at, unless it has changed.
	raw     atomic.Pointer[system.Users]
	changed chan struct{} // gets a value after a change; holds one at most

	known chan struct{} // closed once the Machine has caught up

	mu      sync.Mutex
	machine *system.Users // guarded by mu: what the Machine has
	settled bool          // guarded by mu: the Machine has caught up once

	// making is not mu, for which the Machine would have to wait.
	making sync.Mutex
	table  *userTable      // guarded by making: the last one made
	told   map[string]bool // guarded by making: the users of which a warning was logged

	kept *system.Users // watchUsers' own: what is in the file
}

// userTable is a system.Users ready for use. It never changes.
type userTable struct {
	raw    *system.Users
	byName map[string]*account
}

// account is a user as of one revision.
type account struct {
	*acl.User
	record system.User
}

const defaultUser = "default"

// names returns the users' names, ordered.
func (t *userTable) names() []string { return slices.Sorted(maps.Keys(t.byName)) }

// init makes users ready. password is that of the default user as long as the log says
// nothing of it, empty for none; last is what was known at the last end of this node.
func (u *users) init(commands []spec.Command, password string, last *system.Users) {
	u.commands = acl.NewCommands(commands)
	u.trusted = &account{User: u.commands.Everything()}
	u.log = acl.NewLog()
	u.changed = make(chan struct{}, 1)
	u.told = make(map[string]bool)
	u.known = make(chan struct{})
	if password != "" {
		hash := acl.HashOf([]byte(password))
		u.local = &hash
	}
	u.kept = last
	u.raw.Store(last)
}

// learn takes what the Machine has. A Machine that replays its log passes through what
// was once: that is not put into force again.
func (u *users) learn(from *system.Users) {
	u.mu.Lock()
	u.machine = from
	forward := u.settled || from.At() >= u.raw.Load().At()
	if forward {
		u.raw.Store(from)
	}
	u.mu.Unlock()
	if forward {
		u.tell()
	}
}

// settle says that the Machine has caught up: from now on nothing else counts.
func (u *users) settle() {
	u.mu.Lock()
	u.settled = true
	u.raw.Store(u.machine)
	u.mu.Unlock()
	close(u.known)
	u.tell()
}

// newcomersWait is how long after the start of a node a client waits at most until the
// node knows what the others do; then it is judged by what the node knew last.
const newcomersWait = 3 * time.Second

// awaitUsers waits after the start until the Machine has caught up.
func (s *Server) awaitUsers() {
	if s.users.areKnown() {
		return
	}
	t := time.NewTimer(max(newcomersWait-s.now().Sub(s.started), 0))
	defer t.Stop()
	select {
	case <-s.users.known:
	case <-t.C:
	case <-s.stopping.Done():
	}
}

// areKnown says whether the Machine has caught up.
func (u *users) areKnown() bool {
	select {
	case <-u.known:
		return true
	default:
		return false
	}
}

func (u *users) tell() {
	select {
	case u.changed <- struct{}{}:
	default:
	}
}

// accounts returns what is in force.
func (s *Server) accounts() *userTable {
	u := &s.users
	u.making.Lock()
	defer u.making.Unlock()
	if raw := u.raw.Load(); u.table == nil || u.table.raw != raw {
		u.table = s.makeTableLocked(raw)
	}
	return u.table
}

// makeTableLocked takes over what is the same as in the last table. Call it with
// users.making held.
func (s *Server) makeTableLocked(raw *system.Users) *userTable {
	u := &s.users
	t := &userTable{raw: raw, byName: make(map[string]*account)}
	if raw != nil {
		for _, record := range raw.List {
			if u.table != nil {
				if have := u.table.byName[record.Name]; have != nil && have.record == record {
					t.byName[record.Name] = have
					continue
				}
			}
			t.byName[record.Name] = s.loadLocked(record)
		}
	}
	if t.byName[defaultUser] == nil {
		user := u.commands.DefaultUser()
		if u.local != nil {
			user, _ = user.Modify([]string{"resetpass", "#" + u.local.String()}) // right by its form
		}
		t.byName[defaultUser] = &account{User: user}
	} else if u.local != nil && raw != nobodyYet && !slices.Contains(t.byName[defaultUser].Passwords(), *u.local) && !u.told[defaultUser] {
		u.told[defaultUser] = true
		s.log.Warn("--requirepass is not used: the cluster has its own password for the default user (CONFIG SET requirepass or ACL SETUSER default changes it)")
	}
	return t
}

func (s *Server) loadLocked(record system.User) *account {
	user, err := s.users.commands.Load(record.Name, strings.Split(record.Rules, "\n"))
	if err != nil && !s.users.told["rules of "+record.Name] {
		s.users.told["rules of "+record.Name] = true
		s.log.Warn("a user's rules were made by a newer program; what is not understood gives no permission", "user", record.Name, "error", err)
	}
	return &account{User: user, record: record}
}

// same says whether an account is still the same user's. The default user is never
// deleted.
func (a *account) same(b *account) bool {
	return b != nil && a.Name == b.Name && (a.record.Born == b.record.Born || a.Name == defaultUser)
}

// watchUsers closes the connections of users that are gone, and keeps the file; until
// the server stops. Before that it waits until the Machine has caught up.
func (s *Server) watchUsers() {
	for settled := false; ; {
		if !settled {
			if _, err := s.rep.FollowerBarrier(s.stopping); err == nil {
				settled = true
				s.users.settle()
			} else if !s.sleep(settlePause) {
				return
			}
		}
		if settled {
			select {
			case <-s.users.changed:
			case <-s.stopping.Done():
				return
			}
		}
		t := s.accounts()
		s.cutGone(t)
		if settled {
			s.keepUsers(t.raw)
		}
	}
}

// cutGone closes the connections of users that are gone as of t. Who has come meanwhile
// as a user made since is looked at by what is newer than that.
func (s *Server) cutGone(t *userTable) {
	for _, one := range s.sessions.all() {
		a := one.about.account.Load()
		if !a.same(t.byName[a.Name]) && !a.same(s.accounts().byName[a.Name]) && !one.about.spared.Load() {
			one.kill()
		}
	}
}

// become makes the session a user's.
func (s *Session) become(a *account) {
	s.account = a
	s.about.account.Store(a)
}

// trust makes the session one of another node's, which knows the client and its user.
func (s *Session) trust() {
	s.remote, s.authed = true, true
	s.become(s.srv.users.trusted)
}

// refreshUser brings the session's user up to date. It is false where the user is gone.
func (s *Session) refreshUser() bool {
	if s.remote || !s.early && s.srv.users.raw.Load() == s.table.raw {
		return true
	}
	known := s.srv.users.areKnown()
	s.table = s.srv.accounts()
	if s.early && known { // let in by what the node knew last: that may be over
		s.early, s.authed = false, s.table.byName[defaultUser].Open()
	}
	now := s.table.byName[s.account.Name]
	if !s.account.same(now) {
		return false
	}
	s.become(now)
	return true
}

// needsPassword says whether the client has to authenticate before anything else.
func (s *Session) needsPassword() bool {
	return !s.authed && !s.table.byName[defaultUser].Open()
}

// beDefault is what a connection begins as: the default user's, and authenticated
// where that needs no password.
func (s *Session) beDefault() {
	known := s.srv.users.areKnown() // before the users are looked at: they can be older, not newer
	s.table = s.srv.accounts()
	a := s.table.byName[defaultUser]
	s.become(a)
	s.authed = a.Open()
	s.early = s.authed && !known
}

// authenticated makes the session a user's whose password was given.
func (s *Session) authenticated(a *account) {
	s.become(a)
	s.authed, s.early = true, false
}

// wrongPassword is the one answer to a wrong password and to a wrong name, so that
// nobody learns which of the two it was. command is the word that brought them.
func (s *Session) wrongPassword(user, command []byte) error {
	s.logDenial(acl.Entry{Reason: acl.DeniedAuth, User: string(user), Object: string(command)})
	return resp.ErrWrongPass
}

// knows says whether user and password are right; it takes as long where they are not.
func (s *Server) knows(user, given []byte) (*account, bool) {
	a := s.accounts().byName[string(user)]
	var u *acl.User
	if a != nil {
		u = a.User
	}
	return a, u.Matches(given)
}

// Redis's texts: at once, and at EXEC.
const (
	errNoKeyPerm     resp.Error = "NOPERM this user has no permissions to access one of the keys used as arguments"
	errNoChannelPerm resp.Error = "NOPERM this user has no permissions to access one of the channels used as arguments"
	changedRules                = "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. " +
		"This command is no longer allowed for the following reason: "
)

// permitted says whether the session's user may run a command.
func (s *Session) permitted(decl *spec.Command, args [][]byte) error {
	if s.account.All() {
		return nil
	}
	d := s.account.Check(decl, args)
	if d.Reason == acl.Allowed {
		return nil
	}
	if d.Reason != acl.DeniedPattern { // which Redis's handler refuses, and does not log
		s.logDenial(acl.Entry{Reason: d.Reason, User: s.account.Name, Object: d.Object(decl, args)})
	}
	return noPermission(d, decl, args)
}

// noPermission is Redis's text for a denial.
func noPermission(d acl.Denial, decl *spec.Command, args [][]byte) resp.Error {
	switch d.Reason {
	case acl.DeniedPattern:
		return resp.SortDenied(strings.ToUpper(string(args[d.Arg])))
	case acl.DeniedKey:
		return errNoKeyPerm
	case acl.DeniedChannel:
		return errNoChannelPerm
	}
	return resp.Error("NOPERM this user has no permissions to run the '" + decl.FullName() + "' command")
}

// forAll makes run a command that concerns more than this node.
func forAll(run func(*Session, [][]byte, *resp.Writer) error) func(*Session, [][]byte, *resp.Writer) error {
	return func(s *Session, args [][]byte, w *resp.Writer) error {
		if err := s.permittedBehind(args); err != nil {
			return err
		}
		return run(s, args, w)
	}
}

// permittedBehind asks again whether the user may run a command that concerns more than
// this node. A follower can be behind, and so can a leader that has only begun: whom the
// others refuse already must not change the cluster through it, least of all the users.
func (s *Session) permittedBehind(args [][]byte) error {
	if _, self, _ := s.srv.rep.Leader(); s.remote || self && s.srv.rep.Settled() || s.srv.isAlone() {
		return nil
	}
	var err error
	s.block(func(ctx context.Context) { _, err = s.srv.rep.FollowerBarrier(ctx) })
	var other *system.NotLeaderError // this node may not answer at all: it goes by what it has applied
	if err != nil && !errors.As(err, &other) {
		return err
	}
	if !s.refreshUser() {
		s.closing = true
		return resp.ErrNoAuth
	}
	if s.needsPassword() {
		return resp.ErrNoAuth
	}
	decl, ok := s.srv.catalog.called(args)
	if !ok {
		return resp.UnknownCommand(args)
	}
	return s.permitted(decl, args)
}

// isAlone says that there is no other member who could know more: this one waits to join
// a cluster, or is the only one.
func (s *Server) isAlone() bool {
	all := s.rep.Members()
	return len(all) == 1 && all[0].ID == s.opts.NodeID
}

// isPatternDenial says whether a refusal is of an option alone, not of the command.
func isPatternDenial(err error) bool {
	return err == resp.SortDenied("BY") || err == resp.SortDenied("GET")
}

// permittedAtExec is permitted for a command that was queued, for a user that a queued
// AUTH may have made another one.
func (s *Session) permittedAtExec(a *account, q *queued) error {
	d := a.Check(q.decl, q.args)
	if d.Reason == acl.Allowed {
		return nil
	}
	if d.Reason == acl.DeniedPattern {
		return noPermission(d, q.decl, q.args)
	}
	s.logDenial(acl.Entry{Reason: d.Reason, Context: "multi", User: a.Name, Object: d.Object(q.decl, q.args)})
	switch d.Reason {
	case acl.DeniedKey:
		return resp.Error(changedRules + "no permission to touch the specified keys")
	case acl.DeniedChannel:
		return resp.Error(changedRules + "no permission to access one of the channels used as arguments")
	}
	return resp.Error(changedRules + "no permission to execute the command or subcommand")
}

// shownObject is how much ACL LOG keeps of a key.
const shownObject = 1024

// logDenial puts a refusal into ACL LOG.
func (s *Session) logDenial(e acl.Entry) {
	if e.Context == "" {
		e.Context = "toplevel"
		if s.txn != nil || s.executing {
			e.Context = "multi"
		}
	}
	e.Object = e.Object[:min(len(e.Object), shownObject)]
	e.User = e.User[:min(len(e.User), shownObject)]
	e.At, e.Client = s.srv.now(), strings.TrimSuffix(s.describe(), "\n")
	s.srv.users.log.Add(e)
}

// settlePause is between two attempts to hear from the others at the start.
const settlePause = 200 * time.Millisecond

// tries is how often a change of users is made anew because another one came first.
const tries = 16

// changeUsers changes users through the log. edit says how, from what is there; where
// it changes nothing, nothing is logged. It returns once this node has the change.
func (s *Session) changeUsers(edit func(t *userTable) ([]system.UserChange, error)) error {
	s.about.spared.Store(true)
	defer func() {
		if s.refreshUser() {
			s.about.spared.Store(false)
		} else { // it was its own: it still gets its reply
			s.closing = true
		}
	}()
	for range tries {
		// A follower may be behind, and its client sees its own change.
		if _, self, _ := s.srv.rep.Leader(); !self {
			if _, err := s.srv.rep.FollowerBarrier(s.ctx); err != nil {
				return err
			}
		}
		t := s.srv.accounts()
		changes, err := edit(t)
		if err != nil || len(changes) == 0 {
			return err
		}
		reply, err := s.srv.rep.Forward(s.ctx, system.Caller{Proto: 2}, system.UsersSet(t.raw.At(), changes...).Args)
		if err != nil {
			return err
		}
		switch text := strings.TrimSuffix(string(reply), "\r\n"); {
		case text == "+OK":
			// The next revision after t's is this change. Whether this node leads says nothing:
			// it may have become leader meanwhile, and have the change still before it.
			if s.srv.users.raw.Load().At() <= t.raw.At() {
				if _, err := s.srv.rep.FollowerBarrier(s.ctx); err != nil {
					return system.ErrUnknownOutcome // it is done, and not here: nobody may be told that it is not
				}
			}
			return nil
		case text != "-ERR "+system.ErrUsersChanged.Error():
			return resp.Error(strings.TrimPrefix(text, "-"))
		}
		if _, err := s.srv.rep.FollowerBarrier(s.ctx); err != nil {
			return err
		}
	}
	return system.ErrOverloaded
}

// logSystem logs a change of users or settings that a node asked for, on the leader.
func (s *Server) logSystem(args [][]byte) ([]byte, error) {
	p := system.Proposal{Proto: 2}
	p.System, p.Commands = true, []system.Command{{Args: args}}
	var o outcome
	o.ready = make(chan struct{}, 1)
	ps := []system.Proposal{p}
	o.begin(ps)
	s.rep.Submit(ps)
	<-o.ready
	return o.results[0].reply, o.results[0].err
}

// Authenticate says which of the logins that an HTTP client's words may mean is right.
// Where none is, what is logged is the first one's name if there is such a user, else the
// last one's: the first may be the beginning of a password.
func (s *Server) Authenticate(client string, logins ...system.Login) (user string, ok bool) {
	s.awaitUsers()
	for _, l := range logins {
		if _, ok := s.knows([]byte(l.User), []byte(l.Password)); ok {
			return l.User, true
		}
	}
	meant := logins[0].User
	if s.accounts().byName[meant] == nil {
		meant = logins[len(logins)-1].User
	}
	s.users.log.Add(acl.Entry{
		Reason: acl.DeniedAuth, Context: "toplevel", Object: "HTTP", User: meant[:min(len(meant), shownObject)],
		At: s.now(), Client: "addr=" + client + " http",
	})
	return "", false
}

// Open says whether clients need no password: they are the default user then.
func (s *Server) Open() bool {
	s.awaitUsers()
	return s.accounts().byName[defaultUser].Open()
}

// Permits says whether a user may run a command line, without running it; the error is
// Redis's.
func (s *Server) Permits(user string, words ...string) error {
	args := make([][]byte, len(words))
	for i, w := range words {
		args[i] = []byte(w)
	}
	a := s.accounts().byName[user]
	if a == nil {
		return errUserGone
	}
	decl, ok := s.catalog.called(args)
	if !ok {
		return resp.UnknownCommand(args)
	}
	if d := a.Check(decl, args); d.Reason != acl.Allowed {
		return noPermission(d, decl, args)
	}
	return nil
}
