package commands

import (
	"math"
	"strconv"

	"github.com/raftkv/raftkv/fsm/glob"
	"github.com/raftkv/raftkv/fsm/hash"
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

var declHRandField = Command{
	Command: spec.Command{
		Name: "HRANDFIELD", Syntax: "key [count [WITHVALUES]]",
		Group: spec.Hash, BlockNames: [][2]string{{"count_withvalues", "options"}}, Keys: spec.OneKey(spec.RO | spec.Access),
		Tips:  []string{"nondeterministic_output"},
		Since: "6.2.0", Cost: "O(N log M) with N the number of fields returned and M that of the hash's",
		Summary: "Returns fields of a hash picked at random.",
	},
	Read: cmdHRandField,
}

func cmdHRandField(v *keyspace.View, args Args, w *resp.Writer) error {
	if len(args) == 2 {
		h, err := keyspace.FindHash(v, args[1])
		switch {
		case err != nil:
			return err
		case h.Exists():
			fields := h.Pick()
			w.Bulk(fields.At(int(v.Chance().Below(uint64(fields.Len())))).Name)
		default:
			w.Null()
		}
		return nil
	}
	count, err := integer(args[2])
	if err != nil {
		return err
	}
	if count == math.MinInt64 {
		return resp.ErrLongRange
	}
	values := len(args) == 4 && is(args[3], "WITHVALUES")
	switch {
	case len(args) > 3 && !values:
		return resp.ErrSyntax
	case values && (count < -math.MaxInt64/2 || count > math.MaxInt64/2):
		return resp.ErrValueRange
	}
	h, err := keyspace.FindHash(v, args[1])
	if err != nil {
		return err
	}
	return randomFields(v, h, count, fieldWriter{w, values, maxReply})
}

// randomFields writes that many different fields of a hash, or where count is negative
// as many, of which each may come again.
func randomFields(v *keyspace.View, h keyspace.HashView, count int64, w fieldWriter) error {
	switch {
	case !h.Exists() || count == 0:
		w.begin(0)
	case count >= int64(h.Len()):
		w.begin(int64(h.Len()))
		h.Each(w.write)
	case count > 0:
		w.begin(count)
		fields := h.Pick()
		for _, i := range v.Chance().Distinct(int(count), fields.Len()) {
			w.write(fields.At(i))
		}
	case -count > int64(w.most/shortestReply):
		return resp.ErrReplyTooLong
	case w.Writer != nil: // what nobody reads would only take time
		fields, chance := h.Pick(), v.Chance()
		mark := w.Mark()
		w.begin(-count)
		for range -count {
			w.write(fields.At(int(chance.Below(uint64(fields.Len())))))
			if w.Mark()-mark > w.most {
				return resp.ErrReplyTooLong
			}
		}
	}
	return nil
}

// maxReply is how long a reply may grow that can be of any length however little there
// is to show: Redis goes on until its memory is used up.
const maxReply = keyspace.MaxString

// shortestReply is the length of an empty string in a reply.
const shortestReply = 6

// fieldWriter writes fields, alone or with their values: in pairs in RESP3.
type fieldWriter struct {
	*resp.Writer
	values bool
	most   int // bytes
}

func (w fieldWriter) begin(n int64) {
	if w.values && w.Proto() != 3 {
		n *= 2
	}
	w.Array(int(n))
}

func (w fieldWriter) write(f hash.Field) {
	if w.values && w.Proto() == 3 {
		w.Array(2)
	}
	w.Bulk(f.Name)
	if w.values {
		w.Bulk(f.Value)
	}
}

var declHScan = Command{
	Command: spec.Command{
		Name: "HSCAN", Syntax: "key cursor [MATCH pattern] [COUNT count]",
		Group: spec.Hash, Keys: spec.OneKey(spec.RO | spec.Access),
		Tips:  []string{"nondeterministic_output"},
		Since: "2.8.0", Cost: "O(log N + COUNT) for every call with N the number of fields",
		Summary: "Walks through the fields of a hash with their values, a few for each call.",
	},
	Read: cmdHScan,
}

func cmdHScan(v *keyspace.View, args Args, w *resp.Writer) error {
	cursor, ok := parseCursor(args[2])
	if !ok {
		return resp.ErrInvalidCursor
	}
	h, err := keyspace.FindHash(v, args[1])
	if err != nil {
		return err
	}
	var o scanOptions
	if h.Exists() { // Redis, too, looks at the options only where there is something to walk through
		if o, err = parseScanOptions(args[3:], false); err != nil {
			return err
		}
	}
	var found []hash.Field
	next := h.Scan(cursor, int(o.count), func(f hash.Field) {
		if !o.hasPattern || glob.MatchAll(o.pattern, f.Name) {
			found = append(found, f)
		}
	})
	w.Array(2)
	w.BulkString(strconv.FormatUint(next, 10))
	w.Array(2 * len(found))
	for _, f := range found {
		w.Bulk(f.Name)
		w.Bulk(f.Value)
	}
	return nil
}
