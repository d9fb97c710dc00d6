package commands

import (
	"math"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

var declExpire = Command{
	Command: spec.Command{
		Name: "EXPIRE", Syntax: "key seconds [NX | XX | GT | LT]",
		Group: spec.Generic, Keys: spec.OneKey(spec.RW | spec.Update), Flags: spec.Fast,
		Since: "1.0.0", Cost: "O(1)",
		Summary: "Lets a key live for a number of seconds.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		return expire(t, args, lifetime{unit: 1000, relative: true}, w)
	},
}

var declExpireAt = Command{
	Command: spec.Command{
		Name: "EXPIREAT", Syntax: "key unix-time-seconds [NX | XX | GT | LT]",
		Group: spec.Generic, Keys: spec.OneKey(spec.RW | spec.Update), Flags: spec.Fast,
		Since: "1.2.0", Cost: "O(1)",
		Summary: "Lets a key live until a Unix time in seconds.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		return expire(t, args, lifetime{unit: 1000}, w)
	},
}

var declExpireTime = Command{
	Command: spec.Command{
		Name: "EXPIRETIME", Syntax: "key",
		Group: spec.Generic, Keys: spec.OneKey(spec.RO | spec.Access), Flags: spec.Fast,
		Since: "7.0.0", Cost: "O(1)",
		Summary: "Tells the Unix time in seconds at which a key expires.",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error {
		w.Int(lifeLeft(v, args[1], seconds))
		return nil
	},
}

var declPersist = Command{
	Command: spec.Command{
		Name: "PERSIST", Syntax: "key",
		Group: spec.Generic, Keys: spec.OneKey(spec.RW | spec.Update), Flags: spec.Fast,
		Since: "2.2.0", Cost: "O(1)",
		Summary: "Lets a key that would expire live on.",
	},
	Write: cmdPersist,
}

func cmdPersist(t *keyspace.Txn, args Args, w *resp.Writer) error {
	one(w, expiryOf(t, args[1]) != 0 && t.SetExpiry(args[1], 0))
	return nil
}

var declPExpire = Command{
	Command: spec.Command{
		Name: "PEXPIRE", Syntax: "key milliseconds [NX | XX | GT | LT]",
		Group: spec.Generic, Keys: spec.OneKey(spec.RW | spec.Update), Flags: spec.Fast,
		Since: "2.6.0", Cost: "O(1)",
		Summary: "Lets a key live for a number of milliseconds.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		return expire(t, args, lifetime{unit: 1, relative: true}, w)
	},
}

var declPExpireAt = Command{
	Command: spec.Command{
		Name: "PEXPIREAT", Syntax: "key unix-time-milliseconds [NX | XX | GT | LT]",
		Group: spec.Generic, Keys: spec.OneKey(spec.RW | spec.Update), Flags: spec.Fast,
		Since: "2.6.0", Cost: "O(1)",
		Summary: "Lets a key live until a Unix time in milliseconds.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		return expire(t, args, lifetime{unit: 1}, w)
	},
}

var declPExpireTime = Command{
	Command: spec.Command{
		Name: "PEXPIRETIME", Syntax: "key",
		Group: spec.Generic, Keys: spec.OneKey(spec.RO | spec.Access), Flags: spec.Fast,
		Since: "7.0.0", Cost: "O(1)",
		Summary: "Tells the Unix time in milliseconds at which a key expires.",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error {
		w.Int(lifeLeft(v, args[1], func(at int64) int64 { return at }))
		return nil
	},
}

var declPTTL = Command{
	Command: spec.Command{
		Name: "PTTL", Syntax: "key",
		Group: spec.Generic, Keys: spec.OneKey(spec.RO | spec.Access), Flags: spec.Fast,
		Tips:  []string{"nondeterministic_output"},
		Since: "2.6.0", Cost: "O(1)",
		Summary: "Tells how many milliseconds a key has left to live.",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error {
		w.Int(lifeLeft(v, args[1], func(at int64) int64 { return max(0, at-v.Now()) }))
		return nil
	},
}

var declTTL = Command{
	Command: spec.Command{
		Name: "TTL", Syntax: "key",
		Group: spec.Generic, Keys: spec.OneKey(spec.RO | spec.Access), Flags: spec.Fast,
		Tips:  []string{"nondeterministic_output"},
		Since: "1.0.0", Cost: "O(1)",
		Summary: "Tells how many seconds a key has left to live.",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error {
		w.Int(lifeLeft(v, args[1], func(at int64) int64 { return seconds(max(0, at-v.Now())) }))
		return nil
	},
}

// seconds rounds milliseconds, of which none are negative, to the nearest second.
func seconds(ms int64) int64 { return int64((uint64(ms) + 500) / 1000) }

// lifeLeft is what the commands of the TTL kind answer: -2 for no such key, -1 for
// no expiry time, otherwise what show makes of the expiry time.
func lifeLeft(v *keyspace.View, key []byte, show func(at int64) int64) int64 {
	e, ok := v.Get(key)
	switch {
	case !ok:
		return -2
	case e.ExpireAt() == 0:
		return -1
	}
	return show(e.ExpireAt())
}

// expire is EXPIRE and its kind.
func expire(t *keyspace.Txn, args Args, life lifetime, w *resp.Writer) error {
	cond, err := parseExpireCondition(args[3:])
	if err != nil {
		return err
	}
	n, err := integer(args[2])
	if err != nil {
		return err
	}
	// Negative times are good: they lie in the past, so that the key is deleted.
	if n > math.MaxInt64/life.unit || n < math.MinInt64/life.unit {
		return resp.InvalidExpire(string(args[0]))
	}
	n *= life.unit
	if life.relative {
		if n > math.MaxInt64-t.Now() {
			return resp.InvalidExpire(string(args[0]))
		}
		n += t.Now()
	}
	e, ok := t.Get(args[1])
	if !ok || !cond.allows(e.ExpireAt(), n) {
		w.Int(0)
		return nil
	}
	if n <= t.Now() {
		t.Delete(args[1])
	} else {
		t.SetExpiry(args[1], n)
	}
	w.Int(1)
	return nil
}

type expireCondition struct{ nx, xx, gt, lt bool }

func parseExpireCondition(args Args) (c expireCondition, err error) {
	for _, arg := range args {
		switch {
		case is(arg, "NX"):
			c.nx = true
		case is(arg, "XX"):
			c.xx = true
		case is(arg, "GT"):
			c.gt = true
		case is(arg, "LT"):
			c.lt = true
		default:
			return c, unsupportedOption(arg)
		}
	}
	switch {
	case c.nx && (c.xx || c.gt || c.lt):
		return c, resp.ErrExpireNX
	case c.gt && c.lt:
		return c, resp.ErrExpireGTLT
	}
	return c, nil
}

// unsupportedOption names the option up to a NUL, as C does.
func unsupportedOption(arg []byte) resp.Error {
	for i, c := range arg {
		if c == 0 {
			arg = arg[:i]
			break
		}
	}
	return resp.Error("ERR Unsupported option " + string(arg))
}

// allows says whether a key that expires at old (0 for never) may expire at next.
// Never counts as later than any time.
func (c expireCondition) allows(old, next int64) bool {
	switch {
	case c.nx && old != 0,
		c.xx && old == 0,
		c.gt && (old == 0 || next <= old),
		c.lt && old != 0 && next >= old:
		return false
	}
	return true
}
