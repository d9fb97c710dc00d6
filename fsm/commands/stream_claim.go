package commands

import (
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/stream"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

var declXAck = Command{
	Command: spec.Command{
		Name: "XACK", Syntax: "key group id [id ...]",
		Group: spec.Stream, Keys: spec.OneKey(spec.RW | spec.Update), Flags: spec.Fast,
		Since: "5.0.0", Cost: "O(log N) for each ID with N the number of pending entries",
		Summary: "Acknowledges entries that were delivered to a consumer of a group.",
	},
	Write: cmdXAck,
}

func cmdXAck(t *keyspace.Txn, args Args, w *resp.Writer) error {
	_, g, ok, err := editGroup(t, args[1], args[2])
	if err != nil {
		return err
	}
	if !ok {
		w.Int(0)
		return nil
	}
	ids, err := strictIDs(args[3:])
	if err != nil {
		return err
	}
	n := 0
	for _, id := range ids {
		if g.Ack(id) {
			n++
		}
	}
	if n > 0 {
		t.Changed(args[1])
	}
	w.Int(int64(n))
	return nil
}

// editGroup returns a stream and a group of it for changing them; ok is false where one of
// them is not there.
func editGroup(t *keyspace.Txn, key, name []byte) (s keyspace.StreamValue, g stream.Editor, ok bool, err error) {
	s, ok, err = keyspace.Edit[keyspace.StreamValue](t, key)
	if ok && err == nil {
		g, ok = s.Edit(name)
	}
	return s, g, ok, err
}

var declXAutoClaim = Command{
	Command: spec.Command{
		Name: "XAUTOCLAIM", Syntax: "key group consumer min-idle-time start [COUNT count] [JUSTID]",
		Group: spec.Stream, Keys: spec.OneKey(spec.RW | spec.Delete), Flags: spec.Fast,
		Tips:  []string{"nondeterministic_output"},
		Since: "6.2.0", Cost: "O(log N) for each entry that is looked at, ten times COUNT at the most, with N the number of pending entries",
		Summary: "Gives a consumer what is pending with others for long.",
	},
	Write: cmdXAutoClaim,
	Grows: func(_ *keyspace.View, args Args) int64 { return consumerGrowth(args[3]) },
}

// autoClaim are XAUTOCLAIM's arguments.
type autoClaim struct {
	idle   int64
	start  stream.ID
	count  int64
	justID bool
}

func parseAutoClaim(args Args) (o autoClaim, err error) {
	var ok bool
	if o.idle, ok = keyspace.ParseInt(args[0]); !ok {
		return o, resp.ErrAutoClaimIdle
	}
	if o.start, err = startID(args[1]); err != nil {
		return o, err
	}
	o.count = 100
	for args = args[2:]; len(args) > 0; args = args[1:] {
		switch {
		case is(args[0], "COUNT") && len(args) > 1:
			const most = 1<<63/16 - 1 // so that no product of Redis's overflows
			if o.count, ok = keyspace.ParseInt(args[1]); !ok || o.count < 1 || o.count > most {
				return o, resp.ErrAutoClaimCount
			}
			args = args[1:]
		case is(args[0], "JUSTID"):
			o.justID = true
		default:
			return o, resp.ErrSyntax
		}
	}
	return o, nil
}

func cmdXAutoClaim(t *keyspace.Txn, args Args, w *resp.Writer) error {
	o, err := parseAutoClaim(args[4:])
	if err != nil {
		return err
	}
	s, g, ok, err := editGroup(t, args[1], args[2])
	switch {
	case err != nil:
		return err
	case !ok:
		return resp.NoGroup(args[1], args[2])
	case o.count >= 1<<43: // Redis has no memory for so many IDs, whatever the machine
		return resp.ErrAutoClaimTooLarge
	}
	c := claimer{t: t, s: s, g: g, to: useConsumer(t, g, args[3]), idle: o.idle, at: t.Now(), justID: o.justID, retries: -1}
	next := c.walk(o)
	t.Changed(args[1])
	w.Array(3)
	writeID(w, next)
	c.write(w)
	w.Array(len(c.deleted))
	for _, id := range c.deleted {
		writeID(w, id)
	}
	return nil
}

// claimer gives entries to a consumer.
type claimer struct {
	t       *keyspace.Txn
	s       keyspace.StreamValue
	g       stream.Editor
	to      *stream.Consumer // seen whether it gets something or not, as in Redis 7.2
	idle    int64            // they must have been idle for so long
	at      int64            // the new time of delivery
	retries int64            // the new count of deliveries, -1 for one more
	justID  bool
	force   bool // makes pending what is not

	claimed, deleted []stream.ID
}

// walk claims from one ID on and returns the ID to go on from, the zero ID at the end.
// Source: redis/src/t_stream.c:xautoclaimCommand (7.0).
func (c *claimer) walk(o autoClaim) (next stream.ID) {
	const piece = 64 // looked at before any of them is changed
	attempts, next := o.count*10, o.start
	for {
		var found []stream.ID
		c.g.Ascend(next, func(p stream.Pending) bool {
			found = append(found, p.ID)
			return len(found) < piece
		})
		for _, id := range found {
			if attempts == 0 || int64(len(c.claimed)+len(c.deleted)) == o.count {
				return id
			}
			attempts--
			c.claim(id)
		}
		if len(found) < piece {
			return stream.ID{}
		}
		next, _ = found[len(found)-1].Next()
	}
}

// claim gives the consumer one entry if it may have it.
// Source: redis/src/t_stream.c:xclaimCommand (7.0).
func (c *claimer) claim(id stream.ID) {
	p, there := c.g.Find(id)
	if !c.s.Has(id) {
		if there {
			c.g.Ack(id)
			c.deleted = append(c.deleted, id)
		}
		return
	}
	switch {
	case !there && !c.force:
		return
	case !there:
		p = stream.Pending{ID: id, Count: 1}
	case c.idle > 0 && c.t.Now()-p.Time < c.idle:
		return
	}
	p.Time = c.at
	if c.retries >= 0 {
		p.Count = c.retries
	} else if !c.justID {
		p.Count++
	}
	c.g.Assign(p, c.to)
	c.to.Active = c.t.Now()
	c.claimed = append(c.claimed, id)
}

// write writes the claimed entries.
func (c *claimer) write(w *resp.Writer) {
	w.Array(len(c.claimed))
	for _, id := range c.claimed {
		if c.justID {
			writeID(w, id)
		} else if e, ok := c.s.Get(id); ok {
			writeEntry(w, e)
		}
	}
}

// useConsumer returns a consumer for changing it, a new one if need be, and notes that it
// is used.
func useConsumer(t *keyspace.Txn, g stream.Editor, name []byte) *stream.Consumer {
	c, ok := g.Consumer(name)
	if !ok {
		return g.Create(name, t.Now())
	}
	c = g.Own(c)
	c.Seen = t.Now()
	return c
}

// consumerGrowth is what a new consumer of that name takes.
func consumerGrowth(name []byte) int64 { return int64(stream.ConsumerSize + 2*len(name)) }

var declXClaim = Command{
	Command: spec.Command{
		Name: "XCLAIM", Syntax: "key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID id]",
		Group: spec.Stream, Keys: spec.OneKey(spec.RW | spec.Update), Flags: spec.Fast,
		Tips:  []string{"nondeterministic_output"},
		Since: "5.0.0", Cost: "O(log N) for each ID with N the number of pending entries",
		Summary: "Gives a consumer entries that are pending with others.",
	},
	Write: cmdXClaim,
	Grows: func(_ *keyspace.View, args Args) int64 { return consumerGrowth(args[3]) },
}

func cmdXClaim(t *keyspace.Txn, args Args, w *resp.Writer) error {
	s, g, ok, err := editGroup(t, args[1], args[2])
	switch {
	case err != nil:
		return err
	case !ok:
		return resp.NoGroup(args[1], args[2])
	}
	c := claimer{t: t, s: s, g: g, at: t.Now(), retries: -1}
	if c.idle, ok = keyspace.ParseInt(args[4]); !ok {
		return resp.ErrClaimIdle
	}
	var ids []stream.ID
	rest := args[5:]
	for ; len(rest) > 0; rest = rest[1:] {
		id, err := strictID(rest[0], 0)
		if err != nil {
			break // an option
		}
		ids = append(ids, id)
	}
	last, err := c.options(rest)
	if err != nil {
		return err
	}
	g.Raise(last)
	c.to = useConsumer(t, g, args[3])
	for _, id := range ids {
		c.claim(id)
	}
	t.Changed(args[1])
	c.write(w)
	return nil
}

// options reads XCLAIM's options, and returns what LASTID says.
func (c *claimer) options(args Args) (last stream.ID, err error) {
	for ; len(args) > 0; args = args[1:] {
		switch {
		case is(args[0], "FORCE"):
			c.force = true
			continue
		case is(args[0], "JUSTID"):
			c.justID = true
			continue
		case len(args) < 2:
			return last, resp.UnknownClaimOption(args[0])
		}
		n, ok := keyspace.ParseInt(args[1])
		switch {
		case is(args[0], "IDLE"):
			if c.at = c.t.Now() - n; !ok {
				return last, resp.ErrClaimIdleOption
			}
		case is(args[0], "TIME"):
			if c.at = n; !ok {
				return last, resp.ErrClaimTimeOption
			}
		case is(args[0], "RETRYCOUNT"):
			if c.retries = n; !ok {
				return last, resp.ErrClaimRetryOption
			}
		case is(args[0], "LASTID"):
			if last, err = strictID(args[1], 0); err != nil {
				return last, err
			}
		default:
			return last, resp.UnknownClaimOption(args[0])
		}
		args = args[1:]
	}
	if c.at < 0 || c.at > c.t.Now() { // what cannot be is taken for now
		c.at = c.t.Now()
	}
	return last, nil
}

var declXPending = Command{
	Command: spec.Command{
		Name: "XPENDING", Syntax: "key group [[IDLE min-idle-time] start end count [consumer]]",
		BlockNames: [][2]string{{"min-idle-time_start_end_count_consumer", "filters"}},
		Group:      spec.Stream, Keys: spec.OneKey(spec.RO | spec.Access),
		Tips:  []string{"nondeterministic_output"},
		Since: "5.0.0", Cost: "O(N) with N the number of pending entries that are looked at, or of consumers",
		Summary: "Tells what was delivered to a group's consumers and is not acknowledged.",
	},
	Read: cmdXPending,
}

// pendingRange are XPENDING's arguments behind the group.
type pendingRange struct {
	idle, count int64
	start, end  stream.ID
	consumer    []byte // nil for all
}

// parsePendingRange reads them. Source: redis/src/t_stream.c:xpendingCommand.
func parsePendingRange(args Args) (r pendingRange, err error) {
	if len(args) < 3 || len(args) > 6 {
		return r, resp.ErrSyntax
	}
	if is(args[0], "IDLE") {
		if r.idle, err = integer(args[1]); err != nil {
			return r, err
		}
		if len(args) < 5 {
			return r, resp.ErrSyntax
		}
		args = args[2:]
	}
	if r.count, err = integer(args[2]); err != nil {
		return r, err
	}
	if r.start, err = startID(args[0]); err != nil {
		return r, err
	}
	if r.end, err = endID(args[1]); err != nil {
		return r, err
	}
	if len(args) > 3 {
		r.consumer = args[3]
	}
	return r, nil
}

func cmdXPending(v *keyspace.View, args Args, w *resp.Writer) error {
	var r pendingRange
	if len(args) > 3 {
		var err error
		if r, err = parsePendingRange(args[3:]); err != nil {
			return err
		}
	}
	s, ok, err := keyspace.Find[keyspace.StreamValue](v, args[1])
	if err != nil {
		return err
	}
	var g *stream.Group
	if ok {
		g, ok = s.Group(args[2])
	}
	switch {
	case !ok:
		return resp.NoGroup(args[1], args[2])
	case len(args) == 3:
		writePendingSummary(w, g)
	default:
		writePendingRange(w, g, r, v.Now())
	}
	return nil
}

func writePendingSummary(w *resp.Writer, g *stream.Group) {
	w.Array(4)
	w.Int(int64(g.Pending()))
	if g.Pending() == 0 {
		w.Null()
		w.Null()
		w.NullArray()
		return
	}
	writeID(w, g.Edge(false))
	writeID(w, g.Edge(true))
	n := 0
	g.EachConsumer(func(c *stream.Consumer) bool {
		if c.Pending() > 0 {
			n++
		}
		return true
	})
	w.Array(n)
	g.EachConsumer(func(c *stream.Consumer) bool {
		if c.Pending() > 0 {
			w.Array(2)
			w.Bulk(c.Name())
			w.BulkInt(int64(c.Pending()))
		}
		return true
	})
}

func writePendingRange(w *resp.Writer, g *stream.Group, r pendingRange, now int64) {
	var found []stream.Pending
	add := func(p stream.Pending) bool {
		if int64(len(found)) >= r.count || r.end.Less(p.ID) {
			return false
		}
		if r.idle == 0 || now-p.Time >= r.idle {
			found = append(found, p)
		}
		return true
	}
	if r.consumer == nil {
		g.Ascend(r.start, add)
	} else if c, ok := g.Consumer(r.consumer); ok {
		g.AscendOf(c, r.start, add)
	}
	w.Array(len(found))
	for _, p := range found {
		w.Array(4)
		writeID(w, p.ID)
		w.Bulk(g.Owner(p).Name())
		w.Int(max(0, now-p.Time))
		w.Int(p.Count)
	}
}
