package fsm

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/raftkv/raftkv/fsm/entry"
)

func TestRestoreIsAllOrNothing(t *testing.T) {
	r := newRig(t)
	r.do("SET k old PX 100")
	other := newRig(t)
	other.index = 50
	other.now += 5000
	for i := range 2000 {
		other.do(fmt.Sprintf("SET key%d %s", i, strings.Repeat("v", 100)))
	}
	data := stream(t, other.m)
	before := r.m.Digest()
	for _, n := range []int{0, 9, 100, len(data) / 2, len(data) - 1} {
		if err := r.m.Restore(bytes.NewReader(data[:n])); err == nil {
			t.Fatalf("restored from %d of %d bytes", n, len(data))
		}
		if r.m.Digest() != before {
			t.Fatalf("a failed Restore of %d bytes changed the state", n)
		}
	}
	if err := r.m.Restore(iotest.HalfReader(bytes.NewReader(data))); err != nil {
		t.Fatal(err)
	}
	if r.m.Digest() != other.m.Digest() || r.m.Applied() != other.m.Applied() {
		t.Error("the restored state is another one")
	}
	if _, ok := r.m.NextDue(); ok {
		t.Error("what was due in the old state is due in the new one")
	}
	r.index, r.now = other.index, other.now
	r.want("goes on", r.do("GET k", "EXISTS key0 key1999"), "$-1 :2")
}

// TestSnapshotStays: what is written after a snapshot was taken is not in it,
// whichever way values change.
func TestSnapshotStays(t *testing.T) {
	r := newRig(t)
	long := strings.Repeat("x", 100_000)
	r.do("SET long "+long, "SET short v", "SET gone v", "SET due v PX 100")
	want := stream(t, r.m)
	s := r.m.Snapshot()
	r.now += 100
	r.do("APPEND long tail", "SETRANGE long 5 yyy", "SETBIT long 3 1", "APPEND short w", "DEL gone", "SET new v")
	r.doIn(3, "SET a b", "SWAPDB 0 3")
	for i := range 2 {
		var got bytes.Buffer
		if _, err := s.WriteTo(&got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Fatalf("written %d times: the snapshot changed at byte %d", i+1, difference(got.Bytes(), want))
		}
	}
	if s.Position() != (Position{Index: 2, Term: 1}) || s.Digest() == r.m.Digest() {
		t.Errorf("snapshot of position %v", s.Position())
	}
}

// TestReleasedSnapshot: once all snapshots are released, values are changed where they
// are; a released one is not written.
func TestReleasedSnapshot(t *testing.T) {
	r := newRig(t)
	r.do("SET long " + strings.Repeat("x", 100_000))
	s := r.m.Snapshot()
	r.do("APPEND long tail") // this copies a chunk; the snapshot has the old one
	s.Release()
	s.Release()
	after := testing.AllocsPerRun(20, func() { r.do("SETRANGE long 5 yyy") })
	s = r.m.Snapshot()
	within := testing.AllocsPerRun(20, func() {
		r.m.Snapshot()
		r.do("SETRANGE long 5 zzz")
	})
	if within < after+3 {
		t.Errorf("%v allocations for a change of what is released, %v of what a snapshot holds", after, within)
	}
	s.Release()
	defer func() {
		if recover() == nil {
			t.Error("a released snapshot can be written")
		}
	}()
	_, _ = s.WriteTo(io.Discard)
}

// TestSnapshotBesideApply is for the race detector: snapshots are written while
// entries are applied, others read, and each gives the state of its position.
func TestSnapshotBesideApply(t *testing.T) {
	r := newRig(t)
	var wg sync.WaitGroup
	defer wg.Wait()
	for round := range 20 {
		for i := range 50 {
			key := fmt.Sprint(round * i % 97)
			r.do("SET s"+key+" "+key, "APPEND l"+key+" "+strings.Repeat(key, 3000), "SETRANGE l"+key+" 7 z", "PEXPIRE s"+key+" 40", "DEL s"+fmt.Sprint(i))
			r.now++
		}
		want := stream(t, r.m)
		s := r.m.Snapshot()
		wg.Go(func() {
			var got bytes.Buffer
			if _, err := s.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), want) {
				t.Errorf("round %d: snapshot differs at byte %d, error %v", round, difference(got.Bytes(), want), err)
			}
		})
		wg.Go(func() {
			for range 20 {
				if _, err := r.read(r.m.Now(), "GET l1", "DBSIZE", "RANDOMKEY", "SCAN 0 COUNT 100"); err != nil {
					t.Errorf("read: %v", err)
				}
				r.m.Versions(0, [][]byte{[]byte("s1")})
				r.m.Stats()
			}
		})
	}
}

// fill gives the Machine n keys of 100 bytes.
func fill(tb testing.TB, r *rig, n int) {
	tb.Helper()
	for i := 0; i < n; {
		p := entry.Proposal{}
		for range 1000 {
			p.Commands = append(p.Commands, entry.Command{Args: [][]byte{[]byte("SET"), fmt.Appendf(nil, "key:%012d", i), benchValue}})
			i++
		}
		r.index++
		r.m.Apply(Position{Index: r.index, Term: 1}, &entry.Batch{Version: entry.Version, Now: r.now, Proposals: []entry.Proposal{p}}, nil)
	}
}

func BenchmarkSnapshot(b *testing.B) {
	r := newRig(b)
	fill(b, r, 1_000_000)
	b.Run("take1M", func(b *testing.B) {
		for b.Loop() {
			r.m.Snapshot()
		}
	})
	b.Run("write1M", func(b *testing.B) {
		for b.Loop() {
			n, err := r.m.Snapshot().WriteTo(io.Discard)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(n)
		}
	})
	b.Run("digest1M", func(b *testing.B) {
		for b.Loop() {
			r.m.Digest()
		}
	})
	data := stream(b, r.m)
	b.Run("restore1M", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if err := New().Restore(bytes.NewReader(data)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
