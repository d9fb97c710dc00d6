package rdb

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// pack makes a listpack of texts.
func packOf(items ...string) []byte {
	var l listpack
	for _, item := range items {
		l.add([]byte(item))
	}
	return l.bytes()
}

// form is the inside of a payload: a form, and a string.
func formOf(form byte, text []byte) []byte {
	return append(appendLength([]byte{form}, uint64(len(text))), text...)
}

func fromHex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// sampleStream is the payload of a stream with everything in it, deleted entries too.
func sampleStream() []byte {
	w := NewStreamWriter(nil, 2)
	f := func(texts ...string) (all [][]byte) {
		for _, text := range texts {
			all = append(all, []byte(text))
		}
		return all
	}
	w.Node(&StreamNode{First: ID{5, 1}, Last: ID{9, 0}, Total: 5, Size: 150, Fields: f("a", "7"), Entries: []StreamEntry{
		{ID{5, 1}, true, f("x", "1")}, {ID{5, 300}, false, f("b", "long value", "c", "", "d", "-5000")},
	}})
	w.Node(&StreamNode{First: ID{10, 0}, Last: ID{10, 0}, Total: 1, Size: 22, Fields: f("f"), Entries: []StreamEntry{{ID{10, 0}, true, f("v")}}})
	w.Head(&StreamHead{Length: 3, Last: ID{20, 0}, First: ID{5, 1}, MaxDeleted: ID{9, 0}, EntriesEver: 6}, 2)
	w.Group(&StreamGroup{Name: []byte("g"), Last: ID{9, 0}, Read: 5}, 2)
	w.Pending(StreamPending{ID: ID{5, 1}, Time: 1000, Count: 1})
	w.Pending(StreamPending{ID: ID{5, 300}, Time: 2000, Count: 70})
	w.Consumers(3)
	w.Consumer(StreamConsumer{Name: []byte("alice"), Seen: 1500}, 1)
	w.Owned(ID{5, 300})
	w.Consumer(StreamConsumer{Name: []byte("bob"), Seen: 1600}, 1)
	w.Owned(ID{5, 1})
	w.Consumer(StreamConsumer{Name: []byte("carol"), Seen: 1700}, 0)
	w.Group(&StreamGroup{Name: []byte("h"), Last: ID{}, Read: -1}, 0)
	w.Consumers(0)
	return w.End()
}

// streamBody is a stream of one node: f v at 1-1, and a group with two consumers of
// which each has one pending entry, in any form. change changes its pieces.
func streamBody(form byte, change func(*streamPieces)) []byte {
	p := &streamPieces{
		pack:   []string{"1", "0", "1", "f", "0", "2", "0", "0", "v", "4"},
		length: 1, last: ID{2, 0}, read: 1, names: "ab",
		pending: []ID{{1, 1}, {2, 0}}, owned: [2][]ID{{{1, 1}}, {{2, 0}}},
	}
	if change != nil {
		change(p)
	}
	w := newWriter(nil, form)
	w.length(1)
	w.string(appendRawID(nil, ID{1, 1}))
	w.string(packOf(p.pack...))
	head := []uint64{p.length, p.last.MS, p.last.Seq, 1, 1, 0, 0, 1}
	if form == formStream {
		head = head[:3]
	}
	for _, n := range append(head, 1) {
		w.length(n)
	}
	w.string([]byte("group"))
	w.length(1)
	w.length(1)
	if form != formStream {
		w.length(uint64(p.read))
	}
	w.length(uint64(len(p.pending)))
	for _, id := range p.pending {
		w.b = append(appendRawID(w.b, id), 1, 0, 0, 0, 0, 0, 0, 0, 3)
	}
	w.length(2)
	for i, owned := range p.owned {
		w.string([]byte(p.names[i : i+1]))
		w.b = binary.LittleEndian.AppendUint64(w.b, 77)
		if form == formStream3 {
			w.b = binary.LittleEndian.AppendUint64(w.b, 88)
		}
		w.length(uint64(len(owned)))
		for _, id := range owned {
			w.b = appendRawID(w.b, id)
		}
	}
	return w.b
}

type streamPieces struct {
	pack    []string
	length  uint64
	last    ID
	read    int64
	pending []ID
	owned   [2][]ID
	names   string
}

// samples are the insides of payloads of every form.
func samples() map[string][]byte {
	inside := func(payload []byte) []byte { return payload[:len(payload)-footer] }
	ziplist := fromHex("14000000 0f000000 0300 00 0161 03 f7 02 c0e803 ff")
	zipped := fromHex("12000000 0d000000 0200 00 0161 03 c0e803 ff")
	all := map[string][]byte{
		"string": {formString, 3, 'a', 'b', 'c'}, "number": {formString, 0xc1, 0xe8, 3}, "packed": fromHex("00 c3 09 4060 01 6161 e05300 01 6161"),
		"list": {formList, 2, 1, 'a', 0xc0, 5}, "set": {formSet, 2, 1, 'a', 0xc0, 5}, "zset of texts": fromHex("03 03 0161 03312e35 0162 fe 0163 ff"),
		"hash": {formHash, 1, 1, 'a', 1, 'b'}, "zset": append([]byte{formZSet2, 1, 1, 'a'}, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f),
		"zipmap": fromHex("09 0d 02 01 61 01 00 31 01 62 01 01 32 00 ff"), "ziplist": formOf(formListZiplist, ziplist),
		"intset": {formIntset, 10, 2, 0, 0, 0, 1, 0, 0, 0, 5, 0}, "zset in a ziplist": formOf(formZSetZiplist, zipped),
		"hash in a ziplist": formOf(formHashZiplist, zipped), "quicklist": append([]byte{formQuicklist, 1}, formOf(0, ziplist)[1:]...),
		"hash in a listpack": formOf(formHashListpack, packOf("f", "v", "1", "-70000")), "zset in a listpack": formOf(formZSetListpack, packOf("f", "1.5", "g", "7")),
		"second quicklist":  append([]byte{formQuicklist2, 2, nodePlain, 1, 'a', nodePacked}, formOf(0, packOf("b", "300"))[1:]...),
		"set in a listpack": formOf(formSetListpack, packOf("f", "1")), "timed hash": inside(AppendTimedHash(nil, 2, func(fn func(field, value []byte, at int64)) {
			fn([]byte("a"), []byte("b"), 0)
			fn([]byte("c"), []byte("d"), 1_700_000_000_000)
		})),
		"timed hash in a listpack": append(append([]byte{formHashListpackX}, make([]byte, 8)...), formOf(0, packOf("f", "v", "0", "g", "w", "1700000000000"))[1:]...),
		"stream":                   streamBody(formStream, nil), "second stream": streamBody(formStream2, nil), "third stream": streamBody(formStream3, nil),
		"our stream": inside(sampleStream()),
	}
	return all
}

// TestEveryForm: samples of all forms are read, and there is none for which there is no sample.
func TestEveryForm(t *testing.T) {
	seen := map[byte]bool{}
	for name, body := range samples() {
		o, err := Decode(Seal(bytes.Clone(body), Version), room)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		seen[body[0]] = true
		reencode(t, o)
	}
	for form := range byte(40) {
		if !seen[form] && known(form) {
			t.Errorf("no sample of form %d", form)
		}
	}
}

// known says whether a form is read at all.
func known(form byte) bool {
	r := &reader{room: room}
	o := &Object{Kind: 99}
	r.object(form, o)
	return o.Kind != 99 || o.Items != nil // a string's
}

// reencode writes what was read and reads it again: it is the same.
func reencode(t *testing.T, o *Object) {
	t.Helper()
	var payload []byte
	each := func(fn func([]byte) bool) {
		for _, item := range o.Items {
			fn(item)
		}
	}
	pairs := func(fn func(a, b []byte) bool) {
		for i := 0; i < len(o.Items); i += 2 {
			fn(o.Items[i], o.Items[i+1])
		}
	}
	switch o.Kind {
	case String:
		payload = AppendString(nil, o.Items[0])
	case List:
		if slices.ContainsFunc(o.Items, func(b []byte) bool { return len(b) > 1<<20 }) {
			return
		}
		payload = AppendList(nil, -2, each)
	case Set:
		payload = AppendSet(nil, false, len(o.Items), each)
	case Hash:
		payload = AppendHash(nil, len(o.Items)%4 == 0, len(o.Items)/2, pairs)
		if o.Expires != nil {
			payload = AppendTimedHash(nil, len(o.Items)/2, timedBy(o))
		}
	case ZSet:
		payload = AppendZSet(nil, false, len(o.Items), func(fn func([]byte, float64) bool) {
			for i, item := range o.Items {
				fn(item, o.Scores[i])
			}
		})
	case Stream:
		reencodeStream(t, o.Stream)
		return
	}
	again := roundTrip(t, payload)
	if again.Kind != o.Kind || !slices.EqualFunc(again.Items, o.Items, bytes.Equal) || !slices.Equal(again.Scores, o.Scores) || !slices.Equal(again.Expires, o.Expires) {
		t.Fatalf("%.300v came back as %.300v", o, again)
	}
}

func timedBy(o *Object) Timed {
	return func(fn func(field, value []byte, at int64)) {
		for i := 0; i < len(o.Items); i += 2 {
			fn(o.Items[i], o.Items[i+1], o.Expires[i/2])
		}
	}
}

// reencodeStream: the sizes of nodes may be others, as numbers may have been written in
// more bytes than they need.
func reencodeStream(t *testing.T, s *StreamObject) {
	t.Helper()
	w := NewStreamWriter(nil, len(s.Nodes))
	for i := range s.Nodes {
		w.Node(&s.Nodes[i])
	}
	w.Head(&s.StreamHead, len(s.Groups))
	for i := range s.Groups {
		g := &s.Groups[i]
		w.Group(g, len(g.Pending))
		for _, p := range g.Pending {
			w.Pending(p)
		}
		w.Consumers(len(g.Consumers))
		for n, c := range g.Consumers {
			owned := slices.DeleteFunc(slices.Clone(g.Pending), func(p StreamPending) bool { return p.Owner != n })
			w.Consumer(c, len(owned))
			for _, p := range owned {
				w.Owned(p.ID)
			}
		}
	}
	again := roundTrip(t, w.End()).Stream
	for _, s := range []*StreamObject{s, again} {
		s.Uncounted = false
		for i := range s.Nodes {
			s.Nodes[i].Size = 0
			s.Nodes[i].Entries = append([]StreamEntry{}, s.Nodes[i].Entries...)
		}
		for i := range s.Groups {
			for j := range s.Groups[i].Consumers {
				s.Groups[i].Consumers[j].Active = 0
			}
		}
	}
	if !reflect.DeepEqual(again, s) {
		t.Fatalf("a stream came back as\n%+v, want\n%+v", again, s)
	}
}

// TestStreamForms: what is in forms of three versions.
func TestStreamForms(t *testing.T) {
	for _, form := range []byte{formStream, formStream2, formStream3} {
		o, err := Decode(Seal(streamBody(form, nil), Version), room)
		if err != nil {
			t.Fatal(form, err)
		}
		s := o.Stream
		active := int64(77)
		if form == formStream3 {
			active = 88
		}
		g := s.Groups[0]
		if s.Uncounted != (form == formStream) || s.Last != (ID{2, 0}) || s.EntriesEver != 1 || len(s.Nodes) != 1 ||
			g.Consumers[1].Seen != 77 || g.Consumers[1].Active != active || g.Pending[1] != (StreamPending{ID{2, 0}, 1, 3, 1}) {
			t.Errorf("form %d: %+v", form, s)
		}
	}
}

// TestStreamRefuses: what Redis's deep look refuses, and what would not be a stream.
func TestStreamRefuses(t *testing.T) {
	for name, change := range map[string]func(*streamPieces){
		"a length too many":     func(p *streamPieces) { p.length = 2 },
		"last below an entry":   func(p *streamPieces) { p.last = ID{1, 0} },
		"nobody's":              func(p *streamPieces) { p.owned[1] = nil },
		"of two":                func(p *streamPieces) { p.owned[1] = []ID{{1, 1}, {2, 0}} },
		"twice one's":           func(p *streamPieces) { p.owned[0] = []ID{{1, 1}, {1, 1}} },
		"owned and not pending": func(p *streamPieces) { p.owned[0] = []ID{{1, 1}, {3, 0}} },
		"pending twice":         func(p *streamPieces) { p.pending[1] = ID{1, 1} },
		"no fields":             func(p *streamPieces) { p.pack = []string{"0", "0", "0", "0"}; p.length = 0 },
		"no zero":               func(p *streamPieces) { p.pack[4] = "1" },
		"a text for the zero":   func(p *streamPieces) { p.pack[4] = "" },
		"fewer than told":       func(p *streamPieces) { p.pack[0] = "2"; p.length = 2 },
		"more than told":        func(p *streamPieces) { p.pack[0] = "0"; p.length = 0 },
		"below 0":               func(p *streamPieces) { p.pack[0] = "-1" },
		"deleted and counted":   func(p *streamPieces) { p.pack[5] = "3" },
		"below the node":        func(p *streamPieces) { p.pack[7] = "-1" },
		"another count":         func(p *streamPieces) { p.pack[9] = "5" },
		"flags that are none":   func(p *streamPieces) { p.pack[5] = "x" },
		"something behind":      func(p *streamPieces) { p.pack = append(p.pack, "0") },
		"an empty listpack":     func(p *streamPieces) { p.pack = nil },
		"too many fields":       func(p *streamPieces) { p.pack[2] = "9223372036854775807" },
	} {
		if o, err := Decode(Seal(streamBody(formStream2, change), Version), room); err == nil {
			t.Errorf("%s: taken for %+v", name, o.Stream)
		}
	}
}

// TestNodeSizes: a node takes as many bytes as it says, whatever is missing in it, if that
// is as much as its entries take at least.
func TestNodeSizes(t *testing.T) {
	fields := [][]byte{[]byte("a"), []byte("b"), []byte("c")}
	for n := 1; n <= 3; n++ {
		for _, last := range []ID{{7, 7}, {7, 8}, {90_000, 0}} {
			node := StreamNode{First: ID{7, 7}, Last: last, Fields: fields[:n], Entries: []StreamEntry{{ID{7, 7}, true, fields[:n]}}}
			for _, missing := range []int{1, 2, 50} {
				least := 7 + 2 + 2 + 3*n + (8 + 3*n) + missing*14 + 2 + 10
				for size := least; size < least+16_400; size++ {
					if more := size - least; more > 140 && more < 4080 || more > 4110 && more < 16_360 {
						continue // no lengths that a text cannot have
					}
					node.Total, node.Size = 1+missing, size
					w := NewStreamWriter(nil, 1)
					w.Node(&node)
					w.Head(&StreamHead{Length: 1, Last: last, First: ID{7, 7}, EntriesEver: 2}, 0)
					got := roundTrip(t, w.End()).Stream.Nodes[0]
					if !reflect.DeepEqual(got, node) {
						t.Fatalf("%d fields, %d missing: got %+v, want %+v", n, missing, got, node)
					}
				}
			}
		}
	}
}

// TestBounds: payloads that pretend take no more memory than their length, and what may
// be allocated, allow.
func TestBounds(t *testing.T) {
	const most, perByte = 1 << 20, 80
	repeat := func(head []byte, piece []byte, n int) []byte {
		return append(appendLength(head, uint64(n)), bytes.Repeat(piece, n)...)
	}
	lzf := append([]byte{0xc3, 0x80, 0, 0, 0, 3, 0x80}, 0x7f, 0xff, 0xff, 0xff, 0, 'a', 0)
	var zeros compressor
	bomb := (&writer{}).withString(zeros.compress(make([]byte, 1<<20)), 1<<20)
	tiny := bytes.Repeat([]byte{1, 1}, 200_000)
	tinyPack := append(append(binary.LittleEndian.AppendUint32(nil, uint32(len(tiny)+7)), 0xff, 0xff), append(tiny, 0xff)...)
	node := append(append([]byte{16}, make([]byte, 16)...), formOf(0, packOf("0", "0", "1", "f", "0"))[1:]...)
	for name, body := range map[string][]byte{
		"count of strings":  {formSet, 0x81, 255, 255, 255, 255, 255, 255, 255, 255},
		"count of nodes":    {formStream2, 0x81, 255, 255, 255, 255, 255, 255, 255, 255},
		"size of a string":  append([]byte{formString}, lzf...),
		"sizes of strings":  repeat([]byte{formSet}, lzf, 10_000),
		"packed zeros":      repeat([]byte{formList}, bomb, 50),
		"empty strings":     repeat([]byte{formSet}, []byte{0}, 200_000),
		"small numbers":     repeat([]byte{formSet}, []byte{0xc0, 5}, 200_000),
		"tiny entries":      formOf(formSetListpack, tinyPack),
		"tiny nodes":        repeat([]byte{formStream2}, node, 10_000),
		"tiny lists":        repeat([]byte{formQuicklist2}, append([]byte{nodePacked}, formOf(0, packOf("1"))[1:]...), 30_000),
		"empty lists":       repeat([]byte{formQuicklist2}, append([]byte{nodePacked}, formOf(0, packOf())[1:]...), 30_000),
		"empty old lists":   repeat([]byte{formQuicklist}, formOf(0, fromHex("0b000000 0a000000 0000 ff"))[1:], 30_000),
		"many in an intset": formOf(formIntset, append([]byte{8, 0, 0, 0, 255, 255, 255, 255}, make([]byte, 800)...)),
	} {
		payload := Seal(body, Version)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = Decode(payload, most)
		runtime.ReadMemStats(&after)
		if got := int(after.TotalAlloc - before.TotalAlloc); got > perByte*len(payload)+2*most || got > 8*most+2*len(payload) {
			t.Errorf("%s: %d bytes allocated for a payload of %d", name, got, len(payload))
		}
	}
}

// withString is a packed string as it stands in a payload.
func (w *writer) withString(packed []byte, size int) []byte {
	w.b = append(w.b, number<<6|codeLZF)
	w.length(uint64(len(packed)))
	w.length(uint64(size))
	return append(w.b, packed...)
}

// FuzzDecode: nothing panics, and what is accepted comes back from what is written of it.
func FuzzDecode(f *testing.F) {
	for _, body := range samples() {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, err := Decode(Seal(bytes.Clone(b), Version), 1<<20); err == nil {
			reencode(t, o)
		}
	})
}
