package compat

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
	"github.com/raftkv/raftkv/tests/realredis"
)

// sequence is what runs from empty databases on.
type sequence struct {
	seed, number uint64
	proto        int
	reload       int // the Machine is restored from its snapshot before each so many-th step; 0: never
	check        bool
	steps        []step
}

// step is one command.
type step struct {
	args     [][]byte
	blocking bool // in a transaction of its own, in which it does not block
	check    bool // a look at the state
}

func (s *sequence) title() string {
	return fmt.Sprintf("seed %d, sequence %d, RESP%d", s.seed, s.number, s.proto)
}

// sequence makes the next one. In half of them the limits of the small forms are low, so
// that a few elements get beyond them; in a third there are transactions.
func (r *rig) sequence(seed, n uint64) *sequence {
	s := &sequence{seed: seed, number: n, proto: 2 + int(n%2), check: true}
	if r.gen.IntN(4) == 0 {
		s.reload = 1 + r.gen.IntN(40)
	}
	r.gen.Theme()
	low, transactions := r.gen.IntN(2) == 0, r.gen.IntN(3) == 0
	if low {
		for range 1 + r.gen.IntN(8) {
			r.setting(s, r.settings)
		}
	}
	later := slices.DeleteFunc(slices.Clone(r.settings), func(name string) bool { return name == crashes })
	for range 20 + r.gen.IntN(200) {
		switch {
		case r.gen.IntN(60) == 0:
			s.add("SELECT", []string{"0", "1", "0"}[r.gen.IntN(3)])
		case low && r.gen.IntN(50) == 0:
			r.setting(s, later)
		case transactions && r.gen.IntN(12) == 0:
			r.transaction(s)
		default:
			c, args := r.gen.Command()
			s.steps = append(s.steps, step{args: args, blocking: c.Flags&spec.Blocking != 0})
		}
	}
	return s
}

func (s *sequence) add(list ...string) { s.steps = append(s.steps, step{args: words(list...)}) }

// crashes is the setting that the real Redis must not be given a lower value of while
// there are streams: with a node that was made for 100 bytes, 40 and a longer entry bring
// 7.0.15 down at the next XRANGE ("lpValidateNext(lp, &p, lpbytes)' is not true").
const crashes = "stream-node-max-bytes"

// setting changes one of the limits.
func (r *rig) setting(s *sequence, names []string) {
	name := names[r.gen.IntN(len(names))]
	s.add("CONFIG", "SET", name, strconv.FormatInt(r.gen.Setting(name), 10))
}

// transaction makes one, often with keys that are watched, and with commands between
// WATCH and MULTI that may change them.
func (r *rig) transaction(s *sequence) {
	if r.gen.IntN(2) == 0 {
		watch := words("WATCH")
		for range 1 + r.gen.IntN(3) {
			watch = append(watch, r.gen.AnyKey())
		}
		s.steps = append(s.steps, step{args: watch})
		for range r.gen.IntN(4) {
			r.plain(s, false)
		}
		if r.gen.IntN(12) == 0 {
			s.add("UNWATCH")
		}
	}
	s.add("MULTI")
	for range r.gen.IntN(6) {
		r.plain(s, true)
		if r.gen.IntN(80) == 0 {
			s.add(strings.Fields(r.gen.Pick("MULTI", "WATCH k"))...)
		}
	}
	s.add(r.gen.Pick("EXEC", "EXEC", "EXEC", "EXEC", "EXEC", "EXEC", "DISCARD"))
}

// plain adds a command whose reply can be judged where the state is another one already,
// and that is sent as it is. One that may block would, outside of a transaction.
func (r *rig) plain(s *sequence, queued bool) {
	for {
		c, args := r.gen.Command()
		name, blocks := c.FullName(), c.Flags&spec.Blocking != 0
		if !asks(name) && (queued || !blocks) && name != "pfcount" && !(name == "xadd" && has(args, "*")) {
			s.steps = append(s.steps, step{args: args, blocking: blocks})
			return
		}
	}
}

func has(args [][]byte, word string) bool {
	for _, a := range args {
		if strings.EqualFold(string(a), word) {
			return true
		}
	}
	return false
}

func words(list ...string) [][]byte {
	args := make([][]byte, len(list))
	for i, word := range list {
		args[i] = []byte(word)
	}
	return args
}

// settingsOf are the settings that the real Redis has, too.
func settingsOf(c *realredis.Conn) (names []string, err error) {
	for _, s := range system.Settings() {
		raw, err := c.Do(words("CONFIG", "GET", s.Name))
		if err != nil {
			return nil, err
		}
		if v, err := resp.Parse(raw); err == nil && len(v.Elems) == 2 {
			names = append(names, s.Name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("CONFIG GET: the real Redis has none of our settings")
	}
	return names, nil
}

// defaults sets all settings of the real Redis back.
func (r *rig) defaults() error {
	args := words("CONFIG", "SET")
	for _, s := range system.Settings() {
		for _, name := range r.settings {
			if s.Name == name {
				args = append(args, words(name, strconv.FormatInt(s.Default, 10))...)
			}
		}
	}
	raw, err := r.conn.Do(args)
	if err == nil && string(raw) != replyOK {
		err = fmt.Errorf("%q: %q", args, raw)
	}
	return err
}
