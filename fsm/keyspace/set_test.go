package keyspace

import (
	"bytes"
	"strconv"
	"testing"
)

// The forms of a set have the names that Redis 7.0 knows, and a copy is one of its own.
func TestSetValue(t *testing.T) {
	tx := New([16]byte{1}).Txn(0, 1, 1)
	tx.Set([]byte("s"), tx.NewSet(), 0)
	add := func(key string, members ...string) {
		t.Helper()
		s, ok, err := Edit[SetValue](tx, []byte(key))
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		for _, m := range members {
			s.Add([]byte(m), tx.Limits().Set)
		}
		tx.Changed([]byte(key))
	}
	add("s", "1", "2")
	if e, _ := tx.Get([]byte("s")); e.Encoding() != "intset" || e.Type() != Set {
		t.Errorf("%v, %s", e.Type(), e.Encoding())
	}
	tx.CopyTo(0, []byte("s"), []byte("copy"))
	add("s", "x")
	for i := range 200 {
		add("s", strconv.Itoa(i))
	}
	e, _ := tx.Get([]byte("s"))
	if s := e.Value().(SetValue); e.Encoding() != "hashtable" || s.Len() != 201 {
		t.Errorf("%s, %d members", e.Encoding(), s.Len())
	}
	tx.CopyTo(0, []byte("s"), []byte("large"))
	add("s", "y")
	for key, want := range map[string]int{"copy": 2, "large": 201, "s": 202} {
		if e, _ := tx.Get([]byte(key)); e.Value().(SetValue).Len() != want {
			t.Errorf("%s has %d members, want %d", key, e.Value().(SetValue).Len(), want)
		}
	}
}

// A text is its pieces, whatever its length, and a string that was put together in
// pieces is one like any other.
func TestPieces(t *testing.T) {
	for _, size := range []int{0, 1, InlineMax, InlineMax + 1, chunkSize, chunkSize + 1, 3*chunkSize - 1} {
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(i * 7)
		}
		long := NewLongString(size)
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 50_000)
			long.Append(rest[:n])
			rest = rest[n:]
		}
		tx := New([16]byte{1}).Txn(0, 1, 1)
		tx.SetString([]byte("k"), []byte("old"), 1000)
		tx.SetLong([]byte("k"), long)
		text, ok, err := tx.String([]byte("k"))
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		for _, from := range []int{0, size / 3, size} {
			var got []byte
			for at := from; ; {
				piece := text.Piece(at)
				if len(piece) == 0 {
					break
				}
				got = append(got, piece...)
				at += len(piece)
			}
			if !bytes.Equal(got, want[from:]) {
				t.Errorf("the pieces of %d bytes from %d on are %d others", size, from, len(got))
			}
		}
		if e, _ := tx.Get([]byte("k")); e.ExpireAt() != 0 || e.Value() == nil != (size <= InlineMax) {
			t.Errorf("%d bytes: it expires at %d, and lies in its entry: %v", size, e.ExpireAt(), e.Value() == nil)
		}
	}
}
