package fsm

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
	"github.com/raftkv/raftkv/tests/compat/gen"
)

// TestWhatIsDueShowsNowhere runs random commands, of all that there are, on two spaces:
// from one nothing that is due is ever removed, from the other all of it at once. Every
// reply is the same, and so are all keys at any time.
func TestWhatIsDueShowsNowhere(t *testing.T) {
	const commands, least = 150_000, 20
	p := &duePair{t: t, now: start, met: map[string]int{}, rnd: rand.New(rand.NewPCG(7, 7))}
	p.clear()
	g := gen.New(3, New().Specs(), func(command, _ string) bool { return command != "pfselftest" }) // slow
	g.Near = true
	for i := range commands {
		if i%500 == 0 {
			g.Theme()
		}
		if i%5000 == 4999 {
			p.compareAll()
			p.clear() // a mountain of what is due makes little of it new
		}
		p.now += int64(p.rnd.IntN(4))
		g.Now = p.now
		_, args := g.Command()
		p.hurry(args)
		if p.run(args); t.Failed() {
			t.Fatalf("after %d commands", i)
		}
	}
	for _, c := range g.Commands() {
		if name := c.FullName(); c.Kind == spec.Read && p.met[name] < least && name != "debug" { // which names no keys; its replies are compared all the same
			t.Errorf("%s ran %d times while what it names was due", name, p.met[name])
		}
	}
}

// duePair is two spaces that differ in what is removed from them.
type duePair struct {
	t      *testing.T
	rnd    *rand.Rand
	now    int64
	keeps  *keyspace.Space // all
	clears *keyspace.Space // what is due at once
	small  bool            // what a small collection is
	met    map[string]int  // by command: how often something due was stored of what it names
}

// clear begins anew, every other time with limits that soon make collections large ones.
func (p *duePair) clear() {
	p.keeps, p.clears = keyspace.New([16]byte{1}), keyspace.New([16]byte{1})
	if p.small = !p.small; p.small {
		low := keyspace.DefaultLimits
		low.Hash.Entries, low.Set.Entries, low.Set.Ints, low.ZSet.Entries = 2, 2, 2, 2
		p.keeps.SetLimits(low)
		p.clears.SetLimits(low)
	}
}

func (p *duePair) run(args [][]byte) {
	p.t.Helper()
	name := "" // of none
	if c, err := find(args, system.NewestVersion); err == nil {
		name = c.FullName()
	}
	p.clears.RemoveDue(p.now, 1<<30)
	seed := p.rnd.Uint64()
	if p.touchesDue(args) {
		p.met[name]++
	}
	if p.differently(name, args, seed) {
		return
	}
	got, want := reply(p.keeps, p.now, seed, args), reply(p.clears, p.now, seed, args)
	if !bytes.Equal(got, want) {
		p.t.Errorf("%q\nwhile what is due is stored: %.500q\nwhile it is not:             %.500q", args, got, want)
	}
}

// hurry gives one of the keys among some arguments little time to live.
func (p *duePair) hurry(args [][]byte) {
	if key := args[p.rnd.IntN(len(args))]; p.rnd.IntN(2) == 0 && p.shown(key) {
		p.run([][]byte{[]byte("PEXPIRE"), key, []byte(strconv.Itoa(1 + p.rnd.IntN(20)))})
	}
}

// reply runs a command on a space.
func reply(s *keyspace.Space, now int64, seed uint64, args [][]byte) []byte {
	w := resp.NewWriter(2, nil)
	c, err := find(args, system.NewestVersion)
	if err == nil {
		txn := s.Txn(0, now, seed)
		txn.ClusterVersion = system.NewestVersion
		if c.Write != nil {
			err = c.Write(txn, args, w)
		} else {
			err = c.read(&txn.View, args, w)
		}
	}
	if err != nil {
		writeError(w, 0, err)
	}
	return slices.Clone(w.Bytes())
}

// touchesDue says whether a key among the arguments is stored though it is due, or has
// fields that are; a command without arguments touches all keys.
func (p *duePair) touchesDue(args [][]byte) bool {
	if len(args) == 1 || strings.EqualFold(string(args[0]), "SCAN") || strings.EqualFold(string(args[0]), "KEYS") {
		return p.keeps.Stats(0, p.now).Due > 0
	}
	before := p.keeps.View(0, keyspace.Instant{Logged: 1, Now: 1}) // when all was there
	for _, key := range args[1:] {
		if old, stored := before.Peek(key); stored {
			_, there := p.keeps.View(0, keyspace.Instant{Logged: p.now, Now: p.now}).Peek(key)
			if h, is := old.Value().(keyspace.HashValue); !there || is && h.Due(1, p.now) {
				return true
			}
		}
	}
	return false
}

// differently compares those commands of which more than what they show depends on what
// is stored: how far a page goes, which number is drawn, how much memory is taken.
func (p *duePair) differently(name string, args [][]byte, seed uint64) bool {
	switch name {
	case "memory|usage": // memory is taken until it is given back
		reply(p.keeps, p.now, seed, args)
		return true
	case "randomkey":
		got, want := reply(p.keeps, p.now, seed, args), reply(p.clears, p.now, seed, args)
		if (string(got) == "$-1\r\n") != (string(want) == "$-1\r\n") || string(got) != "$-1\r\n" && !p.shown(bulk(got)) {
			p.t.Errorf("RANDOMKEY gives %q, and %q where nothing due is stored", got, want)
		}
		return true
	case "scan", "hscan":
		p.wholeWalk(args, seed)
		return true
	}
	return false
}

// bulk is the string in a reply of one.
func bulk(reply []byte) []byte {
	_, text, _ := bytes.Cut(reply, []byte("\r\n"))
	return bytes.TrimSuffix(text, []byte("\r\n"))
}

// shown says whether a key is there where nothing due is stored.
func (p *duePair) shown(key []byte) bool {
	_, ok := p.clears.View(0, keyspace.Instant{Logged: p.now, Now: p.now}).Peek(key)
	return ok
}

// wholeWalk compares a SCAN or HSCAN page by page to its end.
func (p *duePair) wholeWalk(args [][]byte, seed uint64) {
	at := 1
	if strings.EqualFold(string(args[0]), "HSCAN") {
		at = 2
	}
	walk := func(s *keyspace.Space) (items []byte) {
		args := slices.Clone(args)
		if len(args) > at {
			args[at] = []byte("0")
		}
		for {
			got := reply(s, p.now, seed, args)
			_, rest, ok := bytes.Cut(got, []byte("*2\r\n$"))
			if !ok { // an error
				return append(items, got...)
			}
			lines := bytes.SplitN(rest, []byte("\r\n"), 4) // length and cursor, number of items, items
			items = append(items, lines[3]...)
			if args[at] = lines[1]; string(lines[1]) == "0" {
				return items
			}
		}
	}
	if got, want := walk(p.keeps), walk(p.clears); !bytes.Equal(got, want) {
		p.t.Errorf("%q\nwhile what is due is stored: %.500q\nwhile it is not:             %.500q", args, got, want)
	}
}

// compareAll compares all that the spaces show, and their sums.
func (p *duePair) compareAll() {
	p.t.Helper()
	p.clears.RemoveDue(p.now, 1<<30)
	a, b := p.keeps.Stats(0, p.now), p.clears.Stats(0, p.now)
	if a.Keys != b.Keys || b.Due != 0 {
		p.t.Errorf("%+v where all is kept, %+v where nothing due is", a, b)
	}
	for slot := range resp.Slots {
		if a, b := p.keeps.CountInSlot(0, slot, p.now), p.clears.CountInSlot(0, slot, p.now); a != b {
			p.t.Errorf("slot %d: %d keys, and %d where nothing due is stored", slot, a, b)
		}
	}
	at := keyspace.Instant{Logged: p.now, Now: p.now}
	p.clears.View(0, at).Each(func(e keyspace.Entry) bool {
		key := slices.Clone(e.Key())
		for _, line := range []string{"DUMP", "TYPE", "PEXPIRETIME", "OBJECT ENCODING"} {
			args := append(words(line), key)
			if got, want := reply(p.keeps, p.now, 1, args), reply(p.clears, p.now, 1, args); !bytes.Equal(got, want) {
				p.t.Errorf("%s %q: %.200q and %.200q", line, key, got, want)
			}
		}
		return true
	})
	if a, b := fmt.Sprintf("%q", reply(p.keeps, p.now, 1, words("KEYS *"))), fmt.Sprintf("%q", reply(p.clears, p.now, 1, words("KEYS *"))); a != b {
		p.t.Errorf("KEYS: %s and %s", a, b)
	}
}
