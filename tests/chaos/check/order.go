package check

import "fmt"

// order takes the longest read of a key for the order of its tokens, and checks it
// and that all other reads are beginnings of it.
func (s *txnSet) order(k *list) {
	longest := -1
	for i, r := range k.reads {
		if longest < 0 || len(r.tokens) > len(k.reads[longest].tokens) {
			longest = i
		}
	}
	if longest < 0 {
		return
	}
	k.order = k.reads[longest].tokens
	for i, token := range k.order {
		if before, twice := k.place[token]; twice {
			k.broken = true
			s.find("duplicate append", k, fmt.Sprintf("token %q stands at %d and at %d", token, before+1, i+1), k.reads[longest].txn)
			continue
		}
		k.place[token] = i
		s.checkToken(k, token, k.reads[longest].txn)
	}
	for _, r := range k.reads {
		if at := firstDifference(r.tokens, k.order); at < len(r.tokens) {
			k.broken = true
			s.incompatible(k, r, k.reads[longest], at)
		}
	}
}

// checkToken checks that a token that was read comes from a transaction that may have
// been done; if that was unknown, it is known now.
func (s *txnSet) checkToken(k *list, token string, reader int) {
	writer, known := k.writer[token]
	if !known {
		k.broken = true
		s.find("phantom token", k, fmt.Sprintf("nobody appended %q", token), reader)
		return
	}
	switch t := &s.txns[writer]; t.op.Outcome {
	case Failed:
		k.broken = true
		s.find("G1a", k, fmt.Sprintf("aborted read: %q was read, but its transaction failed", token), reader, writer)
	case Unknown:
		t.seen = true
	}
}

// incompatible reports a read that is no beginning of the longest.
func (s *txnSet) incompatible(k *list, r, longest listRead, at int) {
	seen := make(map[string]bool)
	for _, token := range r.tokens {
		if seen[token] {
			s.find("duplicate append", k, fmt.Sprintf("token %q was read twice in one list", token), r.txn)
			return
		}
		seen[token] = true
	}
	before := len(s.anomalies)
	for _, token := range r.tokens[at:] {
		s.checkToken(k, token, r.txn)
	}
	if len(s.anomalies) > before {
		return
	}
	s.find("incompatible order", k, fmt.Sprintf("one read has %q at %d, another %q", r.tokens[at], at+1, longest.tokens[at]), r.txn, longest.txn)
}

// firstDifference is the first index at which a is not as b; len(a) if a is a
// beginning of b.
func firstDifference(a, b []string) int {
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return i
		}
	}
	return len(a)
}

// checkPlaces compares the lengths that appends were answered with their places.
func (s *txnSet) checkPlaces(k *list) {
	if k.broken {
		return
	}
	claims := make(map[int]string)
	for _, token := range sortedKeys(k.length) {
		claimed, writer := k.length[token], k.writer[token]
		if other, taken := claims[claimed]; taken {
			s.find("lost update", k, fmt.Sprintf("%q and %q were both told that they stand at %d", other, token, claimed), k.writer[other], writer)
			continue
		}
		claims[claimed] = token
		at, read := k.place[token]
		if read && at+1 != claimed {
			s.find("bad length", k, fmt.Sprintf("%q was told that it stands at %d, but it was read at %d", token, claimed, at+1), writer)
		}
		if !read && claimed <= len(k.order) {
			s.find("lost update", k, fmt.Sprintf("%q was told that it stands at %d, where %q was read", token, claimed, k.order[claimed-1]), writer, k.writer[k.order[claimed-1]])
		}
	}
}

// checkLost looks for acknowledged tokens that a later read does not have.
func (s *txnSet) checkLost(k *list) {
	last := -1 // the read that was called last
	for _, r := range k.reads {
		if last < 0 || s.txns[r.txn].op.Call > s.txns[last].op.Call {
			last = r.txn
		}
	}
	if last < 0 || k.broken {
		return
	}
	for _, token := range k.unread() {
		w := k.writer[token]
		if t := s.txns[w].op; t.Outcome == OK && t.Return < s.txns[last].op.Call {
			s.find("lost write", k, fmt.Sprintf("%q was acknowledged, and a read called after that does not have it", token), w, last)
		}
	}
}

// unread are the tokens that no read has, in a fixed order.
func (k *list) unread() []string {
	missing := make(map[string]bool)
	for token := range k.writer {
		if _, ok := k.place[token]; !ok {
			missing[token] = true
		}
	}
	return sortedKeys(missing)
}
