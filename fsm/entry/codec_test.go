package entry

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"weak"
)

func cmd(words ...string) Command {
	c := Command{}
	for _, w := range words {
		c.Args = append(c.Args, []byte(w))
	}
	return c
}

func in(db int, c Command) Command {
	c.In(db)
	return c
}

func read(words ...string) Command {
	c := cmd(words...)
	c.Read = true
	return c
}

func TestRoundTrip(t *testing.T) {
	tests := []struct {
		name     string
		in, want []Proposal
	}{
		{name: "tick"},
		{
			name: "one command",
			in:   []Proposal{{Commands: []Command{cmd("SET", "k", "v")}}},
			want: []Proposal{{Commands: []Command{cmd("SET", "k", "v")}}},
		},
		{
			name: "reads are left out",
			in:   []Proposal{{DB: 3, Commands: []Command{read("GET", "a"), cmd("DEL", "a"), read("GET", "a")}}},
			want: []Proposal{{DB: 3, Commands: []Command{cmd("DEL", "a")}}},
		},
		{
			name: "a proposal of reads is left out",
			in: []Proposal{
				{Atomic: true, Watches: []Watch{{Key: []byte("w")}}, Commands: []Command{read("GET", "a")}},
				{Commands: []Command{cmd("INCR", "n")}},
			},
			want: []Proposal{{Commands: []Command{cmd("INCR", "n")}}},
		},
		{
			name: "atomic with watches",
			in: []Proposal{{
				DB: 15, Atomic: true,
				Watches:  []Watch{{DB: 2, Key: []byte("w\x00"), Version: math.MaxUint64}, {Key: []byte{}}},
				Commands: []Command{cmd("SET", "", ""), cmd("A"), {}},
			}},
			want: []Proposal{{
				DB: 15, Atomic: true,
				Watches:  []Watch{{DB: 2, Key: []byte("w\x00"), Version: math.MaxUint64}, {Key: []byte{}}},
				Commands: []Command{cmd("SET", "", ""), cmd("A"), {Args: [][]byte{}}},
			}},
		},
		{
			name: "several databases, of which reads leave no trace",
			in: []Proposal{{DB: 2, Atomic: true, Commands: []Command{
				cmd("A"), in(3, cmd("B")), in(2, cmd("C")), in(9, read("D")), in(-1, cmd("E")),
			}}, {DB: 2, Commands: []Command{cmd("A"), in(9, read("B")), in(2, cmd("C"))}}},
			want: []Proposal{{DB: 2, Atomic: true, Commands: []Command{
				cmd("A"), in(3, cmd("B")), cmd("C"), in(-1, cmd("E")),
			}}, {DB: 2, Commands: []Command{cmd("A"), cmd("C")}}},
		},
		{
			name: "a reply's protocol is the proposer's own",
			in:   []Proposal{{Commands: []Command{{Args: cmd("A").Args, Proto: 3}}}},
			want: []Proposal{{Commands: []Command{cmd("A")}}},
		},
		{
			name: "system",
			in:   []Proposal{{System: true, Commands: []Command{cmd("MEMBER-SET", "n1", "r", "s", "h")}}},
			want: []Proposal{{System: true, Commands: []Command{cmd("MEMBER-SET", "n1", "r", "s", "h")}}},
		},
		{
			name: "databases that cannot be",
			in:   []Proposal{{DB: -1, Watches: []Watch{{DB: math.MinInt32, Key: []byte("w")}}, Commands: []Command{cmd("A")}}},
			want: []Proposal{{DB: -1, Watches: []Watch{{DB: math.MinInt32, Key: []byte("w")}}, Commands: []Command{cmd("A")}}},
		},
		{
			name: "large",
			in:   []Proposal{{Commands: []Command{cmd("SET", "k", strings.Repeat("v", 1<<20))}}},
			want: []Proposal{{Commands: []Command{cmd("SET", "k", strings.Repeat("v", 1<<20))}}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := &Batch{Version: Version, ID: math.MaxUint64 - 1, Now: 1_700_000_000_123, Proposals: tt.in}
			data := Append([]byte("before"), in)
			got, err := Decode(data[len("before"):])
			if err != nil {
				t.Fatal(err)
			}
			want := &Batch{Version: Version, ID: in.ID, Now: in.Now, Proposals: tt.want}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
			size := 32
			for i := range tt.in {
				size += tt.in[i].Size()
			}
			if len(data) > size {
				t.Errorf("%d bytes, Size promised at most %d", len(data), size)
			}
		})
	}
}

// TestForm pins the bytes of a batch: what is in a log must stay readable.
func TestForm(t *testing.T) {
	got := Append(nil, &Batch{Version: 1, ID: 0x0807060504030201, Now: -1, Proposals: []Proposal{
		{Commands: []Command{cmd("SET", "k", "v"), read("GET", "k")}},
		{DB: 2, Atomic: true, Watches: []Watch{{DB: 1, Key: []byte("w"), Version: 300}}, Commands: []Command{cmd("A")}},
		{System: true, Commands: []Command{cmd("M", "")}},
		{DB: 2, Atomic: true, Commands: []Command{cmd("A"), in(5, cmd("B"))}},
	}})
	want := "\x01\x00" + "\x01\x02\x03\x04\x05\x06\x07\x08" + "\x01" + "\x04" + // version, flags, id, now, proposals
		"\x00" + "\x01" + "\x03" + "\x03SET\x01k\x01v" +
		"\x0d\x02" + "\x01" + "\x01\x01w\xac\x02" + "\x01" + "\x01" + "\x01A" +
		"\x02" + "\x01" + "\x02" + "\x01M\x00" +
		"\x15\x02" + "\x02" + "\x02\x01\x01A" + "\x05\x01\x01B"
	if string(got) != want {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

func TestManyCommandsShareNothing(t *testing.T) {
	b := &Batch{Version: Version}
	for i := range 1000 {
		b.Proposals = append(b.Proposals, Proposal{Commands: []Command{cmd("SET", strings.Repeat("k", i%7), "v")}})
	}
	got, err := Decode(Append(nil, b))
	if err != nil {
		t.Fatal(err)
	}
	// Arguments alias the data; growing one must not reach into the next.
	_ = append(got.Proposals[0].Commands[0].Args[0], 'x')
	_ = append(got.Proposals[0].Commands[0].Args, []byte("x"))
	if !reflect.DeepEqual(got, b) {
		t.Error("a decoded batch changed when one of its slices grew")
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := Append(nil, &Batch{Version: Version, ID: 7, Now: 1, Proposals: []Proposal{{
		DB: 1, Atomic: true, Watches: []Watch{{Key: []byte("w"), Version: 3}}, Commands: []Command{cmd("SET", "k", "v")},
	}}})
	change := func(i int, b byte) []byte {
		d := bytes.Clone(good)
		d[i] = b
		return d
	}
	const headLen = 1 + 1 + 8 + 1 // version, flags, id, now
	tests := []struct {
		name string
		data []byte
		want error
	}{
		{"empty", nil, ErrCorrupt},
		{"version 0", change(0, 0), ErrVersion},
		{"a newer version", change(0, Version+1), ErrVersion},
		{"unknown batch flag", change(1, 1), ErrVersion},
		{"unknown proposal flag", change(headLen+1, 0x20), ErrVersion},
		{"more proposals than bytes", change(headLen, 0x7f), ErrCorrupt},
		{"one proposal more", change(headLen, 2), ErrCorrupt},
		{"bytes behind", append(bytes.Clone(good), 0), ErrCorrupt},
		{"endless varint", append(good[:headLen:headLen], bytes.Repeat([]byte{0xff}, 20)...), ErrCorrupt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Decode(tt.data); !errors.Is(err, tt.want) {
				t.Errorf("got error %v, want %v", err, tt.want)
			}
		})
	}
	for n := range good {
		if _, err := Decode(good[:n]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut off after %d bytes: got error %v, want ErrCorrupt", n, err)
		}
	}
}

// TestDecodeAllocatesLittle: counts that the data cannot hold must not make room
// for themselves.
func TestDecodeAllocatesLittle(t *testing.T) {
	head := Append(nil, &Batch{Version: Version})
	head = head[:len(head)-1]
	hostile := append(head, 0xff, 0xff, 0xff, 0x7f)
	hostile = append(hostile, make([]byte, 64)...)
	result := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Decode(hostile); err == nil {
				b.Fatal("hostile batch was read")
			}
		}
	})
	if got := result.AllocedBytesPerOp(); got > 16<<10 {
		t.Errorf("a hostile entry of %d bytes allocated %d", len(hostile), got)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add(Append(nil, &Batch{Version: Version, ID: 1, Now: 2, Proposals: []Proposal{{
		DB: 1, Atomic: true, System: true, Watches: []Watch{{DB: 1, Key: []byte("w"), Version: 300}},
		Commands: []Command{cmd("SET", "k", "v"), cmd("GET", "k")},
	}, {Commands: []Command{cmd("PING"), in(7, cmd("PING"))}}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := Decode(data)
		if err != nil {
			if !errors.Is(err, ErrVersion) && !errors.Is(err, ErrCorrupt) {
				t.Fatalf("error of no known kind: %v", err)
			}
			return
		}
		once := Append(nil, b)
		again, err := Decode(once)
		if err != nil {
			t.Fatalf("what was encoded cannot be decoded: %v", err)
		}
		if twice := Append(nil, again); !bytes.Equal(once, twice) {
			t.Fatalf("two forms of one batch:\n%x\n%x", once, twice)
		}
	})
}

func BenchmarkCodec(b *testing.B) {
	batch := &Batch{Version: Version}
	for range 128 {
		batch.Proposals = append(batch.Proposals, Proposal{Commands: []Command{cmd("SET", "key:000000001234", strings.Repeat("v", 100))}})
	}
	data := Append(nil, batch)
	b.Run("append128", func(b *testing.B) {
		buf := make([]byte, 0, len(data))
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			buf = Append(buf[:0], batch)
		}
	})
	b.Run("decode128", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Decode(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestDecoderLetsGo: the memory that a Decoder keeps for the next batch keeps no data
// of earlier ones, however much longer they were.
func TestDecoderLetsGo(t *testing.T) {
	long := &Batch{Version: Version}
	for range 100 {
		long.Proposals = append(long.Proposals, Proposal{
			Atomic: true, Watches: []Watch{{Key: []byte("w")}}, Commands: []Command{cmd("SET", "k", "v"), cmd("SET", "k", "v")},
		})
	}
	short := &Batch{Version: Version, Proposals: []Proposal{{Commands: []Command{cmd("SET", "k", "v")}}}}
	var d Decoder
	decode := func(b *Batch) weak.Pointer[byte] {
		data := Append(nil, b)
		got, err := d.Decode(data)
		if err != nil || !reflect.DeepEqual(got.Proposals, b.Proposals) {
			t.Fatalf("got %+v, %v; want %+v", got, err, b)
		}
		return weak.Make(&data[0])
	}
	decode(long) // makes room
	old := decode(long)
	decode(short)
	runtime.GC()
	if old.Value() != nil {
		t.Error("the data of a batch before the last one are kept")
	}
	runtime.KeepAlive(&d)
}
