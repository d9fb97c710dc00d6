package commands

import (
	"bytes"
	"math"
	"slices"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/list"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

const (
	sortCost     = "O(N+M*log(M)) with N the number of members and M the number of those returned"
	sortPatterns = "[BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]"
)

var declSort = Command{
	Command: spec.Command{
		Name: "SORT", Syntax: "key " + sortPatterns + " [STORE destination]",
		Group: spec.Generic, NoGroupCategory: true, Categories: sortCategories, Flags: spec.DenyOOM,
		Keys: append(sortKeys(), spec.KeySpec{Unknown: true, Flags: spec.OW | spec.Update, Options: []string{"STORE"},
			Notes: "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array"}),
		CallKeys: sortCallKeys, CallPattern: sortCallPattern,
		Since: "1.0.0", Cost: sortCost,
		Summary: "Sorts the members of a list, a set or a sorted set, by themselves or by what other keys hold.",
	},
	Write: cmdSort,
	Grows: growsBySort,
}

const sortCategories = spec.CatSet | spec.CatSortedSet | spec.CatList | spec.CatDangerous

func sortKeys() []spec.KeySpec {
	return []spec.KeySpec{spec.KeyAt(1, spec.RO|spec.Access), {Unknown: true, Flags: spec.RO | spec.Access, Options: []string{"BY", "GET"},
		Notes: "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort"}}
}

// sortCallKeys finds the keys that one SORT names itself: what it sorts, and the
// destination, of which the last one counts.
func sortCallKeys(args [][]byte) []spec.KeyPos {
	keys := []spec.KeyPos{{Pos: 1, Flags: spec.RO | spec.Access}}
	if o, _ := parseSort(args, false); o.storeAt > 0 {
		keys = append(keys, spec.KeyPos{Pos: o.storeAt, Flags: spec.OW | spec.Update})
	}
	return keys
}

// sortCallPattern finds the first option of one SORT that names keys by a pattern.
func sortCallPattern(args [][]byte) int {
	o, _ := parseSort(args, false)
	return o.patternAt
}

func cmdSort(t *keyspace.Txn, args Args, w *resp.Writer) error {
	o, err := parseSort(args, false)
	if err != nil {
		return err
	}
	if o.storeAt == 0 && w == nil { // it would change nothing
		return nil
	}
	s, err := o.sort(&t.View, args[1])
	if err != nil {
		return err
	}
	if o.storeAt == 0 {
		return s.reply(w)
	}
	l := t.NewList()
	err = s.each(func(value []byte, _ bool) { l.PushBack(value) })
	if err != nil {
		return err
	}
	if l.Len() > 0 {
		t.Set(args[o.storeAt], l, 0)
	} else {
		t.Delete(args[o.storeAt])
	}
	w.Int(int64(l.Len()))
	return nil
}

// growsBySort looks up what is going to be stored.
func growsBySort(v *keyspace.View, args Args) (n int64) {
	o, err := parseSort(args, false)
	if err != nil || o.storeAt == 0 {
		return 0
	}
	s, err := o.sort(v, args[1])
	if err != nil {
		return 0
	}
	_ = s.each(func(value []byte, _ bool) { n += int64(list.Cost(len(value))) })
	return n
}

var declSortRO = Command{
	Command: spec.Command{
		Name: "SORT_RO", Syntax: "key " + sortPatterns,
		Group: spec.Generic, NoGroupCategory: true, Categories: sortCategories, Keys: sortKeys(),
		CallKeys:    func([][]byte) []spec.KeyPos { return []spec.KeyPos{{Pos: 1, Flags: spec.RO | spec.Access}} },
		CallPattern: sortCallPattern,
		Since:       "7.0.0", Cost: sortCost,
		Summary: "Sorts the members of a list, a set or a sorted set as SORT does, and stores nothing.",
	},
	Read: cmdSortRO,
}

func cmdSortRO(v *keyspace.View, args Args, w *resp.Writer) error {
	o, err := parseSort(args, true)
	if err != nil {
		return err
	}
	s, err := o.sort(v, args[1])
	if err != nil {
		return err
	}
	return s.reply(w)
}

// sortOptions are the options of one SORT.
type sortOptions struct {
	by            []byte // nil: the members themselves
	asTheyAre     bool   // not sorted at all: BY with a name that is no pattern
	offset, count int64  // a negative count: all
	get           [][]byte
	desc, alpha   bool
	storeAt       int // the argument that is the destination, 0 for none
	patternAt     int // the first option that names keys by a pattern, 0 for none
}

func parseSort(args Args, readOnly bool) (o sortOptions, err error) {
	o.count = -1
	for i := 2; i < len(args); i++ {
		left := len(args) - i - 1
		switch arg := args[i]; {
		case is(arg, "ASC"):
			o.desc = false
		case is(arg, "DESC"):
			o.desc = true
		case is(arg, "ALPHA"):
			o.alpha = true
		case is(arg, "LIMIT") && left >= 2:
			if o.offset, err = integer(args[i+1]); err == nil {
				o.count, err = integer(args[i+2])
			}
			if err != nil {
				return o, err
			}
			i += 2
		case is(arg, "STORE") && left >= 1 && !readOnly:
			i++
			o.storeAt = i
		case is(arg, "BY") && left >= 1:
			i++
			o.by = args[i]
			if starOf(o.by) < 0 {
				o.asTheyAre = true
			} else if o.patternAt == 0 {
				o.patternAt = i - 1
			}
		case is(arg, "GET") && left >= 1:
			i++
			o.get = append(o.get, args[i])
			if o.patternAt == 0 {
				o.patternAt = i - 1
			}
		default:
			return o, resp.ErrSyntax
		}
	}
	return o, nil
}

// starOf is where a pattern has its *, before any NUL; -1 where it has none.
func starOf(pattern []byte) int {
	if i := bytes.IndexAny(pattern, "*\x00"); i >= 0 && pattern[i] == '*' {
		return i
	}
	return -1
}

// sortSource is what can be sorted.
type sortSource struct {
	len     int
	ordered bool // it has an order of its own, which BY with no pattern keeps
	// each calls fn for the members in that order, or the other way, until fn returns
	// false; skip members are left out. Where there is no order neither counts.
	each func(skip int, desc bool, fn func(member []byte) bool)
}

// sortable returns what SORT sees of a value; ok is false for a type that it refuses.
func sortable(value keyspace.Value) (s sortSource, ok bool) {
	switch c := value.(type) {
	case keyspace.ListValue:
		return sortSource{c.Len(), true, func(skip int, desc bool, fn func([]byte) bool) {
			if desc {
				c.Descend(c.Len()-1-skip, fn)
			} else {
				c.Ascend(skip, fn)
			}
		}}, true
	case keyspace.ZSetValue:
		return sortSource{c.Len(), true, func(skip int, desc bool, fn func([]byte) bool) {
			one := func(member []byte, _ float64) bool { return fn(member) }
			if desc {
				c.Descend(0, c.Len()-skip, one)
			} else {
				c.Ascend(skip, c.Len(), one)
			}
		}}, true
	case keyspace.SetValue:
		return sortSource{c.Len(), false, func(_ int, _ bool, fn func([]byte) bool) {
			c.Each(func(member []byte) bool { return fn(bytes.Clone(member)) }) // an intset's is one buffer
		}}, true
	}
	return sortSource{}, false
}

// sorted is what a SORT found.
type sorted struct {
	view  *keyspace.View
	get   [][]byte
	items []sortItem
}

// sortItem is a member and what it is sorted by.
type sortItem struct {
	member []byte
	score  float64
	text   []byte // with ALPHA
	absent bool   // there is no text
}

// sort looks up and sorts what the key holds.
func (o *sortOptions) sort(v *keyspace.View, key []byte) (*sorted, error) {
	s := &sorted{view: v, get: o.get}
	e, ok := v.Get(key)
	if !ok {
		return s, nil
	}
	src, ok := sortable(e.Value())
	if !ok {
		return nil, resp.ErrWrongType
	}
	if o.asTheyAre && !src.ordered && o.storeAt > 0 { // so that what is stored has an order that can be told
		o.asTheyAre, o.alpha, o.by = false, true, nil
	}
	from, to := o.limits(src.len)
	if o.asTheyAre && src.ordered {
		s.load(src, from, to-from, o.desc)
		return s, nil
	}
	s.load(src, 0, src.len, false)
	if !o.asTheyAre {
		if err := o.weigh(s); err != nil {
			return nil, err
		}
		o.order(s.items)
	}
	s.items = s.items[from:to]
	return s, nil
}

// limits are the indexes that LIMIT leaves of n members.
func (o *sortOptions) limits(n int) (from, to int) {
	size := int64(n)
	first := min(max(o.offset, 0), size)
	count := min(max(o.count, -1), size)
	if count < 0 {
		count = size
	}
	return int(first), int(min(first+count, size))
}

// load takes n members.
func (s *sorted) load(src sortSource, skip, n int, desc bool) {
	if n == 0 {
		return
	}
	s.items = make([]sortItem, 0, n)
	src.each(skip, desc, func(member []byte) bool {
		s.items = append(s.items, sortItem{member: member})
		return len(s.items) < n
	})
}

// weigh finds what each member is sorted by. Without a value to sort by, the score is 0.
func (o *sortOptions) weigh(s *sorted) error {
	var fault error
	for i := range s.items {
		it := &s.items[i]
		value, ok := it.member, true
		if o.by != nil {
			value, ok = lookUpPattern(s.view, o.by, it.member)
		}
		switch {
		case o.alpha:
			it.text, it.absent = value, !ok
		case ok:
			if it.score, ok = sortScore(value); !ok {
				fault = resp.ErrSortScores // only now, as in Redis, where all have been looked up
			}
		}
	}
	return fault
}

// sortScore reads a number as C's strtod does, with spaces before it, up to a NUL; the
// empty text is 0.
func sortScore(text []byte) (score float64, ok bool) {
	score, n, lost := strtod(string(text))
	subnormal := score != 0 && math.Abs(score) < 0x1p-1022 // which strtod calls out of range
	ok = !lost && !subnormal && !math.IsNaN(score)
	return score, ok && (n == len(text) || text[n] == 0)
}

// order sorts: numbers that are equal by the members, equal texts of other keys not at
// all. Texts are compared byte by byte, where Redis goes by its process's locale if
// nothing is stored.
func (o *sortOptions) order(items []sortItem) {
	by := slices.SortFunc[[]sortItem] // what compares as equal is the same then
	if o.alpha && o.by != nil {
		by = slices.SortStableFunc[[]sortItem]
	}
	by(items, func(a, b sortItem) (cmp int) {
		switch {
		case a.score < b.score:
			cmp = -1
		case a.score > b.score:
			cmp = 1
		case !o.alpha:
			cmp = bytes.Compare(a.member, b.member)
		case a.absent || b.absent:
			cmp = boolInt(b.absent) - boolInt(a.absent)
		default:
			cmp = bytes.Compare(a.text, b.text)
		}
		if o.desc {
			return -cmp
		}
		return cmp
	})
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// each calls fn for what is to be returned, in order; there is false where GET found
// nothing. What GET multiplies is bounded: in a transaction it must not end the process.
func (s *sorted) each(fn func(value []byte, there bool)) error {
	total := 0
	for i := range s.items {
		if len(s.get) == 0 {
			fn(s.items[i].member, true)
		}
		for _, pattern := range s.get {
			value, ok := lookUpPattern(s.view, pattern, s.items[i].member)
			if total += len(value); total > keyspace.MaxString {
				return resp.ErrReplyTooLong
			}
			fn(value, ok)
		}
	}
	return nil
}

func (s *sorted) reply(w *resp.Writer) error {
	w.Array(len(s.items) * max(1, len(s.get)))
	return s.each(func(value []byte, there bool) {
		if there {
			w.Bulk(value)
		} else {
			w.Null()
		}
	})
}

// lookUpPattern returns what a pattern of BY or GET means for a member: the string under
// the key that the pattern is with the member in place of its first *, or, behind ->, a
// field of the hash there; the member itself for #. ok is false where there is nothing.
// Source: redis/src/sort.c:lookupKeyByPattern.
func lookUpPattern(v *keyspace.View, pattern, member []byte) (value []byte, ok bool) {
	if len(pattern) > 0 && pattern[0] == '#' && (len(pattern) == 1 || pattern[1] == 0) {
		return member, true
	}
	star := starOf(pattern)
	if star < 0 {
		return nil, false
	}
	tail, field := pattern[star+1:], []byte(nil)
	text, _, _ := bytes.Cut(tail, []byte{0})
	if arrow := bytes.Index(text, []byte("->")); arrow >= 0 && arrow+2 < len(text) {
		tail, field = tail[:arrow], tail[arrow+2:]
	}
	key := slices.Concat(pattern[:star], member, tail)
	if field != nil {
		h, err := keyspace.FindHash(v, key)
		if err != nil {
			return nil, false
		}
		f, ok := h.Get(field)
		return f.Value, ok
	}
	t, ok, err := v.String(key)
	if !ok || err != nil {
		return nil, false
	}
	return textBytes(t), true
}

// textBytes is a text as bytes: a short one's own, which are valid until the key's next
// change, and a copy of a long one.
func textBytes(t keyspace.Text) (b []byte) {
	if t.Len() > keyspace.InlineMax {
		return t.AppendTo(make([]byte, 0, t.Len()), 0, t.Len())
	}
	t.Each(func(piece []byte) { b = piece })
	return b
}
