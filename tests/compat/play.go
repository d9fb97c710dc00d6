package compat

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/tests/compat/gen"
	"github.com/raftkv/raftkv/tests/peer"
	"github.com/raftkv/raftkv/tests/realredis"
)

// exchange is one command with both replies.
type exchange struct {
	step
	player       *player
	ours, theirs []byte
	inner        []exchange // of EXEC: what ran
	within       bool       // is such a one
	after        []byte     // Redis's reply to the aftermath
}

// player runs one sequence on both ends.
type player struct {
	*rig
	session session
	now     int64
	log     []exchange
	// multi says that what is sent next is in a transaction.
	multi bool
	// sorted says that SORT has run, parted that the rest does not count.
	sorted, parted bool
}

// play runs a sequence up to the first difference; nil where there is none.
func (r *rig) play(s *sequence) (*difference, error) {
	p := &player{rig: r, session: session{proto: s.proto}}
	if err := p.begin(); err != nil {
		return nil, err
	}
	for steps := s.steps; len(steps) > 0; {
		n := segment(steps)
		if d, err := p.segment(steps[:n], s.reload); d != nil || err != nil || p.parted {
			return d, err
		}
		steps = steps[n:]
	}
	if !s.check {
		return nil, nil
	}
	return p.checkState()
}

// begin empties both ends.
func (p *player) begin() (err error) {
	for _, args := range [][][]byte{words("RESET"), words("HELLO", strconv.Itoa(p.session.proto)), words("FLUSHALL")} {
		if _, err := p.conn.Do(args); err != nil {
			return err
		}
	}
	if err := p.defaults(); err != nil {
		return err
	}
	p.ours, err = peer.NewMachine()
	return err
}

// segment is how many steps may be sent to Redis before its replies are read: up to one
// whose reply asks for more.
func segment(steps []step) int {
	n := 0
	for n < len(steps) && n < 64 {
		n++
		if isScan(steps[n-1].args) || isAttempt(steps[n-1].args) {
			break
		}
	}
	return n
}

// segment runs steps in one pipeline.
func (p *player) segment(steps []step, reload int) (*difference, error) {
	p.now = max(p.now, time.Now().UnixMilli())
	forms := make([]form, len(steps))
	for i, st := range steps {
		var err error
		if forms[i], err = p.send(st); err != nil {
			return nil, err
		}
	}
	for i, st := range steps {
		if reload > 0 && len(p.log)%reload == reload-1 {
			if err := p.ours.Reload(); err != nil {
				return nil, err
			}
		}
		x := exchange{step: st, player: p}
		if err := p.exchange(&x, forms[i]); err != nil {
			return nil, fmt.Errorf("%w, at %.100q of %s", err, st.args, lines(steps))
		}
		p.log = append(p.log, x)
		switch verdict, name := x.compare(); {
		case verdict == part || p.parted:
			p.parted = true
			return nil, p.drain(forms[i+1:])
		case verdict == differs:
			d := &difference{name: name, ours: x.ours, theirs: x.theirs, log: p.log}
			return d, p.drain(forms[i+1:])
		}
	}
	return nil, nil
}

// lines are the command lines of steps, long ones cut off.
func lines(steps []step) (text string) {
	for _, st := range steps {
		line := commandLine(st.args)
		text += "\n" + line[:min(len(line), 200)]
	}
	return text
}

// drain takes the replies that nobody wants.
func (p *player) drain(forms []form) error {
	for _, f := range forms {
		if _, _, err := p.receive(f); err != nil {
			return err
		}
	}
	return nil
}

// exchange takes Redis's reply and gets ours.
func (p *player) exchange(x *exchange, f form) (err error) {
	if x.theirs, x.after, err = p.receive(f); err != nil {
		return err
	}
	p.follow(x)
	var ran []entry.Command
	if f == wrapped {
		x.ours, err = p.ownWrapped(x.args)
	} else {
		x.ours, ran, err = p.own(x.args)
	}
	if err != nil {
		return err
	}
	if p.distort != nil {
		x.ours = p.distort(x.args, x.ours)
	}
	if f == followed && strings.EqualFold(string(x.args[0]), "PFCOUNT") && x.ours[0] == ':' {
		if key := string(x.args[1]); p.tell("EXISTS", key).Int == 1 { // as forget does
			p.tell("SETRANGE", key, "8", "\x00\x00\x00\x00\x00\x00\x00\x80")
		}
	}
	if err := p.makeConsumers(x); err != nil {
		return err
	}
	x.open(ran)
	p.count(x)
	p.sorted = p.sorted || strings.HasPrefix(strings.ToUpper(string(x.args[0])), "SORT")
	if strings.EqualFold(string(x.args[0]), "DUMP") && len(x.theirs) > 0 && x.theirs[0] == '$' && x.ours[0] == '$' {
		p.keepDump(x.ours)
		p.keepDump(x.theirs)
	}
	return nil
}

// open sets apart what a transaction ran, where both ends answer as many.
func (x *exchange) open(ran []entry.Command) {
	ours, ok := realredis.Elements(x.ours)
	theirs, ok2 := realredis.Elements(x.theirs)
	if len(ran) == 0 || !ok || !ok2 || len(ours) != len(ran) || len(theirs) != len(ran) {
		return
	}
	for i := range ran {
		x.inner = append(x.inner, exchange{step: step{args: ran[i].Args}, player: x.player, ours: ours[i], theirs: theirs[i], within: true})
	}
}

// keepDump gives the generator a payload for RESTORE.
func (p *player) keepDump(reply []byte) {
	const most, longest = 64, 4096
	v, err := resp.Parse(reply)
	if err != nil || v.Kind != resp.KindBulk || len(v.Str) > longest {
		return
	}
	if g := p.gen; len(g.Dumps) < most {
		g.Dumps = append(g.Dumps, v.Str)
	} else {
		g.Dumps[p.result.Commands%most] = v.Str
	}
}

func (p *player) count(x *exchange) {
	if x.check {
		p.result.Checks++
		return
	}
	p.result.Commands++
	p.result.ByProto[p.session.proto]++
	p.result.Queued += len(x.inner)
	if !x.within && p.session.multi {
		return
	}
	p.succeeded(x)
	for i := range x.inner {
		p.succeeded(&x.inner[i])
	}
}

func (p *player) succeeded(x *exchange) {
	if len(x.theirs) > 0 && x.theirs[0] != '-' {
		p.result.Ran[fullName(p.rig, x.args)]++
	}
}

// form is how a step is sent.
type form int

const (
	alone form = iota
	wrapped
	followed
)

func (p *player) send(st step) (form, error) {
	switch strings.ToUpper(string(st.args[0])) {
	case "MULTI":
		p.multi = true
	case "EXEC", "DISCARD":
		p.multi = false
	}
	after := aftermath(st.args)
	list, f := [][][]byte{st.args}, alone
	switch {
	case p.multi:
	case st.blocking:
		list, f = [][][]byte{words("MULTI"), st.args, words("EXEC")}, wrapped
	case after != nil:
		list, f = append(list, after), followed
	}
	for _, args := range list {
		if err := p.conn.Send(args...); err != nil {
			return f, err
		}
	}
	return f, nil
}

func (p *player) receive(f form) (reply, after []byte, err error) {
	reply, err = p.conn.Receive()
	if err != nil || f == alone {
		return reply, nil, err
	}
	second, err := p.conn.Receive()
	if err != nil || f == followed {
		return reply, second, err
	}
	third, err := p.conn.Receive()
	return unwrapped(second, third), nil, err
}

// unwrapped is the reply of a command that ran in a transaction of its own.
func unwrapped(queued, exec []byte) []byte {
	if string(queued) != replyQueued {
		return queued
	}
	return bytes.TrimPrefix(exec, []byte("*1\r\n"))
}

// ownWrapped does the same on our end.
func (p *player) ownWrapped(args [][]byte) ([]byte, error) {
	var replies [3][]byte
	for i, line := range [][][]byte{words("MULTI"), args, words("EXEC")} {
		var err error
		if replies[i], _, err = p.own(line); err != nil {
			return nil, err
		}
	}
	return unwrapped(replies[1], replies[2]), nil
}

// forget takes back that PFCOUNT has written what it counted into the value, which it
// never does here: the words where it stands are made those of a value that changed, on
// both ends, for a SETRANGE may have left others there.
const forget = `local n = redis.pcall('PFCOUNT', KEYS[1])
if type(n) == 'number' and redis.call('EXISTS', KEYS[1]) == 1 then
	redis.call('SETRANGE', KEYS[1], 8, '\0\0\0\0\0\0\0\128')
end
return 1`

// aftermath is what Redis is sent after a command, for its effect or for a look at what
// the reply does not tell; nil: nothing.
func aftermath(args [][]byte) [][]byte {
	switch strings.ToUpper(string(args[0])) {
	case "PFCOUNT":
		if len(args) == 2 {
			return append(words("EVAL", forget, "1"), args[1])
		}
	case "SORT":
		if at := lastWord(args, "STORE"); at > 0 && at+1 < len(args) && sortsByTexts(args) {
			return append(append(words("LRANGE"), args[at+1]), words("0", "-1")...)
		}
	}
	return nil
}

// lastWord is where a word stands for the last time, -1 where it does not.
func lastWord(args [][]byte, word string) int {
	for i := len(args) - 1; i >= 0; i-- {
		if strings.EqualFold(string(args[i]), word) {
			return i
		}
	}
	return -1
}

// tell asks our end something, in RESP3.
func (p *player) tell(list ...string) resp.Value {
	raw, err := p.ours.Do(peer.Call{Proto: 3, DB: p.session.db, Now: p.now, Args: words(list...)})
	if err == nil {
		var v resp.Value
		if v, err = resp.Parse(raw); err == nil {
			return v
		}
	}
	return resp.Value{Kind: resp.KindError, Str: []byte(err.Error())}
}

// follow sets our clock to what Redis took for an id out of it.
func (p *player) follow(x *exchange) {
	if !strings.EqualFold(string(x.args[0]), "XADD") || len(x.theirs) == 0 || x.theirs[0] != '$' {
		return
	}
	_, text, _ := bytes.Cut(x.theirs, []byte("\r\n"))
	ms, _, _ := bytes.Cut(text, []byte("-"))
	const minute = 60_000
	if at, err := strconv.ParseInt(string(ms), 10, 64); err == nil && at >= p.now && at < p.now+minute {
		p.now = at
	}
}

// looks are the commands that show a value whole, by type.
var looks = map[string][][]string{
	"string": {{"GET", ""}},
	"hash":   {{"HGETALL", ""}},
	"list":   {{"LRANGE", "", "0", "-1"}},
	"set":    {{"SMEMBERS", ""}},
	"zset":   {{"ZRANGE", "", "0", "-1", "WITHSCORES"}},
	"stream": {{"XRANGE", "", "-", "+"}, {"XINFO", "STREAM", "", "FULL"}},
}

// checkState compares all keys with their values.
func (p *player) checkState() (*difference, error) {
	for _, db := range []string{"0", "1"} {
		var steps []step
		look := func(list ...string) { steps = append(steps, step{args: words(list...), check: true}) }
		if p.multi {
			look("DISCARD")
		}
		look("SELECT", db)
		n, _ := strconv.Atoi(db)
		for _, key := range gen.Keys() {
			look("TYPE", key)
			kind := p.typeOf(n, key)
			if kind == "none" {
				continue
			}
			for _, line := range append(looks[kind], []string{"OBJECT", "ENCODING", ""}, []string{"PEXPIRETIME", ""}, []string{"DUMP", ""}) {
				line = slices.Clone(line)
				line[slices.Index(line, "")] = key
				look(line...)
			}
		}
		look("KEYS", "*")
		for len(steps) > 0 {
			n := segment(steps)
			if d, err := p.segment(steps[:n], 0); d != nil || err != nil || p.parted {
				return d, err
			}
			steps = steps[n:]
		}
	}
	return nil, nil
}

func (p *player) typeOf(db int, key string) string {
	before := p.session.db
	defer func() { p.session.db = before }()
	p.session.db = db
	return p.tell("TYPE", key).Text()
}

// fullName is a command's name as spec.Command.FullName has it.
func fullName(r *rig, args [][]byte) string {
	name := strings.ToUpper(string(args[0]))
	for i := range r.specs {
		if r.specs[i].Name == name && len(r.specs[i].Subcommands) > 0 && len(args) > 1 {
			return strings.ToLower(name + "|" + string(args[1]))
		}
	}
	return strings.ToLower(name)
}
