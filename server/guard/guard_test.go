package guard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

var wide = Limits{MaxBulk: 512 << 20, MaxCommand: 16 << 20}

// collect reads a stream to its end: the frames in words, and the error.
func collect(src io.Reader, lim Limits) (frames []string, err error) {
	r := NewReader(src)
	for {
		list, err := r.Next(lim)
		if err != nil {
			return frames, err
		}
		if len(list) == 0 {
			return frames, errors.New("no frame and no error")
		}
		for _, f := range list {
			if f.TooLarge {
				frames = append(frames, fmt.Sprintf("large/%d", f.Argc))
				continue
			}
			if cap(f.Raw) != len(f.Raw) {
				return frames, errors.New("a frame whose capacity runs on")
			}
			frames = append(frames, fmt.Sprintf("%q/%d", f.Raw, f.Argc))
		}
	}
}

func TestFrames(t *testing.T) {
	ping := `"*1\r\n$4\r\nPING\r\n"/1`
	tests := []struct {
		name, in string
		lim      Limits
		want     []string
		err      error
	}{
		{"one", "*1\r\n$4\r\nPING\r\n", wide, []string{ping}, io.EOF},
		{"pipeline", strings.Repeat("*1\r\n$4\r\nPING\r\n", 3), wide, []string{ping, ping, ping}, io.EOF},
		{"empty argument", "*2\r\n$3\r\nGET\r\n$0\r\n\r\n", wide, []string{`"*2\r\n$3\r\nGET\r\n$0\r\n\r\n"/2`}, io.EOF},
		{"binary", "*1\r\n$5\r\na\r\n\x00*\r\n", wide, []string{`"*1\r\n$5\r\na\r\n\x00*\r\n"/1`}, io.EOF},
		{"nothing, as Redis takes it", "*0\r\n*-1\r\n*-99\r\n\r\n\n  \r\n*1\r\n$4\r\nPING\r\n", wide, []string{ping}, io.EOF},
		{"inline", "PING\r\nPING\n", wide, []string{ping, ping}, io.EOF},
		{"inline quotes", `SET "a\x41\n" 'b c\''` + "\r\n", wide,
			[]string{`"*3\r\n$3\r\nSET\r\n$3\r\naA\n\r\n$4\r\nb c'\r\n"/3`}, io.EOF},
		{"inline, quotes do not close", "GET \"a\r\nPING\r\n", wide, nil, ErrQuotes},
		{"inline, text after a quote", "GET \"a\"b\r\n", wide, nil, ErrQuotes},
		{"inline too long", strings.Repeat("a", maxLine+1), wide, nil, ErrBigInline},
		{"inline at the limit", strings.Repeat("a", maxLine) + "\n", wide,
			[]string{fmt.Sprintf("%q/1", "*1\r\n$65536\r\n"+strings.Repeat("a", maxLine)+"\r\n")}, io.EOF},
		{"count is no number", "*a\r\n", wide, nil, ErrMultibulkLength},
		{"count with a leading zero", "*01\r\n", wide, nil, ErrMultibulkLength},
		{"count is empty", "*\r\n", wide, nil, ErrMultibulkLength},
		{"count too large", "*1048577\r\n", wide, nil, ErrMultibulkLength},
		{"count of 63 bits", "*9223372036854775807\r\n", wide, nil, ErrMultibulkLength},
		{"count beyond 64 bits", "*99999999999999999999\r\n", wide, nil, ErrMultibulkLength},
		{"count without end", "*" + strings.Repeat("1", maxLine+1), wide, nil, ErrBigCount},
		{"count without LF", "*1\rx$4\r\nPING\r\n", wide, nil, ErrMultibulkLength},
		{"no dollar", "*1\r\nPING\r\n", wide, nil, ProtocolError("expected '$', got 'P'")},
		{"length is negative", "*1\r\n$-1\r\n", wide, nil, ErrBulkLength},
		{"length of 63 bits", "*1\r\n$9223372036854775807\r\nabc", wide, nil, ErrBulkLength},
		{"length beyond proto-max-bulk-len", "*1\r\n$536870913\r\n", wide, nil, ErrBulkLength},
		{"length without end", "*1\r\n$" + strings.Repeat("1", maxLine+1), wide, nil, ErrBigBulkCount},
		{"no CRLF after an argument", "*1\r\n$4\r\nPINGxx", wide, nil, ErrBulkLength},
		{"good ones before an error", "PING\r\n*a\r\n", wide, []string{ping}, ErrMultibulkLength},
		{"cut short", "*2\r\n$3\r\nGET\r\n$5\r\nab", wide, nil, io.EOF},
		{"too large, and the next", "*2\r\n$3\r\nGET\r\n$50\r\n" + strings.Repeat("x", 50) + "\r\nPING\r\n",
			Limits{MaxBulk: 100, MaxCommand: 40}, []string{"large/2", ping}, io.EOF},
		{"too large in many arguments", "*9\r\n" + strings.Repeat("$4\r\nabcd\r\n", 9) + "PING\r\n",
			Limits{MaxBulk: 100, MaxCommand: 40}, []string{"large/9", ping}, io.EOF},
		{"unauthenticated, many arguments", "*11\r\n", Limits{MaxBulk: 100, MaxCommand: 100, Unauthenticated: true}, nil, ErrUnauthMultibulk},
		{"unauthenticated, many inline", "a b c d e f g h i j k\r\n", Limits{MaxBulk: 100, MaxCommand: 100, Unauthenticated: true}, nil, ErrUnauthMultibulk},
		{"unauthenticated, long", "*1\r\n$16385\r\n", Limits{MaxBulk: 1 << 20, MaxCommand: 1 << 20, Unauthenticated: true}, nil, ErrUnauthBulk},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for how, src := range deliveries(tt.in) {
				got, err := collect(src, tt.lim)
				if err != tt.err {
					t.Errorf("%s: error %v, want %v", how, err, tt.err)
				}
				if fmt.Sprint(got) != fmt.Sprint(tt.want) {
					t.Errorf("%s: got %v, want %v", how, got, tt.want)
				}
			}
		})
	}
}

func deliveries(in string) map[string]io.Reader {
	return map[string]io.Reader{
		"whole":        strings.NewReader(in),
		"byte by byte": iotest.OneByteReader(strings.NewReader(in)),
		"halves":       iotest.HalfReader(strings.NewReader(in)),
		"with its end": iotest.DataErrReader(strings.NewReader(in)),
	}
}

// A password changes the limits for what stands behind it in the same packet.
func TestLimitsChangeWithinPipeline(t *testing.T) {
	r := NewReader(strings.NewReader("AUTH x\r\n*11\r\n" + strings.Repeat("$1\r\na\r\n", 11)))
	narrow := wide
	narrow.Unauthenticated = true
	for i, lim := range []Limits{narrow, wide} {
		frames, err := r.Next(lim)
		if err != nil || len(frames) != 1 {
			t.Fatalf("call %d: %d frames, %v", i, len(frames), err)
		}
	}
}

func TestPipelineIsBounded(t *testing.T) {
	in := strings.Repeat("*1\r\n$4\r\nPING\r\n", 3*pipelineCount)
	r := NewReader(strings.NewReader(in))
	total := 0
	for {
		frames, err := r.Next(wide)
		if err == io.EOF {
			break
		}
		if err != nil || len(frames) > pipelineCount {
			t.Fatalf("%d frames, %v", len(frames), err)
		}
		total += len(frames)
	}
	if total != 3*pipelineCount {
		t.Errorf("%d frames, want %d", total, 3*pipelineCount)
	}
}

// Announced lengths cost nothing until the bytes arrive.
func TestMemoryFollowsWhatArrived(t *testing.T) {
	r := NewReader(strings.NewReader("*1000000\r\n$16000000\r\nabc"))
	if _, err := r.Next(wide); err != io.EOF {
		t.Fatal(err)
	}
	if got := cap(r.buf); got > 2*firstBuffer {
		t.Errorf("a buffer of %d bytes for 24 that arrived", got)
	}
	large := "*2\r\n$3\r\nGET\r\n$400000000\r\n"
	r = NewReader(io.MultiReader(strings.NewReader(large), io.LimitReader(zeros{}, 400000000), strings.NewReader("\r\nPING\r\n")))
	var got []Frame
	for len(got) < 2 {
		frames, err := r.Next(wide)
		if err != nil {
			t.Fatal(err)
		}
		if cap(r.buf) > steadyBuffer {
			t.Fatalf("a buffer of %d bytes while dropping a command", cap(r.buf))
		}
		got = append(got, frames...)
	}
	if !got[0].TooLarge || got[1].TooLarge {
		t.Errorf("got %+v", got)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestLargeBufferIsGivenBack(t *testing.T) {
	big := "*1\r\n$3000000\r\n" + strings.Repeat("x", 3000000) + "\r\n"
	r := NewReader(io.MultiReader(strings.NewReader(big), iotest.OneByteReader(strings.NewReader("PING\r\n"))))
	for range 2 {
		if _, err := r.Next(wide); err != nil {
			t.Fatal(err)
		}
	}
	if got := cap(r.buf); got > firstBuffer {
		t.Errorf("kept a buffer of %d bytes", got)
	}
}

// Fill, and any reading after Abandon, must leave the frames alone.
func TestFramesStayAsTheyAre(t *testing.T) {
	for _, abandon := range []bool{false, true} {
		var in bytes.Buffer
		for i := range 2000 {
			fmt.Fprintf(&in, "*2\r\n$4\r\nECHO\r\n$8\r\n%08d\r\n", i)
		}
		r := NewReader(bytes.NewReader(in.Bytes()))
		frames, err := r.Next(wide)
		if err != nil {
			t.Fatal(err)
		}
		kept, want := frames[0].Raw, string(frames[0].Raw)
		if abandon {
			r.Abandon()
			for err == nil {
				_, err = r.Next(wide)
			}
		} else {
			for err == nil {
				err = r.Fill()
			}
		}
		if err != io.EOF {
			t.Fatal(err)
		}
		if string(kept) != want {
			t.Errorf("abandon %v: a frame was overwritten: %q", abandon, kept)
		}
	}
}

func TestFillIsBoundedAndLosesNothing(t *testing.T) {
	in := strings.Repeat("*1\r\n$4\r\nPING\r\n", 200000)
	r := NewReader(strings.NewReader(in))
	var err error
	for err == nil {
		err = r.Fill()
	}
	if err != ErrFull || r.Buffered() > 2*maxUnread {
		t.Fatalf("%v after %d bytes", err, r.Buffered())
	}
	total := 0
	for {
		frames, err := r.Next(wide)
		if err != nil {
			break
		}
		total += len(frames)
	}
	if total != 200000 {
		t.Errorf("%d frames", total)
	}
}

// A command may have up to MaxQuery bytes, kept or dropped; what came before it is
// handed over first.
func TestQueryLimit(t *testing.T) {
	lim := Limits{MaxBulk: 512 << 20, MaxCommand: 100_000, MaxQuery: 200_000}
	for _, tt := range []struct {
		name, in string
		want     []string
		err      error
	}{
		{"dropped, too long", "PING\r\n*1\r\n$300000\r\n" + strings.Repeat("x", 300_000), []string{`"*1\r\n$4\r\nPING\r\n"/1`}, ErrQuery},
		{"dropped, not too long", "*1\r\n$150000\r\n" + strings.Repeat("x", 150_000) + "\r\n", []string{"large/1"}, io.EOF},
		{"two that are not too long", strings.Repeat("*1\r\n$150000\r\n"+strings.Repeat("x", 150_000)+"\r\n", 2), []string{"large/1", "large/1"}, io.EOF},
		{"many arguments", "*1000000\r\n" + strings.Repeat("$1\r\na\r\n", 50_000), nil, ErrQuery},
		{"announced", "PING\r\n*1\r\n$300000\r\n", []string{`"*1\r\n$4\r\nPING\r\n"/1`}, ErrQuery},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for how, src := range deliveries(tt.in) {
				got, err := collect(src, lim)
				if err != tt.err || fmt.Sprint(got) != fmt.Sprint(tt.want) {
					t.Errorf("%s: got %v, %v; want %v, %v", how, got, err, tt.want, tt.err)
				}
			}
		})
	}
	lim = Limits{MaxBulk: 512 << 20, MaxCommand: 1 << 20, MaxQuery: 200_000}
	if _, err := collect(strings.NewReader("*1\r\n$300000\r\n"+strings.Repeat("x", 300_000)), lim); err != ErrQuery {
		t.Errorf("kept, too long: %v", err)
	}
}

// Held tells what the buffer has, while a command is still on its way, too.
func TestHeld(t *testing.T) {
	half := "*1\r\n$90000\r\n" + strings.Repeat("x", 50_000)
	r := NewReader(strings.NewReader(half))
	if _, err := r.Next(wide); err != io.EOF {
		t.Fatal(err)
	}
	if used, free := r.Held(); used != len(half) || free != cap(r.buf)-len(half) {
		t.Errorf("%d bytes used and %d free, want %d and %d", used, free, len(half), cap(r.buf)-len(half))
	}
}

func TestBrokenSource(t *testing.T) {
	_, err := NewReader(iotest.ErrReader(io.ErrClosedPipe)).Next(wide)
	if err != io.ErrClosedPipe {
		t.Error(err)
	}
	if _, err := NewReader(nothing{}).Next(wide); err != io.ErrNoProgress {
		t.Error(err)
	}
}

type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, nil }

func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		"*1\r\n$4\r\nPING\r\n", "*0\r\n*-1\r\nPING\r\n", "SET \"a\\x00\" 'b'\r\n", "*1\r\n$9223372036854775807\r\nabc",
		"*9223372036854775807\r\n", "*1\r\n$600\r\n", "*2\r\n$3\r\nGET\r\n$70\r\n" + strings.Repeat("x", 70) + "\r\nPING\r\n", "\r\n\n*\r\n", "$3\r\nabc\r\n",
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, in []byte, narrow bool) {
		lim := Limits{MaxBulk: 1000, MaxCommand: 60, MaxQuery: 500, Unauthenticated: narrow}
		whole, wholeErr := collect(bytes.NewReader(in), lim)
		single, singleErr := collect(iotest.OneByteReader(bytes.NewReader(in)), lim)
		if fmt.Sprint(whole) != fmt.Sprint(single) || wholeErr != singleErr {
			t.Errorf("whole: %v, %v\nbyte by byte: %v, %v", whole, wholeErr, single, singleErr)
		}
		var broken ProtocolError
		if !errors.As(wholeErr, &broken) && wholeErr != io.EOF && wholeErr != ErrQuery {
			t.Errorf("error %v", wholeErr)
		}
	})
}

func BenchmarkNext(b *testing.B) {
	in := []byte(strings.Repeat("*3\r\n$3\r\nSET\r\n$12\r\nkey:00000001\r\n$64\r\n"+strings.Repeat("x", 64)+"\r\n", 16))
	src := &looped{b: in}
	r := NewReader(src)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Next(wide); err != nil {
			b.Fatal(err)
		}
	}
}

type looped struct{ b []byte }

func (l *looped) Read(p []byte) (int, error) { return copy(p, l.b), nil }
