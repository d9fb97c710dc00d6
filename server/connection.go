package server

import (
	"strconv"
	"strings"

	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// databases is the number of databases of a node.
const databases = 16

func connectionCommands() []command {
	return []command{
		declAsking, declAuth, declEcho, declHello, declPing, declQuit,
		declReadonly, declReadwrite, declReset, declSelect,
	}
}

// handshake are the flags of what a client may say before anything else.
const handshake = spec.NoScript | spec.Loading | spec.Stale | spec.Fast | spec.NoAuth | spec.AllowBusy

var declAsking = command{
	Command: spec.Command{
		Name: "ASKING", Group: spec.Cluster, Categories: spec.CatConnection, Flags: spec.Fast, Since: "3.0.0", Cost: "O(1)",
		Summary: "Says that the next command follows an ASK redirection. No slot ever migrates here, so nothing comes of it.",
	},
	run: replyOK, early: true,
}

func replyOK(_ *Session, _ [][]byte, w *resp.Writer) error {
	w.OK()
	return nil
}

var declAuth = command{
	Command: spec.Command{
		Name: "AUTH", Syntax: "[username] password", Arity: -2, Group: spec.Connection,
		Flags: handshake, Since: "1.0.0", Cost: "O(1)",
		Summary: "Authenticates the connection.",
	},
	run: cmdAuth, // not early: what is before it is another user's
}

func cmdAuth(s *Session, args [][]byte, w *resp.Writer) error {
	switch {
	case len(args) > 3:
		return resp.ErrSyntax
	case len(args) == 2 && s.table.byName[defaultUser].NoPass():
		return resp.ErrNoPassSet
	}
	user := []byte(defaultUser)
	if len(args) == 3 {
		user = args[1]
	}
	a, ok := s.srv.knows(user, args[len(args)-1])
	if !ok {
		return s.wrongPassword(user, args[0])
	}
	s.authenticated(a)
	w.OK()
	return nil
}

var declEcho = command{
	Command: spec.Command{
		Name: "ECHO", Syntax: "message", Group: spec.Connection, Flags: spec.Loading | spec.Stale | spec.Fast,
		Since: "1.0.0", Cost: "O(1)", Summary: "Returns the message.",
	},
	run: cmdEcho, early: true,
}

func cmdEcho(_ *Session, args [][]byte, w *resp.Writer) error {
	w.Bulk(args[1])
	return nil
}

var declHello = command{
	Command: spec.Command{
		Name: "HELLO", Syntax: "[protover [AUTH username password] [SETNAME clientname]]",
		Group: spec.Connection, Flags: handshake, Since: "6.0.0", Cost: "O(1)",
		Summary: "Begins a connection: chooses the protocol, and may authenticate and name the client.",
	},
	run: cmdHello, early: true, late: func(args [][]byte) bool { return len(args) > 3 }, // it may authenticate
}

const (
	errHelloVersion resp.Error = "ERR Protocol version is not an integer or out of range"
	errHelloNoAuth  resp.Error = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time"
	errClientName   resp.Error = "ERR Client names cannot contain spaces, newlines or special characters."
)

func cmdHello(s *Session, args [][]byte, w *resp.Writer) error {
	h, err := s.parseHello(args)
	// As in Redis 7.0, what stands before a mistake has taken effect, but for the protocol.
	if h.account != nil {
		s.authenticated(h.account)
	}
	if h.named {
		s.setName(string(h.name))
	}
	if h.stranger != nil {
		return s.wrongPassword(h.stranger, args[0])
	}
	if err != nil {
		return err
	}
	if h.proto != 0 {
		s.setProto(h.proto)
	}
	s.writeHello(w)
	return nil
}

// hello is what a HELLO asks for.
type hello struct {
	proto    int      // 0: none
	account  *account // whose password was given; nil: none was
	stranger []byte   // the name that a wrong password was given for; nil: none was
	named    bool
	name     []byte
}

// parseHello says what a HELLO comes to: all of it, or what stands before that for
// which it is refused. It changes nothing.
func (s *Session) parseHello(args [][]byte) (h hello, err error) {
	if len(args) > 1 {
		n, ok := parseLong(args[1])
		switch {
		case !ok:
			return h, errHelloVersion
		case n < 2 || n > 3:
			return h, resp.ErrNoProto
		}
		h.proto = int(n)
	}
	for i := 2; i < len(args); i++ {
		more := len(args) - 1 - i
		switch option := strings.ToUpper(string(args[i])); {
		case option == "AUTH" && more >= 2:
			a, ok := s.srv.knows(args[i+1], args[i+2])
			if !ok {
				h.stranger = args[i+1]
				return h, resp.ErrWrongPass
			}
			h.account = a
			i += 2
		case option == "SETNAME" && more >= 1:
			i++
			if !validName(args[i]) {
				return h, errClientName
			}
			h.name, h.named = args[i], true
		default:
			return h, resp.Error("ERR Syntax error in HELLO option '" + string(args[i]) + "'")
		}
	}
	if s.needsPassword() && h.account == nil {
		return h, errHelloNoAuth
	}
	return h, nil
}

// writeHello writes the seven pairs that clients read strictly (clients.md 3a).
func (s *Session) writeHello(w *resp.Writer) {
	role := "replica"
	if _, self, ok := s.srv.rep.Leader(); ok && self {
		role = "master"
	}
	w.Map(7)
	w.BulkString("server")
	w.BulkString("redis")
	w.BulkString("version")
	w.BulkString(RedisVersion)
	w.BulkString("proto")
	w.Int(int64(s.proto()))
	w.BulkString("id")
	w.Int(s.id)
	w.BulkString("mode")
	w.BulkString("cluster")
	w.BulkString("role")
	w.BulkString(role)
	w.BulkString("modules")
	w.Array(0)
}

// validName says whether a client may call itself so: printable, without blanks.
func validName(name []byte) bool {
	for _, c := range name {
		if c < '!' || c > '~' {
			return false
		}
	}
	return true
}

func (s *Session) setName(name string) {
	s.about.mu.Lock()
	s.about.name = name
	s.about.mu.Unlock()
}

var declPing = command{
	Command: spec.Command{
		Name: "PING", Syntax: "[message]", Group: spec.Connection, Flags: spec.Fast,
		Tips: []string{"request_policy:all_shards", "response_policy:all_succeeded"}, Since: "1.0.0", Cost: "O(1)",
		Summary: "Returns PONG, or the message.",
	},
	run: cmdPing, early: true,
}

func cmdPing(_ *Session, args [][]byte, w *resp.Writer) error {
	switch len(args) {
	case 1:
		w.Simple("PONG")
	case 2:
		w.Bulk(args[1])
	default:
		return resp.WrongArity("ping")
	}
	return nil
}

var declQuit = command{
	Command: spec.Command{
		Name: "QUIT", Arity: -1, Group: spec.Connection, Flags: handshake, Since: "1.0.0", Cost: "O(1)",
		Summary: "Closes the connection once the replies are written.",
	},
	run: cmdQuit, immediate: true,
}

func cmdQuit(s *Session, _ [][]byte, w *resp.Writer) error {
	s.closing = true
	w.OK()
	return nil
}

var declReadonly = command{
	Command: spec.Command{
		Name: "READONLY", Group: spec.Cluster, Categories: spec.CatConnection, Flags: spec.Loading | spec.Stale | spec.Fast, Since: "3.0.0", Cost: "O(1)",
		Summary: "Has a follower answer this connection's reads itself, instead of naming the leader.",
	},
	run: cmdReadonly,
}

func cmdReadonly(s *Session, _ [][]byte, w *resp.Writer) error {
	s.setReadonly(true)
	w.OK()
	return nil
}

func (s *Session) setReadonly(on bool) {
	s.readonly = on
	s.about.readonly.Store(on)
}

var declReadwrite = command{
	Command: spec.Command{
		Name: "READWRITE", Group: spec.Cluster, Categories: spec.CatConnection, Flags: spec.Loading | spec.Stale | spec.Fast, Since: "3.0.0", Cost: "O(1)",
		Summary: "Ends READONLY.",
	},
	run: cmdReadwrite,
}

func cmdReadwrite(s *Session, _ [][]byte, w *resp.Writer) error {
	s.setReadonly(false)
	w.OK()
	return nil
}

var declReset = command{
	Command: spec.Command{
		Name: "RESET", Group: spec.Connection, Flags: handshake, Since: "6.2.0", Cost: "O(1)",
		Summary: "Brings the connection back to how it began: database 0, RESP2, no transaction, not authenticated.",
	},
	run: cmdReset, immediate: true,
}

func cmdReset(s *Session, _ [][]byte, w *resp.Writer) error {
	s.endTransaction()
	s.setDB(0)
	s.setProto(2)
	s.setReadonly(false)
	s.setName("")
	s.loud = s.replies == replyOff // as in Redis: its own reply is the first to come again
	s.replies = replyOn
	s.about.noEvict.Store(false)
	s.about.noTouch.Store(false)
	s.beDefault()
	w.Simple("RESET")
	return nil
}

var declSelect = command{
	Command: spec.Command{
		Name: "SELECT", Syntax: "index", Group: spec.Connection, Flags: spec.Loading | spec.Stale | spec.Fast,
		Since: "1.0.0", Cost: "O(1)", Summary: "Chooses the database for what follows.",
	},
	run: cmdSelect, early: true,
}

func cmdSelect(s *Session, args [][]byte, w *resp.Writer) error {
	db, err := parseDB(args[1])
	if err != nil {
		return err
	}
	s.setDB(db)
	w.OK()
	return nil
}

// errIntRange is Redis's error for a whole number that is none of 32 bits.
const errIntRange resp.Error = "ERR value is out of range, value must between -2147483648 and 2147483647"

// parseDB reads a database's number.
func parseDB(text []byte) (int, error) {
	n, ok := parseLong(text)
	switch {
	case !ok:
		return 0, resp.ErrNotInteger
	case n != int64(int32(n)):
		return 0, errIntRange
	case n < 0 || n >= databases:
		return 0, resp.ErrDBRange
	}
	return int(n), nil
}

// parseLong reads a whole number in the one way that Redis takes (string2ll): no
// plus, no blanks, no leading zeros.
func parseLong(text []byte) (int64, bool) {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || len(text) > 20 {
		return 0, false
	}
	var buf [20]byte
	return n, string(strconv.AppendInt(buf[:0], n, 10)) == string(text)
}
