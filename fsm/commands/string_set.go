package commands

import (
	"math"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

var declGetEx = Command{
	Command: spec.Command{
		Name: "GETEX", Syntax: "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
		Group: spec.String, Flags: spec.Fast,
		Keys:  withNotes(spec.OneKey(spec.RW|spec.Access|spec.Update), "RW and UPDATE because it changes the TTL"),
		Since: "6.2.0", Cost: "O(1)",
		Summary: "Returns the string stored under a key and changes the key's time to live.",
	},
	Write: cmdGetEx,
}

func cmdGetEx(t *keyspace.Txn, args Args, w *resp.Writer) error {
	o, err := parseSetOptions(args[2:], false)
	if err != nil {
		return err
	}
	found, err := get(&t.View, args[1], w)
	if !found || err != nil {
		return err
	}
	switch {
	case o.life.given():
		// Only now: a key that doesn't exist gets null, however bad the time.
		at, err := o.life.expireAt(t.Now(), "getex")
		if err != nil {
			return err
		}
		t.SetExpiry(args[1], at)
	case o.persist:
		if e, _ := t.Get(args[1]); e.ExpireAt() != 0 {
			t.SetExpiry(args[1], 0)
		}
	}
	return nil
}

var declPSetEx = Command{
	Command: spec.Command{
		Name: "PSETEX", Syntax: "key milliseconds value",
		Group: spec.String, Keys: spec.OneKey(spec.OW | spec.Update), Flags: spec.DenyOOM,
		Since: "2.6.0", Cost: "O(1)",
		Summary: "Stores a string under a key that lives for a number of milliseconds.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		return setEx(t, args, lifetime{text: args[2], unit: 1, relative: true}, w)
	},
}

var declSet = Command{
	Command: spec.Command{
		Name: "SET", Syntax: "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
		Group: spec.String, Flags: spec.DenyOOM,
		Keys: withNotes(spec.OneKey(spec.RW|spec.Access|spec.Update|spec.VariableFlags),
			"RW and ACCESS due to the optional `GET` argument"),
		CallFlags: setKeyFlags,
		Since:     "1.0.0", Cost: "O(1)",
		Summary: "Stores a string under a key, whatever was there before.",
	},
	Write: cmdSet,
}

// setKeyFlags says what one SET does with its key: only one with GET reads it.
func setKeyFlags(args [][]byte) spec.KeyFlags {
	for i := 3; i < len(args); i++ {
		if is(args[i], "GET") {
			return spec.RW | spec.Access | spec.Update
		}
	}
	return spec.OW | spec.Update
}

func cmdSet(t *keyspace.Txn, args Args, w *resp.Writer) error {
	o, err := parseSetOptions(args[3:], true)
	if err != nil {
		return err
	}
	var expireAt int64
	if o.life.given() {
		if expireAt, err = o.life.expireAt(t.Now(), "set"); err != nil {
			return err
		}
	}
	if o.get {
		if _, err := get(&t.View, args[1], w); err != nil {
			return err
		}
	}
	if o.nx || o.xx || o.keepTTL {
		old, found := t.Get(args[1])
		if o.nx && found || o.xx && !found {
			if !o.get {
				w.Null()
			}
			return nil
		}
		if o.keepTTL && found {
			expireAt = old.ExpireAt()
		}
	}
	t.SetString(args[1], args[2], expireAt)
	if !o.get {
		w.OK()
	}
	return nil
}

var declSetEx = Command{
	Command: spec.Command{
		Name: "SETEX", Syntax: "key seconds value",
		Group: spec.String, Keys: spec.OneKey(spec.OW | spec.Update), Flags: spec.DenyOOM,
		Since: "2.0.0", Cost: "O(1)",
		Summary: "Stores a string under a key that lives for a number of seconds.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		return setEx(t, args, lifetime{text: args[2], unit: 1000, relative: true}, w)
	},
}

// setEx is SETEX and PSETEX.
func setEx(t *keyspace.Txn, args Args, life lifetime, w *resp.Writer) error {
	at, err := life.expireAt(t.Now(), string(args[0]))
	if err != nil {
		return err
	}
	t.SetString(args[1], args[3], at)
	w.OK()
	return nil
}

// withNotes adds a note to the first of some key specifications.
func withNotes(keys []spec.KeySpec, notes string) []spec.KeySpec {
	keys[0].Notes = notes
	return keys
}

// setOptions are the options of SET and GETEX.
type setOptions struct {
	nx, xx, get, keepTTL, persist bool
	life                          lifetime
}

// parseSetOptions reads the options of SET, or of GETEX. An option that excludes
// another is a syntax error, one that repeats is not: the last one counts.
func parseSetOptions(args Args, set bool) (o setOptions, err error) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case set && is(arg, "NX") && !o.xx:
			o.nx = true
		case set && is(arg, "XX") && !o.nx:
			o.xx = true
		case set && is(arg, "GET"):
			o.get = true
		case set && is(arg, "KEEPTTL") && !o.life.given():
			o.keepTTL = true
		case !set && is(arg, "PERSIST") && !o.life.given():
			o.persist = true
		case i+1 < len(args) && !o.keepTTL && !o.persist && o.life.read(arg, args[i+1]):
			i++
		default:
			return o, resp.ErrSyntax
		}
	}
	return o, nil
}

// lifetime is an expiry time as a client gives it.
type lifetime struct {
	text     []byte
	unit     int64 // milliseconds; 0 where none is given
	relative bool  // counts from now
}

func (l *lifetime) given() bool { return l.unit != 0 }

// read takes the option EX, PX, EXAT or PXAT with its value; it is false where the
// word is another one or an option of another kind was given before.
func (l *lifetime) read(word, value []byte) bool {
	next := lifetime{text: value}
	switch {
	case is(word, "EX"):
		next.unit, next.relative = 1000, true
	case is(word, "PX"):
		next.unit, next.relative = 1, true
	case is(word, "EXAT"):
		next.unit = 1000
	case is(word, "PXAT"):
		next.unit = 1
	default:
		return false
	}
	if l.given() && (l.unit != next.unit || l.relative != next.relative) {
		return false
	}
	*l = next
	return true
}

// expireAt is the expiry time in Unix milliseconds. It must be above 0 as given;
// whether it has passed already doesn't matter. Now is the time of the log.
func (l *lifetime) expireAt(now int64, command string) (int64, error) {
	n, err := integer(l.text)
	if err != nil {
		return 0, err
	}
	if n <= 0 || n > math.MaxInt64/l.unit {
		return 0, resp.InvalidExpire(command)
	}
	n *= l.unit
	if l.relative {
		if n > math.MaxInt64-now {
			return 0, resp.InvalidExpire(command)
		}
		n += now
	}
	return n, nil
}
