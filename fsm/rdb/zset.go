package rdb

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
)

// Scored calls fn for every member of a sorted set with its score, until fn returns false.
type Scored func(fn func(member []byte, score float64) bool)

// AppendZSet appends the payload of a sorted set of n members, a small one in ascending
// order and a large one in descending order, as Redis does: it is read the faster.
func AppendZSet(dst []byte, small bool, n int, each Scored) []byte {
	if small {
		var l listpack
		each(func(member []byte, score float64) bool {
			l.add(member)
			if i := int64(min(max(score, -1<<62), 1<<62)); float64(i) == score { // so -0 becomes 0, as in Redis
				l.integer(i)
			} else {
				l.add(appendScore(nil, score))
			}
			return true
		})
		w := newWriter(dst, formZSetListpack)
		w.string(l.bytes())
		return w.end(Version)
	}
	w := newWriter(dst, formZSet2)
	w.length(uint64(n))
	each(func(member []byte, score float64) bool {
		w.string(member)
		w.b = binary.LittleEndian.AppendUint64(w.b, math.Float64bits(score))
		return true
	})
	return w.end(Version)
}

// appendScore appends a score's text.
func appendScore(dst []byte, score float64) []byte {
	switch {
	case math.IsInf(score, 1):
		return append(dst, "inf"...)
	case math.IsInf(score, -1):
		return append(dst, "-inf"...)
	case score == 0 && math.Signbit(score):
		return append(dst, "-0"...)
	}
	return strconv.AppendFloat(dst, score, 'g', 17, 64)
}

func (r *reader) zset(form byte, o *Object) {
	switch form {
	case formZSet, formZSet2:
		for range r.count(2) {
			if !r.allocate(2 * itemSize) {
				return
			}
			o.Items = append(o.Items, r.string())
			o.Scores = append(o.Scores, r.score(form))
		}
	case formZSetZiplist:
		r.scored(r.ziplist(nil), o)
	case formZSetListpack:
		r.scored(r.listpack(nil), o)
	}
	for _, score := range o.Scores {
		r.refuse(math.IsNaN(score))
	}
}

// score reads a double: binary, or as a text behind a byte that is its length, or 253 to
// 255 for what has no digits.
func (r *reader) score(form byte) float64 {
	if form == formZSet2 {
		return math.Float64frombits(uint64(r.little(8)))
	}
	switch n := r.byte(); n {
	case 253:
		return math.NaN()
	case 254:
		return math.Inf(1)
	case 255:
		return math.Inf(-1)
	default:
		return r.double(r.take(uint64(n)))
	}
}

// double reads the text of a score. "_" among the digits is Go's: Redis ends there.
func (r *reader) double(text []byte) float64 {
	score, err := strconv.ParseFloat(string(text), 64)
	r.refuse(err != nil || bytes.IndexByte(text, '_') >= 0)
	return score
}

// scored sorts members and their scores apart. Of the text of a score Redis reads no more
// than longest bytes.
func (r *reader) scored(items [][]byte, o *Object) {
	const longest = 127
	if r.bad || len(items)%2 != 0 || !r.allocate(uint64(len(items))*itemSize) {
		r.bad = true
		return
	}
	for i := 0; i < len(items); i += 2 {
		r.refuse(len(items[i+1]) > longest)
		o.Items = append(o.Items, items[i])
		o.Scores = append(o.Scores, r.double(items[i+1]))
	}
}
