package set

import (
	"encoding/binary"
	"math"
	"strconv"
)

// ints is a row of integers in ascending order, each there once, in little-endian form.
// All have the width that the widest ever needed, so the row has no room for less.
type ints struct {
	row   []byte
	width uint8 // 2, 4 or 8 bytes
}

func (s ints) len() int { return len(s.row) / int(s.width) }

func (s ints) at(i int) int64 {
	b := s.row[i*int(s.width):]
	switch s.width {
	case 2:
		return int64(int16(binary.LittleEndian.Uint16(b)))
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(b)))
	}
	return int64(binary.LittleEndian.Uint64(b))
}

func (s ints) put(i int, n int64) {
	b := s.row[i*int(s.width):]
	switch s.width {
	case 2:
		binary.LittleEndian.PutUint16(b, uint16(n))
	case 4:
		binary.LittleEndian.PutUint32(b, uint32(n))
	default:
		binary.LittleEndian.PutUint64(b, uint64(n))
	}
}

// search returns where an integer is, or where it belongs.
func (s ints) search(n int64) (i int, ok bool) {
	lo, hi := 0, s.len()
	for lo < hi {
		mid := (lo + hi) / 2
		if s.at(mid) < n {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < s.len() && s.at(lo) == n
}

// add returns the row with an integer added, and whether it is a new one. Like append
// it may use up the receiver.
func (s ints) add(n int64) (ints, bool) {
	i, ok := s.search(n)
	if ok {
		return s, false
	}
	if w := widthOf(n); w > s.width {
		s = s.widen(w)
	}
	from, w := i*int(s.width), int(s.width)
	s.row = append(s.row, make([]byte, w)...)
	copy(s.row[from+w:], s.row[from:len(s.row)-w])
	s.put(i, n)
	return s, true
}

// remove is add's opposite.
func (s ints) remove(n int64) (ints, bool) {
	i, ok := s.search(n)
	if ok {
		from, w := i*int(s.width), int(s.width)
		s.row = append(s.row[:from], s.row[from+w:]...)
	}
	return s, ok
}

// widen returns the same integers, each in width bytes.
func (s ints) widen(width uint8) ints {
	wide := ints{row: make([]byte, s.len()*int(width), (s.len()+1)*int(width)), width: width}
	for i := range s.len() {
		wide.put(i, s.at(i))
	}
	return wide
}

// sound says whether the row, which may come from anywhere, is what it should be.
func (s ints) sound() bool {
	if s.width != 2 && s.width != 4 && s.width != 8 || len(s.row)%int(s.width) != 0 {
		return false
	}
	for i := 1; i < s.len(); i++ {
		if s.at(i-1) >= s.at(i) {
			return false
		}
	}
	return true
}

func widthOf(n int64) uint8 {
	switch {
	case n >= math.MinInt16 && n <= math.MaxInt16:
		return 2
	case n >= math.MinInt32 && n <= math.MaxInt32:
		return 4
	}
	return 8
}

// longestInt is the length of the longest integer's text.
const longestInt = 20

// parse reads a member that is the one spelling of an integer: what prints as the same.
func parse(member []byte) (n int64, ok bool) {
	if len(member) == 0 || len(member) > longestInt || member[0] != '-' && (member[0] < '0' || member[0] > '9') {
		return 0, false
	}
	n, err := strconv.ParseInt(string(member), 10, 64)
	if err != nil {
		return 0, false
	}
	var text [longestInt]byte
	return n, string(strconv.AppendInt(text[:0], n, 10)) == string(member)
}
