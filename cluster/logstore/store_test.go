package logstore

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"
)

// eachKind runs a test on a fresh log of each kind, in a directory of its own.
func eachKind(t *testing.T, test func(t *testing.T, k Kind, dir string, s Store)) {
	t.Helper()
	for _, k := range Kinds {
		t.Run(string(k), func(t *testing.T) {
			dir := t.TempDir()
			s, err := k.Create(dir, uuid)
			check(t, err)
			test(t, k, dir, s)
		})
	}
}

func again(t *testing.T, k Kind, dir string, s Store) Store {
	t.Helper()
	check(t, s.Close())
	s, err := k.Open(dir, uuid)
	check(t, err)
	return s
}

func modelOf(logs ...*raft.Log) *model {
	m := &model{}
	if len(logs) > 0 {
		m.store(logs)
	}
	return m
}

func agrees(t *testing.T, s Store, m *model) {
	t.Helper()
	if err := m.differs(s); err != nil {
		t.Fatal(err)
	}
}

func TestStoreKeepsEntries(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind, dir string, s Store) {
		agrees(t, s, &model{})
		s = again(t, k, dir, s)
		agrees(t, s, &model{})
		check(t, s.StoreLogs(nil))
		check(t, s.StoreLogs(testEntries(1, 100)))
		large := &raft.Log{Index: 101, Term: 20, Data: make([]byte, 40<<20)}
		check(t, s.StoreLog(large))
		check(t, s.StoreLogs(testEntries(102, 110)))
		m := modelOf(testEntries(1, 100)...)
		m.store([]*raft.Log{large})
		m.store(testEntries(102, 110))
		agrees(t, s, m)
		s = again(t, k, dir, s)
		agrees(t, s, m)
		check(t, s.Verify(0))
		if n, err := s.Bytes(); err != nil || n < 40<<20 {
			t.Errorf("Bytes: %d, %v", n, err)
		}
		check(t, s.Close())
		r, err := k.Read(dir, uuid)
		check(t, err)
		agrees(t, r, m)
		check(t, r.Close())
	})
}

func TestStoreDeleteRange(t *testing.T) {
	for _, c := range []struct{ min, max uint64 }{
		{1, 1}, {1, 8000}, {1, 9000}, {9000, 9000}, {50, 9000}, {8990, 20000}, {9001, 9009}, {0, 0}, {5, 4}, {1, 1 << 40},
	} {
		eachKind(t, func(t *testing.T, k Kind, dir string, s Store) {
			m := &model{}
			for i := uint64(1); i < 9000; i += 1000 {
				check(t, s.StoreLogs(testEntries(i, i+999)))
				m.store(testEntries(i, i+999))
			}
			check(t, s.DeleteRange(c.min, c.max))
			m.remove(c.min, c.max)
			agrees(t, s, m)
			s = again(t, k, dir, s)
			agrees(t, s, m)
			other := []*raft.Log{{Index: m.last() + 1, Term: 99, Data: []byte("another leader's")}}
			check(t, s.StoreLogs(other))
			m.store(other)
			s = again(t, k, dir, s)
			agrees(t, s, m)
			check(t, s.Close())
		})
	}
}

// After an installed snapshot the log goes on behind a gap; a log that begins too
// late for the snapshot is damaged.
func TestStoreBehindAGap(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind, dir string, s Store) {
		check(t, s.StoreLogs(testEntries(1, 10)))
		check(t, s.StoreLogs(testEntries(101, 110)))
		for range 2 {
			check(t, s.Verify(100))
			if err := s.Verify(50); !errors.Is(err, ErrDamaged) {
				t.Errorf("Verify(50): %v, want ErrDamaged", err)
			}
			for i := uint64(101); i <= 110; i++ {
				var got raft.Log
				if err := s.GetLog(i, &got); err != nil || !reflect.DeepEqual(&got, testEntry(i)) {
					t.Errorf("entry %d: %+v, %v", i, got, err)
				}
			}
			s = again(t, k, dir, s)
		}
		check(t, s.Close())
	})
}

func TestStoreIsCreatedOnce(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind, dir string, s Store) {
		check(t, s.Close())
		if _, err := k.Open(dir, "another"); !errors.Is(err, ErrForeign) {
			t.Errorf("another cluster's: %v", err)
		}
		s, err := k.Create(dir, "another")
		if err != nil {
			t.Fatalf("over an empty one: %v", err)
		}
		check(t, s.StoreLogs(testEntries(1, 2)))
		check(t, s.Close())
		if _, err := k.Create(dir, uuid); !errors.Is(err, ErrHasState) {
			t.Errorf("over one with entries: %v, want ErrHasState", err)
		}
		check(t, k.Remove(dir))
		if _, err := k.Open(dir, uuid); !errors.Is(err, ErrMissing) {
			t.Errorf("once removed: %v, want ErrMissing", err)
		}
		check(t, os.WriteFile(k.Path(dir), []byte("text"), 0o600))
		_, err = k.Open(dir, uuid)
		if err == nil {
			t.Error("a text file was opened")
		}
		checkOneLine(t, err, k.Path(dir))
	})
}

// Another process holds it.
func TestSegmentsInUse(t *testing.T) {
	dir := t.TempDir()
	s, err := Segmented.Create(dir, uuid)
	check(t, err)
	check(t, s.Close())
	child := exec.Command(os.Args[0], "-test.run", "^TestHoldSegments$")
	child.Env = append(os.Environ(), holdSegmentsEnv+"="+dir)
	in, err := child.StdinPipe()
	check(t, err)
	out, err := child.StdoutPipe()
	check(t, err)
	check(t, child.Start())
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("child: %q", line)
	}
	for what, open := range map[string]func(string, string) (Store, error){"open": Segmented.Open, "create": Segmented.Create, "read": Segmented.Read} {
		_, err := open(dir, uuid)
		if !errors.Is(err, ErrInUse) {
			t.Errorf("%s while another process holds it: %v, want ErrInUse", what, err)
		}
		checkOneLine(t, err, Segmented.Path(dir)+"/"+noteName)
	}
	check(t, in.Close())
	check(t, child.Wait())
	s, err = Segmented.Open(dir, uuid)
	check(t, err)
	check(t, s.Close())
}

const holdSegmentsEnv = "LOGSTORE_TEST_HOLD_SEGMENTS"

// TestHoldSegments is the other process.
func TestHoldSegments(t *testing.T) {
	dir := os.Getenv(holdSegmentsEnv)
	if dir == "" {
		t.Skip("it is run by TestSegmentsInUse")
	}
	_, err := Segmented.Open(dir, uuid)
	check(t, err)
	fmt.Println("held")
	bufio.NewReader(os.Stdin).ReadByte() // until the parent closes it
	os.Exit(0)
}

// Readers beside a writer see entries whole, in place, or not at all, while the
// head and the tail go.
func TestStoreReadersBesideAWriter(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind, dir string, s Store) {
		var stop atomic.Bool
		var readers sync.WaitGroup
		for i := range 4 {
			readers.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(i), 1))
				for !stop.Load() {
					first, _ := s.FirstIndex()
					last, _ := s.LastIndex()
					if last == 0 {
						continue
					}
					index := first + rnd.Uint64N(last-first+2)
					var got raft.Log
					err := s.GetLog(index, &got)
					if errors.Is(err, raft.ErrLogNotFound) {
						continue
					}
					if err != nil || got.Index != index || string(got.Data[:6]) != "entry " {
						t.Errorf("entry %d: %+v, %v", index, got, err)
						return
					}
				}
			})
		}
		rnd := rand.New(rand.NewPCG(9, 9))
		next := uint64(1)
		for step := range 150 {
			logs := testEntries(next, next+uint64(rnd.IntN(40)))
			if step%30 == 7 { // so that segments are full and go
				logs[0].Data = append(logs[0].Data, make([]byte, 6<<20)...)
			}
			check(t, s.StoreLogs(logs))
			next += uint64(len(logs))
			if step%5 == 4 {
				back := 1 + rnd.Uint64N(5)
				check(t, s.DeleteRange(next-back, next-1))
				next -= back
			}
			if step%10 == 9 {
				check(t, s.DeleteRange(1, next/2))
			}
		}
		stop.Store(true)
		readers.Wait()
		check(t, s.Close())
	})
}

// Nothing runs on after a log is closed, or could not be opened.
func TestStoreLeavesNoGoroutine(t *testing.T) {
	before := goleak.IgnoreCurrent()
	eachKind(t, func(t *testing.T, k Kind, dir string, s Store) {
		check(t, s.StoreLogs(testEntries(1, 10)))
		check(t, s.Close())
		check(t, s.Close())
		_, err := k.Open(dir, "another")
		if err == nil {
			t.Error("another cluster's log was opened")
		}
	})
	goleak.VerifyNone(t, before)
}

// Segments go when their entries go: the disk does not fill up with what was.
func TestSegmentsAreRemoved(t *testing.T) {
	dir := t.TempDir()
	s, err := Segmented.Create(dir, uuid)
	check(t, err)
	last := uint64(0)
	for range 40 {
		logs := []*raft.Log{{Index: last + 1, Data: make([]byte, 4<<20)}, {Index: last + 2, Data: make([]byte, 4<<20)}}
		check(t, s.StoreLogs(logs))
		last += 2
		check(t, s.DeleteRange(1, last-2))
		if n, err := s.Bytes(); err != nil || n > 4*segmentSize {
			t.Fatalf("%d bytes for 2 entries of 4 MiB, %v", n, err)
		}
	}
	check(t, s.Close())
	size := int64(0)
	for _, name := range names(t, Segmented.Path(dir)) {
		info, err := os.Stat(Segmented.Path(dir) + "/" + name)
		check(t, err)
		size += info.Size()
	}
	if size > 4*segmentSize {
		t.Errorf("%d bytes are left", size)
	}
}

// A disk of tmpfs that is really full: nothing is lost, and once there is room
// again the log goes on.
func TestSegmentsOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m")
	if errors.Is(err, syscall.EPERM) && os.Getenv("CI") == "" {
		t.Skip("left out: mounting a small disk needs root")
	}
	check(t, err)
	t.Cleanup(func() { check(t, syscall.Unmount(dir, 0)) })
	s, err := Segmented.Create(dir, uuid)
	check(t, err)
	m := &model{}
	for {
		logs := []*raft.Log{{Index: m.last() + 1, Data: make([]byte, 1<<20)}}
		if err = s.StoreLogs(logs); err != nil {
			break
		}
		m.store(logs)
	}
	if !errors.Is(err, ErrNoSpace) || m.last() < 40 {
		t.Errorf("full after %d entries of 1 MiB: %v, want ErrNoSpace", m.last(), err)
	}
	agrees(t, s, m)
	check(t, s.DeleteRange(1, 30)) // which needs room itself
	m.remove(1, 30)
	logs := []*raft.Log{{Index: m.last() + 1, Data: make([]byte, 1<<20)}}
	check(t, s.StoreLogs(logs))
	m.store(logs)
	s = again(t, Segmented, dir, s)
	agrees(t, s, m)
	check(t, s.Close())
}
