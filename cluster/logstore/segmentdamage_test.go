package logstore

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// written is a log on a disk in memory with what it holds.
type written struct {
	d     *memDisk
	m     model
	ends  []int64 // of the last segment's appends
	start []model // before each of them
	name  string  // of the last segment
}

// writeLog stores entries until the third segment holds a few appends.
func writeLog(t *testing.T, closed bool) *written {
	t.Helper()
	w := &written{d: born(t)}
	s, err := openSegments(memLog, uuid, memSegments(w.d))
	check(t, err)
	check(t, s.spare.prepare())
	rnd := rand.New(rand.NewPCG(5, 6))
	for len(w.ends) < 4 {
		logs := randomLogs(rnd, w.m.last()+1, 1+rnd.IntN(3), 90)
		if len(s.segs) < 3 {
			logs = randomLogs(rnd, w.m.last()+1, 3, 2000)
		}
		before := w.m
		check(t, s.StoreLogs(logs))
		w.m.store(logs)
		if len(s.segs) == 3 {
			w.ends, w.start = append(w.ends, s.at.end), append(w.start, before)
			w.name = s.segs[2].path
		}
	}
	check(t, s.spare.prepare())
	if closed {
		check(t, s.Close())
	}
	return w
}

// judge opens a damaged log: nothing but an error of one line about a file of it,
// or all that was stored, or with less, a state that is expected.
func (w *written) judge(t *testing.T, d *memDisk, what string, less ...model) (refused bool) {
	t.Helper()
	s, err := openSegments(memLog, uuid, memSegments(d))
	if err != nil {
		if msg := err.Error(); strings.Contains(msg, "\n") || !strings.HasPrefix(msg, memLog+"/") || len(msg) > 500 {
			t.Errorf("%s: %q", what, msg)
		}
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrForeign) && !errors.Is(err, ErrMissing) {
			t.Errorf("%s: %v", what, err)
		}
		return true
	}
	for _, m := range append(less, w.m) {
		if err = m.differs(s); err == nil {
			return false
		}
	}
	t.Fatalf("%s: it was opened, and %v", what, err)
	return false
}

// stale puts the note back to where it was before the last append, as a power
// loss does.
func (w *written) stale(t *testing.T, d *memDisk) {
	t.Helper()
	n, err := openNote(d, memLog+"/"+noteName, uuid, true)
	check(t, err)
	n.at.end = w.ends[len(w.ends)-2]
	s, err := openSegments(memLog, uuid, memSegments(w.d.killed()))
	check(t, err)
	b := s.segs[2].file.(*memFile).i.content
	// The sum of the last record before that end.
	for pos := int64(segmentStart); pos < n.at.end; {
		h, ok := parseHead(b[pos:], pos, s.segs[2].size, s.segs[2].seed)
		if !ok {
			t.Fatal("no record")
		}
		n.at.sum = h.sum
		pos += h.size()
	}
	n.at.index = w.start[len(w.start)-1].last()
	check(t, n.write())
}

// forgets puts the note back to where no append had been noted.
func (w *written) forgets(t *testing.T, d *memDisk) {
	t.Helper()
	n, err := openNote(d, memLog+"/"+noteName, uuid, true)
	check(t, err)
	n.at = position{}
	check(t, n.write())
}

// noteAt is the content of the note as it was when the log ended there.
func noteAt(t *testing.T, d *memDisk, end int64) []byte {
	t.Helper()
	d = d.killed()
	first := d.inodes[memLog+"/"+segmentName(1)].content
	clear(first[end:])
	n, err := openNote(d, memLog+"/"+noteName, uuid, true)
	check(t, err)
	n.at = position{}
	check(t, n.write())
	s, err := openSegments(memLog, uuid, memSegments(d))
	check(t, err)
	check(t, s.Close())
	return d.inodes[memLog+"/"+noteName].content
}

// Records that are whole, of the same log and at their place, but of a history that
// did not happen: as a sector is that was never written, under what was written before.
func TestAnotherHistoryIsNoticed(t *testing.T) {
	d := born(t)
	s, err := openSegments(memLog, uuid, memSegments(d))
	check(t, err)
	check(t, s.spare.prepare())
	check(t, s.StoreLogs(testEntries(1, 3)))
	other := d.killed()
	branch := func(d *memDisk, what string, more int) (ends []int64) {
		s, err := openSegments(memLog, uuid, memSegments(d))
		check(t, err)
		for i := range more {
			entry := &raft.Log{Index: 4 + uint64(i), Term: 1, Data: bytes.Repeat([]byte(what), 2000)}
			if i == 0 {
				entry.Data = []byte(what)
			}
			ends = append(ends, s.at.end)
			check(t, s.StoreLog(entry))
		}
		return append(ends, s.at.end)
	}
	first := memLog + "/" + segmentName(1)
	ends := branch(d, "x", 3) // all in the first segment
	branch(other, "y", 1)
	mixed := d.killed()
	copy(mixed.inodes[first].content[ends[0]:ends[1]], other.inodes[first].content[ends[0]:ends[1]])
	w := &written{d: d}
	if !w.judge(t, mixed, "the other's append") {
		t.Error("an append of another history went unnoticed")
	}
	mixed = other.killed()
	mixed.inodes[memLog+"/"+noteName] = d.killed().inodes[memLog+"/"+noteName]
	mixed.inodes[memLog+"/"+noteName].content = noteAt(t, d, ends[1])
	if !w.judge(t, mixed, "the other's note") {
		t.Error("a note of another history went unnoticed")
	}
	full, half := born(t), 0
	s, err = openSegments(memLog, uuid, memSegments(full))
	check(t, err)
	check(t, s.spare.prepare())
	check(t, s.StoreLogs(testEntries(1, 3)))
	other = full.killed()
	branch(full, "x", 9)  // on into the next segment
	branch(other, "y", 9) // and with as many bytes
	mixed = full.killed()
	mixed.inodes[first] = other.killed().inodes[first]
	if half = len(mixed.inodes); half < 3 {
		t.Fatalf("%d files", half)
	}
	if !w.judge(t, mixed, "the other's segment") {
		t.Error("a segment of another history went unnoticed")
	}
}

// Every bit of the last segment's records, its head and the note is flipped, after
// a clean end: each flip is found.
func TestEveryBitFlipInSegmentsIsFound(t *testing.T) {
	w := writeLog(t, true)
	flips := func(name string, from, to int64) {
		for at := from; at < to; at++ {
			for bit := range 8 {
				if bit != int(at)%8 && at%13 != 0 { // each byte, and of some each bit
					continue
				}
				d := w.d.killed()
				d.inodes[name].content[at] ^= 1 << bit
				if !w.judge(t, d, fmt.Sprintf("%s, byte %d, bit %d", name, at, bit)) {
					t.Errorf("%s, byte %d, bit %d: it went unnoticed", name, at, bit)
				}
			}
		}
	}
	flips(w.name, 0, segmentInfo)
	flips(w.name, segmentStart, w.ends[3])
	flips(memLog+"/"+noteName, 0, noteSize)
	// In segments that are full, too.
	d := w.d.killed()
	first := d.inodes[memLog+"/"+segmentName(1)].content
	for at := segmentStart; at < len(first)-4096; at += 97 {
		d := w.d.killed()
		d.inodes[memLog+"/"+segmentName(1)].content[at] ^= 4
		if !w.judge(t, d, fmt.Sprintf("the first segment, byte %d", at)) && first[at] != 0 {
			t.Errorf("the first segment, byte %d: it went unnoticed", at)
		}
	}
}

// The same after a power loss that left the note as it was one append earlier:
// flips in the last append may look like what a crash left of it, all others are found.
func TestBitFlipsAfterPowerLoss(t *testing.T) {
	for _, old := range []func(w *written){
		func(w *written) { w.stale(t, w.d) },
		func(w *written) { w.forgets(t, w.d) },
	} {
		w := writeLog(t, true)
		old(w)
		w.flipsAfterPowerLoss(t)
	}
}

func (w *written) flipsAfterPowerLoss(t *testing.T) {
	t.Helper()
	cut := 0
	for at := int64(segmentStart); at < w.ends[3]; at++ {
		d := w.d.killed()
		d.inodes[w.name].content[at] ^= 1 << (at % 8)
		what := fmt.Sprintf("byte %d", at)
		if at < w.ends[2] {
			if !w.judge(t, d, what) {
				t.Errorf("%s: it went unnoticed", what)
			}
			continue
		}
		if !w.judge(t, d, what, w.start[3]) {
			cut++
		}
	}
	if cut == 0 {
		t.Error("nothing was cut off")
	}
}

// The last segment ends at every byte of its last records, or is zeroes from
// there on, or up to there.
func TestTruncationsAndTornWrites(t *testing.T) {
	w := writeLog(t, true)
	for at := int64(0); at < w.ends[3]; at++ {
		if at == segmentInfo {
			at = segmentStart - 3
		}
		what := fmt.Sprintf("byte %d", at)
		d := w.d.killed()
		d.inodes[w.name].content = d.inodes[w.name].content[:at]
		if !w.judge(t, d, "cut short at "+what) {
			t.Errorf("cut short at %s: it went unnoticed", what)
		}
		d = w.d.killed()
		clear(d.inodes[w.name].content[at:])
		padding := at > segmentInfo && !anyByte(w.d.inodes[w.name].content[at:])
		if !w.judge(t, d, "zeroes from "+what) && !padding {
			t.Errorf("zeroes from %s: it went unnoticed", what)
		}
	}
	// The last append was under way: of it, this much was written.
	w.stale(t, w.d)
	for at := w.ends[2]; at <= w.ends[3]; at++ {
		what := fmt.Sprintf("byte %d", at)
		d := w.d.killed()
		clear(d.inodes[w.name].content[at:])
		if w.judge(t, d, "torn at "+what, w.start[3]) {
			t.Errorf("torn at %s: taken for damage", what)
		}
		d = w.d.killed()
		clear(d.inodes[w.name].content[w.ends[2]:at])
		if w.judge(t, d, "only behind "+what, w.start[3]) {
			t.Errorf("only behind %s: taken for damage", what)
		}
	}
	// Zeroes over an earlier append, with the last one behind, are damage.
	for from := int64(segmentStart); from < w.ends[2]; from += 8 {
		d := w.d.killed()
		clear(d.inodes[w.name].content[from : from+8])
		changed := !bytes.Equal(d.inodes[w.name].content, w.d.inodes[w.name].content)
		if !w.judge(t, d, fmt.Sprintf("8 zeroes at %d", from)) && changed {
			t.Errorf("8 zeroes at %d: they went unnoticed", from)
		}
	}
}

// Whole files: gone, swapped, from elsewhere, older than they were.
func TestSegmentFilesThatAreWrong(t *testing.T) {
	w := writeLog(t, true)
	other := writeLog(t, true) // of another node of the same cluster
	foreign := newMemDisk()
	s, err := createSegments(memLog, "another-uuid", memSegments(foreign))
	check(t, err)
	check(t, s.Close())
	seg := func(id uint64) string { return memLog + "/" + segmentName(id) }
	note := memLog + "/" + noteName
	copied := func(from *memDisk, name string) *inode { return from.killed().inodes[name] }
	for _, c := range []struct {
		name string
		do   func(d *memDisk)
		want error
	}{
		{"first segment gone", func(d *memDisk) { delete(d.inodes, seg(1)) }, ErrMissing},
		{"middle segment gone", func(d *memDisk) { delete(d.inodes, seg(2)) }, ErrMissing},
		{"last segment gone", func(d *memDisk) { delete(d.inodes, seg(3)) }, ErrMissing},
		{"last two segments gone", func(d *memDisk) { delete(d.inodes, seg(3)); delete(d.inodes, seg(4)) }, ErrMissing},
		{"spare segment gone", func(d *memDisk) { delete(d.inodes, seg(4)) }, ErrMissing},
		{"all segments gone", func(d *memDisk) {
			for i := range uint64(4) {
				delete(d.inodes, seg(i+1))
			}
		}, ErrMissing},
		{"note gone", func(d *memDisk) { delete(d.inodes, note) }, ErrMissing},
		{"note emptied", func(d *memDisk) { d.inodes[note].content = nil }, ErrDamaged},
		{"segment emptied", func(d *memDisk) { d.inodes[seg(3)].content = nil }, ErrDamaged},
		{"records zeroed", func(d *memDisk) { clear(d.inodes[seg(3)].content[segmentStart:]) }, ErrDamaged},
		{"a full segment's records zeroed", func(d *memDisk) { clear(d.inodes[seg(2)].content[segmentStart:]) }, ErrDamaged},
		{"its last page zeroed", func(d *memDisk) { clear(d.inodes[seg(2)].content[8192:12288]) }, ErrDamaged},
		{"segments swapped", func(d *memDisk) { d.inodes[seg(2)], d.inodes[seg(3)] = d.inodes[seg(3)], d.inodes[seg(2)] }, ErrDamaged},
		{"another node's segment", func(d *memDisk) { d.inodes[seg(3)] = copied(other.d, seg(3)) }, ErrForeign},
		{"another node's note", func(d *memDisk) { d.inodes[note] = copied(other.d, note) }, ErrForeign},
		{"another cluster's segment", func(d *memDisk) { d.inodes[seg(1)] = copied(foreign, seg(1)) }, ErrForeign},
		{"another cluster's note", func(d *memDisk) { d.inodes[note] = copied(foreign, note) }, ErrForeign},
		{"another cluster's log", func(d *memDisk) {
			clear(d.inodes)
			d.inodes[seg(1)], d.inodes[note] = copied(foreign, seg(1)), copied(foreign, note)
		}, ErrForeign},
		{"a record moved", func(d *memDisk) {
			b := d.inodes[seg(3)].content
			copy(b[w.ends[3]:], b[w.ends[2]:w.ends[3]])
		}, nil}, // behind the end it is nothing
		{"the last append over the one before", func(d *memDisk) {
			b := d.inodes[seg(3)].content
			copy(b[w.ends[1]:], b[w.ends[2]:w.ends[3]])
		}, ErrDamaged},
		{"a file that was never finished", func(d *memDisk) { d.inodes[seg(5)+tmpSuffix] = &inode{name: seg(5) + tmpSuffix} }, nil},
	} {
		d := w.d.killed()
		c.do(d)
		_, err := openSegments(memLog, uuid, memSegments(d))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if c.name == "segments swapped" && !strings.Contains(err.Error(), "under the name of") {
			t.Errorf("%s: %v", c.name, err)
		}
		w.judge(t, d.killed(), c.name)
		if names, _ := d.list(memLog); c.want == nil && slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, tmpSuffix) }) {
			t.Errorf("%s: files %v", c.name, names)
		}
	}
}

// Reading only, nothing is changed: not what a crash left behind either.
func TestReadSegmentsChangesNothing(t *testing.T) {
	w := writeLog(t, true)
	w.stale(t, w.d)
	clear(w.d.inodes[w.name].content[w.ends[3]-8:])
	before := w.d.killed()
	o := memSegments(w.d)
	o.readOnly = true
	w.d.before = func(_ int, what string) error { return errors.New(what) }
	s, err := openSegments(memLog, uuid, o)
	check(t, err)
	if err := w.start[3].differs(s); err != nil {
		t.Error(err)
	}
	if err := s.StoreLog(testEntry(9999)); !errors.Is(err, ErrWriteFailed) {
		t.Errorf("it could be written to: %v", err)
	}
	check(t, s.Close())
	for name, i := range before.inodes {
		if i != nil && !bytes.Equal(i.content, w.d.inodes[name].content) {
			t.Errorf("%s was changed", name)
		}
	}
}

// A bit that flips while the log is open is found when the entry is read.
func TestSegmentsCheckWhatTheyRead(t *testing.T) {
	w := writeLog(t, true)
	s, err := openSegments(memLog, uuid, memSegments(w.d))
	check(t, err)
	last := w.m.last()
	p, ok := s.find(last)
	if !ok {
		t.Fatal("the last entry is not there")
	}
	b := w.d.inodes[w.name].content
	for at := p.at; at < p.limit; at++ {
		b[at] ^= 1
		var got raft.Log
		err := s.GetLog(last, &got)
		var entry *EntryError
		if !errors.As(err, &entry) || entry.Index != last || !errors.Is(err, ErrDamaged) {
			t.Errorf("byte %d: %v, want an *EntryError of entry %d", at-p.at, err, last)
		}
		if err := s.Each(0, func(*raft.Log) error { return nil }); !errors.As(err, &entry) {
			t.Errorf("byte %d: Each: %v", at-p.at, err)
		}
		b[at] ^= 1
	}
}

// FuzzSegments: whatever is changed in the files of a log that was closed, opening
// it fails with one line, or all that was stored is there. With its sums made right
// again, as no fault of a disk does it, it still does not panic.
func FuzzSegments(f *testing.F) {
	w := (*written)(nil)
	f.Add([]byte{0, 0, 0, 1, 1})
	f.Add([]byte{2, 16, 40, 0xff, 0, 2, 16, 80, 1, 1})
	f.Add([]byte{3, 16, 0, 0, 2})
	f.Add([]byte{4, 0, 16, 3, 3, 1, 17, 28, 2, 4})
	f.Fuzz(func(t *testing.T, edits []byte) {
		if w == nil {
			w = writeLog(t, true)
		}
		d := w.d.killed()
		fixed := false
		for len(edits) >= 5 {
			e := edits[:5]
			edits = edits[5:]
			name := memLog + "/" + noteName
			if e[0] > 0 {
				name = memLog + "/" + segmentName(uint64(e[0]-1)%4+1)
			}
			b := d.inodes[name].content
			at := (int(e[1])<<8 | int(e[2])) % max(1, len(b))
			switch {
			case len(b) == 0:
			case e[4]%5 == 0:
				b[at] ^= e[3]
			case e[4]%5 == 1:
				clear(b[at:min(len(b), at+int(e[3])*16)])
			case e[4]%5 == 2:
				d.inodes[name].content = b[:at]
			case e[4]%5 == 3:
				copy(b[at:], b[int(e[3])*64%len(b):min(len(b), int(e[3])*64%len(b)+128)])
			default:
				fixed = resum(b, at&^7, e[3]) || fixed
			}
		}
		s, err := openSegments(memLog, uuid, memSegments(d))
		switch {
		case err != nil && strings.Contains(err.Error(), "\n"):
			t.Errorf("%q", err)
		case err == nil && !fixed:
			if err := w.m.differs(s); err != nil {
				t.Errorf("it was opened, and %v", err)
			}
		case err == nil:
			_ = s.Each(0, func(*raft.Log) error { return nil })
			_ = s.StoreLog(&raft.Log{Index: s.extent().last + 1})
		}
	})
}

// resum changes a record and makes its sum right.
func resum(b []byte, at int, with byte) bool {
	if at+recordHead > len(b) || at < segmentStart || len(b) < segmentStart {
		return false
	}
	h, err := parseSegmentHead(b, "x")
	r, ok := parseHead(b[at:], int64(at), int64(len(b)), h.sum)
	if err != nil || !ok {
		return false
	}
	switch with % 7 {
	case 0:
		r.index += uint64(with)
	case 1:
		r.kind = with>>3%3 + 1
	case 2:
		r.flags ^= 1
	case 3:
		r.dataLen = uint32(with) << 20
	case 4:
		r.term, r.index = 0, 0
	case 5:
		r.index = 1<<64 - 1
	case 6:
		r.batch += 8
	}
	r.put(b[at:], h.sum)
	return true
}
