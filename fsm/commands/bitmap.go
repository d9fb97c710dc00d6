package commands

import (
	"github.com/raftkv/raftkv/fsm/bits"
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

func bitmapCommands() []Command {
	return []Command{
		// bitmap.go
		declBitCount, declBitPos, declGetBit, declSetBit,
		// bitmap_op.go
		declBitOp,
		// bitmap_field.go
		declBitField, declBitFieldRO,
	}
}

var declBitCount = Command{
	Command: spec.Command{
		Name: "BITCOUNT", Syntax: "key [start end [BYTE | BIT]]",
		Group: spec.Bitmap, Keys: spec.OneKey(spec.RO | spec.Access),
		BlockNames: [][2]string{{"start_end_byte_or_bit", "index"}},
		Since:      "2.6.0", Cost: "O(N) with N the length of the string, or of the part that is looked at",
		Summary: "Counts the bits of a string, or of a part of it, that are set.",
	},
	Read: cmdBitCount,
}

func cmdBitCount(v *keyspace.View, args Args, w *resp.Writer) error {
	text, ok, err := v.String(args[1])
	if err != nil {
		return err
	}
	if !ok { // as in Redis, whatever stands behind the key
		w.Int(0)
		return nil
	}
	r := bitRange{end: int64(text.Len()) * 8}
	switch len(args) {
	case 2:
	case 4, 5:
		if r, err = parseBitRange(args[2:], text.Len(), true); err != nil {
			return err
		}
	default:
		return resp.ErrSyntax
	}
	w.Int(countBits(text, r))
	return nil
}

var declBitPos = Command{
	Command: spec.Command{
		Name: "BITPOS", Syntax: "key bit [start [end [BYTE | BIT]]]",
		Group: spec.Bitmap, Keys: spec.OneKey(spec.RO | spec.Access),
		BlockNames: [][2]string{{"start_end_byte_or_bit", "index"}, {"end_byte_or_bit", "end_index"}},
		Since:      "2.8.7", Cost: "O(N) with N the length of the string, or of the part that is looked at",
		Summary: "Finds the first bit of a string that is set, or that is not.",
	},
	Read: cmdBitPos,
}

func cmdBitPos(v *keyspace.View, args Args, w *resp.Writer) error {
	bit, err := integer(args[2])
	if err != nil {
		return err
	}
	if bit != 0 && bit != 1 {
		return resp.ErrBitArgument
	}
	text, ok, err := v.String(args[1])
	switch {
	case err != nil:
		return err
	case !ok: // an endless row of zeros, whatever stands behind the bit
		w.Int(-bit)
		return nil
	case len(args) > 6:
		return resp.ErrSyntax
	}
	r := bitRange{end: int64(text.Len()) * 8}
	if len(args) > 3 {
		if r, err = parseBitPosRange(args[3:], text.Len()); err != nil {
			return err
		}
	}
	at := findBit(text, r, bit == 1)
	if at < 0 && bit == 0 && len(args) < 5 && r.start < r.end {
		at = r.end // the string goes on with zeros where no end was given
	}
	w.Int(at)
	return nil
}

// parseBitPosRange reads BITPOS's start, end and unit, in Redis's order.
func parseBitPosRange(args Args, size int) (bitRange, error) {
	switch len(args) {
	case 1:
		args = Args{args[0], []byte("-1")}
	case 3:
		if _, err := integer(args[0]); err != nil {
			return bitRange{}, err
		}
		if _, err := unitIsBit(args[2]); err != nil {
			return bitRange{}, err
		}
	}
	return parseBitRange(args, size, false)
}

var declGetBit = Command{
	Command: spec.Command{
		Name: "GETBIT", Syntax: "key offset",
		Group: spec.Bitmap, Keys: spec.OneKey(spec.RO | spec.Access), Flags: spec.Fast,
		Since: "2.2.0", Cost: "O(1)",
		Summary: "Returns the bit at an offset in a string.",
	},
	Read: cmdGetBit,
}

func cmdGetBit(v *keyspace.View, args Args, w *resp.Writer) error {
	offset, err := parseBitOffset(args[2], 0)
	if err != nil {
		return err
	}
	text, _, err := v.String(args[1])
	if err != nil {
		return err
	}
	one(w, bitAt(text, offset))
	return nil
}

var declSetBit = Command{
	Command: spec.Command{
		Name: "SETBIT", Syntax: "key offset value",
		Group: spec.Bitmap, Keys: spec.OneKey(spec.RW | spec.Access | spec.Update), Flags: spec.DenyOOM,
		Since: "2.2.0", Cost: "O(1), and O(N) for the zeros that fill a gap before the offset",
		Summary: "Sets or clears the bit at an offset in a string, and returns the one that was there.",
	},
	Write: cmdSetBit,
	Grows: func(v *keyspace.View, args Args) int64 {
		offset, err := parseBitOffset(args[2], 0)
		if err != nil {
			return 0 // it will fail
		}
		return growsTo(v, args[1], offset/8+1)
	},
}

func cmdSetBit(t *keyspace.Txn, args Args, w *resp.Writer) error {
	offset, err := parseBitOffset(args[2], 0)
	if err != nil {
		return err
	}
	on, ok := keyspace.ParseInt(args[3])
	if !ok || on != 0 && on != 1 {
		return resp.ErrBitValue
	}
	text, _, err := t.String(args[1])
	if err != nil {
		return err
	}
	at := int(offset / 8)
	old := bitAt(text, offset)
	if at >= text.Len() || old != (on == 1) { // else nothing changes, not even the version
		var b [1]byte
		copy(b[:], text.Piece(at))
		bits.Field{Width: 1}.Put(b[:], int(offset%8), on)
		if _, err := t.WriteString(args[1], at, b[:]); err != nil {
			return err
		}
	}
	one(w, old)
	return nil
}

// parseBitOffset reads a bit's place in a string. Where width is above 0, "#" before
// the number makes it count in steps of so many bits.
func parseBitOffset(arg []byte, width int) (int64, error) {
	steps := int64(1)
	if width > 0 && len(arg) > 0 && arg[0] == '#' {
		steps, arg = int64(width), arg[1:]
	}
	n, ok := keyspace.ParseInt(arg)
	if !ok || n < 0 || n >= keyspace.MaxString*8/steps+1 || n*steps >= keyspace.MaxString*8 {
		return 0, resp.ErrBitOffset
	}
	return n * steps, nil
}

func bitAt(text keyspace.Text, offset int64) bool {
	at := int(offset / 8)
	return at < text.Len() && text.Piece(at)[0]>>(7-offset%8)&1 == 1
}

// bitRange are the bits of a string from start up to, not including, end; none where
// start is not below end.
type bitRange struct{ start, end int64 }

// parseBitRange reads "start end [BYTE | BIT]", of a string of size bytes. Negative
// indexes count from its end. Where both do, and the second lies before the first, the
// range is empty if strict is set, even where both would end up at 0 (and the unit then
// may be anything).
func parseBitRange(args Args, size int, strict bool) (r bitRange, err error) {
	start, err := integer(args[0])
	if err != nil {
		return r, err
	}
	end, err := integer(args[1])
	if err != nil {
		return r, err
	}
	if strict && start < 0 && end < 0 && start > end {
		return r, nil
	}
	total, unit := int64(size), int64(8)
	if len(args) == 3 {
		bit, err := unitIsBit(args[2])
		if err != nil {
			return r, err
		}
		if bit {
			total, unit = total*8, 1
		}
	}
	if start < 0 {
		start = max(0, total+start)
	}
	if end < 0 {
		end = max(0, total+end)
	}
	end = min(end, total-1)
	if start > end {
		return r, nil
	}
	return bitRange{start * unit, (end + 1) * unit}, nil
}

func unitIsBit(arg []byte) (bool, error) {
	switch {
	case is(arg, "BIT"):
		return true, nil
	case is(arg, "BYTE"):
		return false, nil
	}
	return false, resp.ErrSyntax
}

// eachPiece calls fn with the bytes of a range, in pieces, until it returns false: in
// the first and the last byte the bits outside of the range have the value other. at is
// the index of the piece's first bit.
func eachPiece(text keyspace.Text, r bitRange, other bool, fn func(at int64, piece []byte) bool) {
	fill := byte(0)
	if other {
		fill = 0xff
	}
	edge := func(at int64) []byte { // a byte that lies only partly in the range
		var in byte = 0xff
		if at < r.start {
			in >>= r.start - at
		}
		if at+8 > r.end {
			in &= 0xff << (at + 8 - r.end)
		}
		return []byte{text.Piece(int(at / 8))[0]&in | fill&^in}
	}
	at := r.start &^ 7
	if at < r.end && (at < r.start || at+8 > r.end) {
		if !fn(at, edge(at)) {
			return
		}
		at += 8
	}
	for whole := r.end &^ 7; at < whole; {
		piece := text.Piece(int(at / 8))
		piece = piece[:min(int64(len(piece)), (whole-at)/8)]
		if !fn(at, piece) {
			return
		}
		at += int64(len(piece)) * 8
	}
	if at < r.end {
		fn(at, edge(at))
	}
}

func countBits(text keyspace.Text, r bitRange) (n int64) {
	eachPiece(text, r, false, func(_ int64, piece []byte) bool {
		n += int64(bits.Count(piece))
		return true
	})
	return n
}

// findBit returns the index of the first bit of a range that is set, or is not; -1 if
// there is none.
func findBit(text keyspace.Text, r bitRange, set bool) int64 {
	found := int64(-1)
	eachPiece(text, r, !set, func(at int64, piece []byte) bool {
		if i := bits.Find(piece, set); i >= 0 {
			found = at + int64(i)
		}
		return found < 0
	})
	return found
}
