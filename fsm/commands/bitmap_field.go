package commands

import (
	"github.com/raftkv/raftkv/fsm/bits"
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

var declBitField = Command{
	Command: spec.Command{
		Name: "BITFIELD",
		Syntax: "key [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value | INCRBY encoding offset increment> " +
			"[GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value | INCRBY encoding offset increment> ...]]",
		Group: spec.Bitmap, Flags: spec.DenyOOM,
		Keys: []spec.KeySpec{{
			Flags: spec.RW | spec.Access | spec.Update | spec.VariableFlags, Index: 1, Step: 1,
			Notes: "This command allows both access and modification of the key",
		}},
		BlockNames: [][2]string{{"wrap_or_sat_or_fail", "write"}},
		CallFlags:  bitFieldFlags,
		Since:      "3.2.0", Cost: "O(1) for each operation",
		Summary: "Reads, sets and adds to integers of any width that lie in a string.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		ops, err := parseFieldOps(args[2:])
		if err != nil {
			return err
		}
		return runFieldOps(t, args[1], ops, w)
	},
	Grows: func(v *keyspace.View, args Args) int64 {
		ops, err := parseFieldOps(args[2:])
		if err != nil {
			return 0 // it will fail
		}
		return growsTo(v, args[1], highestWrite(ops))
	},
}

var declBitFieldRO = Command{
	Command: spec.Command{
		Name: "BITFIELD_RO", Syntax: "key [GET encoding offset [GET encoding offset ...]]",
		Group: spec.Bitmap, Keys: spec.OneKey(spec.RO | spec.Access), Flags: spec.Fast,
		Since: "6.0.0", Cost: "O(1) for each operation",
		Summary: "Reads integers of any width that lie in a string.",
	},
	Read: cmdBitFieldRO,
}

func cmdBitFieldRO(v *keyspace.View, args Args, w *resp.Writer) error {
	ops, err := parseFieldOps(args[2:])
	if err != nil {
		return err
	}
	if highestWrite(ops) > 0 {
		return resp.ErrBitfieldRO
	}
	text, _, err := v.String(args[1])
	if err != nil {
		return err
	}
	w.Array(len(ops))
	for _, op := range ops {
		w.Int(op.get(text))
	}
	return nil
}

// bitFieldFlags is what one call of BITFIELD does with its key.
func bitFieldFlags(args [][]byte) spec.KeyFlags {
	for i := 2; i < len(args); {
		switch left := len(args) - 1 - i; {
		case is(args[i], "GET") && left >= 2:
			i += 3
		case (is(args[i], "SET") || is(args[i], "INCRBY")) && left >= 3:
			return spec.RW | spec.Access | spec.Update
		case is(args[i], "OVERFLOW") && left >= 1:
			i += 2
		default: // it will fail; Redis prepares for the worst
			return spec.RW | spec.Access | spec.Update
		}
	}
	return spec.RO | spec.Access
}

// fieldOp is one operation of BITFIELD.
type fieldOp struct {
	name     byte // 'G', 'S' or 'I'
	field    bits.Field
	offset   int64 // in bits
	value    int64 // of SET and INCRBY
	overflow bits.Overflow
}

// highestWrite is how long, in bytes, the string must be at least for what is written;
// 0 where nothing is.
func highestWrite(ops []fieldOp) (size int64) {
	for _, op := range ops {
		if op.name != 'G' {
			size = max(size, (op.offset+int64(op.field.Width)+7)/8)
		}
	}
	return size
}

func parseFieldOps(args Args) (ops []fieldOp, err error) {
	how := bits.Wrap
	for len(args) > 0 {
		op := fieldOp{overflow: how}
		words := 3 // the operation's name, and up to its value
		switch left := len(args) - 1; {
		case is(args[0], "GET") && left >= 2:
			op.name = 'G'
		case is(args[0], "SET") && left >= 3:
			op.name, words = 'S', 4
		case is(args[0], "INCRBY") && left >= 3:
			op.name, words = 'I', 4
		case is(args[0], "OVERFLOW") && left >= 1:
			if how, err = parseOverflow(args[1]); err != nil {
				return nil, err
			}
			args = args[2:]
			continue
		default:
			return nil, resp.ErrSyntax
		}
		if err := op.parse(args[1:words]); err != nil {
			return nil, err
		}
		ops, args = append(ops, op), args[words:]
	}
	return ops, nil
}

func parseOverflow(arg []byte) (bits.Overflow, error) {
	switch {
	case is(arg, "WRAP"):
		return bits.Wrap, nil
	case is(arg, "SAT"):
		return bits.Saturate, nil
	case is(arg, "FAIL"):
		return bits.Fail, nil
	}
	return 0, resp.ErrOverflowType
}

// parse reads an operation's encoding, offset and value.
func (op *fieldOp) parse(args Args) (err error) {
	if op.field, err = parseField(args[0]); err != nil {
		return err
	}
	if op.offset, err = parseBitOffset(args[1], op.field.Width); err != nil {
		return err
	}
	if len(args) > 2 {
		op.value, err = integer(args[2])
	}
	return err
}

// parseField reads an encoding, "i16" or "u8". Like Redis, which measures a C string
// here, it stops at a NUL.
func parseField(arg []byte) (f bits.Field, err error) {
	if len(arg) == 0 || arg[0] != 'i' && arg[0] != 'u' {
		return f, resp.ErrBitfieldType
	}
	f.Signed = arg[0] == 'i'
	most := int64(63)
	if f.Signed {
		most = 64
	}
	digits := arg[1:]
	for i, c := range digits {
		if c == 0 {
			digits = digits[:i]
			break
		}
	}
	width, ok := keyspace.ParseInt(digits)
	if !ok || width < 1 || width > most {
		return f, resp.ErrBitfieldType
	}
	f.Width = int(width)
	return f, nil
}

// window copies the bytes that an operation may touch; behind the string's end are
// zeros. n is how many of them the string has.
func (op *fieldOp) window(text keyspace.Text) (b [bits.Window]byte, n int) {
	at := int(op.offset / 8)
	for n < len(b) {
		piece := text.Piece(at + n)
		if len(piece) == 0 {
			break
		}
		n += copy(b[n:], piece)
	}
	return b, n
}

// get is the field's value in a text.
func (op *fieldOp) get(text keyspace.Text) int64 {
	b, _ := op.window(text)
	return op.field.Get(b[:], int(op.offset%8))
}

// runFieldOps runs operations in their order. The string is first made as long as the
// farthest write needs it, even if that one then fails for its overflow.
func runFieldOps(t *keyspace.Txn, key []byte, ops []fieldOp, w *resp.Writer) error {
	text, _, err := t.String(key)
	if err != nil {
		return err
	}
	if size := int(highestWrite(ops)); size > text.Len() {
		if _, err := t.WriteString(key, size-1, []byte{0}); err != nil {
			return err
		}
		text, _, _ = t.String(key)
	}
	w.Array(len(ops))
	for i, op := range ops {
		old := op.get(text)
		if op.name == 'G' {
			w.Int(old)
			continue
		}
		value, ok := op.field.Fit(op.value, op.overflow)
		reply := old
		if op.name == 'I' {
			value, ok = op.field.Add(old, op.value, op.overflow)
			reply = value
		}
		if !ok {
			w.Null()
			continue
		}
		w.Int(reply)
		if value != old {
			b, n := op.window(text)
			op.field.Put(b[:], int(op.offset%8), value)
			if _, err := t.WriteString(key, int(op.offset/8), b[:n]); err != nil {
				return err
			}
			if i < len(ops)-1 {
				text, _, _ = t.String(key)
			}
		}
	}
	return nil
}
