package commands

import (
	"bytes"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/stream"
	"github.com/raftkv/raftkv/resp"
)

// The arguments of stream commands. Redis reads IDs as C strings: what stands behind a
// NUL is not looked at.

// maxIDText is the longest text that may be an ID.
const maxIDText = 127

// anyID reads an ID, "-" for the lowest and "+" for the highest one. missing is the
// second part where it is not given.
// Source: redis/src/t_stream.c:streamGenericParseIDOrReply.
func anyID(arg []byte, missing uint64) (stream.ID, error) {
	switch {
	case len(arg) <= maxIDText && is(arg, "-"):
		return stream.ID{}, nil
	case len(arg) <= maxIDText && is(arg, "+"):
		return stream.MaxID, nil
	}
	return strictID(arg, missing)
}

// strictID is anyID for where "-" and "+" may not stand.
func strictID(arg []byte, missing uint64) (stream.ID, error) {
	id, more, err := splitID(arg)
	if err != nil || more == nil {
		id.Seq = missing
		return id, err
	}
	seq, ok := parseUint(more)
	if !ok {
		return id, resp.ErrStreamID
	}
	id.Seq = seq
	return id, nil
}

// splitID reads the first part of an ID; more is the second one, nil where there is none.
func splitID(arg []byte) (id stream.ID, more []byte, err error) {
	if len(arg) > maxIDText {
		return id, nil, resp.ErrStreamID
	}
	arg, _, _ = bytes.Cut(arg, []byte{0})
	first, rest, split := bytes.Cut(arg, []byte{'-'})
	ms, ok := parseUint(first)
	if !ok {
		return id, nil, resp.ErrStreamID
	}
	if split {
		more = rest[:len(rest):len(rest)]
		if more == nil {
			more = []byte{}
		}
	}
	return stream.ID{MS: ms}, more, nil
}

// parseUint reads an unsigned number as Redis's string2ull: strictly, or else as C's
// strtoull does, with leading spaces, a sign and zeros. A minus negates modulo 2^64.
func parseUint(b []byte) (uint64, bool) {
	if n, ok := keyspace.ParseInt(b); ok {
		return uint64(n), n >= 0
	}
	for len(b) > 0 && (b[0] == ' ' || '\t' <= b[0] && b[0] <= '\r') {
		b = b[1:]
	}
	negative := len(b) > 0 && b[0] == '-'
	if negative || len(b) > 0 && b[0] == '+' {
		b = b[1:]
	}
	if len(b) == 0 {
		return 0, false
	}
	var u uint64
	for _, c := range b {
		d := uint64(c - '0')
		if d > 9 || u > (1<<64-1-d)/10 {
			return 0, false
		}
		u = u*10 + d
	}
	if negative {
		u = -u
	}
	return u, true
}

// startID reads the begin of an interval, which "(" in front of it leaves out.
func startID(arg []byte) (stream.ID, error) {
	if len(arg) < 2 || arg[0] != '(' {
		return anyID(arg, 0)
	}
	id, err := strictID(arg[1:], 0)
	if err != nil {
		return id, err
	}
	id, ok := id.Next()
	if !ok {
		return id, resp.ErrStreamStart
	}
	return id, nil
}

// endID is startID for the end.
func endID(arg []byte) (stream.ID, error) {
	const all = 1<<64 - 1
	if len(arg) < 2 || arg[0] != '(' {
		return anyID(arg, all)
	}
	id, err := strictID(arg[1:], all)
	if err != nil {
		return id, err
	}
	id, ok := id.Prev()
	if !ok {
		return id, resp.ErrStreamEnd
	}
	return id, nil
}

// strictIDs reads a list of IDs.
func strictIDs(args Args) (ids []stream.ID, err error) {
	ids = make([]stream.ID, len(args))
	for i, arg := range args {
		if ids[i], err = strictID(arg, 0); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// addOptions are the arguments of XADD, and of XTRIM, before the fields.
type addOptions struct {
	id       stream.ID
	hasID    bool // unless it is "*"
	hasSeq   bool // unless it is "ms-*"
	noCreate bool
	trims    bool
	trim     stream.Trim
	limit    int64
	hasLimit bool
}

// parseAddOptions reads them, and returns how many they are, the ID of XADD not counted.
// Source: redis/src/t_stream.c:streamParseAddOrTrimArgsOrReply.
func parseAddOptions(t *keyspace.Txn, args Args, xadd bool) (o addOptions, n int, err error) {
	for ; n < len(args); n++ {
		word, more := args[n], len(args)-1-n
		switch {
		case xadd && is(word, "*"):
			return o, n, o.complete(t, xadd)
		case (is(word, "MAXLEN") || is(word, "MINID")) && more > 0:
			used, err := o.strategy(args[n:])
			if err != nil {
				return o, n, err
			}
			n += used
		case is(word, "LIMIT") && more > 0:
			n++
			if o.limit, err = integer(args[n]); err != nil {
				return o, n, err
			}
			if o.limit < 0 {
				return o, n, resp.ErrTrimLimit
			}
			o.hasLimit = true
		case xadd && is(word, "NOMKSTREAM"):
			o.noCreate = true
		case xadd:
			if err = o.parseID(word); err == nil {
				err = o.complete(t, xadd)
			}
			return o, n, err
		default:
			return o, n, resp.ErrSyntax
		}
	}
	return o, n, o.complete(t, xadd)
}

// strategy reads MAXLEN or MINID with its value, and returns how many words follow it.
func (o *addOptions) strategy(args Args) (used int, err error) {
	if o.trims {
		return 0, resp.ErrTrimBoth
	}
	used = 1
	if len(args) > 2 && (is(args[1], "~") || is(args[1], "=")) {
		o.trim.Whole = is(args[1], "~")
		used = 2
	}
	o.trims, o.trim.ByID = true, is(args[0], "MINID")
	if o.trim.ByID {
		o.trim.MinID, err = strictID(args[used], 0)
		return used, err
	}
	n, err := integer(args[used])
	if err == nil && n < 0 {
		err = resp.ErrTrimMaxLen
	}
	o.trim.MaxLen = uint64(n)
	return used, err
}

// parseID reads XADD's ID.
func (o *addOptions) parseID(arg []byte) (err error) {
	o.hasID, o.hasSeq = true, true
	id, more, err := splitID(arg)
	if err == nil && len(more) == 1 && more[0] == '*' {
		o.id, o.hasSeq = id, false
		return nil
	}
	o.id, err = strictID(arg, 0)
	return err
}

// complete checks how the options fit together, and gives "~" the limit that it has where
// none is given: a hundred nodes.
func (o *addOptions) complete(t *keyspace.Txn, xadd bool) error {
	switch {
	case o.limit > 0 && !o.trims:
		return resp.ErrTrimLimitAlone
	case !xadd && !o.trims:
		return resp.ErrTrimNothing
	case o.hasLimit && !o.trim.Whole:
		return resp.ErrTrimLimitExact
	case !o.hasLimit && o.trim.Whole:
		o.limit = int64(100 * t.Limits().Stream.Entries)
		if o.limit <= 0 {
			o.limit = 10_000
		}
		o.limit = min(o.limit, 1_000_000)
	}
	o.trim.Limit = int(o.limit)
	return nil
}
