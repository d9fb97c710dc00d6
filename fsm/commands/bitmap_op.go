package commands

import (
	"github.com/raftkv/raftkv/fsm/bits"
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

var declBitOp = Command{
	Command: spec.Command{
		Name: "BITOP", Syntax: "operation destkey key [key ...]",
		Group: spec.Bitmap, Flags: spec.DenyOOM,
		Keys:  []spec.KeySpec{spec.KeyAt(2, spec.OW|spec.Update), {Flags: spec.RO | spec.Access, Index: 3, Last: -1, Step: 1}},
		Since: "2.6.0", Cost: "O(N) with N the length of all strings together",
		Summary: "Stores the AND, OR or XOR of strings, or the NOT of one, bit by bit.",
	},
	Write: cmdBitOp,
	Grows: func(v *keyspace.View, args Args) int64 {
		longest := 0
		for _, key := range args[3:] {
			if e, ok := v.Peek(key); ok {
				text, _ := e.Text()
				longest = max(longest, text.Len())
			}
		}
		return stringCost(int64(longest))
	},
}

func cmdBitOp(t *keyspace.Txn, args Args, w *resp.Writer) error {
	op, err := parseBitOp(args)
	if err != nil {
		return err
	}
	texts := make([]keyspace.Text, len(args)-3)
	longest := 0
	for i, key := range args[3:] {
		if texts[i], _, err = t.String(key); err != nil {
			return err
		}
		longest = max(longest, texts[i].Len())
	}
	if longest == 0 {
		t.Delete(args[2])
	} else {
		t.SetLong(args[2], combine(op, texts, longest))
	}
	w.Int(int64(longest))
	return nil
}

func parseBitOp(args Args) (bits.Op, error) {
	for op, word := range []string{bits.And: "AND", bits.Or: "OR", bits.Xor: "XOR", bits.Not: "NOT"} {
		switch {
		case !is(args[1], word):
		case bits.Op(op) == bits.Not && len(args) != 4:
			return 0, resp.ErrBitOpNot
		default:
			return bits.Op(op), nil
		}
	}
	return 0, resp.ErrSyntax
}

// combine puts texts together piece by piece; those that are shorter than size go on
// with zeros.
func combine(op bits.Op, texts []keyspace.Text, size int) *keyspace.LongString {
	const most = 64 << 10
	result := keyspace.NewLongString(size)
	sum, next := make([]byte, min(size, most)), make([]byte, min(size, most))
	for at := 0; at < size; at += most {
		sum = sum[:min(most, size-at)]
		next = next[:len(sum)]
		copyPiece(sum, texts[0], at)
		if op == bits.Not {
			bits.Combine(op, sum, sum)
		}
		for _, text := range texts[1:] {
			copyPiece(next, text, at)
			bits.Combine(op, sum, next)
		}
		result.Append(sum)
	}
	return result
}

// copyPiece fills dst with what a text has from index at on, then with zeros.
func copyPiece(dst []byte, text keyspace.Text, at int) {
	n := 0
	for piece := text.Piece(at); n < len(dst) && len(piece) > 0; piece = text.Piece(at + n) {
		n += copy(dst[n:], piece)
	}
	clear(dst[n:])
}
