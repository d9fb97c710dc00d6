package logstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

var testConfiguration = raft.Configuration{Servers: []raft.Server{
	{ID: "node1", Address: "node1"}, {ID: "node2", Address: "node2", Suffrage: raft.Nonvoter},
}}

func openSnapshots(t *testing.T, dir string, retain int) *Snapshots {
	t.Helper()
	s, err := OpenSnapshots(dir, retain, nil)
	check(t, err)
	return s
}

func create(t *testing.T, s *Snapshots, index, term uint64) raft.SnapshotSink {
	t.Helper()
	k, err := s.Create(1, index, term, testConfiguration, index-1, nil)
	check(t, err)
	return k
}

func writeSnapshot(t *testing.T, s *Snapshots, index uint64, content []byte) string {
	t.Helper()
	k := create(t, s, index, 2)
	_, err := k.Write(content)
	check(t, err)
	check(t, k.Close())
	return k.ID()
}

func readSnapshot(s *Snapshots, id string) ([]byte, error) {
	_, r, err := s.Open(id)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func newest(t *testing.T, s *Snapshots) *raft.SnapshotMeta {
	t.Helper()
	list, err := s.List()
	check(t, err)
	if len(list) == 0 {
		return nil
	}
	if len(list) > 1 {
		t.Fatalf("List gave %d snapshots; raft would step back to the older ones", len(list))
	}
	return list[0]
}

// noise is incompressible and differs at each place.
func noise(size int) []byte {
	data := make([]byte, size)
	src := rand.NewChaCha8([32]byte{1})
	src.Read(data)
	return data
}

func TestSnapshotRoundTrip(t *testing.T) {
	for _, size := range []int{0, 1, blockSize - 1, blockSize, blockSize + 1, 3*blockSize + 17} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "snapshots")
			s := openSnapshots(t, dir, 2)
			if m := newest(t, s); m != nil {
				t.Fatalf("an empty store lists %+v", m)
			}
			want := noise(size)
			k := create(t, s, 42, 7)
			for rest := want; len(rest) > 0; {
				n, err := k.Write(rest[:min(len(rest), 70001)])
				check(t, err)
				rest = rest[n:]
			}
			if newest(t, s) != nil {
				t.Error("listed before Close")
			}
			check(t, k.Close())
			check(t, k.Close()) // again does nothing
			s = openSnapshots(t, dir, 2)
			wantMeta := &raft.SnapshotMeta{Version: 1, ID: k.ID(), Index: 42, Term: 7,
				Configuration: testConfiguration, ConfigurationIndex: 41, Size: int64(size)}
			if got := newest(t, s); !reflect.DeepEqual(got, wantMeta) {
				t.Errorf("List = %+v, want %+v", got, wantMeta)
			}
			if got, err := readSnapshot(s, k.ID()); err != nil || !bytes.Equal(got, want) {
				t.Errorf("read %d bytes, %v, want %d", len(got), err, len(want))
			}
			checkModes(t, dir)
		})
	}
}

func checkModes(t *testing.T, dir string) {
	t.Helper()
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%s: mode %v, %v, want 0700", dir, info.Mode(), err)
	}
	for _, name := range names(t, dir) {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v, want 0600", name, info.Mode(), err)
		}
	}
}

func TestOpenSnapshotsNarrowsTheDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snapshots")
	check(t, os.Mkdir(dir, 0o755))
	openSnapshots(t, dir, 1)
	checkModes(t, dir)
}

func TestCancel(t *testing.T) {
	dir := t.TempDir()
	s := openSnapshots(t, dir, 1)
	k := create(t, s, 5, 1)
	_, err := k.Write(noise(2*blockSize + 5))
	check(t, err)
	check(t, k.Cancel())
	check(t, k.Cancel())
	check(t, k.Close()) // as raft does after an error
	if _, err := k.Write([]byte("x")); err == nil {
		t.Error("Write after Cancel succeeded")
	}
	if left := names(t, dir); left != nil {
		t.Errorf("left: %v", left)
	}
}

func TestRetention(t *testing.T) {
	dir := t.TempDir()
	s := openSnapshots(t, dir, 2)
	var ids []string
	for i := uint64(1); i <= 5; i++ {
		ids = append(ids, writeSnapshot(t, s, i*9, nil)) // 9, 18, ...: not in the order of their digits
	}
	if got := newest(t, s); got.ID != ids[4] {
		t.Errorf("newest = %s, want %s", got.ID, ids[4])
	}
	s.Close() // the older ones are gone then
	if got, want := names(t, dir), []string{ids[3] + ".snap", ids[4] + ".snap"}; !reflect.DeepEqual(got, want) {
		t.Errorf("kept %v, want %v", got, want)
	}
	// One that ends late but has a lower index than what was installed meanwhile.
	writeSnapshot(t, s, 10, nil)
	if got := newest(t, s); got.ID != ids[4] {
		t.Errorf("newest = %s, want %s", got.ID, ids[4])
	}
	a, b := create(t, s, 99, 1), create(t, s, 99, 1)
	check(t, a.Close())
	check(t, b.Close())
	if a.ID() == b.ID() {
		t.Error("two snapshots have one id")
	}
}

func TestAReaderOutlivesRetention(t *testing.T) {
	s := openSnapshots(t, t.TempDir(), 1)
	want := noise(3 * blockSize)
	_, r, err := s.Open(writeSnapshot(t, s, 1, want))
	check(t, err)
	defer r.Close()
	writeSnapshot(t, s, 2, nil)
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, %v, want %d", len(got), err, len(want))
	}
}

// A damaged newest snapshot is an error, though an older one could be read.
func TestDamagedNewestIsNoStepBack(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(data []byte) []byte
	}{
		{"empty", func([]byte) []byte { return nil }},
		{"head only", func(d []byte) []byte { return d[:20] }},
		{"one byte short", func(d []byte) []byte { return d[:len(d)-1] }},
		{"a block short", func(d []byte) []byte { return append(d[:len(d)-endSize-100], d[len(d)-endSize:]...) }},
		{"one byte long", func(d []byte) []byte { return append(d, 0) }},
		{"end zeroed", func(d []byte) []byte { clear(d[len(d)-endSize:]); return d }},
		{"magic", func(d []byte) []byte { d[0]++; return d }},
		{"head's length", func(d []byte) []byte { d[11] = 0x7f; return d }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := openSnapshots(t, dir, 2)
			writeSnapshot(t, s, 1, []byte("older"))
			path := s.path(writeSnapshot(t, s, 2, noise(1000)))
			check(t, os.WriteFile(path, c.damage(content(path)), 0o600))
			_, err := s.List()
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("List = %v, want ErrDamaged", err)
			}
			checkOneLine(t, err, path)
			if _, err := OpenSnapshots(dir, 2, nil); !errors.Is(err, ErrDamaged) {
				t.Errorf("OpenSnapshots = %v, want ErrDamaged", err)
			}
		})
	}
}

// Whatever bit flips, no wrong byte is ever handed out.
func TestEveryFlipInASnapshotIsFound(t *testing.T) {
	s := openSnapshots(t, t.TempDir(), 1)
	want := noise(200)
	id := writeSnapshot(t, s, 1, want)
	good := content(s.path(id))
	for bit := range len(good) * 8 {
		bad := bytes.Clone(good)
		bad[bit/8] ^= 1 << (bit % 8)
		check(t, os.WriteFile(s.path(id), bad, 0o600))
		got, err := readSnapshot(s, id)
		if err == nil || len(got) > 0 {
			t.Fatalf("bit %d of %d: read %d bytes, %v, want an error and none", bit, len(good)*8, len(got), err)
		}
	}
}

func TestFlipInALaterBlock(t *testing.T) {
	s := openSnapshots(t, t.TempDir(), 1)
	want := noise(4 * blockSize)
	id := writeSnapshot(t, s, 1, want)
	at := int64(len(content(s.path(id))) - endSize - blockSize - 100) // in the third block
	overwrite(t, s.path(id), at, []byte{^content(s.path(id))[at]})
	got, err := readSnapshot(s, id)
	if !errors.Is(err, ErrDamaged) || !bytes.Equal(got, want[:2*blockSize]) {
		t.Errorf("read %d bytes, %v, want the two good blocks and ErrDamaged", len(got), err)
	}
}

// A whole block of another snapshot, or of another place, is not taken.
func TestMisplacedBlock(t *testing.T) {
	s := openSnapshots(t, t.TempDir(), 2)
	a := s.path(writeSnapshot(t, s, 1, noise(2*blockSize)))
	idB := writeSnapshot(t, s, 2, make([]byte, 2*blockSize))
	b := s.path(idB)
	good := content(b)
	first := len(good) - endSize - 2*(blockSize+blockPrefix)
	second := first + blockSize + blockPrefix
	for name, block := range map[string][]byte{
		"another snapshot's": content(a)[len(content(a))-endSize-2*(blockSize+blockPrefix):][:blockSize+blockPrefix],
		"its own second":     good[second : second+blockSize+blockPrefix],
	} {
		bad := bytes.Clone(good)
		copy(bad[first:], block)
		check(t, os.WriteFile(b, bad, 0o600))
		if got, err := readSnapshot(s, idB); !errors.Is(err, ErrDamaged) || len(got) > 0 {
			t.Errorf("%s: read %d bytes, %v, want ErrDamaged", name, len(got), err)
		}
	}
}

// A crash at any moment of writing, seen through a copy of the directory: the
// former snapshot is the newest, or the new one is whole; leftovers go.
func TestCrashAtEachStep(t *testing.T) {
	dir := t.TempDir()
	s := openSnapshots(t, dir, 2)
	older := writeSnapshot(t, s, 10, []byte("older"))
	crash := func(step, wantID string, wantFiles int) {
		t.Helper()
		s.waste.finish() // or a file goes while it is copied; TestHalfRemovedSnapshotGoesAtTheStart has those
		after := t.TempDir()
		check(t, os.CopyFS(filepath.Join(after, "s"), os.DirFS(dir)))
		s := openSnapshots(t, filepath.Join(after, "s"), 2)
		got := newest(t, s)
		if got == nil || got.ID != wantID {
			t.Errorf("%s: newest %+v, want %s", step, got, wantID)
			return
		}
		if _, err := readSnapshot(s, got.ID); err != nil {
			t.Errorf("%s: %v", step, err)
		}
		if left := names(t, filepath.Join(after, "s")); len(left) != wantFiles {
			t.Errorf("%s: files %v, want %d", step, left, wantFiles)
		}
	}
	k := create(t, s, 20, 1)
	crash("created", older, 1)
	for i := range 3 {
		_, err := k.Write(noise(blockSize/2 + 1))
		check(t, err)
		crash(fmt.Sprint("written ", i), older, 1)
	}
	check(t, k.(*sink).finish())
	crash("complete but not renamed", older, 1)
	check(t, os.Rename(k.(*sink).tmp, s.path(k.ID())))
	crash("renamed", k.ID(), 2)
	newer := writeSnapshot(t, s, 30, nil)
	crash("reaped", newer, 2)
	// Torn at each length while it was written.
	whole := content(s.path(k.ID()))
	k = create(t, s, 40, 1)
	for size := 0; size < len(whole); size += 1 + len(whole)/20 {
		check(t, os.WriteFile(k.(*sink).tmp, whole[:size], 0o600))
		crash(fmt.Sprint("torn at ", size), newer, 2)
	}
}

func TestForeignFilesInTheDirectory(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("a human's"), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "work.tmp"), []byte("a human's"), 0o600))
	s := openSnapshots(t, dir, 1)
	writeSnapshot(t, s, 1, nil)
	s = openSnapshots(t, dir, 1)
	if got := names(t, dir); len(got) != 3 {
		t.Errorf("files %v, want the two that are not ours to stay", got)
	}
	check(t, os.WriteFile(filepath.Join(dir, "renamed.snap"), nil, 0o600))
	if _, err := s.List(); !errors.Is(err, ErrForeign) {
		t.Errorf("List with a renamed snapshot: %v, want ErrForeign", err)
	}
}

func TestSnapshotsBadArguments(t *testing.T) {
	if _, err := OpenSnapshots(t.TempDir(), 0, nil); err == nil {
		t.Error("retain 0 was taken")
	}
	s := openSnapshots(t, t.TempDir(), 1)
	if _, err := s.Create(0, 1, 1, testConfiguration, 0, nil); err == nil {
		t.Error("version 0 was taken")
	}
	for _, id := range []string{"", "../../etc/passwd", "1-1-1", strings.Repeat("9", 300)} {
		if _, _, err := s.Open(id); err == nil {
			t.Errorf("Open(%q) succeeded", id)
		}
	}
}

// When the file cannot be written, Write and Close say so and nothing is left.
func TestSnapshotWriteFails(t *testing.T) {
	dir := t.TempDir()
	s := openSnapshots(t, dir, 1)
	k := create(t, s, 1, 1)
	check(t, k.(*sink).file.Close()) // from now on every write fails
	if _, err := k.Write(noise(2 * blockSize)); err == nil {
		t.Error("Write succeeded")
	}
	if err := k.Close(); err == nil {
		t.Error("Close succeeded")
	}
	if left := names(t, dir); left != nil {
		t.Errorf("left: %v", left)
	}
}
