package commands

import (
	"math"
	"slices"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/zset"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

const (
	diffCost  = "O(L + K log K) with L the number of all members and K that of the result"
	interCost = "O(N K + M log M) with N the size of the smallest sorted set, K the number of keys and M the size of the result"
	unionCost = "O(N + M log M) with N the number of all members and M that of the result"
)

var declZDiff = Command{
	Command: spec.Command{
		Name: "ZDIFF", Syntax: "numkeys key [key ...] [WITHSCORES]",
		Group: spec.SortedSet, Keys: combinedKeys(),
		Since: "6.2.0", Cost: diffCost,
		Summary: "Returns the members of the first sorted set that no other one has.",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error { return readCombined(v, args, w, zdiff) },
}

var declZDiffStore = Command{
	Command: spec.Command{
		Name: "ZDIFFSTORE", Syntax: "destination numkeys key [key ...]",
		Group: spec.SortedSet, Keys: combinedStoreKeys(), Flags: spec.DenyOOM,
		Since: "6.2.0", Cost: diffCost,
		Summary: "Stores the members of the first sorted set that no other one has.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error { return storeCombined(t, args, w, zdiff) },
	Grows: growsByCombining,
}

var declZInter = Command{
	Command: spec.Command{
		Name: "ZINTER", Syntax: "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
		Group: spec.SortedSet, Keys: combinedKeys(),
		Since: "6.2.0", Cost: interCost,
		Summary: "Returns the members that all of some sorted sets have.",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error { return readCombined(v, args, w, zinter) },
}

var declZInterCard = Command{
	Command: spec.Command{
		Name: "ZINTERCARD", Syntax: "numkeys key [key ...] [LIMIT limit]",
		Group: spec.SortedSet, Keys: combinedKeys(),
		Since: "7.0.0", Cost: "O(N K) with N the size of the smallest sorted set and K the number of keys",
		Summary: "Counts the members that all of some sorted sets have.",
	},
	Read: cmdZInterCard,
}

func cmdZInterCard(v *keyspace.View, args Args, w *resp.Writer) error {
	c := combination{kind: zinter, name: args[0], cardinality: true}
	if err := c.parse(v, args[1:]); err != nil {
		return err
	}
	n := int64(0)
	c.inter(func([]byte, float64) bool {
		n++
		return n != c.limit
	})
	w.Int(n)
	return nil
}

var declZInterStore = Command{
	Command: spec.Command{
		Name: "ZINTERSTORE", Syntax: "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]",
		Group: spec.SortedSet, Keys: combinedStoreKeys(), Flags: spec.DenyOOM,
		Since: "2.0.0", Cost: interCost,
		Summary: "Stores the members that all of some sorted sets have.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error { return storeCombined(t, args, w, zinter) },
	Grows: growsByCombining,
}

var declZUnion = Command{
	Command: spec.Command{
		Name: "ZUNION", Syntax: "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
		Group: spec.SortedSet, Keys: combinedKeys(),
		Since: "6.2.0", Cost: unionCost,
		Summary: "Returns the members that any of some sorted sets has.",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error { return readCombined(v, args, w, zunion) },
}

var declZUnionStore = Command{
	Command: spec.Command{
		Name: "ZUNIONSTORE", Syntax: "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]",
		Group: spec.SortedSet, Keys: combinedStoreKeys(), Flags: spec.DenyOOM,
		Since: "2.0.0", Cost: unionCost,
		Summary: "Stores the members that any of some sorted sets has.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error { return storeCombined(t, args, w, zunion) },
	Grows: growsByCombining,
}

func combinedKeys() []spec.KeySpec {
	return []spec.KeySpec{{Flags: spec.RO | spec.Access, Index: 1, KeyCount: true, FirstKey: 1, Step: 1}}
}

func combinedStoreKeys() []spec.KeySpec {
	return []spec.KeySpec{
		spec.KeyAt(1, spec.OW|spec.Update),
		{Flags: spec.RO | spec.Access, Index: 2, KeyCount: true, FirstKey: 1, Step: 1},
	}
}

// readCombined answers with a combination of sorted sets.
func readCombined(v *keyspace.View, args Args, w *resp.Writer, kind combinationKind) error {
	c := combination{kind: kind, name: args[0]}
	if err := c.parse(v, args[1:]); err != nil {
		return err
	}
	z := c.build(v.BuildZSet(), zset.Limits{}) // of a large one, as in Redis, -0 stays what it is
	writeRandom(w, z.Len(), c.withScores)
	z.Each(func(member []byte, score float64) bool {
		writeMember(w, member, score, c.withScores)
		return true
	})
	return nil
}

// storeCombined stores one.
func storeCombined(t *keyspace.Txn, args Args, w *resp.Writer, kind combinationKind) error {
	c := combination{kind: kind, name: args[0], store: true}
	if err := c.parse(&t.View, args[2:]); err != nil {
		return err
	}
	storeZSet(t, args[1], c.build(t.BuildZSet(), t.Limits().ZSet), w)
	return nil
}

type combinationKind uint8

const (
	zdiff combinationKind = iota
	zinter
	zunion
)

// combination is a difference, intersection or union of sorted sets.
type combination struct {
	kind        combinationKind
	name        []byte // the command's
	store       bool   // the result is stored, so WITHSCORES is no option
	cardinality bool   // only its size is wanted, so there is LIMIT and nothing else

	inputs     []weighted
	aggregate  func(a, b float64) float64
	withScores bool
	limit      int64 // 0 for none
}

// weighted is a source with its weight.
type weighted struct {
	source
	weight float64
}

// source is an input of a combination: a sorted set, or a set, whose members have the
// score 1. Sources of the same key are equal.
type source interface {
	Len() int
	// Each calls fn for every member, in the order of the source, until fn returns false.
	Each(fn func(member []byte, score float64) bool)
	Score(member []byte) (score float64, ok bool)
	// MaxCost is the most that a sorted set of all its members takes, in bytes.
	MaxCost() int
}

// sourceOf returns the source that a value is; false for one of another type.
func sourceOf(value keyspace.Value) (source, bool) {
	switch c := value.(type) {
	case keyspace.ZSetValue:
		return c, true
	case keyspace.SetValue:
		return setSource{c}, true
	}
	return nil, false
}

// setSource is a set, whose members all have the score 1.
type setSource struct{ keyspace.SetValue }

// Each implements source.
func (s setSource) Each(fn func(member []byte, score float64) bool) {
	s.SetValue.Each(func(member []byte) bool { return fn(member, 1) })
}

// Score implements source.
func (s setSource) Score(member []byte) (score float64, ok bool) { return 1, s.Has(member) }

// MaxCost implements source. An integer of an intset may need twenty bytes as text.
func (s setSource) MaxCost() int { return zset.Cost(s.Len(), max(s.Size(), 20*s.Len())) }

// parse reads the arguments from the number of keys on.
// Source: redis/src/t_zset.c:zunionInterDiffGenericCommand.
func (c *combination) parse(v *keyspace.View, args Args) error {
	n, err := integer(args[0])
	switch {
	case err != nil:
		return err
	case n < 1:
		return resp.NoInputKeys(string(c.name))
	case n > int64(len(args)-1):
		return resp.ErrSyntax
	}
	for _, key := range args[1 : 1+n] {
		in := weighted{&noMembers, 1}
		if e, ok := v.Get(key); ok {
			if in.source, ok = sourceOf(e.Value()); !ok {
				return resp.ErrWrongType
			}
		}
		c.inputs = append(c.inputs, in)
	}
	c.aggregate = sum
	for args = args[1+n:]; len(args) > 0; {
		took, err := c.option(args)
		if err != nil {
			return err
		}
		args = args[took:]
	}
	if c.kind != zdiff {
		slices.SortStableFunc(c.inputs, func(a, b weighted) int { return a.Len() - b.Len() })
	}
	return nil
}

// option reads one option and returns how many arguments it took.
func (c *combination) option(args Args) (took int, err error) {
	scored := c.kind != zdiff && !c.cardinality
	switch {
	case scored && len(args) > len(c.inputs) && is(args[0], "WEIGHTS"):
		for i := range c.inputs {
			if c.inputs[i].weight, err = doubleOr(args[1+i], resp.ErrWeight); err != nil {
				return 0, err
			}
		}
		return 1 + len(c.inputs), nil
	case scored && len(args) >= 2 && is(args[0], "AGGREGATE"):
		switch {
		case is(args[1], "SUM"):
			c.aggregate = sum
		case is(args[1], "MIN"):
			c.aggregate = lower
		case is(args[1], "MAX"):
			c.aggregate = higher
		default:
			return 0, resp.ErrSyntax
		}
		return 2, nil
	case !c.store && !c.cardinality && is(args[0], "WITHSCORES"):
		c.withScores = true
		return 1, nil
	case c.cardinality && len(args) >= 2 && is(args[0], "LIMIT"):
		n, ok := keyspace.ParseInt(args[1])
		if !ok || n < 0 {
			return 0, resp.ErrLimitNegative
		}
		c.limit = n
		return 2, nil
	}
	return 0, resp.ErrSyntax
}

// sum adds scores; infinities that cancel each other make 0.
func sum(a, b float64) float64 {
	if s := a + b; !math.IsNaN(s) {
		return s
	}
	return 0
}

func lower(a, b float64) float64 {
	if b < a {
		return b
	}
	return a
}

func higher(a, b float64) float64 {
	if b > a {
		return b
	}
	return a
}

// times multiplies without being fused with what follows, which would make replicas of
// different processors differ.
func times(score, weight float64) float64 { return float64(score * weight) }

// build makes the result.
func (c *combination) build(b *zset.Builder, limits zset.Limits) *zset.Set {
	switch c.kind {
	case zdiff:
		c.diff(b)
	case zinter:
		c.inter(func(member []byte, score float64) bool {
			b.Set(member, score)
			return true
		})
	default:
		c.union(b)
	}
	return b.Done(limits)
}

// union adds up all members. A product that is no number counts as 0.
func (c *combination) union(b *zset.Builder) {
	for _, in := range c.inputs {
		in.Each(func(member []byte, score float64) bool {
			score = times(score, in.weight)
			if math.IsNaN(score) {
				score = 0
			}
			if old, ok := b.Score(member); ok {
				score = c.aggregate(old, score)
			}
			b.Set(member, score)
			return true
		})
	}
}

// inter calls fn for every member that all inputs have, until fn returns false.
func (c *combination) inter(fn func(member []byte, score float64) bool) {
	first, rest := c.inputs[0], c.inputs[1:]
	first.Each(func(member []byte, score float64) bool {
		result := times(score, first.weight)
		if math.IsNaN(result) {
			result = 0
		}
		for _, in := range rest {
			other, ok := in.Score(member)
			if !ok {
				return true
			}
			result = c.aggregate(result, times(other, in.weight))
		}
		return fn(member, result)
	})
}

// diff takes all others from the first: it looks up each member of the first one in the
// others, or removes each of theirs from it, whichever is less work, as Redis does.
func (c *combination) diff(b *zset.Builder) {
	first, rest := c.inputs[0], c.inputs[1:]
	total := 0
	for _, in := range c.inputs {
		total += in.Len()
	}
	if first.Len()*len(c.inputs)/2 <= total {
		first.Each(func(member []byte, score float64) bool {
			for _, in := range rest {
				if _, ok := in.Score(member); ok {
					return true
				}
			}
			b.Set(member, score)
			return true
		})
		return
	}
	first.Each(func(member []byte, score float64) bool {
		b.Set(member, score)
		return true
	})
	for _, in := range rest {
		in.Each(func(member []byte, _ float64) bool {
			b.Delete(member)
			return b.Len() > 0
		})
	}
}

// growsByCombining is for what stores a combination: at most all members of all inputs.
func growsByCombining(v *keyspace.View, args Args) int64 {
	n, ok := keyspace.ParseInt(args[2])
	if !ok || n < 1 || n > int64(len(args)-3) {
		return 0
	}
	return growsBySources(v, args[3:3+n])
}

// growsBySources is the most that a sorted set of all members under some keys takes.
func growsBySources(v *keyspace.View, keys Args) (n int64) {
	for _, key := range keys {
		if e, ok := v.Peek(key); ok {
			if s, is := sourceOf(e.Value()); is {
				n += int64(s.MaxCost())
			}
		}
	}
	return n
}
