package compat

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/tests/compat/gen"
	"github.com/raftkv/raftkv/tests/peer"
)

// exchange is one command with both replies.
type exchange struct {
	step
	player       *player
	ours, theirs []byte
}

// player runs one sequence on both ends.
type player struct {
	*rig
	proto int
	db    int
	now   int64
	log   []exchange
	// sorted says that SORT has run, parted that the rest does not count.
	sorted, parted bool
}

// play runs a sequence up to the first difference; nil where there is none.
func (r *rig) play(s *sequence) (*difference, error) {
	p := &player{rig: r, proto: s.proto}
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
	for _, args := range [][][]byte{words("HELLO", strconv.Itoa(p.proto)), words("SELECT", "0"), words("FLUSHALL")} {
		if _, err := p.conn.Do(args); err != nil {
			return err
		}
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
		if isScan(steps[n-1].args) {
			break
		}
	}
	return n
}

// segment runs steps in one pipeline.
func (p *player) segment(steps []step, reload int) (*difference, error) {
	p.now = max(p.now, time.Now().UnixMilli())
	for _, st := range steps {
		if err := p.send(st); err != nil {
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
		if err := p.exchange(&x); err != nil {
			return nil, fmt.Errorf("%w, at %.100q of %s", err, st.args, lines(steps))
		}
		p.log = append(p.log, x)
		switch x.compare() {
		case part:
			p.parted = true
			return nil, p.drain(steps[i+1:])
		case differs:
			d := &difference{name: fullName(p.rig, st.args), ours: x.ours, theirs: x.theirs, log: p.log}
			return d, p.drain(steps[i+1:])
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
func (p *player) drain(steps []step) error {
	for _, st := range steps {
		if _, err := p.receive(st); err != nil {
			return err
		}
	}
	return nil
}

// exchange takes Redis's reply and gets ours.
func (p *player) exchange(x *exchange) (err error) {
	if x.theirs, err = p.receive(x.step); err != nil {
		return err
	}
	p.follow(x)
	if x.ours, err = p.own(x.args); err != nil {
		return err
	}
	if p.distort != nil {
		x.ours = p.distort(x.args, x.ours)
	}
	p.count(x)
	p.sorted = p.sorted || strings.HasPrefix(strings.ToUpper(string(x.args[0])), "SORT")
	if strings.EqualFold(string(x.args[0]), "DUMP") && len(x.theirs) > 0 && x.theirs[0] == '$' {
		p.keepDump(x.ours)
		p.keepDump(x.theirs)
	}
	return nil
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
	if len(x.theirs) > 0 && x.theirs[0] != '-' {
		p.result.Ran[fullName(p.rig, x.args)]++
	}
}

func (p *player) send(st step) error {
	if !st.blocking {
		err := p.conn.Send(st.args...)
		if after := aftermath(st.args); err == nil && after != nil {
			err = p.conn.Send(after...)
		}
		return err
	}
	for _, args := range [][][]byte{words("MULTI"), st.args, words("EXEC")} {
		if err := p.conn.Send(args...); err != nil {
			return err
		}
	}
	return nil
}

func (p *player) receive(st step) ([]byte, error) {
	if !st.blocking {
		reply, err := p.conn.Receive()
		if err == nil && aftermath(st.args) != nil {
			_, err = p.conn.Receive()
		}
		return reply, err
	}
	var replies [3][]byte
	for i := range replies {
		var err error
		if replies[i], err = p.conn.Receive(); err != nil {
			return nil, err
		}
	}
	if string(replies[1]) != "+QUEUED\r\n" {
		return replies[1], nil
	}
	return bytes.TrimPrefix(replies[2], []byte("*1\r\n")), nil
}

// forget takes back that PFCOUNT has written what it counted into the value, which it
// never does here: the words where it stands are made those of a value that changed.
const forget = `local n = redis.pcall('PFCOUNT', KEYS[1])
if type(n) == 'number' and redis.call('EXISTS', KEYS[1]) == 1 then
	redis.call('SETRANGE', KEYS[1], 8, '\0\0\0\0\0\0\0\128')
end
return 1`

// aftermath is what Redis is sent after a command, for nothing but its effect; nil: nothing.
func aftermath(args [][]byte) [][]byte {
	if len(args) == 2 && strings.EqualFold(string(args[0]), "PFCOUNT") {
		return append(words("EVAL", forget, "1"), args[1])
	}
	return nil
}

// own runs a command on our end.
func (p *player) own(args [][]byte) ([]byte, error) {
	if strings.EqualFold(string(args[0]), "SELECT") {
		p.db, _ = strconv.Atoi(string(args[1]))
		return []byte("+OK\r\n"), nil
	}
	return p.ours.Do(peer.Call{Proto: p.proto, DB: p.db, Now: p.now, Args: args})
}

// tell asks our end something, in RESP3.
func (p *player) tell(list ...string) resp.Value {
	raw, err := p.ours.Do(peer.Call{Proto: 3, DB: p.db, Now: p.now, Args: words(list...)})
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
		steps := []step{{args: words("SELECT", db), check: true}}
		p.db, _ = strconv.Atoi(db)
		for _, key := range gen.Keys() {
			kind := p.tell("TYPE", key).Text()
			steps = append(steps, step{args: words("TYPE", key), check: true})
			if kind == "none" {
				continue
			}
			for _, look := range append(looks[kind], []string{"OBJECT", "ENCODING", ""}, []string{"PEXPIRETIME", ""}) {
				args := words(look...)
				for i := range args {
					if len(args[i]) == 0 {
						args[i] = []byte(key)
					}
				}
				steps = append(steps, step{args: args, check: true})
			}
		}
		steps = append(steps, step{args: words("KEYS", "*"), check: true})
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
