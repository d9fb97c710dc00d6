//go:build linux

package logstore

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
)

// TestAppendsReadBack appends to a file of zeroes as the log does, with appends of all
// lengths, short and long by turns, and with other writes between; what the file then
// holds, through the system's cache and opened anew, is what was written.
func TestAppendsReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := osFiles{}.create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 8 << 20
	if err := zero(f, 0, size); err != nil {
		t.Fatal(err)
	}
	want := make([]byte, size)
	random := rand.New(rand.NewPCG(1, 2))
	end := segmentStart
	put := func(n int, write func([]byte, int64) error) {
		t.Helper()
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.Uint32()) | 1
		}
		if err := write(b, int64(end)); err != nil {
			t.Fatal(err)
		}
		copy(want[end:], b)
		from, to := end-directBlock, end+n+directBlock
		end += n
		got := make([]byte, to-from)
		if _, err := f.ReadAt(got, int64(from)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want[from:to]) {
			t.Fatalf("after %d bytes at %d the file has something else there", n, end-n)
		}
	}
	behindItsBack := func(b []byte, at int64) error {
		_, err := f.WriteAt(b, at)
		return err
	}
	for _, n := range []int{8, directBlock - 8, directBlock, directBlock + 8, 1, directBlock - 1, directMost, directMost + 8, 56} {
		put(n, f.append)
	}
	for range 200 {
		put(1+random.IntN(1<<(3+random.IntN(12))), f.append)
		if random.IntN(10) == 0 {
			put(1+random.IntN(100), behindItsBack)
		}
	}
	if reread, err := os.ReadFile(path); err != nil || !bytes.Equal(reread, want) {
		t.Errorf("opened anew the file has something else (%v)", err)
	}
	direct := &f.(*osFile).direct
	t.Logf("past the cache: %v", !direct.useless && direct.file != nil)
}

// TestAppendsWhereDirectWritesAreRefused appends where the file system takes no direct
// writes: they go through the cache, and the disk is waited for all the same.
func TestAppendsWhereDirectWritesAreRefused(t *testing.T) {
	f, err := osFiles{}.create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.(*osFile).direct.useless = true
	for i, s := range []string{"one", "two", "three"} {
		if err := f.append([]byte(s), int64(i*8)); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]byte, 21)
	if _, err := f.ReadAt(got, 0); err != nil || string(got) != "one\x00\x00\x00\x00\x00two\x00\x00\x00\x00\x00three" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestOnlyTheNewestSegmentKeepsABuffer: a long log has many full segments, which need
// neither a buffer nor a second open file; what is written to them is there all the same.
func TestOnlyTheNewestSegmentKeepsABuffer(t *testing.T) {
	o := smallSegments()
	s, _ := newSegments(t, o)
	const entries = 40
	for i := range uint64(entries) {
		logs := testEntries(i+1, i+1)
		logs[0].Data = bytes.Repeat([]byte{byte(i)}, 20<<10)
		check(t, s.StoreLogs(logs))
	}
	kept := 0
	for _, seg := range s.segs {
		if d := &seg.file.(*osFile).direct; d.buf != nil || d.file != nil {
			kept++
		}
	}
	if len(s.segs) < 5 || kept > 1 {
		t.Errorf("%d of %d segments keep what only appends need", kept, len(s.segs))
	}
	next := uint64(1)
	check(t, s.Each(0, func(l *raft.Log) error {
		if l.Index != next || !bytes.Equal(l.Data, bytes.Repeat([]byte{byte(next - 1)}, 20<<10)) {
			t.Errorf("entry %d in place of %d, or with other data", l.Index, next)
		}
		next++
		return nil
	}))
	if next != entries+1 {
		t.Errorf("%d entries are there", next-1)
	}
}
