package logstore

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// A file is cut down step by step, and its name goes last.
func TestDisposalCutsInSteps(t *testing.T) {
	d := newMemDisk()
	f, err := d.create("a.tmp")
	check(t, err)
	_, err = f.WriteAt(make([]byte, 2500), 0)
	check(t, err)
	var steps []string
	d.before = func(_ int, what string) error {
		size, err := f.Size()
		check(t, err)
		steps = append(steps, what+" "+strings.Repeat("k", int(size)/1000))
		return nil
	}
	waste := disposal{disk: d, step: 1000, inline: true, failed: func(err error) { t.Error(err) }}
	waste.take("a.tmp", "never there")
	want := []string{"truncate a.tmp kk", "truncate a.tmp k", "remove a.tmp "}
	if !slices.Equal(steps, want) {
		t.Errorf("got %q, want %q", steps, want)
	}
}

// Whoever needs the room has what is left removed at once, and is told of nothing
// where there was nothing.
func TestDisposalFinish(t *testing.T) {
	dir := t.TempDir()
	waste := disposal{disk: osFiles{}, step: 1, failed: func(err error) { t.Error(err) }}
	if waste.finish() {
		t.Error("there was something to remove")
	}
	var paths []string
	for _, name := range []string{"a", "b", "c"} {
		path := filepath.Join(dir, name)
		check(t, os.WriteFile(path, make([]byte, 1<<20), 0o600))
		paths = append(paths, path)
	}
	waste.take(paths[:2]...)
	waste.take(paths[2])
	if !waste.finish() { // by steps of a byte it would take hours
		t.Error("there was nothing to remove")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if waste.finish() {
		t.Error("there is something to remove still")
	}
}

// What cannot be removed is told, and the rest goes all the same.
func TestDisposalFails(t *testing.T) {
	d := newMemDisk()
	broken := errors.New("broken")
	for _, name := range []string{"a", "b"} {
		_, err := d.create(name)
		check(t, err)
	}
	d.before = func(_ int, what string) error {
		if what == "remove a" {
			return broken
		}
		return nil
	}
	told := make(chan error, 3)
	waste := disposal{disk: d, step: 1, failed: func(err error) { told <- err }}
	waste.take("a", "b")
	waste.finish()
	if err := <-told; !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if d.inodes["a"] == nil || d.inodes["b"] != nil {
		t.Error("a should be there still, and b not")
	}
}

// A file that cannot be cut down, as where a full disk has no room for what that takes,
// goes whole; nobody is told of a failure, which would end the node.
func TestDisposalOfWhatCannotBeCut(t *testing.T) {
	d := newMemDisk()
	f, err := d.create("a")
	check(t, err)
	_, err = f.WriteAt(make([]byte, 100), 0)
	check(t, err)
	refused := 0
	d.before = func(_ int, what string) error {
		if what == "truncate a" {
			refused++
			return errFull
		}
		return nil
	}
	waste := disposal{disk: d, step: 10, inline: true, failed: func(err error) { t.Error(err) }}
	waste.take("a")
	if refused != 1 || d.inodes["a"] != nil {
		t.Errorf("tried %d times to cut it; there still: %v", refused, d.inodes["a"] != nil)
	}
}

// Segments lose their names, durably, before anything is cut off them: a power loss
// must not bring back a part of one.
func TestSegmentsAreRenamedBeforeTheyAreCut(t *testing.T) {
	d := born(t)
	s, err := openSegments(memLog, uuid, memSegments(d))
	check(t, err)
	last := uint64(0)
	for range 20 {
		logs := testEntries(last+1, last+4)
		for _, l := range logs {
			l.Data = make([]byte, 1000)
		}
		check(t, s.StoreLogs(logs))
		last += 4
	}
	cuts := 0
	d.before = func(_ int, what string) error {
		path, cut := strings.CutPrefix(what, "truncate ")
		if !cut {
			return nil
		}
		cuts++
		if d.synced[path] == nil || d.synced[strings.TrimSuffix(path, tmpSuffix)] != nil || !strings.HasSuffix(path, segmentExt+tmpSuffix) {
			t.Errorf("%s is cut before its new name is durable", path)
		}
		return nil
	}
	check(t, s.DeleteRange(1, last-2))
	if cuts == 0 {
		t.Error("nothing was cut")
	}
	for name := range d.inodes {
		if strings.HasSuffix(name, tmpSuffix) {
			t.Errorf("%s is left", name)
		}
	}
}

// The room that old segments take is given back when a new one needs it.
func TestSegmentsWaitForTheRoomOfOldOnes(t *testing.T) {
	o := smallSegments()
	full := &fullDisk{osFiles: osFiles{}}
	o.disk, o.step = full, 1
	s, _ := newSegments(t, o)
	last := uint64(0)
	add := func() error {
		logs := testEntries(last+1, last+1)
		logs[0].Data = make([]byte, 20<<10)
		err := s.StoreLogs(logs)
		if err == nil {
			last++
		}
		return err
	}
	for range 8 {
		check(t, add())
	}
	check(t, s.DeleteRange(1, last-1))
	full.until = s.waste
	for range 8 {
		check(t, add())
	}
	if s.waste.finish() {
		t.Error("old segments are there still")
	}
	var log raft.Log
	check(t, s.GetLog(last, &log))
}

// fullDisk is a disk without room while a disposal has something to remove.
type fullDisk struct {
	osFiles
	until *disposal
}

func (d *fullDisk) create(path string) (file, error) {
	if d.until != nil {
		d.until.mu.Lock()
		defer d.until.mu.Unlock()
		if d.until.now != nil {
			return nil, errFull
		}
	}
	return d.osFiles.create(path)
}

// A snapshot that is being read, for a member that is slow, is not cut down; one that
// nobody reads is.
func TestAReadSnapshotIsNotCut(t *testing.T) {
	s := openSnapshots(t, t.TempDir(), 1)
	s.waste.step = 1 << 10
	content := make([]byte, 3*blockSize)
	first := writeSnapshot(t, s, 1, content)
	_, reader, err := s.Open(first)
	check(t, err)
	for i := range uint64(3) {
		writeSnapshot(t, s, 2+i, content)
	}
	s.Close()
	var got int
	buf := make([]byte, 1<<16)
	for {
		n, err := reader.Read(buf)
		got += n
		if err != nil {
			break
		}
	}
	check(t, reader.Close())
	if err := reader.Close(); !errors.Is(err, os.ErrClosed) { // and it is counted once
		t.Errorf("closed twice: %v", err)
	}
	if got != len(content) {
		t.Errorf("read %d bytes of %d", got, len(content))
	}
	if len(s.reading) > 0 {
		t.Errorf("still read: %v", s.reading)
	}
	if names, err := os.ReadDir(s.dir); err != nil || len(names) != 1 {
		t.Errorf("there are %v, %v; only the newest should be", names, err)
	}
}

// A crash leaves old snapshots half removed, and the next start removes them.
func TestHalfRemovedSnapshotGoesAtTheStart(t *testing.T) {
	dir := t.TempDir()
	s := openSnapshots(t, dir, 1)
	s.waste.step = 1 // it would take hours
	content := make([]byte, 2*blockSize)
	writeSnapshot(t, s, 1, content)
	writeSnapshot(t, s, 2, content)
	left, err := filepath.Glob(filepath.Join(dir, "*"+tmpSuffix))
	if err != nil || len(left) != 1 {
		t.Fatalf("on its way out: %v, %v", left, err)
	}
	again := openSnapshots(t, dir, 1)
	if left, err = filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
	if metas, err := again.List(); err != nil || len(metas) != 1 || metas[0].Index != 2 {
		t.Errorf("got %v, %v", metas, err)
	}
	s.Close()
}
