package commands

import (
	"github.com/raftkv/raftkv/fsm/hll"
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

func hyperLogLogCommands() []Command {
	return []Command{declPFAdd, declPFCount, declPFDebug, declPFMerge, declPFSelfTest}
}

var declPFAdd = Command{
	Command: spec.Command{
		Name: "PFADD", Syntax: "key [element [element ...]]",
		Group: spec.HyperLogLog, Keys: spec.OneKey(spec.RW | spec.Insert), Flags: spec.DenyOOM | spec.Fast,
		Since: "2.8.9", Cost: "O(1) for each element",
		Summary: "Adds elements to a HyperLogLog, which is created where it doesn't exist.",
	},
	Write: cmdPFAdd,
	Grows: growsByPFAdd,
}

// growsByPFAdd knows of what may become dense; otherwise the arguments' own bytes are
// more than what a HyperLogLog grows by.
func growsByPFAdd(v *keyspace.View, args Args) int64 {
	size, limit := 0, v.Limits().SparseHLL
	if e, ok := v.Peek(args[1]); ok {
		text, _ := e.Text()
		if size = text.Len(); size == hll.DenseSize {
			return 0
		}
	}
	dense := size+hll.MaxSparseGrowth*len(args) > limit
	for _, element := range args[2:] {
		if _, rank := hll.Place(element); rank > hll.MaxSparseRank {
			dense = true
		}
	}
	if dense {
		return stringCost(hll.DenseSize)
	}
	return 0
}

func cmdPFAdd(t *keyspace.Txn, args Args, w *resp.Writer) error {
	e, ok := t.Get(args[1])
	var b []byte
	if !ok {
		b = hll.New()
	} else {
		text, isText := e.Text()
		switch {
		case !isText:
			return resp.ErrWrongType
		case !isHLL(text):
			return resp.ErrNotHLL
		case hll.Dense(text.Piece(0)):
			return addToDense(t, args, w)
		}
		b = t.Hold(text)
	}
	changed := !ok
	for _, element := range args[2:] {
		var raised bool
		var err error
		if b, raised, err = hll.Add(b, element, t.Limits().SparseHLL); err != nil {
			return resp.ErrCorruptHLL
		}
		changed = changed || raised
	}
	if changed {
		t.SetString(args[1], b, e.ExpireAt())
	}
	one(w, changed)
	return nil
}

// addToDense changes a dense one in place: of its 12 KiB only what an element touches.
func addToDense(t *keyspace.Txn, args Args, w *resp.Writer) error {
	changed := false
	write := func(p hll.Patch) error {
		_, err := t.WriteString(args[1], p.Offset, p.Bytes)
		return err
	}
	for _, element := range args[2:] {
		p, ok := hll.Raise(denseHLL(t, args[1]), element)
		if !ok {
			continue
		}
		changed = true
		if err := write(p); err != nil {
			return err
		}
	}
	if changed {
		if err := write(hll.Invalidate(denseHLL(t, args[1]))); err != nil {
			return err
		}
	}
	one(w, changed)
	return nil
}

// denseHLL is the string under a key, valid until its next change: it is short enough
// to lie in one piece.
func denseHLL(t *keyspace.Txn, key []byte) []byte {
	text, _, _ := t.String(key)
	return text.Piece(0)
}

var declPFCount = Command{
	Command: spec.Command{
		Name: "PFCOUNT", Syntax: "key [key ...]",
		Group: spec.HyperLogLog,
		Keys: []spec.KeySpec{{
			Flags: spec.RW | spec.Access, Index: 1, Last: -1, Step: 1,
			Notes: "RW because it may change the internal representation of the key, and propagate to replicas",
		}},
		Since: "2.8.9", Cost: "O(N) with N the number of keys, some tens of microseconds for each",
		Summary: "Estimates how many different elements were added to one or several HyperLogLogs.",
	},
	Read: cmdPFCount,
}

func cmdPFCount(v *keyspace.View, args Args, w *resp.Writer) error {
	if len(args) == 2 {
		n, err := countOne(v, args[1])
		if err == nil {
			w.Int(int64(n))
		}
		return err
	}
	var union hll.Union
	for _, key := range args[1:] {
		b, err := lookUpHLL(v.String(key))
		switch {
		case err != nil:
			return err
		case b != nil && union.Merge(b) != nil:
			return resp.ErrCorruptHLL
		}
	}
	w.Int(int64(union.Count()))
	return nil
}

// countOne estimates how many elements one has, 0 where there is none. Redis writes what
// it finds into the string; here no read writes, but the View may remember it.
func countOne(v *keyspace.View, key []byte) (n uint64, err error) {
	e, ok := v.Get(key)
	if !ok {
		return 0, nil
	}
	if v.Memory != nil {
		if n, ok := v.Memory.Recall(e.Version()); ok {
			return n, nil
		}
	}
	text, ok := e.Text()
	if !ok {
		return 0, resp.ErrWrongType
	}
	b, err := lookUpHLL(text, true, nil)
	if err != nil {
		return 0, err
	}
	if n, err = hll.Count(b); err != nil {
		return 0, resp.ErrCorruptHLL
	}
	if v.Memory != nil {
		v.Memory.Remember(e.Version(), n)
	}
	return n, nil
}

var declPFDebug = Command{
	Command: spec.Command{
		Name: "PFDEBUG", Syntax: "subcommand key",
		Group: spec.HyperLogLog, Keys: []spec.KeySpec{spec.KeyAt(2, spec.RW|spec.Access)}, Flags: spec.DenyOOM | spec.Admin,
		Since: "2.8.9", Cost: "O(1)",
		Summary: "Shows how a HyperLogLog is stored (GETREG, DECODE, ENCODING), or makes it a dense one (TODENSE).",
	},
	Write: cmdPFDebug,
	Grows: func(*keyspace.View, Args) int64 { return stringCost(hll.DenseSize) },
}

func cmdPFDebug(t *keyspace.Txn, args Args, w *resp.Writer) error {
	text, ok, err := t.String(args[2])
	if err == nil && !ok {
		return resp.ErrNoSuchHLL
	}
	b, err := lookUpHLL(text, ok, err)
	if err != nil {
		return err
	}
	dense := hll.Dense(b)
	switch {
	case is(args[1], "GETREG"):
		if b, err = makeDense(t, args[2], b); err != nil {
			return err
		}
		return writeRegisters(b, w)
	case is(args[1], "DECODE"):
		if dense {
			return resp.ErrHLLNotSparse
		}
		runs, err := hll.Decode(b)
		if err != nil {
			return resp.ErrCorruptHLL
		}
		w.BulkString(runs)
	case is(args[1], "ENCODING") && dense:
		w.Simple("dense")
	case is(args[1], "ENCODING"):
		w.Simple("sparse")
	case is(args[1], "TODENSE"):
		if _, err = makeDense(t, args[2], b); err != nil {
			return err
		}
		one(w, !dense)
	default:
		return resp.UnknownPFDebug(args[1])
	}
	return nil
}

// makeDense stores a HyperLogLog as a dense one, if it is none, and returns it.
func makeDense(t *keyspace.Txn, key, b []byte) ([]byte, error) {
	if hll.Dense(b) {
		return b, nil
	}
	b, err := hll.ToDense(b)
	if err != nil {
		return nil, resp.ErrCorruptHLL
	}
	storeHLL(t, key, b)
	return b, nil
}

func writeRegisters(b []byte, w *resp.Writer) error {
	ranks, err := hll.Registers(b)
	if err != nil {
		return resp.ErrCorruptHLL
	}
	w.Array(len(ranks))
	for _, rank := range ranks {
		w.Int(int64(rank))
	}
	return nil
}

var declPFMerge = Command{
	Command: spec.Command{
		Name: "PFMERGE", Syntax: "destkey sourcekey [sourcekey ...]", Arity: -2, // the sources may be left out
		Group: spec.HyperLogLog, Flags: spec.DenyOOM,
		Keys:  []spec.KeySpec{spec.KeyAt(1, spec.RW|spec.Access|spec.Insert), {Flags: spec.RO | spec.Access, Index: 2, Last: -1, Step: 1}},
		Since: "2.8.9", Cost: "O(N) with N the number of keys, some tens of microseconds for each",
		Summary: "Adds to a HyperLogLog all elements of others.",
	},
	Write: cmdPFMerge,
	Grows: func(*keyspace.View, Args) int64 { return stringCost(hll.DenseSize) },
}

func cmdPFMerge(t *keyspace.Txn, args Args, w *resp.Writer) error {
	var union hll.Union
	result := hll.New()
	for i, key := range args[1:] {
		b, err := lookUpHLL(t.String(key))
		switch {
		case err != nil:
			return err
		case b == nil:
			continue
		case union.Merge(b) != nil:
			return resp.ErrCorruptHLL
		case i == 0:
			result = append([]byte(nil), b...)
		}
	}
	result, err := union.Into(result, t.Limits().SparseHLL)
	if err != nil {
		return resp.ErrCorruptHLL
	}
	storeHLL(t, args[1], result)
	w.OK()
	return nil
}

var declPFSelfTest = Command{
	Command: spec.Command{
		Name: "PFSELFTEST", Group: spec.HyperLogLog, Flags: spec.Admin,
		Since: "2.8.9", Cost: "Some milliseconds.",
		Summary: "Tests the registers and the estimates of HyperLogLogs.",
	},
	Plain: func(_ Args, w *resp.Writer) error {
		if err := hll.SelfTest(); err != nil {
			return resp.Errorf("TESTFAILED %v", err)
		}
		w.OK()
		return nil
	},
}

// isHLL says whether a string is a HyperLogLog.
func isHLL(text keyspace.Text) bool { return hll.Valid(text.Piece(0), text.Len()) }

// lookUpHLL takes what String returned, and returns the HyperLogLog in one piece, nil
// where there is none. It is valid until the key's next change.
func lookUpHLL(text keyspace.Text, ok bool, err error) ([]byte, error) {
	switch {
	case err != nil || !ok:
		return nil, err
	case !isHLL(text):
		return nil, resp.ErrNotHLL
	}
	if b := text.Piece(0); len(b) == text.Len() {
		return b, nil
	}
	return text.AppendTo(nil, 0, text.Len()), nil
}

// storeHLL puts a HyperLogLog in place of what a key holds, and leaves its expiry time.
func storeHLL(t *keyspace.Txn, key, b []byte) {
	expireAt := int64(0)
	if e, ok := t.Get(key); ok {
		expireAt = e.ExpireAt()
	}
	t.SetString(key, b, expireAt)
}
