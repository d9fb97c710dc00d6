package logstore

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

const uuid = "3b0a6c0e-5f2d-4c77-9a11-8f4be2d0c001"

func newLog(t *testing.T) (*Log, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "raft.log")
	l, err := CreateLog(path, uuid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, path
}

func reopenLog(t *testing.T, l *Log, path string) *Log {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := OpenLog(path, uuid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func testEntry(index uint64) *raft.Log {
	e := &raft.Log{Index: index, Term: 1 + index/10, Type: raft.LogType(index % 6), Data: fmt.Appendf(nil, "entry %d", index)}
	if index%3 == 0 {
		e.Extensions = []byte("extension")
	}
	return e
}

func testEntries(from, to uint64) (logs []*raft.Log) {
	for i := from; i <= to; i++ {
		logs = append(logs, testEntry(i))
	}
	return logs
}

func store(t *testing.T, l *Log, from, to uint64) {
	t.Helper()
	if err := l.StoreLogs(testEntries(from, to)); err != nil {
		t.Fatal(err)
	}
}

func checkEntries(t *testing.T, l *Log, from, to uint64) {
	t.Helper()
	for i := from; i <= to; i++ {
		var got raft.Log
		if err := l.GetLog(i, &got); err != nil {
			t.Fatalf("GetLog(%d): %v", i, err)
		}
		if want := *testEntry(i); !reflect.DeepEqual(got, want) {
			t.Fatalf("GetLog(%d) = %+v, want %+v", i, got, want)
		}
	}
}

func checkBounds(t *testing.T, l *Log, wantFirst, wantLast uint64) {
	t.Helper()
	first, err := l.FirstIndex()
	if err != nil || first != wantFirst {
		t.Errorf("FirstIndex = %d, %v, want %d", first, err, wantFirst)
	}
	last, err := l.LastIndex()
	if err != nil || last != wantLast {
		t.Errorf("LastIndex = %d, %v, want %d", last, err, wantLast)
	}
}

func TestLogKeepsEntries(t *testing.T) {
	l, path := newLog(t)
	checkBounds(t, l, 0, 0)
	store(t, l, 1, 100)
	checkEntries(t, l, 1, 100)
	l = reopenLog(t, l, path)
	checkBounds(t, l, 1, 100)
	checkEntries(t, l, 1, 100)
	if err := l.GetLog(101, &raft.Log{}); err != raft.ErrLogNotFound {
		t.Errorf("GetLog past the end: %v, want raft.ErrLogNotFound itself", err)
	}
	if err := l.Verify(0); err != nil {
		t.Errorf("Verify: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
}

func TestStoreLogsLeavesTheCallersEntriesAlone(t *testing.T) {
	l, _ := newLog(t)
	e := testEntry(3)
	if err := l.StoreLog(e); err != nil {
		t.Fatal(err)
	}
	if want := testEntry(3); !reflect.DeepEqual(e, want) {
		t.Errorf("entry after StoreLog: %+v, want %+v", e, want)
	}
}

// A tail is replaced by another leader's; a head goes after a snapshot. Both
// may be long, and nothing of the range may stay.
func TestDeleteRange(t *testing.T) {
	for _, c := range []struct{ min, max, first, last uint64 }{
		{1, 1, 2, 9000}, {1, 8000, 8001, 9000}, {1, 9000, 0, 0}, {9000, 9000, 1, 8999}, {50, 9000, 1, 49}, {8990, 20000, 1, 8989},
	} {
		t.Run(fmt.Sprintf("%d-%d", c.min, c.max), func(t *testing.T) {
			l, path := newLog(t)
			for i := uint64(1); i < 9000; i += 1000 {
				store(t, l, i, i+999)
			}
			if err := l.DeleteRange(c.min, c.max); err != nil {
				t.Fatal(err)
			}
			for pass := range 2 {
				checkBounds(t, l, c.first, c.last)
				for i := c.min; i <= min(c.max, 9000); i++ {
					if err := l.GetLog(i, &raft.Log{}); err != raft.ErrLogNotFound {
						t.Fatalf("pass %d: GetLog(%d) = %v, want not found", pass, i, err)
					}
				}
				if c.last > 0 {
					checkEntries(t, l, c.first, c.last)
				}
				l = reopenLog(t, l, path)
			}
		})
	}
}

// A replaced tail is never read back in its old form, not from the cache either.
func TestReplacedTail(t *testing.T) {
	l, _ := newLog(t)
	store(t, l, 1, 20)
	if err := l.DeleteRange(11, 20); err != nil {
		t.Fatal(err)
	}
	other := &raft.Log{Index: 11, Term: 99, Data: []byte("another leader's")}
	if err := l.StoreLog(other); err != nil {
		t.Fatal(err)
	}
	var got raft.Log
	if err := l.GetLog(11, &got); err != nil || got.Term != 99 {
		t.Errorf("GetLog(11) = %+v, %v, want term 99", got, err)
	}
	checkEntries(t, l, 1, 10)
	if err := l.GetLog(12, &got); err != raft.ErrLogNotFound {
		t.Errorf("GetLog(12) = %v, want not found", err)
	}
}

// After an installed snapshot the log goes on behind a gap.
func TestGapAfterSnapshot(t *testing.T) {
	l, path := newLog(t)
	store(t, l, 1, 10)
	store(t, l, 101, 110)
	checkEntries(t, l, 1, 10)
	checkEntries(t, l, 101, 110)
	l = reopenLog(t, l, path)
	if err := l.Verify(100); err != nil {
		t.Errorf("Verify(100): %v", err)
	}
	var missing *EntryError
	if err := l.Verify(50); !errors.As(err, &missing) || missing.Index != 51 {
		t.Errorf("Verify(50) = %v, want an error about entry 51", err)
	}
	if err := l.DeleteRange(1, 10); err != nil {
		t.Fatal(err)
	}
	if err := l.Verify(40); !errors.Is(err, ErrDamaged) {
		t.Errorf("Verify of a log that begins too late: %v, want ErrDamaged", err)
	}
}

func TestCacheBounds(t *testing.T) {
	c := newCache()
	big := make([]byte, cacheBytes/4)
	for i := uint64(1); i <= 10; i++ {
		c.add([]*raft.Log{{Index: i, Data: big}})
	}
	if c.bytes > cacheBytes || c.next-c.first != 4 {
		t.Errorf("%d bytes in %d entries, want at most %d in 4", c.bytes, c.next-c.first, cacheBytes)
	}
	huge := make([]byte, 1, cacheBytes+1)
	c.add([]*raft.Log{{Index: 11, Data: huge}})
	if c.first != 11 || c.next != 12 || !c.get(11, new(raft.Log)) {
		t.Errorf("beside a huge entry [%d, %d) are kept, want that one only", c.first, c.next)
	}
	c.add([]*raft.Log{{Index: 12}})
	if c.bytes != 0 || c.first != 12 {
		t.Errorf("an entry above the limit stays: %d bytes from entry %d on", c.bytes, c.first)
	}
	for i := uint64(13); i < 13+3*cacheEntries; i++ {
		c.add([]*raft.Log{{Index: i}})
	}
	if n := c.next - c.first; n != cacheEntries {
		t.Errorf("%d entries, want %d", n, cacheEntries)
	}
}

// The cache against a plain model, by random operations.
func TestCacheAgreesWithModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	c, model, next := newCache(), map[uint64]uint64{}, uint64(1)
	for step := range 20000 {
		switch rnd.IntN(4) {
		case 0, 1:
			e := &raft.Log{Index: next, Term: uint64(step), Data: make([]byte, rnd.IntN(8))}
			c.add([]*raft.Log{e})
			model[next], next = uint64(step), next+1
		case 2: // a new tail
			min := next - min(next-1, uint64(rnd.IntN(5)))
			c.remove(min, next-1)
			next = min
		case 3:
			if next > 50 {
				c.remove(1, next-50)
			}
		}
		probe := uint64(rnd.IntN(60)) + next - min(next, 50)
		var got raft.Log
		if c.get(probe, &got) && (probe >= next || got.Index != probe || got.Term != model[probe]) {
			t.Fatalf("step %d: get(%d) = %+v, want term %d below %d", step, probe, got, model[probe], next)
		}
	}
}

// editEntry changes the stored bytes of one entry behind the log's back.
func editEntry(t *testing.T, path string, index uint64, edit func([]byte)) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		key := binary.BigEndian.AppendUint64(nil, index)
		val := bytes.Clone(tx.Bucket([]byte("logs")).Get(key))
		edit(val)
		return tx.Bucket([]byte("logs")).Put(key, val)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever bit flips in a stored entry: it is found, or it changed nothing that
// raft is given. (AppendedAt, for raft's metrics only, is not covered.)
func TestEveryBitFlipIsFound(t *testing.T) {
	l, path := newLog(t)
	store(t, l, 1, 3)
	l.Close()
	var size int
	editEntry(t, path, 3, func(val []byte) { size = len(val) })
	want := testEntry(3)
	want.AppendedAt = time.Time{}
	found := 0
	for bit := range size * 8 {
		flip := func(val []byte) { val[bit/8] ^= 1 << (bit % 8) }
		editEntry(t, path, 3, flip)
		l, err := OpenLog(path, uuid)
		if err != nil {
			t.Fatal(err)
		}
		var got raft.Log
		err = l.GetLog(3, &got)
		got.AppendedAt = time.Time{}
		var entryErr *EntryError
		switch {
		case err == nil && !reflect.DeepEqual(&got, want):
			t.Errorf("bit %d: GetLog = %+v, want an error or %+v", bit, got, want)
		case err != nil && (!errors.As(err, &entryErr) || entryErr.Index != 3 || !errors.Is(err, ErrDamaged)):
			t.Errorf("bit %d: %v, want an *EntryError of entry 3", bit, err)
		case err != nil:
			found++
		}
		l.Close()
		editEntry(t, path, 3, flip)
	}
	if found < size*4 {
		t.Errorf("only %d of %d flips found", found, size*8)
	}
}

// checkOneLine tests what a person sees: one line, with the path.
func checkOneLine(t *testing.T, err error, path string) {
	t.Helper()
	if err == nil {
		return
	}
	if msg := err.Error(); strings.Contains(msg, "\n") || !strings.HasPrefix(msg, path+": ") || len(msg) > 500 {
		t.Errorf("error is not one line that begins with the path: %q", msg)
	}
}

func TestUnusableFiles(t *testing.T) {
	pageSize := int64(os.Getpagesize())
	zeroPage := func(n int64) func(*testing.T, string) {
		return func(t *testing.T, path string) { overwrite(t, path, n*pageSize, make([]byte, pageSize)) }
	}
	cases := []struct {
		name   string
		damage func(*testing.T, string)
		want   error
	}{
		{"missing", func(t *testing.T, p string) { check(t, os.Remove(p)) }, ErrMissing},
		{"empty", func(t *testing.T, p string) { check(t, os.Truncate(p, 0)) }, ErrDamaged},
		{"one byte", func(t *testing.T, p string) { check(t, os.Truncate(p, 1)) }, ErrDamaged},
		{"one page", func(t *testing.T, p string) { check(t, os.Truncate(p, pageSize)) }, ErrDamaged},
		{"two pages", func(t *testing.T, p string) { check(t, os.Truncate(p, 2*pageSize)) }, ErrDamaged},
		{"seven pages", func(t *testing.T, p string) { check(t, os.Truncate(p, 7*pageSize)) }, ErrDamaged},
		{"meta page 0 zeroed", zeroPage(0), ErrDamaged},
		{"meta page 1 zeroed", zeroPage(1), ErrDamaged},
		{"text", func(t *testing.T, p string) {
			check(t, os.WriteFile(p, bytes.Repeat([]byte("hello world\n"), 10000), 0o600))
		}, ErrDamaged},
		{"directory", func(t *testing.T, p string) { check(t, os.Remove(p)); check(t, os.Mkdir(p, 0o700)) }, ErrForeign},
		{"another program's bbolt file", func(t *testing.T, p string) {
			check(t, os.Remove(p))
			db, err := bbolt.Open(p, 0o600, nil)
			check(t, err)
			check(t, db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("theirs")); return err }))
			check(t, db.Close())
		}, ErrForeign},
		{"another cluster's", func(t *testing.T, p string) {
			check(t, os.Remove(p))
			l, err := CreateLog(p, "another-uuid")
			check(t, err)
			check(t, l.Close())
		}, ErrForeign},
		{"a vote file", func(t *testing.T, p string) {
			check(t, os.Remove(p))
			v, err := CreateVote(p, uuid)
			check(t, err)
			check(t, v.Close())
		}, ErrForeign},
		{"logs bucket gone", func(t *testing.T, p string) {
			db, err := bbolt.Open(p, 0o600, nil)
			check(t, err)
			check(t, db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("logs")) }))
			check(t, db.Close())
		}, ErrDamaged},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l, path := newLog(t)
			for i := uint64(1); i < 1000; i += 100 {
				store(t, l, i, i+99)
			}
			check(t, l.Close())
			c.damage(t, path)
			before := content(path)
			l, err := OpenLog(path, uuid)
			if !errors.Is(err, c.want) {
				t.Errorf("OpenLog = %v, want %v", err, c.want)
			}
			if err == nil {
				l.Close()
			}
			checkOneLine(t, err, path)
			if !bytes.Equal(before, content(path)) {
				t.Error("the file was changed")
			}
			if c.want == ErrMissing {
				return
			}
			if l, err := CreateLog(path, uuid); err == nil && c.name != "another cluster's" {
				l.Close()
				t.Error("CreateLog replaced it")
			}
		})
	}
}

// Any page of zeroes and any flipped bit of a page: an error, or the right
// entries, or an entry that is known to be missing or damaged; never a panic,
// and never a shorter log that looks whole.
func TestDamagedPages(t *testing.T) {
	l, path := newLog(t)
	for i := uint64(1); i <= 300; i += 10 {
		store(t, l, i, i+9)
	}
	check(t, l.Close())
	good := content(path)
	meta, err := readMetas(bytes.NewReader(good), int64(len(good)))
	check(t, err)
	pageSize := int(meta.pageSize)
	good = good[:int(meta.pages)*pageSize] // without what bbolt reserved
	try := func(what string, bad []byte) {
		check(t, os.WriteFile(path, bad, 0o600))
		l, err := OpenLog(path, uuid)
		checkOneLine(t, err, path)
		if err != nil {
			return
		}
		defer l.Close()
		if err := l.Verify(0); err != nil {
			checkOneLine(t, err, path)
			return
		}
		if last, _ := l.LastIndex(); last != 300 {
			t.Errorf("%s: the log ends at %d, without an error", what, last)
		}
	}
	for at := 0; at < len(good); at += pageSize {
		bad := bytes.Clone(good)
		clear(bad[at:min(at+pageSize, len(bad))])
		try(fmt.Sprintf("page %d zeroed", at/pageSize), bad)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	var bits []int
	for at := 0; at < len(good); at += pageSize { // the heads, which have no checksum
		for bit := range 8 * (pageHeader + elementSize) {
			bits = append(bits, at*8+bit)
		}
	}
	for range 400 {
		bits = append(bits, rnd.IntN(len(good)*8))
	}
	for _, bit := range bits {
		bad := bytes.Clone(good)
		bad[bit/8] ^= 1 << (bit % 8)
		try(fmt.Sprintf("bit %d", bit), bad)
	}
}

func TestCreateLogAfterACrash(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "raft.log")
	check(t, os.WriteFile(path+tmpSuffix, []byte("half written"), 0o600))
	l, err := CreateLog(path, "first")
	check(t, err)
	check(t, l.Close())
	l, err = CreateLog(path, uuid) // no entry yet: the crash came before the node's own step
	if err != nil {
		t.Fatalf("CreateLog over an empty log: %v", err)
	}
	store(t, l, 1, 1)
	check(t, l.Close())
	if _, err := CreateLog(path, uuid); !errors.Is(err, ErrHasState) {
		t.Errorf("CreateLog over a log with an entry: %v, want ErrHasState", err)
	}
	l, err = OpenLog(path, uuid)
	check(t, err)
	defer l.Close()
	checkEntries(t, l, 1, 1)
	if names := names(t, dir); !reflect.DeepEqual(names, []string{"raft.log"}) {
		t.Errorf("files: %v", names)
	}
}

// A failed write may or may not be on disk; a second one must not follow it.
func TestWriteFailureIsSticky(t *testing.T) {
	l, _ := newLog(t)
	boom := errors.New("boom")
	if err := l.file.write(func() error { return boom }); !errors.Is(err, boom) {
		t.Errorf("first: %v", err)
	}
	if err := l.StoreLog(testEntry(1)); !errors.Is(err, ErrWriteFailed) {
		t.Errorf("StoreLog after a failure: %v, want ErrWriteFailed", err)
	}
	if err := l.DeleteRange(1, 2); !errors.Is(err, ErrWriteFailed) {
		t.Errorf("DeleteRange after a failure: %v, want ErrWriteFailed", err)
	}
	checkBounds(t, l, 0, 0)
}

// Set in the child process of TestInUse: the file to hold.
const holdEnv = "LOGSTORE_TEST_HOLD"

func TestMain(m *testing.M) {
	if path := os.Getenv(holdEnv); path != "" {
		if _, err := OpenLog(path, uuid); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held")
		bufio.NewReader(os.Stdin).ReadByte() // until the parent closes it
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestInUse(t *testing.T) {
	l, path := newLog(t)
	check(t, l.Close())
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), holdEnv+"="+path)
	in, err := child.StdinPipe()
	check(t, err)
	out, err := child.StdoutPipe()
	check(t, err)
	check(t, child.Start())
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("child: %q", line)
	}
	for name, open := range map[string]func(string, string) (*Log, error){"open": OpenLog, "create": CreateLog} {
		_, err := open(path, uuid)
		if !errors.Is(err, ErrInUse) {
			t.Errorf("%s while another process holds it: %v, want ErrInUse", name, err)
		}
		checkOneLine(t, err, path)
	}
	check(t, in.Close())
	check(t, child.Wait())
	l, err = OpenLog(path, uuid)
	check(t, err)
	check(t, l.Close())
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func overwrite(t *testing.T, path string, at int64, with []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	check(t, err)
	_, err = f.WriteAt(with, at)
	check(t, errors.Join(err, f.Close()))
}

func content(path string) []byte {
	data, _ := os.ReadFile(path)
	return data
}

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	check(t, fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if !d.IsDir() {
			list = append(list, path)
		}
		return err
	}))
	return list
}

// The head of a log is cut in slices; what is left is exact.
func TestCutOfALongHead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	l, err := CreateLog(path, "uuid")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const count = 2*cutSlice + 100
	var all []*raft.Log
	for i := uint64(1); i <= count; i++ {
		all = append(all, &raft.Log{Index: i, Term: 1, Data: []byte("x")})
	}
	if err := l.StoreLogs(all); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ to, first, last uint64 }{{1, 2, count}, {2*cutSlice + 50, 2*cutSlice + 51, count}, {count, 0, 0}} {
		if err := l.DeleteRange(1, tt.to); err != nil {
			t.Fatal(err)
		}
		first, err1 := l.FirstIndex()
		last, err2 := l.LastIndex()
		if err := errors.Join(err1, err2); err != nil || first != tt.first || last != tt.last {
			t.Errorf("cut to %d: %d to %d (%v), want %d to %d", tt.to, first, last, err, tt.first, tt.last)
		}
	}
}
