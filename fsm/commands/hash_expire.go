package commands

import (
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// The commands of Redis 7.4 for fields that expire. Sources: the documentation, and
// redis/src/t_hash.c:hexpireGenericCommand, httlGenericCommand, hpersistCommand.

var declHExpire = Command{
	Command: spec.Command{
		Name: "HEXPIRE", Syntax: "key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
		Group: spec.Hash, Keys: spec.OneKey(spec.RW | spec.Update), Flags: spec.DenyOOM | spec.Fast,
		Since: "7.4.0", Cost: "O(N) with N the number of fields given",
		Summary: "Lets fields of a hash live for a number of seconds.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		return expireFields(t, args, lifetime{unit: 1000, relative: true}, w)
	},
	Grows: growsByTimes,
}

var declHExpireAt = Command{
	Command: spec.Command{
		Name: "HEXPIREAT", Syntax: "key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
		Group: spec.Hash, Keys: spec.OneKey(spec.RW | spec.Update), Flags: spec.DenyOOM | spec.Fast,
		Since: "7.4.0", Cost: "O(N) with N the number of fields given",
		Summary: "Lets fields of a hash live until a Unix time in seconds.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		return expireFields(t, args, lifetime{unit: 1000}, w)
	},
	Grows: growsByTimes,
}

var declHExpireTime = Command{
	Command: spec.Command{
		Name: "HEXPIRETIME", Syntax: "key FIELDS numfields field [field ...]",
		Group: spec.Hash, Keys: spec.OneKey(spec.RO | spec.Access), Flags: spec.Fast,
		Since: "7.4.0", Cost: "O(N) with N the number of fields given",
		Summary: "Tells the Unix times in seconds at which fields of a hash expire.",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error {
		return fieldTimes(v, args, w, func(at int64) int64 { return secondsUp(at) })
	},
}

var declHPersist = Command{
	Command: spec.Command{
		Name: "HPERSIST", Syntax: "key FIELDS numfields field [field ...]",
		Group: spec.Hash, Keys: spec.OneKey(spec.RW | spec.Update), Flags: spec.Fast,
		Since: "7.4.0", Cost: "O(N) with N the number of fields given",
		Summary: "Lets fields of a hash that would expire live on.",
	},
	Write: cmdHPersist,
}

func cmdHPersist(t *keyspace.Txn, args Args, w *resp.Writer) error {
	h, err := keyspace.EditHash(t, args[1])
	if err != nil {
		return err
	}
	names, err := parseFields(args[2:], resp.ErrFieldsPositive)
	if err != nil {
		return err
	}
	w.Array(len(names))
	for _, name := range names {
		f, ok := h.Get(name)
		switch {
		case !ok:
			w.Int(noSuchField)
		case f.Expires == 0:
			w.Int(neverExpires)
		default:
			h.SetExpiry(name, 0)
			w.Int(1)
		}
	}
	h.Done()
	return nil
}

var declHPExpire = Command{
	Command: spec.Command{
		Name: "HPEXPIRE", Syntax: "key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
		Group: spec.Hash, Keys: spec.OneKey(spec.RW | spec.Update), Flags: spec.DenyOOM | spec.Fast,
		Since: "7.4.0", Cost: "O(N) with N the number of fields given",
		Summary: "Lets fields of a hash live for a number of milliseconds.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		return expireFields(t, args, lifetime{unit: 1, relative: true}, w)
	},
	Grows: growsByTimes,
}

var declHPExpireAt = Command{
	Command: spec.Command{
		Name: "HPEXPIREAT", Syntax: "key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
		Group: spec.Hash, Keys: spec.OneKey(spec.RW | spec.Update), Flags: spec.DenyOOM | spec.Fast,
		Since: "7.4.0", Cost: "O(N) with N the number of fields given",
		Summary: "Lets fields of a hash live until a Unix time in milliseconds.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		return expireFields(t, args, lifetime{unit: 1}, w)
	},
	Grows: growsByTimes,
}

var declHPExpireTime = Command{
	Command: spec.Command{
		Name: "HPEXPIRETIME", Syntax: "key FIELDS numfields field [field ...]",
		Group: spec.Hash, Keys: spec.OneKey(spec.RO | spec.Access), Flags: spec.Fast,
		Since: "7.4.0", Cost: "O(N) with N the number of fields given",
		Summary: "Tells the Unix times in milliseconds at which fields of a hash expire.",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error {
		return fieldTimes(v, args, w, func(at int64) int64 { return at })
	},
}

var declHPTTL = Command{
	Command: spec.Command{
		Name: "HPTTL", Syntax: "key FIELDS numfields field [field ...]",
		Group: spec.Hash, Keys: spec.OneKey(spec.RO | spec.Access), Flags: spec.Fast,
		Tips:  []string{"nondeterministic_output"},
		Since: "7.4.0", Cost: "O(N) with N the number of fields given",
		Summary: "Tells how many milliseconds fields of a hash have left to live.",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error {
		return fieldTimes(v, args, w, func(at int64) int64 { return at - v.Now() })
	},
}

var declHTTL = Command{
	Command: spec.Command{
		Name: "HTTL", Syntax: "key FIELDS numfields field [field ...]",
		Group: spec.Hash, Keys: spec.OneKey(spec.RO | spec.Access), Flags: spec.Fast,
		Tips:  []string{"nondeterministic_output"},
		Since: "7.4.0", Cost: "O(N) with N the number of fields given",
		Summary: "Tells how many seconds fields of a hash have left to live.",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error {
		return fieldTimes(v, args, w, func(at int64) int64 { return secondsUp(at - v.Now()) })
	},
}

// What is answered in place of a time.
const (
	noSuchField  = -2
	neverExpires = -1
)

// secondsUp rounds milliseconds up, unlike TTL, which takes the nearest second.
func secondsUp(ms int64) int64 { return (ms + 999) / 1000 }

// fieldTimes answers what show makes of the expiry time of each field.
func fieldTimes(v *keyspace.View, args Args, w *resp.Writer, show func(at int64) int64) error {
	h, err := keyspace.FindHash(v, args[1])
	if err != nil {
		return err
	}
	names, err := parseFields(args[2:], resp.ErrFieldsPositive)
	if err != nil {
		return err
	}
	w.Array(len(names))
	for _, name := range names {
		f, ok := h.Get(name)
		switch {
		case !ok:
			w.Int(noSuchField)
		case f.Expires == 0:
			w.Int(neverExpires)
		default:
			w.Int(show(f.Expires))
		}
	}
	return nil
}

// parseFields reads "FIELDS numfields field [field ...]". bad is the error for a number
// that cannot be.
func parseFields(args Args, bad resp.Error) (names Args, err error) {
	if len(args) < 2 || !is(args[0], "FIELDS") {
		return nil, resp.ErrNoFields
	}
	n, err := integer(args[1])
	switch {
	case err != nil || n < 1:
		return nil, bad
	case n != int64(len(args)-2):
		return nil, resp.ErrFieldCount
	}
	return args[2:], nil
}

// expireFields is HEXPIRE and its kind.
func expireFields(t *keyspace.Txn, args Args, life lifetime, w *resp.Writer) error {
	h, err := keyspace.EditHash(t, args[1])
	if err != nil {
		return err
	}
	at, err := fieldExpiry(args, life, t.Now())
	if err != nil {
		return err
	}
	var cond expireCondition
	rest := args[3:]
	if c, err := parseExpireCondition(rest[:1]); err == nil { // one, and no other
		cond, rest = c, rest[1:]
	}
	names, err := parseFields(rest, resp.ErrFieldsAboveZero)
	if err != nil {
		return err
	}
	w.Array(len(names))
	for _, name := range names {
		f, ok := h.Get(name)
		switch {
		case !ok:
			w.Int(noSuchField)
		case !cond.allows(f.Expires, at):
			w.Int(0)
		case at <= t.Now(): // 0 too, which would be no time
			h.Delete(name)
			w.Int(2)
		default:
			h.SetExpiry(name, at)
			w.Int(1)
		}
	}
	h.Done()
	return nil
}

// maxFieldTime is the latest time at which a field may expire: Redis keeps the bits
// above. Source: redis/src/t_hash.c:HFE_MAX_ABS_TIME_MSEC.
const maxFieldTime = 1<<46 - 1

// fieldExpiry is the expiry time in Unix milliseconds that an argument gives.
func fieldExpiry(args Args, life lifetime, now int64) (at int64, err error) {
	n, err := integer(args[2])
	switch {
	case err != nil:
		return 0, err
	case n < 0:
		return 0, resp.ErrExpireNegative
	case n > maxFieldTime/life.unit:
		return 0, resp.InvalidExpire(string(args[0]))
	}
	n *= life.unit
	if !life.relative {
		return n, nil
	}
	if n > max(0, maxFieldTime-now) {
		return 0, resp.InvalidExpire(string(args[0]))
	}
	return n + now, nil
}

// growsByTimes is for what gives fields expiry times.
func growsByTimes(v *keyspace.View, args Args) int64 {
	_, timing := keyspace.HashGrowth(v, args[1])
	return int64(timing)
}
