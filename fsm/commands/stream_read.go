package commands

import (
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/stream"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

var declXRead = Command{
	Command: spec.Command{
		Name: "XREAD", Syntax: "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
		BlockNames: [][2]string{{"key_id", "streams"}},
		Group:      spec.Stream, Flags: spec.Blocking,
		Keys:  []spec.KeySpec{{Flags: spec.RO | spec.Access, Keyword: "STREAMS", StartFrom: 1, Last: -1, Step: 1, Limit: 2}},
		Since: "5.0.0", Cost: "O(log N + M) for each stream with N the number of its entries and M of those returned",
		Summary: "Returns the entries of streams that are behind an ID of each.",
	},
	Read: cmdXRead,
}

// readOptions are the arguments of XREAD and XREADGROUP.
type readOptions struct {
	group, consumer []byte // of XREADGROUP
	noAck           bool
	count           int64 // 0 for all
	keys, ids       Args
}

// parseReadOptions reads them. BLOCK is checked and means nothing so far: nothing waits
// here, in a transaction (where Redis does not either) or outside.
// Source: redis/src/t_stream.c:xreadCommand (7.0).
func parseReadOptions(args Args, group bool) (o readOptions, err error) {
	for i := 1; i < len(args) && o.keys == nil; i++ {
		more := len(args) - i - 1
		switch word := args[i]; {
		case is(word, "BLOCK") && more > 0:
			i++
			ms, ok := keyspace.ParseInt(args[i])
			if !ok {
				return o, resp.ErrTimeoutInt
			}
			if ms < 0 {
				return o, resp.ErrTimeoutBelow0
			}
		case is(word, "COUNT") && more > 0:
			i++
			if o.count, err = integer(args[i]); err != nil {
				return o, err
			}
			o.count = max(o.count, 0)
		case is(word, "STREAMS") && more > 0:
			if more%2 != 0 {
				return o, resp.ErrReadUnbalanced
			}
			o.keys, o.ids = args[i+1:i+1+more/2], args[i+1+more/2:]
		case is(word, "GROUP") && more > 1:
			if !group {
				return o, resp.ErrReadGroup
			}
			o.group, o.consumer = args[i+1], args[i+2]
			i += 2
		case is(word, "NOACK"):
			if !group {
				return o, resp.ErrReadNoAck
			}
			o.noAck = true
		default:
			return o, resp.ErrSyntax
		}
	}
	switch {
	case o.keys == nil:
		return o, resp.ErrSyntax
	case group && o.group == nil:
		return o, resp.ErrReadNoGroup
	}
	return o, nil
}

func cmdXRead(v *keyspace.View, args Args, w *resp.Writer) error {
	o, err := parseReadOptions(args, false)
	if err != nil {
		return err
	}
	type source struct {
		key  []byte
		from stream.ID
		s    keyspace.StreamValue
	}
	var sources []source
	for i, key := range o.keys {
		s, ok, err := keyspace.Find[keyspace.StreamValue](v, key)
		if err != nil {
			return err
		}
		after, err := readAfter(s, ok, o.ids[i])
		if err != nil {
			return err
		}
		if ok && after.Less(s.Top()) {
			from, _ := after.Next()
			sources = append(sources, source{key, from, s})
		}
	}
	if len(sources) == 0 {
		w.NullArray()
		return nil
	}
	writeReadHead(w, len(sources))
	for _, src := range sources {
		writeReadKey(w, src.key)
		writeRange(w, src.s, span{start: src.from, end: stream.MaxID}, o.count)
	}
	return nil
}

// writeReadHead announces the entries of n streams: a map in RESP3, in RESP2 an array of
// pairs.
func writeReadHead(w *resp.Writer, n int) {
	if w.Proto() == 3 {
		w.Map(n)
	} else {
		w.Array(n)
	}
}

// writeReadKey announces the entries of one of them.
func writeReadKey(w *resp.Writer, key []byte) {
	if w.Proto() != 3 {
		w.Array(2)
	}
	w.Bulk(key)
}

// readAfter is the ID behind which XREAD reads a stream: "$" is its last one, and "+",
// which came with Redis 7.4, the one before its last entry.
func readAfter(s keyspace.StreamValue, there bool, arg []byte) (id stream.ID, err error) {
	switch {
	case is(arg, ">"):
		return id, resp.ErrReadNew
	case !is(arg, "$") && !is(arg, "+"):
		return strictID(arg, 0)
	case !there:
		return id, nil
	case is(arg, "$"):
		return s.Last(), nil
	}
	if id, there = s.Top().Prev(); !there {
		id = stream.ID{}
	}
	return id, nil
}

var declXReadGroup = Command{
	Command: spec.Command{
		Name: "XREADGROUP", Syntax: "GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id ...]",
		BlockNames: [][2]string{{"key_id", "streams"}},
		Group:      spec.Stream, Flags: spec.Blocking,
		Keys:     []spec.KeySpec{{Flags: spec.RO | spec.Access, Keyword: "STREAMS", StartFrom: 4, Last: -1, Step: 1, Limit: 2}},
		CallKeys: readGroupKeys,
		Since:    "5.0.0", Cost: "O(log N + M log P) for each stream with N the number of its entries, M of those returned, P of the pending ones",
		Summary: "Returns entries to a consumer of a group: new ones, or again those that are pending with it.",
	},
	Write: cmdXReadGroup,
	Grows: growsByReading,
}

// readGroupKeys finds the keys of one XREADGROUP as its handler does. The notation takes
// the first STREAMS, which may be the name of the group or of the consumer; what stands
// behind the right one would then be read by who must not.
func readGroupKeys(args [][]byte) (keys []spec.KeyPos) {
	o, err := parseReadOptions(args, true)
	if err != nil {
		return nil
	}
	for i := range o.keys {
		keys = append(keys, spec.KeyPos{Pos: len(args) - 2*len(o.keys) + i, Flags: spec.RO | spec.Access})
	}
	return keys
}

func cmdXReadGroup(t *keyspace.Txn, args Args, w *resp.Writer) error {
	o, err := parseReadOptions(args, true)
	if err != nil {
		return err
	}
	after := make([]stream.ID, len(o.keys))
	for i, key := range o.keys {
		s, ok, err := keyspace.Find[keyspace.StreamValue](&t.View, key)
		if err != nil {
			return err
		}
		if ok {
			_, ok = s.Group(o.group)
		}
		switch {
		case !ok:
			return resp.NoGroupToRead(key, o.group)
		case is(o.ids[i], "$"):
			return resp.ErrReadLast
		case is(o.ids[i], ">"):
			after[i] = stream.MaxID // as in Redis, where it is the same
			continue
		}
		if after[i], err = strictID(o.ids[i], 0); err != nil {
			return err
		}
	}
	served := 0
	var body *resp.Writer // how many streams have something shows last
	if w != nil {
		body = resp.NewWriter(w.Proto(), nil)
	}
	for i, key := range o.keys {
		if o.read(t, key, after[i], body) {
			served++
		}
		t.Changed(key) // the consumer was seen, at least
	}
	if served == 0 {
		w.NullArray()
		return nil
	}
	writeReadHead(w, served)
	w.Raw(body.Bytes())
	return nil
}

// read reads one stream for XREADGROUP, and says whether there was anything to tell: with
// an ID always, with ">" (MaxID) if there is an entry. The consumer is made, and seen,
// either way; active it was if it was given what is pending with it from then on.
// Source: redis/src/t_stream.c:xreadCommand, streamReplyWithRange (7.2).
func (o *readOptions) read(t *keyspace.Txn, key []byte, after stream.ID, w *resp.Writer) bool {
	s, g, _, _ := editGroup(t, key, o.group)
	c := useConsumer(t, g, o.consumer)
	if after == stream.MaxID && !g.Last().Less(s.Top()) {
		return false
	}
	if after != stream.MaxID {
		writeReadKey(w, key)
		o.history(t, s, again{g, c, after}, w)
		return true
	}
	from, _ := g.Last().Next()
	writeReadKey(w, key)
	n := s.Count(from, stream.MaxID)
	if o.count > 0 {
		n = int(min(int64(n), o.count))
	}
	w.Array(n)
	s.Ascend(from, func(e stream.Entry) bool {
		g.Deliver(e.ID)
		if !o.noAck {
			g.Assign(stream.Pending{ID: e.ID, Time: t.Now(), Count: 1}, c)
			c.Active = t.Now()
		}
		writeEntry(w, e)
		n--
		return n > 0
	})
	return true
}

// again is what a consumer of a group reads again: what is pending with it behind an ID.
type again struct {
	g     stream.Editor
	c     *stream.Consumer
	after stream.ID
}

// history delivers once more what is pending with a consumer, null where the entry is
// not there any more.
func (o *readOptions) history(t *keyspace.Txn, s keyspace.StreamValue, a again, w *resp.Writer) {
	from, _ := a.after.Next()
	n := a.c.PendingFrom(from)
	if o.count > 0 {
		n = int(min(int64(n), o.count))
	}
	w.Array(n)
	a.g.AscendOf(a.c, from, func(p stream.Pending) bool {
		if n == 0 {
			return false
		}
		n--
		e, ok := s.Get(p.ID)
		if !ok {
			w.Array(2)
			writeID(w, p.ID)
			w.NullArray()
			return true
		}
		writeEntry(w, e)
		p.Time = t.Now()
		p.Count++
		a.g.Update(p)
		return true
	})
}

// isNew says whether XREADGROUP's ID asks for what the group has not delivered yet: ">",
// or the highest ID, which Redis takes for the same.
func isNew(arg []byte) bool {
	if is(arg, ">") {
		return true
	}
	id, err := strictID(arg, 0)
	return err == nil && id == stream.MaxID
}

// growsByReading is for what XREADGROUP makes pending, and its consumer.
func growsByReading(v *keyspace.View, args Args) int64 {
	o, err := parseReadOptions(args, true)
	if err != nil {
		return 0
	}
	grows := int64(0)
	for i, key := range o.keys {
		e, ok := v.Peek(key)
		if !ok {
			continue
		}
		grows += consumerGrowth(o.consumer)
		s, ok := e.Value().(keyspace.StreamValue)
		if !ok || o.noAck || !isNew(o.ids[i]) {
			continue
		}
		if g, ok := s.Group(o.group); ok {
			n := int64(s.Count(g.Last(), stream.MaxID))
			if o.count > 0 {
				n = min(n, o.count)
			}
			grows += n * stream.PendingSize
		}
	}
	return grows
}
