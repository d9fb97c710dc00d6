package logstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

// A tree that is valid and too short, as a damaged pointer to an older page would
// show it, is not taken for the log.
func TestShorterLogIsFound(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(logs, conf *bbolt.Bucket) error
	}{
		{"last entry gone", func(logs, _ *bbolt.Bucket) error { return logs.Delete(indexKey(100)) }},
		{"note spoilt", func(_, conf *bbolt.Bucket) error {
			val := bytes.Clone(conf.Get(keyTail))
			val[5] ^= 4
			return conf.Put(keyTail, val)
		}},
	} {
		l, path := newLog(t)
		store(t, l, 1, 100)
		check(t, l.Close())
		db, err := bbolt.Open(path, 0o600, nil)
		check(t, err)
		check(t, db.Update(func(tx *bbolt.Tx) error { return c.edit(tx.Bucket(bucketLogs), tx.Bucket(bucketConf)) }))
		check(t, db.Close())
		for what, open := range map[string]func(string, string) (*Log, error){"open": OpenLog, "read": ReadLog} {
			_, err := open(path, uuid)
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("%s, %s: %v, want ErrDamaged", c.name, what, err)
			}
			checkOneLine(t, err, path)
		}
	}
}

// The note of the tail follows every change.
func TestTailIsNoted(t *testing.T) {
	l, path := newLog(t)
	for _, step := range []struct {
		name  string
		do    func() error
		first uint64
		last  uint64
	}{
		{"store", func() error { return l.StoreLogs(testEntries(1, 500)) }, 1, 500},
		{"cut the tail", func() error { return l.DeleteRange(401, 500) }, 1, 400},
		{"cut beyond the tail", func() error { return l.DeleteRange(301, 9000) }, 1, 300},
		{"cut the head", func() error { return l.DeleteRange(1, 200) }, 201, 300},
		{"cut nothing", func() error { return l.DeleteRange(1, 200) }, 201, 300},
		{"cut all", func() error { return l.DeleteRange(201, 300) }, 0, 0},
		{"store behind a gap", func() error { return l.StoreLogs(testEntries(900, 901)) }, 900, 901},
	} {
		check(t, step.do())
		l = reopenLog(t, l, path) // which compares
		checkBounds(t, l, step.first, step.last)
	}
}

// A count that hides elements of a page does not fit the rest of the page.
func TestHiddenElementsAreFound(t *testing.T) {
	l, path := newLog(t)
	store(t, l, 1, 300)
	check(t, l.Close())
	good := content(path)
	pageSize := os.Getpagesize()
	pages := 0
	for at := 2 * pageSize; at+pageSize <= len(good); at += pageSize {
		count := binary.NativeEndian.Uint16(good[at+10:])
		if flags := binary.NativeEndian.Uint16(good[at+8:]); flags != leafPage || count < 2 {
			continue
		}
		bad := bytes.Clone(good)
		binary.NativeEndian.PutUint16(bad[at+10:], count-1)
		check(t, os.WriteFile(path, bad, 0o600))
		pages++
		l, err := OpenLog(path, uuid)
		if err != nil {
			checkOneLine(t, err, path)
			continue
		}
		if err := l.Verify(0); err != nil {
			t.Errorf("page %d: found only by the entries: %v", at/pageSize, err)
		} // or the page is not in use
		checkBounds(t, l, 1, 300)
		l.Close()
	}
	if pages < 3 {
		t.Errorf("only %d pages tried", pages)
	}
}

// raft-boltdb, of which tools are made, reads our files, and we its own.
func TestRaftBoltDBReadsOurFiles(t *testing.T) {
	l, path := newLog(t)
	store(t, l, 1, 3)
	check(t, l.Close())
	theirs, err := raftboltdb.New(raftboltdb.Options{Path: path})
	check(t, err)
	var got raft.Log
	check(t, theirs.GetLog(2, &got))
	want := *testEntry(2)
	if got.Extensions = nil; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	fourth := testEntry(4)
	seal(fourth)
	check(t, theirs.DeleteRange(4, 4))
	check(t, theirs.Close())
	db, err := bbolt.Open(path, 0o600, nil)
	check(t, err)
	check(t, db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketConf).Delete(keyTail) }))
	check(t, db.Close())
	theirs, err = raftboltdb.New(raftboltdb.Options{Path: path})
	check(t, err)
	check(t, theirs.StoreLog(fourth))
	check(t, theirs.Close())
	l, err = OpenLog(path, uuid)
	check(t, err)
	defer l.Close()
	checkEntries(t, l, 1, 4)
}

// A snapshot that was there and is gone is missed, whatever else is there.
func TestMissingSnapshotIsFound(t *testing.T) {
	for _, all := range []bool{false, true} {
		v, path := newVote(t)
		dir := filepath.Join(t.TempDir(), "snapshots")
		s := openSnapshots(t, dir, 2)
		check(t, s.Guard(v))
		writeSnapshot(t, s, 10, noise(100))
		id := writeSnapshot(t, s, 20, noise(100))
		if all {
			check(t, os.RemoveAll(dir))
		} else {
			check(t, os.Remove(s.path(id)))
		}
		v = reopenVote(t, v, path)
		s = openSnapshots(t, dir, 2)
		err := s.Guard(v)
		if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "entry 20") {
			t.Errorf("all gone %t: %v, want ErrMissing", all, err)
		}
		checkOneLine(t, err, dir)
		writeSnapshot(t, s, 30, noise(100)) // a newer one, as a leader would send it
		check(t, s.Guard(v))
	}
}

// A file that is opened for reading stays as it is, byte for byte.
func TestReadingChangesNothing(t *testing.T) {
	l, path := newLog(t)
	store(t, l, 1, 50)
	check(t, l.Close())
	before := content(path)
	l, err := ReadLog(path, uuid)
	check(t, err)
	checkEntries(t, l, 1, 50)
	check(t, l.Verify(0))
	if err := l.StoreLog(testEntry(51)); err == nil {
		t.Error("it could be written to")
	}
	check(t, l.Close())
	if !bytes.Equal(before, content(path)) {
		t.Error("it was changed")
	}
}
