package fsm

import (
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
)

// TestHugeString lets a string grow to the limit, 512 MB, by small commands, and
// takes it through a snapshot. None of the commands may copy all of it, right after
// a snapshot included.
func TestHugeString(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	const most = keyspace.MaxString
	last := strconv.Itoa(most - 10)
	r := newRig(t)
	r.want("first", r.do("SETRANGE k "+last+" 01234567"), ":"+strconv.Itoa(most-2))
	for _, tt := range []struct{ line, want string }{
		{"APPEND k 8", ":" + strconv.Itoa(most-1)},
		{"SETRANGE k 5 five", ":" + strconv.Itoa(most-1)},
		{"APPEND k 9", ":" + strconv.Itoa(most)},
		{"APPEND k x", "-" + string(resp.ErrStringTooLong)},
		{"APPEND k \"\"", ":" + strconv.Itoa(most)},
		{"SETRANGE k " + strconv.Itoa(most) + " x", "-" + string(resp.ErrStringTooLong)},
		{"SETRANGE k " + strconv.Itoa(most-1) + " xy", "-" + string(resp.ErrStringTooLong)},
		{"SETRANGE k 9223372036854775807 x", "-" + string(resp.ErrStringTooLong)},
		{"SETRANGE k 300000000 middle", ":" + strconv.Itoa(most)},
		{"SETRANGE k " + last + " 0123", ":" + strconv.Itoa(most)},
		{"STRLEN k", ":" + strconv.Itoa(most)},
		{"GETRANGE k -10 -1", "$10 0123456789"},
		{"GETRANGE k 299999999 300000006", "$8 \x00middle\x00"},
		{"OBJECT ENCODING k", "$3 raw"},
		{"INCR k", "-" + string(resp.ErrNotInteger)},
		{"EXPIRE k 1000", ":1"},
	} {
		r.m.Snapshot() // whatever it shares must be copied in parts
		before := allocated()
		r.want(tt.line, r.do(tt.line), tt.want)
		if got := allocated() - before; got > 4<<20 {
			t.Errorf("%s allocated %d bytes", tt.line, got)
		}
	}
	checkSameAfterRestore(t, r.m)
	w := resp.NewWriter(2, nil)
	if err := r.m.Read(&entry.Proposal{Commands: writes("GET k")}, r.now, w); err != nil {
		t.Fatal(err)
	}
	if got := string(w.Bytes()); len(got) != most+14 || !strings.HasPrefix(got, "$536870912\r\n\x00\x00\x00\x00\x00five") || !strings.HasSuffix(got, "0123456789\r\n") {
		t.Errorf("GET answered %d bytes", len(got))
	}
}

// checkSameAfterRestore streams a snapshot into another Machine, and compares.
func checkSameAfterRestore(t *testing.T, m *Machine) {
	t.Helper()
	read, write := io.Pipe()
	go func() {
		_, err := m.Snapshot().WriteTo(write)
		write.CloseWithError(err)
	}()
	restored := New()
	before := allocated()
	if err := restored.Restore(read); err != nil {
		t.Fatal(err)
	}
	if got := allocated() - before; got > keyspace.MaxString*5/4 {
		t.Errorf("writing and restoring allocated %d bytes", got)
	}
	if restored.Digest() != m.Digest() {
		t.Error("the restored Machine differs")
	}
	if a, b := m.Stats().Bytes, restored.Stats().Bytes; a != b {
		t.Errorf("%d bytes used before a restore, %d after", a, b)
	}
}

// allocated is how many bytes were allocated so far.
func allocated() uint64 {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.TotalAlloc
}

// TestHugeList changes a list of a million elements, and one of half a gigabyte among
// them, right after snapshots: none of the commands may copy all of it, nor the long one.
func TestHugeList(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	const long = 300_000_000
	r := newRig(t)
	hundred := strings.Repeat(" element", 100)
	for range 10_000 {
		r.do("RPUSH l" + hundred)
	}
	r.do("SETRANGE w1 " + strconv.Itoa(long-1) + " x")
	r.do("RPUSH one 1")
	r.want("a long element", r.do("SORT one GET w* STORE one"), ":1")
	r.want("its key goes", r.do("DEL w1"), ":1")
	r.want("beside the others", r.do("RPUSH one a b c"), ":4")
	for _, tt := range []struct{ line, want string }{
		{"RPUSH l last", ":1000001"},
		{"LPUSH l first", ":1000002"},
		{"LINDEX l 500000", "$7 element"},
		{"LSET l 500000 middle", "+OK"},
		{"LINSERT l AFTER middle next", ":1000003"},
		{"LREM l -1 next", ":1"},
		{"LPOS l middle", ":500000"},
		{"LRANGE l 499999 500001", "*3 $7 element $6 middle $7 element"},
		{"LPOP l", "$5 first"},
		{"RPOP l", "$4 last"},
		{"LTRIM l 10 -11", "+OK"},
		{"RENAME l m", "+OK"},
		{"COPY m l", ":1"},
		{"RPOPLPUSH m m", "$7 element"},
		{"LTRIM m 499000 499999", "+OK"},
		{"LPUSH one z", ":5"},
		{"LSET one 2 A", "+OK"},
		{"LREM one 0 b", ":1"},
		{"COPY one two", ":1"},
		{"RPUSH two z", ":5"},
		{"DEL l one", ":2"},
	} {
		r.m.Snapshot() // whatever it shares must be copied in parts
		before := allocated()
		r.want(tt.line, r.do(tt.line), tt.want)
		if got := allocated() - before; got > 1<<20 {
			t.Errorf("%s allocated %d bytes", tt.line, got)
		}
	}
	checkSameAfterRestore(t, r.m)
}
