package commands

import (
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

var declLCS = Command{
	Command: spec.Command{
		Name: "LCS", Syntax: "key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN]",
		Group: spec.String,
		Keys:  []spec.KeySpec{{Flags: spec.RO | spec.Access, Index: 1, Last: 1, Step: 1}},
		Since: "7.0.0", Cost: "O(N*M) with N and M the lengths of the two strings",
		Summary: "Finds a longest common subsequence of two strings.",
	},
	Read: cmdLCS,
}

func cmdLCS(v *keyspace.View, args Args, w *resp.Writer) error {
	a, _, errA := v.String(args[1])
	b, _, errB := v.String(args[2])
	if errA != nil || errB != nil {
		return resp.ErrLCSNotStrings
	}
	o, err := parseLCSOptions(args[3:])
	if err != nil {
		return err
	}
	// Redis's own limit is on its table of four bytes for each pair of positions.
	if 4*(uint64(a.Len())+1)*(uint64(b.Len())+1) > keyspace.MaxString {
		return resp.ErrLCSMemory
	}
	l := newLCS(a.String(), b.String(), !o.length || o.idx)
	switch {
	case o.idx:
		l.writeMatches(w, o)
	case o.length:
		w.Int(int64(l.length))
	default:
		w.Bulk(l.text())
	}
	return nil
}

type lcsOptions struct {
	length, idx, withLen bool
	minLen               int64
}

func parseLCSOptions(args Args) (o lcsOptions, err error) {
	for i := 0; i < len(args); i++ {
		switch {
		case is(args[i], "IDX"):
			o.idx = true
		case is(args[i], "LEN"):
			o.length = true
		case is(args[i], "WITHMATCHLEN"):
			o.withLen = true
		case is(args[i], "MINMATCHLEN") && i+1 < len(args):
			i++
			if o.minLen, err = integer(args[i]); err != nil {
				return o, err
			}
		default:
			return o, resp.ErrSyntax
		}
	}
	if o.idx && o.length {
		return o, resp.ErrLCSLenAndIdx
	}
	return o, nil
}

// lcs is the longest common subsequence of two strings by dynamic programming. It
// keeps the lengths of one row only, and of the whole table one bit for each
// pair: which way the walk back goes where the bytes differ.
type lcs struct {
	a, b   string
	length int
	// up has a bit for each pair (i, j), row by row, set where dropping the last
	// byte of a's first i leaves a longer one than dropping that of b's first j.
	up []uint64
}

func newLCS(a, b string, withPath bool) *lcs {
	l := &lcs{a: a, b: b}
	if withPath {
		l.up = make([]uint64, (len(a)*len(b)+63)/64)
	}
	row := make([]uint32, len(b)+1)
	for i := range len(a) {
		var diagonal uint32 // of the row before
		for j := range len(b) {
			above, left := row[j+1], row[j]
			switch {
			case a[i] == b[j]:
				row[j+1] = diagonal + 1
			case above > left:
				if withPath {
					bit := i*len(b) + j
					l.up[bit/64] |= 1 << (bit % 64)
				}
			default:
				row[j+1] = left
			}
			diagonal = above
		}
	}
	l.length = int(row[len(b)])
	return l
}

// walk goes back from the ends and calls match for each common byte, with its
// indexes, last first.
func (l *lcs) walk(match func(i, j int)) {
	for i, j := len(l.a), len(l.b); i > 0 && j > 0; {
		bit := (i-1)*len(l.b) + j - 1
		switch {
		case l.a[i-1] == l.b[j-1]:
			i, j = i-1, j-1
			match(i, j)
		case l.up[bit/64]>>(bit%64)&1 == 1:
			i--
		default:
			j--
		}
	}
}

func (l *lcs) text() []byte {
	text := make([]byte, l.length)
	at := l.length
	l.walk(func(i, _ int) {
		at--
		text[at] = l.a[i]
	})
	return text
}

// lcsRange is a run of n equal bytes, at i in one string and at j in the other.
type lcsRange struct{ i, j, n int }

// ranges is the subsequence as runs of at least minLen, the last one first.
func (l *lcs) ranges(minLen int64) []lcsRange {
	var all []lcsRange
	var run lcsRange
	end := func() {
		if run.n > 0 && int64(run.n) >= minLen {
			all = append(all, run)
		}
	}
	l.walk(func(i, j int) {
		if run.n > 0 && run.i == i+1 && run.j == j+1 {
			run = lcsRange{i, j, run.n + 1}
			return
		}
		end()
		run = lcsRange{i, j, 1}
	})
	end()
	return all
}

func (l *lcs) writeMatches(w *resp.Writer, o lcsOptions) {
	ranges := l.ranges(o.minLen)
	w.Map(2)
	w.BulkString("matches")
	w.Array(len(ranges))
	for _, r := range ranges {
		if o.withLen {
			w.Array(3)
		} else {
			w.Array(2)
		}
		for _, start := range [...]int{r.i, r.j} {
			w.Array(2)
			w.Int(int64(start))
			w.Int(int64(start + r.n - 1))
		}
		if o.withLen {
			w.Int(int64(r.n))
		}
	}
	w.BulkString("len")
	w.Int(int64(l.length))
}
