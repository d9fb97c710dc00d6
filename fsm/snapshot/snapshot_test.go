package snapshot

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/system"
)

const now = int64(1_700_000_000_000)

// sample is a state with something in every section: keys in two databases, one
// that expires, a long one, one that is gone again, and databases that were swapped.
func sample(t testing.TB) *Frozen {
	t.Helper()
	state, err := system.NewState("0f8e", system.NewestVersion, []system.Member{
		{ID: "n1", Raft: "h:1", RESP: "h:2", HTTP: "h:3", Dir: "d1"},
		{ID: "n2", Raft: "i:1", Learner: true},
	}, []system.Departure{{ID: "n0", Dir: "d0"}, {ID: "n3"}})
	if err == nil {
		state, err = state.WithTokens([]system.Token{{Hash: system.HashToken("a"), Expires: now}, {Hash: system.HashToken("b"), Expires: -1}}, true)
	}
	if err == nil {
		state, err = state.WithUsers(&system.Users{Revision: 7, List: []system.User{{Name: "", Rules: "on", Born: 7}, {Name: "bob", Rules: "off\n+get", Born: 1}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	space := keyspace.New(state.HashKey())
	txn := space.Txn(0, now, 1)
	txn.SetString([]byte("plain"), []byte("value"), 0)
	txn.SetString([]byte("expires"), []byte("v"), now+1000)
	txn.SetString([]byte{0, 255, '\r', '\n'}, nil, 0)
	txn.SetString([]byte("removed"), []byte("v"), 0)
	txn.Delete([]byte("removed"))
	txn = space.Txn(7, now, 1)
	txn.SwapDB(7, 9)
	txn.SetString([]byte("long"), []byte(strings.Repeat("0123456789", 7_000)), 0)
	return &Frozen{Meta: Meta{Index: 42, Term: 3, Now: now}, System: state, Keys: space.Snapshot()}
}

func write(t testing.TB, s *Frozen) []byte {
	t.Helper()
	var buf bytes.Buffer
	n, err := Write(&buf, s)
	if err != nil || n != int64(buf.Len()) {
		t.Fatalf("Write = %d, %v; %d bytes came", n, err, buf.Len())
	}
	return buf.Bytes()
}

func (l *Loaded) frozen() *Frozen {
	return &Frozen{Meta: l.Meta, System: l.System, Keys: l.Space.Snapshot()}
}

func TestRoundTrip(t *testing.T) {
	empty := &Frozen{Keys: keyspace.New([16]byte{}).Snapshot()}
	for name, s := range map[string]*Frozen{"sample": sample(t), "empty": empty} {
		t.Run(name, func(t *testing.T) {
			data := write(t, s)
			for kind, r := range map[string]io.Reader{
				"whole": bytes.NewReader(data), "byte by byte": iotest.OneByteReader(bytes.NewReader(data)),
			} {
				l, err := Read(r)
				if err != nil {
					t.Fatalf("%s: %v", kind, err)
				}
				if l.Meta != s.Meta || l.System.ClusterID() != s.System.ClusterID() || l.System.Version() != s.System.Version() {
					t.Errorf("%s: header %+v, cluster %q", kind, l.Meta, l.System.ClusterID())
				}
				if got, want := l.System.Members(), s.System.Members(); len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
					t.Errorf("%s: members %v", kind, got)
				}
				if got, want := l.System.Departures(), s.System.Departures(); len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
					t.Errorf("%s: former members %v", kind, got)
				}
				open, required := l.System.Tokens()
				if want, needed := s.System.Tokens(); len(open)+len(want) > 0 && !reflect.DeepEqual(open, want) || required != needed {
					t.Errorf("%s: join tokens %v, required %v", kind, open, required)
				}
				if again := write(t, l.frozen()); !bytes.Equal(again, data) {
					t.Errorf("%s: what was read is written differently", kind)
				}
			}
		})
	}
}

func TestLoadedKeys(t *testing.T) {
	l, err := Read(bytes.NewReader(write(t, sample(t))))
	if err != nil {
		t.Fatal(err)
	}
	before := sample(t)
	if l.Space.Counter() != before.Keys.Counter() {
		t.Errorf("counter %d, want %d", l.Space.Counter(), before.Keys.Counter())
	}
	v := l.Space.View(0, keyspace.Instant{Logged: now, Now: now})
	if e, ok := v.Get([]byte("expires")); !ok || e.ExpireAt() != now+1000 {
		t.Error("an expiry time was lost")
	}
	if due, ok := l.Space.NextDue(); !ok || due != now+1000 {
		t.Errorf("the index by expiry time says %d, %v", due, ok)
	}
	text, ok, err := l.Space.View(7, keyspace.Instant{}).String([]byte("long"))
	if err != nil || !ok || text.String() != strings.Repeat("0123456789", 7_000) {
		t.Error("a value over several chunks was not read as it was written")
	}
	// "removed" was created by the fourth write, the swap was the fifth.
	if got := l.Space.Version(0, []byte("removed"), now); got != 9 {
		t.Errorf("a key that came and went has version %d, want 9", got)
	}
	if got := l.Space.Version(7, []byte("absent"), now); got != 11 {
		t.Errorf("an absent key of a database that was swapped has version %d, want 11", got)
	}
}

// TestFormat pins the bytes: a change of them needs a new format or a new section.
func TestFormat(t *testing.T) {
	state, err := system.NewState("u", 1, []system.Member{{ID: "n", Raft: "r", RESP: "s", HTTP: "h", Learner: true, Dir: "d"}},
		[]system.Departure{{ID: "o", Dir: "e"}})
	if err == nil {
		state, err = state.WithTokens([]system.Token{{Hash: system.HashToken("t"), Expires: 1}}, true)
	}
	if err == nil {
		state, err = state.WithUsers(&system.Users{Revision: 9, List: []system.User{{Name: "b", Rules: "on", Born: 8}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	space := keyspace.New(state.HashKey())
	space.Txn(2, 1, 1).SetString([]byte("k"), []byte("v"), 300)
	space.Txn(2, 1, 1).Delete([]byte("x"))
	got := write(t, &Frozen{Meta: Meta{Index: 5, Term: 2, Now: -1}, System: state, Keys: space.Snapshot()})
	sections := []string{
		"01 01 07000000 01 0175 05 02 01 02",
		"02 01 0c000000 01 01 016e 0172 0173 0168 0164",
		"05 01 05000000 01 016f 0165",
		"06 01 44000000 01 01 40" + hex.EncodeToString([]byte(system.HashToken("t"))) + "02",
		"07 01 08000000 09 01 0162 026f6e 08",
		"03 01 0b000000 02 01 00 01 02 ac02 016b 0176",
		"04 01 04000000 02 a115 02",
		"00 01 00000000",
	}
	want := append([]byte("RaftKVsn"), 1, 0)
	crc := crc32.Update(0, castagnoli, want)
	for _, s := range sections {
		chunk, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		crc = crc32.Update(crc, castagnoli, chunk)
		want = binary.LittleEndian.AppendUint32(append(want, chunk...), crc)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

// TestDamageIsFound flips a bit of every byte in turn, and cuts the stream before
// every byte.
func TestDamageIsFound(t *testing.T) {
	s := sample(t)
	data := write(t, s)
	small := len(data) - 600
	for i := 0; i < len(data); i++ {
		if i > 600 && i < small && i%997 != 0 {
			continue // inside the long value, a sample is enough
		}
		bad := bytes.Clone(data)
		bad[i] ^= 1 << (i % 8)
		if _, err := Read(bytes.NewReader(bad)); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
			t.Fatalf("byte %d flipped: got error %v", i, err)
		}
		if _, err := Read(bytes.NewReader(data[:i])); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut at byte %d: got error %v", i, err)
		}
	}
}

// part is a section for building snapshots by hand.
type part struct {
	tag, flags byte
	payload    []byte
}

// build frames parts with right checksums.
func build(parts ...part) []byte {
	data := append([]byte(magic), Format, 0)
	crc := crc32.Update(0, castagnoli, data)
	for _, p := range parts {
		chunk := append([]byte{p.tag, p.flags}, binary.LittleEndian.AppendUint32(nil, uint32(len(p.payload)))...)
		chunk = append(chunk, p.payload...)
		crc = crc32.Update(crc, castagnoli, chunk)
		data = binary.LittleEndian.AppendUint32(append(data, chunk...), crc)
	}
	return data
}

var (
	goodHeader = part{secHeader, flagLast, []byte{1, 1, 'u', 5, 2, 2, 9}}
	goodEnd    = part{secEnd, flagLast, nil}
)

func TestUnknownSections(t *testing.T) {
	unknown := []part{{9, flagOptional, []byte("whatever")}, {9, flagOptional | flagLast, []byte("more")}}
	l, err := Read(bytes.NewReader(build(goodHeader, unknown[0], unknown[1], goodEnd)))
	if err != nil || l.Index != 5 || l.System.ClusterID() != "u" {
		t.Errorf("an optional section was not passed over: %v", err)
	}
	_, err = Read(bytes.NewReader(build(goodHeader, part{9, flagLast, []byte("x")}, goodEnd)))
	if !errors.Is(err, ErrVersion) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "section 9") {
		t.Errorf("a required section: got error %v", err)
	}
}

func TestReadRefuses(t *testing.T) {
	db := func(payload ...byte) part { return part{secDatabase, flagLast, payload} }
	created := func(payload ...byte) part { return part{secCreated, flagLast, payload} }
	members := func(payload ...byte) part { return part{secMembers, flagLast, payload} }
	departed := func(payload ...byte) part { return part{secDeparted, flagLast, payload} }
	key := []byte{0, 0, 4, 1, 'k', 1, 'v'}
	huge := binary.AppendUvarint(nil, 1<<62)
	tests := []struct {
		name  string
		parts []part
		want  error
	}{
		{"no header", []part{goodEnd}, ErrCorrupt},
		{"no end", []part{goodHeader}, ErrCorrupt},
		{"header twice", []part{goodHeader, goodHeader, goodEnd}, ErrVersion},
		{"header too long", []part{{secHeader, flagLast, append(bytes.Clone(goodHeader.payload), 0)}, goodEnd}, ErrCorrupt},
		{"header too short", []part{{secHeader, flagLast, []byte{1, 1}}, goodEnd}, ErrCorrupt},
		{"newer cluster version", []part{{secHeader, flagLast, []byte{99, 1, 'u', 5, 2, 2, 9}}, goodEnd}, ErrVersion},
		{"end with content", []part{goodHeader, {secEnd, flagLast, []byte{1}}}, ErrCorrupt},
		{"behind the end", []part{goodHeader, goodEnd, goodEnd}, ErrCorrupt},
		{"unknown flags", []part{goodHeader, {secEnd, flagLast | 0x40, nil}}, ErrVersion},
		{"section goes on as another", []part{goodHeader, {secDatabase, 0, []byte{0}}, {secCreated, flagLast, []byte{0}}, goodEnd}, ErrCorrupt},
		{"members twice", []part{goodHeader, members(0), members(0), goodEnd}, ErrCorrupt},
		{"one member twice", []part{goodHeader, members(2, 0, 1, 'a', 0, 0, 0, 0, 0, 1, 'a', 0, 0, 0, 0), goodEnd}, ErrCorrupt},
		{"member flags", []part{goodHeader, members(1, 2, 1, 'a', 0, 0, 0, 0), goodEnd}, ErrVersion},
		{"endless members", []part{goodHeader, members(huge...), goodEnd}, ErrCorrupt},
		{"former members twice", []part{goodHeader, departed(0), departed(0), goodEnd}, ErrCorrupt},
		{"one former member twice", []part{goodHeader, departed(2, 1, 'a', 0, 1, 'a', 0), goodEnd}, ErrCorrupt},
		{"former member without id", []part{goodHeader, departed(1, 0, 0), goodEnd}, ErrCorrupt},
		{"former member that is one", []part{goodHeader, members(1, 0, 1, 'a', 0, 0, 0, 0), departed(1, 1, 'a', 0), goodEnd}, ErrCorrupt},
		{"endless former members", []part{goodHeader, departed(huge...), goodEnd}, ErrCorrupt},
		{"database 16", []part{goodHeader, db(16, 0), goodEnd}, ErrCorrupt},
		{"database twice", []part{goodHeader, db(0, 0), db(0, 0), goodEnd}, ErrCorrupt},
		{"more keys than told", []part{goodHeader, db(append([]byte{0, 0}, key...)...), goodEnd}, ErrCorrupt},
		{"fewer keys than told", []part{goodHeader, db(append([]byte{0, 2}, key...)...), goodEnd}, ErrCorrupt},
		{"key twice", []part{goodHeader, db(append(append([]byte{0, 2}, key...), key...)...), goodEnd}, ErrCorrupt},
		{"key flags", []part{goodHeader, db(0, 1, 0, 2, 4, 1, 'k', 1, 'v'), goodEnd}, ErrVersion},
		{"type", []part{goodHeader, db(0, 1, 200, 0, 4, 1, 'k', 1, 'v'), goodEnd}, ErrCorrupt},
		{"version above the counter", []part{goodHeader, db(0, 1, 0, 0, 10, 1, 'k', 1, 'v'), goodEnd}, ErrCorrupt},
		{"endless key", []part{goodHeader, db(append([]byte{0, 1, 0, 0, 4}, huge...)...), goodEnd}, ErrCorrupt},
		{"number too large", []part{goodHeader, db(bytes.Repeat([]byte{0xff}, 12)...), goodEnd}, ErrCorrupt},
		{"bucket", []part{goodHeader, created(0, 0x81, 0x80, 1, 4), goodEnd}, ErrCorrupt},
		{"huge bucket", []part{goodHeader, created(append([]byte{0}, append(huge, 4)...)...), goodEnd}, ErrCorrupt},
		{"creation above the counter", []part{goodHeader, created(0, 1, 12), goodEnd}, ErrCorrupt},
		{"creation version 0", []part{goodHeader, created(0, 1, 0), goodEnd}, ErrCorrupt},
		{"creation cut off", []part{goodHeader, created(0, 1), goodEnd}, ErrCorrupt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read(bytes.NewReader(build(tt.parts...)))
			if !errors.Is(err, tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got error %v, want %v in one line", err, tt.want)
			}
		})
	}
	for name, data := range map[string][]byte{
		"empty": nil, "foreign": []byte("REDIS0010\xfa\tredis-ver"), "newer format": append([]byte(magic), 2, 0),
	} {
		if _, err := Read(bytes.NewReader(data)); err == nil || errors.Is(err, ErrVersion) != (name == "newer format") {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

func TestErrorsOfOthers(t *testing.T) {
	broken := errors.New("disk on fire")
	data := write(t, sample(t))
	for _, n := range []int{0, 5, 40, len(data) / 2, len(data)} {
		r := io.MultiReader(bytes.NewReader(data[:n]), iotest.ErrReader(broken))
		if _, err := Read(r); !errors.Is(err, broken) || errors.Is(err, ErrCorrupt) {
			t.Errorf("reading failed after %d bytes: got error %v", n, err)
		}
	}
	for _, n := range []int{0, 12, 66_000} {
		if _, err := Write(&limited{n, broken}, sample(t)); !errors.Is(err, broken) {
			t.Errorf("writing failed after %d bytes: got error %v", n, err)
		}
	}
}

// limited fails once n bytes have been written.
type limited struct {
	n   int
	err error
}

func (l *limited) Write(b []byte) (int, error) {
	if len(b) > l.n {
		return 0, l.err
	}
	l.n -= len(b)
	return len(b), nil
}

// TestReadAllocatesLittle: a length that the stream does not hold makes no room.
func TestReadAllocatesLittle(t *testing.T) {
	payload := []byte{0, 1, 0, 0, 4, 1, 'k'}
	payload = binary.AppendUvarint(payload, 500<<20)
	data := build(goodHeader, part{secDatabase, 0, append(payload, 'v')}, part{secDatabase, flagLast, []byte("v")}, goodEnd)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Read(bytes.NewReader(data)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("got error %v", err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
		t.Errorf("%d bytes allocated for a stream of %d", got, len(data))
	}
}

// FuzzRead reads sections of any content with right checksums: nothing may panic,
// and what is accepted must be written and read again the same.
func FuzzRead(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 4, 1, 'k', 1, 'v'}, []byte{0, 3, 4}, []byte{1, 0, 1, 'a', 0, 0, 0, 0}, []byte{1, 1, 'b', 0})
	f.Add([]byte{2, 1, 0, 1, 4, 5, 1, 'k', 0}, []byte{5, 0, 4}, []byte{0}, []byte{0})
	f.Fuzz(func(t *testing.T, db, created, members, departed []byte) {
		data := build(goodHeader, part{secMembers, flagLast, members}, part{secDeparted, flagLast, departed}, part{secDatabase, flagLast, db},
			part{secCreated, flagLast, created}, goodEnd)
		l, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		once := write(t, l.frozen())
		again, err := Read(bytes.NewReader(once))
		if err != nil {
			t.Fatal(fmt.Errorf("what was written cannot be read: %w", err))
		}
		if twice := write(t, again.frozen()); !bytes.Equal(once, twice) {
			t.Fatalf("two forms of one state:\n%x\n%x", once, twice)
		}
	})
}
