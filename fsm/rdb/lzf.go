package rdb

// LZF is a sequence of literal runs (a byte below 32, one less than the length, and the
// bytes) and of references: three upper bits of length less two, 7 for one more byte of
// it, and 13 bits of distance less one. Format and way of compressing are liblzf's
// (M. Lehmann), as Redis has it.
const (
	lzfLiteral  = 32
	lzfDistance = 1 << 13
	lzfLength   = 264
	lzfHashBits = 16
)

func lzfSlot(b []byte) uint32 {
	v := uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
	return (v>>(24-lzfHashBits) - v*5) & (1<<lzfHashBits - 1)
}

// compress returns the packed form, nil where it would not save at least four bytes.
func compress(in []byte) []byte {
	room := len(in) - 4
	if room <= 0 {
		return nil
	}
	var last [1 << lzfHashBits]int32 // place + 1 where bytes of that hash were seen
	out := make([]byte, 1, len(in))  // the first byte of a run stands before it
	run := 0
	at := 0
	literal := func() {
		out = append(out, in[at])
		run, at = run+1, at+1
		if run == lzfLiteral {
			out[len(out)-run-1] = lzfLiteral - 1
			run, out = 0, append(out, 0)
		}
	}
	for at < len(in)-2 {
		slot := lzfSlot(in[at:])
		from := int(last[slot]) - 1
		last[slot] = int32(at + 1)
		if from < 1 || at-from > lzfDistance || in[from] != in[at] || in[from+1] != in[at+1] || in[from+2] != in[at+2] {
			if len(out)+1 >= room {
				return nil
			}
			literal()
			continue
		}
		if len(out)+4 >= room {
			return nil
		}
		if run > 0 {
			out[len(out)-run-1] = byte(run - 1)
		} else {
			out = out[:len(out)-1]
		}
		n := 3
		for most := min(len(in)-at-2, lzfLength); n < most && in[from+n] == in[at+n]; {
			n++
		}
		out = appendReference(out, n, at-from-1)
		run, out = 0, append(out, 0)
		at += n
		if at >= len(in)-2 {
			break
		}
		for i := at - 2; i < at; i++ { // what the match's end may be found by
			last[lzfSlot(in[i:])] = int32(i + 1)
		}
	}
	if len(out)+3 > room {
		return nil
	}
	for at < len(in) {
		literal()
	}
	if run > 0 {
		out[len(out)-run-1] = byte(run - 1)
		return out
	}
	return out[:len(out)-1]
}

func appendReference(out []byte, n, distance int) []byte {
	high := byte(distance >> 8)
	if n -= 2; n < 7 {
		out = append(out, high|byte(n)<<5)
	} else {
		out = append(out, high|7<<5, byte(n-7))
	}
	return append(out, byte(distance))
}

// decompress returns the size bytes that in is the packed form of, nil if it is not.
func decompress(in []byte, size int) []byte {
	out := make([]byte, 0, size)
	for len(in) > 0 {
		first := in[0]
		in = in[1:]
		if first < lzfLiteral {
			n := int(first) + 1
			if n > len(in) || len(out)+n > size {
				return nil
			}
			out, in = append(out, in[:n]...), in[n:]
			continue
		}
		n := int(first >> 5)
		if n == 7 && len(in) > 0 {
			n, in = n+int(in[0]), in[1:]
		}
		if len(in) == 0 {
			return nil
		}
		from := len(out) - (int(first&0x1f)<<8 | int(in[0])) - 1
		in = in[1:]
		if n += 2; from < 0 || len(out)+n > size {
			return nil
		}
		for i := range n { // it may overlap with itself
			out = append(out, out[from+i])
		}
	}
	if len(out) != size {
		return nil
	}
	return out
}
