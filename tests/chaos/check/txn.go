package check

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Anomaly is something among the transactions that no strictly serializable database
// shows.
type Anomaly struct {
	Name string // "G0", "G1a", "lost write", …; a cycle that needs the order in time ends in "-realtime"
	Key  string // "" for a cycle
	Why  string
	Ops  []Op // the transactions that prove it; of a cycle, in its order
}

// String is the anomaly in one line.
func (a Anomaly) String() string {
	if a.Key == "" {
		return fmt.Sprintf("%s: %s", a.Name, a.Why)
	}
	return fmt.Sprintf("%s on %s: %s", a.Name, a.Key, a.Why)
}

// TxnReport is what CheckTxns found.
type TxnReport struct {
	Txns      int // those that count: acknowledged, or unknown and seen
	Keys      int
	Tokens    int // appended by those
	Edges     map[Edge]int
	Anomalies []Anomaly
	Took      time.Duration
}

// String is the report in one line, without the anomalies themselves.
func (r TxnReport) String() string {
	var edges []string
	for _, e := range []Edge{WW, WR, RW, RT} {
		edges = append(edges, fmt.Sprintf("%d %s", r.Edges[e], e))
	}
	return fmt.Sprintf("%d transactions, %d keys, %d tokens, edges %s, %d anomalies; checker %v",
		r.Txns, r.Keys, r.Tokens, strings.Join(edges, " "), len(r.Anomalies), r.Took.Round(time.Millisecond))
}

// CheckTxns looks for anomalies among the transactions, single commands included,
// that append unique tokens to lists and read whole lists. It is Elle's idea
// (Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from Experimental
// Observations", VLDB 2020): a list that only grows shows in each read the whole order
// in which it was written, so the dependencies between transactions follow from what
// was read, and what is not serializable is a cycle of them. Unlike a search for an
// order it takes time linear in the history.
//
//   - Per key the longest read gives the order of the tokens. Each read must be a
//     beginning of it; each token must come once, from a transaction that did not
//     fail; an acknowledged one must be in each read called after it returned.
//   - An acknowledged APPEND's length must be the place of its token.
//   - Within a transaction reads and appends must agree with each other.
//   - Transactions are joined by ww (wrote the token before), wr (read the other's
//     last), rw (did not read the other's yet) and by real time (returned before the
//     other was called). A cycle is an anomaly, named as Adya does: G0 of ww alone, G1c
//     with wr, G-single with one rw, G2 with more.
//
// An unknown transaction counts as one that may end at any time, if one of its tokens
// was read.
func CheckTxns(ops []Op) TxnReport {
	began := time.Now()
	s := newTxnSet(ops)
	for _, k := range s.keys {
		s.order(k)
	}
	for _, k := range s.keys {
		s.checkPlaces(k)
		s.checkLost(k)
	}
	g := s.graph()
	report := TxnReport{Txns: s.counted(), Keys: len(s.keys), Edges: g.count, Anomalies: s.anomalies}
	for _, k := range s.keys {
		report.Tokens += len(k.writer)
	}
	report.Anomalies = append(report.Anomalies, s.cycles(g)...)
	report.Took = time.Since(began)
	return report
}

// txn is a transaction in terms of tokens.
type txn struct {
	op    *Op
	steps []Step
	seen  bool // unknown, but one of its tokens was read
	parts []part
}

// counts says whether the transaction was certainly done.
func (t *txn) counts() bool { return t.op.Outcome == OK || t.seen }

// part is what a transaction did to one key: first it met the first tokens, or as
// many as external of a read, then it appended its own.
type part struct {
	key  *list
	own  []string // its tokens in its order
	read bool     // it read the key; always false where the outcome is not OK
	// external is how many tokens of others were there before; only where read.
	external int
}

// list is a key that only grows.
type list struct {
	name   string
	width  int            // of its tokens, where strings serve as lists
	writer map[string]int // token -> index of its transaction, failed ones included
	length map[string]int // token -> its place as its own reply says, counted from 1
	reads  []listRead
	order  []string       // the longest read
	place  map[string]int // token -> its index in order
	broken bool           // no order: it gives no edges

	unreadDone bool
	unreadSure []string // the tokens of counted transactions that no read has; once unreadDone
}

// listRead is one read of a whole list.
type listRead struct {
	txn    int
	tokens []string
}

// txnSet is all transactions and all keys.
type txnSet struct {
	txns      []txn
	keys      []*list
	byName    map[string]*list
	found     map[string]int // by name and key
	anomalies []Anomaly
}

func newTxnSet(ops []Op) *txnSet {
	s := &txnSet{byName: make(map[string]*list), found: make(map[string]int)}
	for i := range ops {
		op := &ops[i]
		steps := op.Steps
		if op.Kind != Txn {
			steps = []Step{{Kind: op.Kind, Key: op.Key, Arg: op.Arg, Result: op.Result}}
		}
		s.txns = append(s.txns, txn{op: op, steps: steps})
		for _, step := range steps {
			s.declare(i, step)
		}
	}
	for i := range s.txns {
		s.parse(i)
	}
	return s
}

// declare notes the token of an append before anything is read.
func (s *txnSet) declare(i int, step Step) {
	k := s.byName[step.Key]
	if k == nil {
		k = &list{name: step.Key, writer: make(map[string]int), length: make(map[string]int), place: make(map[string]int)}
		s.byName[step.Key] = k
		s.keys = append(s.keys, k)
	}
	switch step.Kind {
	case Append, RPush:
	case Get, LRange:
		return
	default:
		s.find("invalid", k, fmt.Sprintf("a transaction cannot hold %s", step.Kind), i)
		return
	}
	if _, twice := k.writer[step.Arg]; twice || step.Arg == "" {
		s.find("invalid", k, fmt.Sprintf("token %q is not unique", step.Arg), i)
		return
	}
	k.writer[step.Arg] = i
	if step.Kind == Append {
		if k.width != 0 && k.width != len(step.Arg) {
			s.find("invalid", k, fmt.Sprintf("token %q is not as wide as others", step.Arg), i)
		}
		k.width = len(step.Arg)
	}
}

// parse turns the steps of a transaction into parts, and checks that they agree with
// each other.
func (s *txnSet) parse(i int) {
	t := &s.txns[i]
	for _, step := range t.steps {
		k := s.byName[step.Key]
		p := t.part(k)
		switch step.Kind {
		case Append, RPush:
			p.own = append(p.own, step.Arg)
			if t.op.Outcome == OK {
				s.noteLength(i, k, step)
			}
		case Get, LRange:
			if t.op.Outcome == OK {
				s.noteRead(i, p, k.tokens(step))
			}
		}
	}
}

func (t *txn) part(k *list) *part {
	for i := range t.parts {
		if t.parts[i].key == k {
			return &t.parts[i]
		}
	}
	t.parts = append(t.parts, part{key: k})
	return &t.parts[len(t.parts)-1]
}

// tokens are the tokens that a step read.
func (k *list) tokens(step Step) []string {
	if step.Kind == LRange {
		return step.Result.List
	}
	if k.width == 0 { // nobody appended: what is there is a phantom as a whole
		return cutTokens(step.Result.Text, max(1, len(step.Result.Text)))
	}
	return cutTokens(step.Result.Text, k.width)
}

func (s *txnSet) noteLength(i int, k *list, step Step) {
	place := int(step.Result.Int)
	if step.Kind == Append {
		if k.width == 0 || place%k.width != 0 {
			s.find("bad length", k, fmt.Sprintf("APPEND %s gave %d, no multiple of the tokens' width %d", step.Arg, place, k.width), i)
			return
		}
		place /= k.width
	}
	k.length[step.Arg] = place
}

func (s *txnSet) noteRead(i int, p *part, tokens []string) {
	p.key.reads = append(p.key.reads, listRead{i, tokens})
	external := len(tokens) - len(p.own)
	if external < 0 || !slices.Equal(tokens[external:], p.own) {
		s.find("internal", p.key, fmt.Sprintf("the transaction appended %v and then read %s", p.own, tail(tokens)), i)
		return
	}
	if p.read && p.external != external {
		s.find("internal", p.key, fmt.Sprintf("two reads of the transaction differ: %d and %d tokens of others", p.external, external), i)
		return
	}
	p.read, p.external = true, external
}

// find notes an anomaly of a key; of each name and key the first three.
func (s *txnSet) find(name string, k *list, why string, txns ...int) {
	if s.found[name+" "+k.name]++; s.found[name+" "+k.name] > 3 {
		return
	}
	a := Anomaly{Name: name, Key: k.name, Why: why}
	for _, i := range txns {
		a.Ops = append(a.Ops, *s.txns[i].op)
	}
	s.anomalies = append(s.anomalies, a)
}

func (s *txnSet) counted() int {
	n := 0
	for i := range s.txns {
		if s.txns[i].counts() {
			n++
		}
	}
	return n
}

// tail shows the end of a list.
func tail(tokens []string) string {
	if len(tokens) <= 4 {
		return fmt.Sprint(tokens)
	}
	return fmt.Sprintf("[… %s] (%d)", strings.Join(tokens[len(tokens)-4:], " "), len(tokens))
}
