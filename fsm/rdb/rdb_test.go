package rdb

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const room = 64 << 20

// roundTrip decodes what was appended behind something else.
func roundTrip(t *testing.T, payload []byte) *Object {
	t.Helper()
	if err := Check(payload); err != nil {
		t.Fatalf("%x: %v", payload, err)
	}
	o, err := Decode(payload, room)
	if err != nil {
		t.Fatalf("%x: %v", payload, err)
	}
	return o
}

// texts are strings of all the forms that they are written in.
func texts() [][]byte {
	all := [][]byte{
		[]byte(""), []byte("-0"), []byte("01"), []byte("+1"), []byte("abc"), []byte("\x00\xff"),
		[]byte("9223372036854775807"), []byte("-9223372036854775808"), []byte("9223372036854775808"),
		bytes.Repeat([]byte("a"), 64), bytes.Repeat([]byte("ab"), 3000), []byte(strings.Repeat("hello world ", 700)),
	}
	for _, edge := range []int64{1 << 6, 1 << 7, 1 << 12, 1 << 15, 1 << 23, 1 << 31, 1 << 52} {
		for d := int64(-1); d <= 1; d++ {
			all = append(all, strconv.AppendInt(nil, edge+d, 10), strconv.AppendInt(nil, -edge+d, 10))
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{20, 21, 63, 64, 127, 128, 4095, 4096, 16383, 16384, 20000} {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		all = append(all, b)
	}
	return all
}

func TestStrings(t *testing.T) {
	for _, s := range texts() {
		o := roundTrip(t, AppendString([]byte("before"), s)[len("before"):])
		if o.Kind != String || len(o.Items) != 1 || !bytes.Equal(o.Items[0], s) {
			t.Errorf("%.60q came back as %d, %.60q", s, o.Kind, o.Items)
		}
	}
}

func TestHashes(t *testing.T) {
	items := texts()
	each := func(fn func(field, value []byte) bool) {
		for i := range items {
			if !fn(items[i], items[len(items)-1-i]) {
				return
			}
		}
	}
	var want [][]byte
	each(func(field, value []byte) bool {
		want = append(want, field, value)
		return true
	})
	for _, small := range []bool{true, false} {
		o := roundTrip(t, AppendHash(nil, small, len(items), each))
		if o.Kind != Hash || !slices.EqualFunc(o.Items, want, bytes.Equal) || o.Expires != nil {
			t.Errorf("small %v: came back as kind %d with %d items", small, o.Kind, len(o.Items))
		}
	}
	expiry := func(field []byte) int64 {
		if len(field)%2 == 0 {
			return 0
		}
		return 1_700_000_000_000 + int64(len(field))*1000
	}
	o := roundTrip(t, AppendTimedHash(nil, len(items), timed(each, expiry)))
	if !slices.EqualFunc(o.Items, want, bytes.Equal) || len(o.Expires) != len(items) {
		t.Fatalf("with times: %d items, %d times", len(o.Items), len(o.Expires))
	}
	for i, at := range o.Expires {
		if at != expiry(items[i]) {
			t.Errorf("time %d of %.20q, want %d", at, items[i], expiry(items[i]))
		}
	}
}

// timed adds times to fields.
func timed(each Pairs, expiry func(field []byte) int64) Timed {
	return func(fn func(field, value []byte, expires int64)) {
		each(func(field, value []byte) bool {
			fn(field, value, expiry(field))
			return true
		})
	}
}

func TestListsAndSets(t *testing.T) {
	items := texts()
	o := roundTrip(t, AppendList(nil, -2, func(fn func([]byte) bool) {
		for _, item := range items {
			fn(item)
		}
	}))
	if o.Kind != List || !slices.EqualFunc(o.Items, items, bytes.Equal) {
		t.Errorf("a list came back as kind %d with %d of %d items", o.Kind, len(o.Items), len(items))
	}
	for _, numbers := range [][]int64{{1}, {-5, 3, 40000}, {-1 << 40, 7}, {math.MinInt16, math.MaxInt16}, {math.MinInt32, math.MaxInt32}, {math.MinInt64, math.MaxInt64}} {
		each := func(fn func([]byte) bool) {
			for _, n := range numbers {
				fn(strconv.AppendInt(nil, n, 10))
			}
		}
		for _, integers := range []bool{true, false} {
			o := roundTrip(t, AppendSet(nil, integers, len(numbers), each))
			if got, want := fmt.Sprintf("%s", o.Items), fmt.Sprint(numbers); o.Kind != Set || got != want {
				t.Errorf("a set came back as kind %d, %s, want %s", o.Kind, got, want)
			}
		}
	}
}

func TestSortedSets(t *testing.T) {
	scores := []float64{0, 1, -1, 1.5, 0.1, math.Inf(1), math.Inf(-1), 1e300, -1e-300, 1 << 53, 1e17, 1 << 62, 1 << 63, math.MaxFloat64, math.SmallestNonzeroFloat64}
	for _, small := range []bool{true, false} {
		o := roundTrip(t, AppendZSet(nil, small, len(scores), func(fn func([]byte, float64) bool) {
			for i, score := range scores {
				fn(strconv.AppendInt(nil, int64(i), 10), score)
			}
		}))
		if o.Kind != ZSet || len(o.Items) != len(scores) || !slices.Equal(o.Scores, scores) {
			t.Errorf("small %v: came back as kind %d, %v, want %v", small, o.Kind, o.Scores, scores)
		}
	}
}

// TestOldForms reads payloads in forms of earlier versions, made by hand from their
// descriptions, with the checksum put in.
func TestOldForms(t *testing.T) {
	tests := []struct {
		name, body string
		want       string
		scores     []float64
	}{
		{"zipmap", "09" + "0d" + "02" + "01" + "61" + "01" + "00" + "31" + "01" + "62" + "01" + "01" + "32" + "00" + "ff", "[a 1 b 2]", nil},
		{"list of strings", "01" + "02" + "0161" + "c005", "[a 5]", nil},
		{"ziplist", "0a" + "14" + "14000000" + "0f000000" + "0300" + "00" + "0161" + "03" + "f7" + "02" + "c0e803" + "ff", "[a 6 1000]", nil},
		{"zset with texts", "03" + "03" + "0161" + "03312e35" + "0162" + "fe" + "0163" + "ff", "[a b c]", []float64{1.5, math.Inf(1), math.Inf(-1)}},
	}
	for _, tt := range tests {
		body, err := hex.DecodeString(tt.body)
		if err != nil {
			t.Fatal(tt.name, err)
		}
		o := roundTrip(t, Seal(body, 6))
		if got := fmt.Sprintf("%s", o.Items); got != tt.want || !slices.Equal(o.Scores, tt.scores) {
			t.Errorf("%s: got %s %v, want %s %v", tt.name, got, o.Scores, tt.want, tt.scores)
		}
	}
}

// TestKnownPayload is what Redis 7.0.15 answers to SET k 10, DUMP k.
func TestKnownPayload(t *testing.T) {
	want := []byte("\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb")
	if got := AppendString(nil, []byte("10")); !bytes.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRefuses(t *testing.T) {
	good := AppendString(nil, []byte("hello"))
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 4
		if Check(bad) == nil {
			t.Errorf("a bit of byte %d flipped, and nobody minds", i)
		}
	}
	if Check(good[:9]) == nil || Check(nil) == nil || Check(Seal([]byte{0, 0}, newest+1)) == nil {
		t.Error("a short or newer payload was taken")
	}
	for name, body := range map[string][]byte{
		"empty": {}, "unknown form": {99, 0}, "module": {7, 0}, "rest": {0, 0, 0}, "string cut off": {0, 5, 'a'},
		"no fields": {formHash, 0}, "half a pair": {formHashListpack, 9, 9, 0, 0, 0, 1, 0, 1, 1, 255},
		"huge count": {formSet, 0x81, 255, 255, 255, 255, 255, 255, 255, 255}, "bomb": {0, 0xc3, 3, 0x80, 255, 255, 255, 255, 0, 'a', 'b'},
		"NaN":              append([]byte{formZSet2, 1, 1, 'a'}, 1, 0, 0, 0, 0, 0, 0xf8, 0x7f),
		"score with _":     formOf(formZSetListpack, packOf("a", "-1254_4067")),
		"old score with _": []byte("\x03\x01\x01a\x031_2"),
		// Redis reads 127 bytes of the text.
		"long score": formOf(formZSetListpack, packOf("a", strings.Repeat("0", 127)+"1")),
		// 254 stands for "count them", 255 is no count.
		"zipmap of 255": []byte("\x09\x0d\xff\x031.5\x04\x014195\x00\xff"),
		"zipmap with a length that is longer than need be": []byte("\x09\x0b\x01\xfe\x01\x00\x00\x00a\x01\x001\xff"),
		"zipmap with a field cut off":                      []byte("\x09\x05\x01\x03ab\xff"),
		"zipmap with a value cut off":                      []byte("\x09\x08\x01\x01a\x03\x00bc\xff"),
		"zipmap with free bytes cut off":                   []byte("\x09\x08\x01\x01a\x01\x02b\x00\xff"),
		"zipmap with no value":                             []byte("\x09\x04\x01\x01a\xff"),
		// The first entry's size of the one before goes on for four bytes that are not there.
		"ziplist with a size cut off": formOf(formListZiplist, fromHex("0e000000 0a000000 0100 fe 01 61 ff")),
		// The second entry is behind one of 255 bytes, and says so in the byte that ends a ziplist.
		"ziplist with an end inside": formOf(formListZiplist, []byte("\x0c\x01\x00\x00\x09\x01\x00\x00\x02\x00"+"\x00\x40\xfc"+strings.Repeat("x", 252)+"\xff\xf2\xff")),
	} {
		if o, err := Decode(Seal(body, Version), room); err == nil {
			t.Errorf("%s: %x was taken for %q", name, body, o.Items)
		}
	}
}

func TestLZF(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var c, large compressor
	large.begin(lzfHashes)
	for i := range 3000 {
		in := make([]byte, rnd.IntN(600))
		if i%100 == 0 {
			in = make([]byte, rnd.IntN(40_000))
			c = compressor{}
		}
		letters := 1 + rnd.IntN(20)
		for i := range in {
			in[i] = byte(rnd.IntN(letters))
			if i > 50 && rnd.IntN(3) == 0 {
				in[i] = in[i-1-rnd.IntN(50)]
			}
		}
		packed := c.compress(in)
		if want := large.compress(in); !bytes.Equal(packed, want) {
			t.Fatalf("%x, packed as %x, and as %x with another table", in, packed, want)
		}
		if packed == nil {
			continue
		}
		if len(packed) > len(in)-4 {
			t.Fatalf("%d bytes packed into %d", len(in), len(packed))
		}
		if out := decompress(packed, len(in)); !bytes.Equal(out, in) {
			t.Fatalf("%x, packed as %x, came back as %x", in, packed, out)
		}
	}
	long := bytes.Repeat([]byte("0123456789"), 1<<20)
	if packed := c.compress(long); packed == nil || !bytes.Equal(decompress(packed, len(long)), long) {
		t.Error("a long repetition")
	}
}

// TestLZFTable: packing a short string allocates not much more than that.
func TestLZFTable(t *testing.T) {
	in := []byte(strings.Repeat("some text ", 10))
	const runs = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		AppendString(nil, in)
	}
	runtime.ReadMemStats(&after)
	if got := int(after.TotalAlloc-before.TotalAlloc) / runs; got > 30*len(in) {
		t.Errorf("%d bytes allocated for a string of %d", got, len(in))
	}
}

// BenchmarkShortStrings: one that can be packed alone, and a set of many.
func BenchmarkShortStrings(b *testing.B) {
	s := []byte(strings.Repeat("some text ", 10))
	for _, n := range []int{1, 1000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				AppendSet(nil, false, n, func(fn func([]byte) bool) {
					for range n {
						fn(s)
					}
				})
			}
		})
	}
}

func BenchmarkStrings(b *testing.B) {
	s := bytes.Repeat([]byte("some text that repeats "), 50_000)
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		if _, err := Decode(AppendString(nil, s), room); err != nil {
			b.Fatal(err)
		}
	}
}
