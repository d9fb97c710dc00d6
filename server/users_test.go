package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/server/acl"
)

const (
	noKey = "-" + string(errNoKeyPerm) + "\r\n"
	ok    = "+OK\r\n"
)

// lets says whether HTTP lets a user in.
func (s *Server) lets(user, password string) bool {
	_, ok := s.Authenticate("192.0.2.1:1", system.Login{User: user, Password: password})
	return ok
}

func noCommand(name string) string {
	return "-NOPERM this user has no permissions to run the '" + name + "' command\r\n"
}

// TestPipelineOfTwoUsers: what stands before AUTH is the one's, what stands behind it the other's.
func TestPipelineOfTwoUsers(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	c.roundTrip(inline("ACL SETUSER a on nopass +@all ~a* &*", "ACL SETUSER b on nopass +@all ~b* &*"), ok+ok)
	c.roundTrip(inline("AUTH a x", "SET a 1", "SET b 1", "GET a", "AUTH b x", "SET b 2", "GET a", "GET b", "HELLO 2 AUTH a x", "GET b", "GET a", "RESET", "GET b"),
		ok+ok+noKey+"$1\r\n1\r\n"+ok+ok+noKey+"$1\r\n2\r\n"+hello2+noKey+"$1\r\n1\r\n+RESET\r\n$1\r\n2\r\n")
}

// TestDeleteUser: whoever is connected as the user is cut, but who does it gets an answer.
func TestDeleteUser(t *testing.T) {
	s := newTestServer(t)
	admin, idle, busy, self := s.dial(), s.dial(), s.dial(), s.dial()
	admin.roundTrip(inline("ACL SETUSER gone on nopass +@all ~* &*"), ok)
	for _, c := range []*client{idle, busy, self} {
		c.roundTrip("AUTH gone x\r\n", ok)
	}
	busy.send("WAIT 5 0\r\n")
	until(t, "the wait", func() bool { return strings.Contains(localDo(t, s, "INFO", "clients"), "blocked_clients:1\r\n") })
	self.send(inline("SET k v", "ACL DELUSER gone nobody gone", "SET k w"))
	self.expect(ok + ":1\r\n")
	for _, c := range []*client{self, idle, busy} {
		c.expectEOF()
	}
	admin.roundTrip(inline("GET k", "AUTH gone x", "ACL USERS"), "$1\r\nv\r\n-"+string(resp.ErrWrongPass)+"\r\n*1\r\n$7\r\ndefault\r\n")
	// One that is made again under the same name is another one, however fast.
	old := s.dial()
	admin.roundTrip(inline("ACL SETUSER gone on nopass +@all"), ok)
	old.roundTrip("AUTH gone x\r\n", ok)
	admin.roundTrip(inline("MULTI", "ACL DELUSER gone", "ACL SETUSER gone on nopass +@all", "EXEC"), ok+"+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n"+ok)
	old.expectEOF()
}

// TestUserMadeMeanwhile: who came as a user made after the users were looked at stays.
func TestUserMadeMeanwhile(t *testing.T) {
	s := newTestServer(t)
	before := s.accounts()
	c := s.dial()
	c.roundTrip(inline("ACL SETUSER u on nopass +@all", "AUTH u x"), ok+ok)
	s.cutGone(before)
	c.roundTrip("ACL WHOAMI\r\n", "$1\r\nu\r\n")
}

func TestKillUser(t *testing.T) {
	s := newTestServer(t)
	admin, one, two := s.dial(), s.dial(), s.dial()
	admin.roundTrip("ACL SETUSER u on nopass +@all\r\n", ok)
	one.roundTrip("AUTH u x\r\n", ok)
	two.roundTrip("AUTH u x\r\n", ok)
	if list := localDo(t, s, "CLIENT", "LIST"); strings.Count(list, " user=u ") != 2 || strings.Count(list, " user=default ") != 1 {
		t.Error(list)
	}
	admin.roundTrip(inline("CLIENT KILL USER nobody", "CLIENT KILL USER u"), "-ERR No such user 'nobody'\r\n:2\r\n")
	one.expectEOF()
	two.expectEOF()
}

// TestUsersOnFollower: a change made on a follower goes to the leader.
func TestUsersOnFollower(t *testing.T) {
	here, leader := follower(t)
	c := here.dial()
	c.roundTrip("ACL SETUSER u on >pw +get ~*\r\n", ok)
	if got := leader.fake.takeSizes(); len(got) != 1 || len(here.fake.takeSizes()) != 0 {
		t.Errorf("the leader got %v", got)
	}
	d := leader.dial()
	d.send(inline("AUTH u pw", "GET k", "DEL k"))
	d.expect(ok + "$-1\r\n" + noCommand("del"))
	// Only changes of users may come this way.
	for _, words := range [][]string{{"CLUSTER-INIT", "x"}, {"MEMBER-LEFT", "node1"}, {"USERS-SET", "1"}, {"USERS-SET", "1", "x"}, {"ACL", "LIST"}} {
		var args [][]byte
		for _, w := range words {
			args = append(args, []byte(w))
		}
		if reply, err := leader.RunForwarded(t.Context(), system.Caller{Proto: 2}, args); err != nil || !strings.HasPrefix(string(reply), "-ERR ") {
			t.Errorf("%v: %q, %v", words, reply, err)
		}
	}
}

// lonely is a follower that loses its leader once that has done what it was asked.
type lonely struct{ *fake }

func (l lonely) Forward(ctx context.Context, c system.Caller, args [][]byte) ([]byte, error) {
	defer l.set(func(f *fake) { f.barrierErr = system.ErrNoLeader })
	return l.fake.Forward(ctx, c, args)
}

// TestChangeNotSeenHere: what the leader has done is not called undone by a follower that
// cannot catch up with it.
func TestChangeNotSeenHere(t *testing.T) {
	here, leader := follower(t)
	here.rep = lonely{here.fake}
	here.dial().roundTrip("ACL SETUSER u on >pw\r\n", "-"+string(resp.ErrUnknown)+"\r\n")
	if !leader.lets("u", "pw") {
		t.Error("the leader has not done it")
	}
}

// behind is a follower that learns of a change of users only by a barrier.
type behind struct {
	*fake
	learn func()
}

func (b behind) FollowerBarrier(ctx context.Context) (int64, error) {
	b.learn()
	return b.fake.FollowerBarrier(ctx)
}

// TestFollowerBehind: what the leader has taken from a user is not given by a follower
// that has not heard of it.
func TestFollowerBehind(t *testing.T) {
	for _, tt := range []struct {
		name, rules, in, want string
	}{
		{"a read", "-get", "GET k", noCommand("get")},
		{"a key", "resetkeys", "GET k", noKey},
		{"a read without keys", "-dbsize", "DBSIZE", noCommand("dbsize")},
		{"what is left", "-dbsize", "GET k", "$-1\r\n"},
		{"a forwarded write", "-flushall", "FLUSHALL", noCommand("flushall")},
		{"a transaction", "-get", "EXEC", "-EXECABORT Transaction discarded because of: " + changedRules + "no permission to execute the command or subcommand\r\n"},
		{"a transaction that makes it the user's", "-get", "EXEC", "-EXECABORT Transaction discarded because of: " + changedRules + "no permission to execute the command or subcommand\r\n"},
		{"a change of users", "-acl", "ACL SETUSER evil on nopass +@all", noCommand("acl|setuser")},
		{"a deletion of users", "-acl|deluser", "ACL DELUSER nobody", noCommand("acl|deluser")},
		{"the password", "-config|set", "CONFIG SET requirepass evil", noCommand("config|set")},
		{"a change of members", "-raft.leave", "RAFT.LEAVE node1", noCommand("raft.leave")},
		{"a token", "-raft.token|create", "RAFT.TOKEN CREATE", noCommand("raft.token|create")},
		{"the user", "", "GET k", ""}, // cut, with or without NOAUTH before
	} {
		t.Run(tt.name, func(t *testing.T) {
			here, leader := follower(t)
			set := func(rules ...string) {
				user, err := here.users.commands.NewUser("u").Modify(rules)
				if err != nil {
					t.Fatal(err)
				}
				change := system.UserChange{Name: "u", Rules: strings.Join(user.Rules(), "\n")}
				if tt.rules == "" && len(rules) > 5 {
					change.Rules = ""
				}
				p := system.Proposal{Proto: 2}
				p.System, p.Commands = true, []system.Command{system.UsersSet(here.users.raw.Load().At(), change)}
				done := make(chan string, 1)
				p.Done = func(reply []byte, err error) { done <- fmt.Sprint(string(reply), err) }
				here.fake.set(func(f *fake) { f.self = true })
				here.fake.Submit([]system.Proposal{p})
				if got := <-done; got != ok+"<nil>" {
					t.Fatal(got)
				}
				here.fake.set(func(f *fake) { f.self = false })
			}
			all := []string{"on", "nopass", "+@all", "~*", "&*"}
			set(all...)
			var once sync.Once
			armed := false
			here.rep = behind{here.fake, func() {
				if armed {
					once.Do(func() { set(append(all, tt.rules)...) })
				}
			}}
			c := here.dial()
			switch {
			case strings.Contains(tt.name, "makes it"):
				c.roundTrip(inline("READONLY"), ok)
				c.send(inline("MULTI", "AUTH u x", "GET k"))
				c.expect(ok + "+QUEUED\r\n+QUEUED\r\n")
			case tt.in == "EXEC":
				c.roundTrip(inline("AUTH u x", "READONLY"), ok+ok)
				c.send(inline("MULTI", "GET k"))
				c.expect(ok + "+QUEUED\r\n")
			default:
				c.roundTrip(inline("AUTH u x", "READONLY"), ok+ok)
			}
			armed = true
			c.send(inline(tt.in))
			if tt.rules == "" {
				_ = c.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
				if got, _ := io.ReadAll(c.conn); len(got) > 0 && string(got) != "-"+string(resp.ErrNoAuth)+"\r\n" {
					t.Errorf("got %q", got)
				}
			}
			c.expect(tt.want)
			if got := leader.fake.takeSizes(); len(got) != 0 {
				t.Errorf("the leader did %v", got)
			}
		})
	}
}

// fresh is a node that has only begun to lead: what was acknowledged before is brought
// by a barrier.
type fresh struct {
	*fake
	settled *atomic.Bool
	err     *atomic.Pointer[error]
	learn   func()
}

func (f fresh) Settled() bool { return f.settled.Load() }

func (f fresh) ReadBarrier(ctx context.Context) (int64, error) {
	if err := f.err.Load(); err != nil {
		return 0, *err
	}
	if !f.settled.Swap(true) {
		f.learn()
	}
	return f.fake.ReadBarrier(ctx)
}

// FollowerBarrier is a ReadBarrier where the node leads.
func (f fresh) FollowerBarrier(ctx context.Context) (int64, error) { return f.ReadBarrier(ctx) }

// newLeader is such a node, which does not know yet that a user may GET, DEL and DEBUG no more.
func newLeader(t *testing.T) (*testServer, fresh) {
	t.Helper()
	s := newTestServer(t, allowDebug)
	rep := fresh{fake: s.fake, settled: new(atomic.Bool), err: new(atomic.Pointer[error])}
	rep.settled.Store(true)
	s.dial().roundTrip(inline("ACL SETUSER u on nopass +@all ~*"), ok)
	at := s.users.raw.Load().At()
	user, err := s.users.commands.NewUser("u").Modify([]string{"on", "nopass", "+@all", "-get", "-del", "-debug", "~*"})
	if err != nil {
		t.Fatal(err)
	}
	rep.learn = func() {
		p := system.Proposal{Proto: 2}
		change := system.UserChange{Name: "u", Rules: strings.Join(user.Rules(), "\n")}
		p.System, p.Commands = true, []system.Command{system.UsersSet(at, change)}
		done := make(chan string, 1)
		p.Done = func(reply []byte, err error) { done <- fmt.Sprint(string(reply), err) }
		s.fake.Submit([]system.Proposal{p})
		if got := <-done; got != ok+"<nil>" {
			t.Error(got)
		}
	}
	s.rep = rep
	return s, rep
}

// TestNewLeaderPopulates nothing for who may not DEBUG any more.
func TestNewLeaderPopulates(t *testing.T) {
	s, rep := newLeader(t)
	c := s.dial()
	c.roundTrip(inline("AUTH u x", "DEBUG POPULATE 1 a"), ok+ok)
	rep.settled.Store(false)
	c.roundTrip(inline("DEBUG POPULATE 1 b", "EXISTS a:0 b:0"), noCommand("debug")+":1\r\n")
}

// TestNewLeader: what the leader before it has taken from a user is not given by a new
// one that has not applied that yet, to writes and what goes to the log with them.
func TestNewLeader(t *testing.T) {
	s, rep := newLeader(t)
	c := s.dial()
	c.roundTrip(inline("AUTH u x", "SET k old"), ok+ok)
	rep.settled.Store(false)
	lost := error(system.ErrNoLeader)
	rep.err.Store(&lost)
	c.roundTrip(inline("SET k never"), "-"+string(resp.ErrClusterDown)+"\r\n")
	rep.err.Store(nil)
	c.roundTrip(inline("SET k new", "GET k", "STRLEN k", "DEL k", "PING"),
		ok+noCommand("get")+":3\r\n"+noCommand("del")+"+PONG\r\n")

	s, rep = newLeader(t)
	c = s.dial()
	c.roundTrip(inline("AUTH u x", "SET k old"), ok+ok)
	c.send(inline("MULTI", "SET k new", "DEL k"))
	c.expect(ok + "+QUEUED\r\n+QUEUED\r\n")
	rep.settled.Store(false)
	c.roundTrip(inline("EXEC", "STRLEN k"), "-EXECABORT Transaction discarded because of: "+changedRules+"no permission to execute the command or subcommand\r\n:3\r\n")
	if got := localDo(t, s, "GET", "k"); got != "$3\r\nold\r\n" {
		t.Errorf("k is %q", got)
	}
}

// TestUsersTogether: no change is lost, however many are made at once.
func TestUsersTogether(t *testing.T) {
	s := newTestServer(t)
	const clients, each = 4, 10
	var work sync.WaitGroup
	for i := range clients {
		c := s.dial()
		work.Go(func() {
			for j := range each {
				c.send(fmt.Sprintf("ACL SETUSER shared +get|%d-%d\r\n", i, j))
				c.expect(ok)
			}
		})
	}
	work.Wait()
	if list := localDo(t, s, "ACL", "LIST"); strings.Count(list, "+get|") != clients*each {
		t.Error(list)
	}
}

// TestRestartedNode: a node that does not know the log yet goes by what was in force
// when it ended, and passes through nothing older.
func TestRestartedNode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.json")
	first := newTestServer(t, func(o *Options) { o.UsersFile = path })
	admin := first.dial()
	admin.roundTrip(inline("ACL SETUSER u on >pw +@all ~*", "ACL SETUSER default >s3cret"), ok+ok)
	until(t, "the file", func() bool {
		text, _ := os.ReadFile(path)
		return bytes.Contains(text, []byte(`"Revision":2`))
	})
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}

	f := newFake(t)
	f.set(func(f *fake) { f.barrierErr = errors.New("not yet") })
	s := &testServer{Server: New(Options{UsersFile: path, Logger: slog.New(slog.DiscardHandler)}, f, f.machine), fake: f, t: t}
	f.own = s.Server
	s.started = s.started.Add(-newcomersWait)
	if s.Open() || s.Denies("192.0.2.7:1") {
		t.Error("without the log anybody is let in")
	}
	if !s.lets("u", "pw") || s.lets("u", "other") {
		t.Error("u is not known")
	}
	s.users.learn(&system.Users{Revision: 1}) // of the log that is replayed
	if s.Open() {
		t.Error("what was once is in force again")
	}
	s.users.learn(&system.Users{Revision: 3, List: []system.User{{Name: "v", Rules: "on\nnopass", Born: 3}}})
	if s.lets("u", "pw") || !s.lets("v", "") {
		t.Error("what is newer is not in force")
	}
	// Who was let in early has to give a password as soon as the node knows of one.
	session := newSession(s.Server, nil)
	session.early, session.authed = true, true
	s.users.learn(&system.Users{Revision: 4, List: []system.User{{Name: "default", Rules: "on\n+@all", Born: 4}}})
	if !session.refreshUser() || session.needsPassword() {
		t.Error("turned away before anything is known for certain")
	}
	s.users.settled = true
	close(s.users.known)
	s.users.learn(&system.Users{Revision: 5, List: []system.User{{Name: "default", Rules: "on\n+@all", Born: 4}}})
	if !session.refreshUser() || !session.needsPassword() {
		t.Error("let in for ever")
	}
	s.users.known = make(chan struct{})
	s.users.learn(&system.Users{Revision: 2}) // a recovered cluster
	s.users.settle()
	if !s.Open() || s.lets("v", "") {
		t.Error("what the cluster has is not in force")
	}
}

// TestUnreadableUsers: a node that cannot read what was in force lets nobody in, whatever
// it finds in an old snapshot, until it has caught up; then the file is right again.
func TestUnreadableUsers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.json")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	f := newFake(t)
	s := New(Options{UsersFile: path, RequirePass: "flag", Logger: slog.New(slog.NewTextHandler(&log, nil))}, f, f.machine)
	if !strings.Contains(log.String(), "cannot be read") {
		t.Errorf("log: %s", log.String())
	}
	s.started = s.started.Add(-newcomersWait)
	users := &system.Users{Revision: 1, List: []system.User{{Name: "default", Rules: "on\nnopass\n+@all", Born: 1}}}
	s.users.learn(users)
	session := newSession(s, nil)
	if s.Open() || s.lets("default", "") || s.lets("default", "flag") || !session.needsPassword() {
		t.Error("somebody is let in")
	}
	s.users.settle()
	if !s.Open() || !session.refreshUser() || session.needsPassword() {
		t.Error("what the cluster has is not in force")
	}
	s.keepUsers(s.accounts().raw)
	if kept, err := lastUsers(path); err != nil || kept.At() != 1 {
		t.Errorf("the file: %v, %v", kept, err)
	}
}

// TestForeignUsersFile: what another cluster's file says goes as soon as the node knows
// better, also where both have seen as many changes.
func TestForeignUsersFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.json")
	foreign := &system.Users{Revision: 1, List: []system.User{{Name: "theirs", Rules: "on\nnopass", Born: 1}}}
	if err := writeUsers(path, foreign); err != nil {
		t.Fatal(err)
	}
	f := newFake(t)
	s := New(Options{UsersFile: path, Logger: slog.New(slog.DiscardHandler)}, f, f.machine)
	s.users.learn(&system.Users{Revision: 1, List: []system.User{{Name: "ours", Rules: "on", Born: 1}}})
	s.users.settle()
	s.keepUsers(s.accounts().raw)
	kept, err := lastUsers(path)
	if err != nil || len(kept.List) != 1 || kept.List[0].Name != "ours" {
		t.Errorf("kept %v, %v", kept, err)
	}
}

// TestLetInEarly: who was let in without a password by what a node knew last has to give
// one, even if the node has heard of the password before it has caught up.
func TestLetInEarly(t *testing.T) {
	f := newFake(t)
	s := New(Options{Logger: slog.New(slog.DiscardHandler)}, f, f.machine)
	open, reset := newSession(s, nil), newSession(s, nil)
	reset.authenticated(s.accounts().byName[defaultUser])
	reset.beDefault() // RESET
	s.users.learn(&system.Users{Revision: 1, List: []system.User{{Name: "default", Rules: "on\n+@all", Born: 1}}})
	for name, session := range map[string]*Session{"open": open, "reset": reset} {
		if !session.refreshUser() || session.needsPassword() {
			t.Errorf("%s: turned away before anything is known for certain", name)
		}
	}
	local := s.NewLocal()
	local.idle.Put(newSession(s, nil)) // of before, too
	s.users.settle()
	for name, session := range map[string]*Session{"open": open, "reset": reset} {
		if !session.refreshUser() || !session.needsPassword() {
			t.Errorf("%s: let in for ever", name)
		}
	}
	// Who has given it, as HTTP does, keeps its rights.
	if reply, err := local.Do(t.Context(), defaultUser, []byte("ECHO"), []byte("x")); err != nil || string(reply) != "$1\r\nx\r\n" {
		t.Errorf("HTTP: %q, %v", reply, err)
	}
}

// TestPasswordOfFlag: the flag counts as long as the log says nothing.
func TestPasswordOfFlag(t *testing.T) {
	var log bytes.Buffer
	s := newTestServer(t, func(o *Options) {
		o.RequirePass = "flag"
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	c := s.dial()
	c.send("PING\r\nAUTH flag\r\nACL SETUSER default -flushall\r\n")
	c.expect("-" + string(resp.ErrNoAuth) + "\r\n" + ok + ok)
	s.dial().roundTrip("AUTH flag\r\nFLUSHALL\r\n", ok+noCommand("flushall")) // taken along into the log
	c.roundTrip("CONFIG SET requirepass other timeout 0\r\n", ok)
	d := s.dial()
	d.send("AUTH flag\r\nAUTH other\r\n")
	d.expect("-" + string(resp.ErrWrongPass) + "\r\n" + ok)
	if n := strings.Count(log.String(), "--requirepass is not used"); n != 1 {
		t.Errorf("warned %d times: %s", n, log.String())
	}
}

func TestLocalUser(t *testing.T) {
	s := newTestServer(t)
	s.dial().roundTrip("ACL SETUSER reader on >pw +get +raft.status ~a*\r\n", ok)
	local := s.NewLocal()
	for _, tt := range []struct{ user, line, want string }{
		{"reader", "GET a", "$-1\r\n"}, {"reader", "GET b", noKey}, {"reader", "SET a 1", noCommand("set")}, {"default", "SET a 1", ok}, {"reader", "GET a", "$1\r\n1\r\n"},
	} {
		reply, err := local.Do(t.Context(), tt.user, parseLine(t, &Session{}, tt.line+"\r\n")...)
		if err != nil || string(reply) != tt.want {
			t.Errorf("%s: %s: %q, %v", tt.user, tt.line, reply, err)
		}
	}
	if _, err := local.Do(t.Context(), "nobody", []byte("PING")); !errors.Is(err, errUserGone) {
		t.Errorf("nobody: %v", err)
	}
	if s.Permits("reader", "RAFT.STATUS") != nil || s.Permits("default", "RAFT.LEAVE") != nil {
		t.Error("refused what is permitted")
	}
	for _, words := range [][]string{{"reader", "RAFT.LEAVE"}, {"nobody", "RAFT.STATUS"}, {"default", "NOSUCH"}} {
		if s.Permits(words[0], words[1:]...) == nil {
			t.Errorf("%v is permitted", words)
		}
	}
}

// TestTokenOfEither: of a token that may be one of two things, only what is neither is
// logged, and under a name that is none of the secret's.
func TestTokenOfEither(t *testing.T) {
	s := newTestServer(t)
	s.dial().roundTrip(inline("ACL SETUSER u on >x", "ACL SETUSER default >pa:ss"), ok+ok)
	try := func(user, password string) string {
		who, _ := s.Authenticate("192.0.2.1:1", system.Login{User: user, Password: password}, system.Login{User: defaultUser, Password: user + ":" + password})
		return who
	}
	if try("u", "x") != "u" || try("pa", "ss") != defaultUser || s.users.log.Latest(1) != nil {
		t.Errorf("right ones are refused, or logged: %v", s.users.log.Latest(9))
	}
	for _, tt := range []struct{ user, password, logged string }{{"u", "y", "u"}, {"pa", "sss", defaultUser}} {
		if who := try(tt.user, tt.password); who != "" {
			t.Errorf("%v is let in as %q", tt, who)
		}
		if e := s.users.log.Latest(1); len(e) != 1 || e[0].User != tt.logged || e[0].Count != 1 {
			t.Errorf("%v: logged %v", tt, e)
		}
	}
}

// TestSecretsAreNowhere sends secrets in every way there is, and looks for them
// wherever something can be read.
func TestSecretsAreNowhere(t *testing.T) {
	var log syncBuffer
	path := filepath.Join(t.TempDir(), "users.json")
	s := newTestServer(t, func(o *Options) {
		o.UsersFile = path
		o.RequirePass = "s3cret-flag"
		o.Slowlog = &Slowlog{SlowerThan: 0, MaxLen: 1000}
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	c := s.dial()
	send := func(lines ...string) {
		for _, line := range lines {
			c.send(line + "\r\nECHO mark\r\n")
			c.readUntil("$4\r\nmark\r\n")
		}
	}
	send("AUTH s3cret-wrong\r\nAUTH s3cret-flag", "AUTH default s3cret-wrong", "HELLO 2 AUTH default s3cret-flag", "HELLO 2 AUTH bob s3cret-wrong",
		"ACL SETUSER bob on >s3cret-bob +@all ~* &*", "ACL SETUSER bob <s3cret-none", "ACL SETUSER bob #s3cret-hash", "ACL SETUSER bob (+get >s3cret-in)", "ACL SETUSER bob (>s3cret-open",
		"CONFIG SET requirepass s3cret-set", "CONFIG SET timeout 0 requirepass s3cret-set", "CONFIG SET nosuch 1 requirepass s3cret-set",
		"CONFIG SET requirepass s3cret-one requirepass s3cret-two", "CONFIG SET masterauth s3cret-master tls-key-file-pass s3cret-key", "HELLO 2 AUTH bob s3cret-one AUTH bob s3cret-two",
		"ACL DRYRUN bob AUTH s3cret-dry", "ACL DRYRUN bob CONFIG SET requirepass s3cret-dry",
		"COMMAND GETKEYS ACL SETUSER bob >s3cret-keys", "COMMAND GETKEYSANDFLAGS MIGRATE h 1 k 0 1 AUTH s3cret-keys", "COMMAND GETKEYS COMMAND GETKEYS AUTH s3cret-keys",
		"MIGRATE h 1 k 0 1 AUTH s3cret-migrate", "MIGRATE h 1 k 0 1 COPY AUTH2 u s3cret-migrate KEYS k",
		"MULTI\r\nAUTH bob s3cret-bob\r\nACL SETUSER bob >s3cret-multi\r\nEXEC")
	s.Authenticate("192.0.2.1:1", system.Login{User: "bob", Password: "s3cret-http"})
	// As a token that may be either, mistyped.
	s.Authenticate("192.0.2.1:1", system.Login{User: "s3cret-to", Password: "ken"}, system.Login{User: "default", Password: "s3cret-to:ken"})
	var seen strings.Builder
	for _, words := range []string{"INFO all", "INFO everything", "CONFIG GET *", "SLOWLOG GET -1", "CLIENT LIST", "ACL LIST", "ACL LOG 1000", "ACL GETUSER bob", "ACL GETUSER default",
		"COMMAND DOCS", "RAFT.STATUS", "CLUSTER NODES"} {
		seen.WriteString(localDo(t, s, strings.Fields(words)...))
	}
	until(t, "the file", func() bool {
		text, _ := os.ReadFile(path)
		return strings.Contains(string(text), `"ZGVmYXVsdA=="`) // default
	})
	last, err := lastUsers(path)
	if err != nil {
		t.Fatal(err)
	}
	for where, got := range map[string]string{"a reply": c.seen.String(), "what can be asked for": seen.String(), "the log": log.String(), "the file": fmt.Sprint(last)} {
		if i := strings.Index(got, "s3cret"); i >= 0 {
			t.Errorf("%s: …%s…", where, got[max(0, i-200):min(len(got), i+50)])
		}
	}
	if !strings.Contains(seen.String(), "(redacted)") || !strings.Contains(seen.String(), "SETUSER") {
		t.Error("the slow log has nothing of it")
	}
	hash := acl.HashOf([]byte("s3cret-multi")).String()
	if !strings.Contains(seen.String(), hash) || strings.Contains(log.String(), hash) {
		t.Error("a hash is missing, or in the log")
	}
}

// syncBuffer is a buffer that several goroutines write to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// BenchmarkPermission: what a command costs for the users of the clients there are, and
// what a password costs, whatever is wrong with it.
func BenchmarkPermission(b *testing.B) {
	t := new(testing.T)
	f := newFake(t)
	s := New(Options{Logger: slog.New(slog.DiscardHandler)}, f, f.machine)
	args := [][]byte{[]byte("GET"), []byte("user:1234")}
	decl, err := s.machine.Lookup(args)
	if err != nil {
		b.Fatal(err)
	}
	for _, tt := range []struct{ name, rules string }{{"default user", "+@all ~* &*"}, {"one pattern", "+@read ~user:*"}} {
		user, err := s.users.commands.NewUser("u").Modify(strings.Fields(tt.rules))
		if err != nil {
			b.Fatal(err)
		}
		session := newSession(s, nil)
		session.become(&account{User: user})
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !session.refreshUser() || session.permitted(decl, args) != nil {
					b.Fatal("refused")
				}
			}
		})
	}
	user, _ := s.users.commands.NewUser("u").Modify([]string{"on", ">correct horse battery staple"})
	for _, tt := range []struct {
		name, given string
		user        *acl.User
	}{{"right", "correct horse battery staple", user}, {"right prefix", "correct horse battery stapl_", user}, {"wrong", "wrong_ horse battery staple_", user}, {"nobody", "correct horse battery staple", nil}} {
		b.Run("password "+tt.name, func(b *testing.B) {
			for b.Loop() {
				tt.user.Matches([]byte(tt.given))
			}
		})
	}
}
