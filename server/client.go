package server

import (
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

func clientCommands() []command { return []command{declClient()} }

const (
	aboutClient = spec.NoScript | spec.Loading | spec.Stale
	adminClient = aboutClient | spec.Admin
)

const killSyntax = "<ip:port | [ID client-id] [TYPE <NORMAL | MASTER | SLAVE | REPLICA | PUBSUB>] [USER username]" +
	" [ADDR ip:port] [LADDR ip:port] [SKIPME <YES | NO>]>"

func declClient() command {
	sub := func(name, syntax, since, summary string, run func(*Session, [][]byte, *resp.Writer) error) command {
		return command{
			Command: spec.Command{
				Name: name, Syntax: syntax, Group: spec.Connection, Flags: aboutClient, Since: since, Cost: "O(1)", Summary: summary,
			},
			run: run, early: true,
		}
	}
	admin := func(c command) command {
		c.Flags = adminClient
		return c
	}
	info := sub("INFO", "", "6.2.0", "Describes this connection.", cmdClientInfo)
	info.Tips = []string{"nondeterministic_output"}
	kill := admin(sub("KILL", killSyntax, "2.4.0",
		"Closes the connections that all the filters fit.", cmdClientKill))
	kill.Arity = -3
	kill.Cost = "O(N), where N is the number of connections"
	list := admin(sub("LIST", "[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]", "2.4.0",
		"Describes the connections, one a line.", cmdClientList))
	list.Tips = info.Tips
	list.Cost = kill.Cost
	return command{
		Command: spec.Command{
			Name: "CLIENT", Group: spec.Connection, Since: "2.4.0", Cost: "Depends on subcommand.",
			Summary: "A container for commands about connections.",
		},
		sub: []command{
			sub("CAPA", "capability [capability ...]", "8.0.0",
				"Says what the client can do. Of Valkey; every client is redirected in a cluster's words, so nothing depends on it.", cmdClientCapa),
			sub("GETNAME", "", "2.6.9", "Returns this connection's name.", cmdClientGetname),
			helpCommand("CLIENT", spec.Connection, spec.Loading|spec.Stale, "5.0.0"),
			sub("ID", "", "5.0.0", "Returns this connection's number.", cmdClientID),
			info,
			kill,
			list,
			admin(sub("NO-EVICT", "<ON | OFF>", "7.0.0", "Keeps this connection from eviction. None is ever evicted here.", cmdClientNoEvict)),
			sub("NO-TOUCH", "<ON | OFF>", "7.2.0", "Has this connection's commands leave the keys' last access alone. It is not kept here.", cmdClientNoTouch),
			sub("REPLY", "<ON | OFF | SKIP>", "3.2.0", "Says whether the server answers this connection.", cmdClientReply),
			sub("SETINFO", "<LIB-NAME libname | LIB-VER libver>", "7.2.0", "Names the client's library, or its version.", cmdClientSetinfo),
			sub("SETNAME", "connection-name", "2.6.9", "Names this connection.", cmdClientSetname),
		},
	}
}

// cmdClientCapa takes any word, as Valkey does.
func cmdClientCapa(_ *Session, _ [][]byte, w *resp.Writer) error {
	w.OK()
	return nil
}

func cmdClientGetname(s *Session, _ [][]byte, w *resp.Writer) error {
	s.about.mu.Lock()
	name := s.about.name
	s.about.mu.Unlock()
	if name == "" {
		w.Null()
	} else {
		w.BulkString(name)
	}
	return nil
}

func cmdClientSetname(s *Session, args [][]byte, w *resp.Writer) error {
	if !validName(args[2]) {
		return errClientName
	}
	s.setName(string(args[2]))
	w.OK()
	return nil
}

func cmdClientSetinfo(s *Session, args [][]byte, w *resp.Writer) error {
	field := &s.about.libName
	switch upper(args[2]) {
	case "LIB-NAME":
	case "LIB-VER":
		field = &s.about.libVer
	default:
		return resp.Error("ERR Unrecognized option '" + string(args[2]) + "'")
	}
	if !validName(args[3]) {
		return resp.Error("ERR " + string(args[2]) + " cannot contain spaces, newlines or special characters.")
	}
	s.about.mu.Lock()
	*field = string(args[3])
	s.about.mu.Unlock()
	w.OK()
	return nil
}

func cmdClientID(s *Session, _ [][]byte, w *resp.Writer) error {
	w.Int(s.id)
	return nil
}

func cmdClientInfo(s *Session, _ [][]byte, w *resp.Writer) error {
	w.Verbatim("txt", s.describe())
	return nil
}

// buffers are what a client holds of the server's memory, in bytes.
type buffers struct {
	query     int // what has arrived and is not done with; arguments lie in it
	queryFree int // the rest of that buffer
	multi     int // commands queued in a transaction
	replies   int // replies that the client has not taken yet
	messages  int // and messages
}

func (b buffers) total() int { return b.query + b.queryFree + b.multi + b.replies + b.messages }

// buffers may be asked by any goroutine.
func (s *Session) buffers() (b buffers) {
	if s.in != nil {
		b.query, b.queryFree = s.in.Held()
	}
	b.multi = int(s.about.multiMem.Load())
	b.replies, b.messages = s.out.waiting()
	return b
}

// describe is the session's line in CLIENT LIST, for any goroutine. As in Redis, obl
// is replies and omem memory that waits for the client; here omem is that of messages
// alone. What is not kept (rbs, rbp: the buffer of replies is there only while there
// are some) is left out.
func (s *Session) describe() string {
	a := &s.about
	now := s.srv.now()
	cmd := "NULL"
	if c := a.last.Load(); c != nil {
		cmd = c.FullName()
	}
	a.mu.Lock()
	name, libName, libVer := a.name, a.libName, a.libVer
	a.mu.Unlock()
	b := s.buffers()
	return fmt.Sprintf("id=%d addr=%s laddr=%s fd=%d name=%s age=%d idle=%d flags=%s db=%d sub=0 psub=0 ssub=0 multi=%d watch=%d"+
		" qbuf=%d qbuf-free=%d argv-mem=0 multi-mem=%d obl=%d oll=%d omem=%d tot-mem=%d"+
		" events=r cmd=%s user=%s redir=-1 resp=%d lib-name=%s lib-ver=%s\n",
		s.id, a.addr, a.local, descriptor(s.conn), name, int64(now.Sub(a.created)/time.Second),
		max(0, now.UnixMilli()-a.active.Load())/1000, a.flags(), a.db.Load(), a.multi.Load(), a.watching.Load(),
		b.query, b.queryFree, b.multi, b.replies, bit(b.messages > 0), b.messages, b.total(),
		cmd, a.account.Load().Name, a.proto.Load(), libName, libVer)
}

// flags are Redis's letters.
func (a *about) flags() string {
	var b strings.Builder
	for _, f := range []struct {
		on     bool
		letter byte
	}{
		{a.multi.Load() >= 0, 'x'}, {a.blocked.Load(), 'b'}, {a.readonly.Load(), 'r'}, {a.noEvict.Load(), 'e'}, {a.noTouch.Load(), 'T'},
	} {
		if f.on {
			b.WriteByte(f.letter)
		}
	}
	if b.Len() == 0 {
		return "N"
	}
	return b.String()
}

// descriptor is the connection's number in the operating system, -1 for none.
func descriptor(conn net.Conn) int {
	fd := -1
	if tcp, ok := tcpOf(conn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			_ = raw.Control(func(n uintptr) { fd = int(n) })
		}
	}
	return fd
}

const errClientID resp.Error = "ERR Invalid client ID"

func cmdClientList(s *Session, args [][]byte, w *resp.Writer) error {
	list := s.srv.sessions.all()
	switch {
	case len(args) == 2:
	case len(args) == 4 && upper(args[2]) == "TYPE":
		normal, err := clientType(args[3])
		if err != nil {
			return err
		}
		if !normal {
			list = nil
		}
	case len(args) > 3 && upper(args[2]) == "ID":
		list = nil
		for _, a := range args[3:] {
			id, ok := parseLong(a)
			if !ok {
				return errClientID
			}
			if one, ok := s.srv.sessions.get(id); ok {
				list = append(list, one)
			}
		}
	default:
		return resp.ErrSyntax
	}
	var b strings.Builder
	for _, one := range list {
		b.WriteString(one.describe())
	}
	w.Verbatim("txt", b.String())
	return nil
}

// clientType reads a TYPE; all connections of this server are normal ones.
func clientType(word []byte) (normal bool, err error) {
	switch upper(word) {
	case "NORMAL":
		return true, nil
	case "MASTER", "SLAVE", "REPLICA", "PUBSUB":
		return false, nil
	}
	return false, resp.Error("ERR Unknown client type '" + string(word) + "'")
}

// killFilter says which connections CLIENT KILL closes: those that fit all of it.
type killFilter struct {
	id          int64    // 0: any
	addr, local string   // "": any
	user        *account // nil: any
	none        bool     // a type that no connection has
	skipMe      bool
}

func (f *killFilter) fits(s, me *Session) bool {
	switch {
	case f.none, f.skipMe && s == me:
		return false
	case f.id != 0 && f.id != s.id, f.addr != "" && f.addr != s.about.addr, f.local != "" && f.local != s.about.local,
		f.user != nil && !f.user.same(s.about.account.Load()):
		return false
	}
	return true
}

const errKillID resp.Error = "ERR client-id should be greater than 0"

// option takes one pair of CLIENT KILL's filters.
func (f *killFilter) option(t *userTable, name, value []byte) error {
	switch upper(name) {
	case "ID":
		id, ok := parseLong(value)
		if !ok || id < 1 {
			return errKillID
		}
		f.id = id
	case "TYPE":
		normal, err := clientType(value)
		if err != nil {
			return err
		}
		f.none = f.none || !normal
	case "ADDR":
		f.addr = string(value)
	case "LADDR":
		f.local = string(value)
	case "USER":
		if f.user = t.byName[string(value)]; f.user == nil {
			return resp.Error("ERR No such user '" + string(value) + "'")
		}
	case "SKIPME":
		switch upper(value) {
		case "YES":
			f.skipMe = true
		case "NO":
			f.skipMe = false
		default:
			return resp.ErrSyntax
		}
	default:
		return resp.ErrSyntax
	}
	return nil
}

func cmdClientKill(s *Session, args [][]byte, w *resp.Writer) error {
	if len(args) == 3 {
		if s.killAll(&killFilter{addr: string(args[2])}) == 0 {
			return resp.Error("ERR No such client")
		}
		w.OK()
		return nil
	}
	if len(args)%2 != 0 {
		return resp.ErrSyntax
	}
	f := &killFilter{skipMe: true}
	for i := 2; i < len(args); i += 2 {
		if err := f.option(s.srv.accounts(), args[i], args[i+1]); err != nil {
			return err
		}
	}
	w.Int(int64(s.killAll(f)))
	return nil
}

// killAll closes what fits. This session itself ends once it has its reply.
func (s *Session) killAll(f *killFilter) (n int) {
	for _, one := range s.srv.sessions.all() {
		if !f.fits(one, s) {
			continue
		}
		n++
		if one == s {
			s.closing = true
		} else {
			one.kill()
		}
	}
	return n
}

func cmdClientNoEvict(s *Session, args [][]byte, w *resp.Writer) error {
	on, err := onOrOff(args[2])
	if err != nil {
		return err
	}
	s.about.noEvict.Store(on)
	w.OK()
	return nil
}

func cmdClientNoTouch(s *Session, args [][]byte, w *resp.Writer) error {
	on, err := onOrOff(args[2])
	if err != nil {
		return err
	}
	s.about.noTouch.Store(on)
	w.OK()
	return nil
}

func onOrOff(word []byte) (bool, error) {
	switch upper(word) {
	case "ON":
		return true, nil
	case "OFF":
		return false, nil
	}
	return false, resp.ErrSyntax
}

// cmdClientReply is answered only where it switches replies on. A transaction's
// one reply cannot have holes, so within one they stay on.
func cmdClientReply(s *Session, args [][]byte, w *resp.Writer) error {
	mode := upper(args[2])
	if s.executing && (mode == "OFF" || mode == "SKIP") {
		return resp.ErrNoMultiCommand
	}
	switch mode {
	case "ON":
		s.replies, s.loud = replyOn, !s.executing
		w.OK()
	case "OFF":
		s.replies = replyOff
	case "SKIP":
		if s.replies == replyOn {
			s.replies = replySkip
		}
	default:
		return resp.ErrSyntax
	}
	return nil
}
