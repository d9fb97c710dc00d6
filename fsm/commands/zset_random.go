package commands

import (
	"math"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

var declZRandMember = Command{
	Command: spec.Command{
		Name: "ZRANDMEMBER", Syntax: "key [count [WITHSCORES]]",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RO | spec.Access),
		Tips:  []string{"nondeterministic_output"},
		Since: "6.2.0", Cost: "O(M log N) with N the size of the sorted set and M the number of members returned",
		Summary:    "Returns members of a sorted set picked at random, with a negative count the same ones more than once.",
		BlockNames: [][2]string{{"count_withscores", "options"}},
	},
	Read: cmdZRandMember,
}

func cmdZRandMember(v *keyspace.View, args Args, w *resp.Writer) error {
	if len(args) == 2 {
		z, err := zsetOrEmpty(v, args[1])
		switch {
		case err != nil:
			return err
		case z.Len() == 0:
			w.Null()
			return nil
		}
		member, _, _ := z.At(int(v.Chance().Below(uint64(z.Len()))))
		w.Bulk(member)
		return nil
	}
	count, err := integer(args[2])
	withScores := len(args) == 4
	switch {
	case err != nil:
		return err
	case count == math.MinInt64:
		return resp.ErrLongRange
	case len(args) > 4, withScores && !is(args[3], "WITHSCORES"):
		return resp.ErrSyntax
	case withScores && (count < -math.MaxInt64/2 || count > math.MaxInt64/2):
		return resp.ErrValueRange
	}
	z, err := zsetOrEmpty(v, args[1])
	switch {
	case err != nil:
		return err
	case z.Len() == 0 || count == 0:
		w.Array(0)
		return nil
	case count < 0 && -count > int64(maxRandom/leastPick):
		return resp.ErrReplyTooLong
	}
	write := func(rank int) {
		member, score, _ := z.At(rank)
		writeMember(w, member, score, withScores)
	}
	if count < 0 {
		writeRandom(w, int(-count), withScores)
		rnd := v.Chance()
		return zpicks(w, -count, func() { write(int(rnd.Below(uint64(z.Len())))) })
	}
	picks := v.Chance().Distinct(int(min(count, int64(z.Len()))), z.Len())
	writeRandom(w, len(picks), withScores)
	for _, rank := range picks {
		write(rank)
	}
	return nil
}

// maxRandom is the largest reply, in bytes, that a random pick with repetitions may have:
// the largest of other replies. Redis runs out of memory instead.
const (
	maxRandom = longestPicks
	leastPick = len("$0\r\n\r\n")
)

// zpicks writes count picks, each from all members.
func zpicks(w *resp.Writer, count int64, pick func()) error {
	start := w.Mark()
	for range count {
		if pick(); w.Mark()-start > maxRandom {
			return resp.ErrReplyTooLong
		}
	}
	return nil
}

func writeRandom(w *resp.Writer, n int, withScores bool) {
	if withScores {
		writePairs(w, n)
	} else {
		w.Array(n)
	}
}

// writeMember writes a member, with its score if that is asked for.
func writeMember(w *resp.Writer, member []byte, score float64, withScore bool) {
	if withScore {
		writePair(w, member, score)
	} else {
		w.Bulk(member)
	}
}
