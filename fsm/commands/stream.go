package commands

import (
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/stream"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

func streamCommands() []Command {
	return []Command{
		// stream.go
		declXAdd, declXDel, declXLen, declXRange, declXRevRange, declXSetID, declXTrim,
		// stream_claim.go
		declXAck, declXAutoClaim, declXClaim, declXPending,
		// stream_group.go
		declXGroup,
		// stream_info.go
		declXInfo,
		// stream_read.go
		declXRead, declXReadGroup,
	}
}

var declXAdd = Command{
	Command: spec.Command{
		Name: "XADD", Syntax: "key [NOMKSTREAM] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field value [field value ...]",
		BlockNames: [][2]string{{"maxlen_or_minid_equal_or_approximately_threshold", "trim"}},
		Group:      spec.Stream, Flags: spec.DenyOOM | spec.Fast,
		Keys:  []spec.KeySpec{{Flags: spec.RW | spec.Update, Index: 1, Step: 1, Notes: "UPDATE instead of INSERT because of the optional trimming feature"}},
		Tips:  []string{"nondeterministic_output"},
		Since: "5.0.0", Cost: "O(1), and O(log N) with N the number of entries, for trimming them",
		Summary: "Adds an entry to a stream, which is created where it doesn't exist.",
	},
	Write: cmdXAdd,
	Grows: growsByStream,
}

func cmdXAdd(t *keyspace.Txn, args Args, w *resp.Writer) error {
	o, n, err := parseAddOptions(t, args[2:], true)
	if err != nil {
		return err
	}
	fields := args[min(len(args), 2+n+1):]
	if len(fields) < 2 || len(fields)%2 == 1 {
		return resp.WrongArity(string(args[0]))
	}
	if o.hasID && o.hasSeq && o.id == (stream.ID{}) {
		return resp.ErrStreamIDZero
	}
	s, ok, err := keyspace.Edit[keyspace.StreamValue](t, args[1])
	if err != nil {
		return err
	}
	if !ok && o.noCreate {
		w.Null()
		return nil
	}
	var last stream.ID
	if ok {
		last = s.Last()
	}
	id, err := o.newID(last, uint64(t.Now()))
	if err != nil {
		return err
	}
	if !ok {
		s = t.NewStream()
		t.Set(args[1], s, 0)
	}
	s.Append(id, fields, t.Limits().Stream)
	if o.trims {
		s.Trim(o.trim)
	}
	t.Changed(args[1])
	writeID(w, id)
	return nil
}

// newID is the ID of a new entry behind the last one.
// Source: redis/src/t_stream.c:xaddCommand, streamAppendItem (7.0).
func (o *addOptions) newID(last stream.ID, now uint64) (id stream.ID, err error) {
	next, ok := last.Next()
	switch {
	case !ok:
		return id, resp.ErrStreamExhausted
	case !o.hasID && now > last.MS:
		return stream.ID{MS: now}, nil
	case !o.hasID:
		return next, nil
	case !o.hasSeq && o.id.MS == last.MS:
		if next.MS != last.MS {
			return id, resp.ErrStreamTooLarge // which 7.0 says there
		}
		return next, nil
	case !last.Less(o.id):
		return id, resp.ErrStreamIDSmall
	}
	return o.id, nil
}

// growsByStream is for what may make a stream.
func growsByStream(v *keyspace.View, args Args) int64 {
	if _, ok := v.Peek(args[1]); ok {
		return 0
	}
	return stream.EmptySize
}

// writeID writes an ID.
func writeID(w *resp.Writer, id stream.ID) {
	if w != nil {
		var text [41]byte
		w.Bulk(id.Append(text[:0]))
	}
}

// writeEntry writes an entry: its ID, and its fields and values.
func writeEntry(w *resp.Writer, e stream.Entry) {
	if w == nil {
		return
	}
	w.Array(2)
	writeID(w, e.ID)
	w.Array(2 * e.Len())
	e.Each(func(field, value []byte) {
		w.Bulk(field)
		w.Bulk(value)
	})
}

var declXDel = Command{
	Command: spec.Command{
		Name: "XDEL", Syntax: "key id [id ...]",
		Group: spec.Stream, Keys: spec.OneKey(spec.RW | spec.Delete), Flags: spec.Fast,
		Since: "5.0.0", Cost: "O(log N) for each ID with N the number of entries",
		Summary: "Deletes entries of a stream, which stays when it is empty.",
	},
	Write: cmdXDel,
}

func cmdXDel(t *keyspace.Txn, args Args, w *resp.Writer) error {
	s, ok, err := keyspace.Edit[keyspace.StreamValue](t, args[1])
	if err != nil {
		return err
	}
	if !ok {
		w.Int(0)
		return nil
	}
	ids, err := strictIDs(args[2:])
	if err != nil {
		return err
	}
	n := 0
	for _, id := range ids {
		if s.Delete(id) {
			n++
		}
	}
	if n > 0 {
		t.Changed(args[1])
	}
	w.Int(int64(n))
	return nil
}

var declXLen = Command{
	Command: spec.Command{
		Name: "XLEN", Syntax: "key",
		Group: spec.Stream, Keys: spec.OneKey(spec.RO), Flags: spec.Fast,
		Since: "5.0.0", Cost: "O(1)",
		Summary: "Returns the number of entries of a stream.",
	},
	Read: cmdXLen,
}

func cmdXLen(v *keyspace.View, args Args, w *resp.Writer) error {
	s, ok, err := keyspace.Find[keyspace.StreamValue](v, args[1])
	switch {
	case err != nil:
		return err
	case ok:
		w.Int(int64(s.Len()))
	default:
		w.Int(0)
	}
	return nil
}

var declXRange = Command{
	Command: spec.Command{
		Name: "XRANGE", Syntax: "key start end [COUNT count]",
		Group: spec.Stream, Keys: spec.OneKey(spec.RO | spec.Access),
		Since: "5.0.0", Cost: "O(log N + M) with N the number of entries and M of those returned",
		Summary: "Returns the entries from one ID to another.",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error { return xrange(v, args, w, false) },
}

var declXRevRange = Command{
	Command: spec.Command{
		Name: "XREVRANGE", Syntax: "key end start [COUNT count]",
		Group: spec.Stream, Keys: spec.OneKey(spec.RO | spec.Access),
		Since: "5.0.0", Cost: "O(log N + M) with N the number of entries and M of those returned",
		Summary: "Returns the entries from one ID down to another.",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error { return xrange(v, args, w, true) },
}

// xrange is XRANGE and XREVRANGE. Source: redis/src/t_stream.c:xrangeGenericCommand.
func xrange(v *keyspace.View, args Args, w *resp.Writer, reverse bool) error {
	from, to := args[2], args[3]
	if reverse {
		from, to = to, from
	}
	start, err := startID(from)
	if err != nil {
		return err
	}
	end, err := endID(to)
	if err != nil {
		return err
	}
	count := int64(-1)
	for more := args[4:]; len(more) > 0; more = more[2:] {
		if len(more) < 2 || !is(more[0], "COUNT") {
			return resp.ErrSyntax
		}
		if count, err = integer(more[1]); err != nil {
			return err
		}
		count = max(count, 0)
	}
	s, ok, err := keyspace.Find[keyspace.StreamValue](v, args[1])
	switch {
	case err != nil:
		return err
	case !ok:
		w.Array(0)
	case count == 0:
		w.NullArray()
	default:
		writeRange(w, s, span{start, end, reverse}, count)
	}
	return nil
}

// span is a range of entries.
type span struct {
	start, end stream.ID
	reverse    bool
}

// writeRange writes the entries of a range, at most count where that is above 0.
func writeRange(w *resp.Writer, s keyspace.StreamValue, r span, count int64) {
	if w == nil {
		return
	}
	n := s.Count(r.start, r.end)
	if count > 0 {
		n = int(min(int64(n), count))
	}
	w.Array(n)
	if n == 0 {
		return
	}
	each := func(e stream.Entry) bool {
		writeEntry(w, e)
		n--
		return n > 0
	}
	if r.reverse {
		s.Descend(r.end, each)
	} else {
		s.Ascend(r.start, each)
	}
}

var declXSetID = Command{
	Command: spec.Command{
		Name: "XSETID", Syntax: "key last-id [ENTRIESADDED entries_added] [MAXDELETEDID max_deleted_entry_id]",
		Group: spec.Stream, Keys: spec.OneKey(spec.RW | spec.Update), Flags: spec.DenyOOM | spec.Fast,
		Since: "5.0.0", Cost: "O(1)",
		Summary: "Sets the ID behind which a stream's next entry comes, for copying a stream.",
	},
	Write: cmdXSetID,
}

func cmdXSetID(t *keyspace.Txn, args Args, w *resp.Writer) error {
	last, err := strictID(args[2], 0)
	if err != nil {
		return err
	}
	added, deleted := int64(-1), stream.ID{}
	for more := args[3:]; len(more) > 0; more = more[2:] {
		switch {
		case len(more) > 1 && is(more[0], "ENTRIESADDED"):
			if added, err = integer(more[1]); err == nil && added < 0 {
				err = resp.ErrXSetIDAdded
			}
		case len(more) > 1 && is(more[0], "MAXDELETEDID"):
			if deleted, err = strictID(more[1], 0); err == nil && last.Less(deleted) {
				err = resp.ErrXSetIDDeleted
			}
		default:
			err = resp.ErrSyntax
		}
		if err != nil {
			return err
		}
	}
	s, ok, err := keyspace.Edit[keyspace.StreamValue](t, args[1])
	switch {
	case err != nil:
		return err
	case !ok:
		return resp.ErrNoSuchKey
	case s.Len() > 0 && last.Less(s.Top()):
		return resp.ErrXSetIDTop
	case s.Len() > 0 && added >= 0 && int64(s.Len()) > added:
		return resp.ErrXSetIDLength
	}
	s.SetLast(last)
	if added >= 0 {
		s.SetAdded(uint64(added))
	}
	if deleted != (stream.ID{}) {
		s.SetMaxDeleted(deleted)
	}
	t.Changed(args[1])
	w.OK()
	return nil
}

var declXTrim = Command{
	Command: spec.Command{
		Name: "XTRIM", Syntax: "key <<MAXLEN | MINID> [= | ~] threshold [LIMIT count]>",
		BlockNames: [][2]string{{"maxlen_or_minid_equal_or_approximately_threshold", "trim"}},
		Group:      spec.Stream, Keys: spec.OneKey(spec.RW | spec.Delete),
		Tips:  []string{"nondeterministic_output"},
		Since: "5.0.0", Cost: "O(log N) with N the number of entries",
		Summary: "Removes the first entries of a stream, down to a length or up to an ID.",
	},
	Write: cmdXTrim,
}

// cmdXTrim with "~" removes whole nodes only, as Redis does; what a node is follows from
// the stream alone (see fsm/stream).
func cmdXTrim(t *keyspace.Txn, args Args, w *resp.Writer) error {
	o, _, err := parseAddOptions(t, args[2:], false)
	if err != nil {
		return err
	}
	s, ok, err := keyspace.Edit[keyspace.StreamValue](t, args[1])
	if err != nil {
		return err
	}
	n := 0
	if ok {
		nodes := s.Nodes()
		n = s.Trim(o.trim)
		if n > 0 || s.Nodes() != nodes {
			t.Changed(args[1])
		}
	}
	w.Int(int64(n))
	return nil
}
