package fsm

import (
	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/keyspace"
)

// ahead looks at the keys of the commands that come next, some at once (see
// keyspace.Ahead). Which keys a command really uses is its handler's business; most
// have one, as their first argument, and for the others nothing is lost but time.
type ahead struct {
	keys keyspace.Ahead
	of   [keyspace.AheadMost]*entry.Command // whose key each is
	next int                                // the first of them that has not been run yet
	// members says that what collections are asked for is looked at, too: of who writes.
	members bool
}

// longKey is the length of keys that are not looked at: hashing them takes longer than
// finding them.
const longKey = 256

// keyed says whether command j of a proposal is looked at.
func keyed(p *entry.Proposal, j int) bool {
	args := p.Commands[j].Args
	return len(args) > 1 && len(args[1]) <= longKey && !p.System && isDB(p.DBOf(j))
}

// hint is the number of the key of a proposal's command j, -1 where it has none. Where
// the command was not looked at yet, it is now, with those that follow, the commands
// of the proposals behind it included.
func (h *ahead) hint(s *keyspace.Space, p *entry.Proposal, j int, behind []entry.Proposal) int {
	if !keyed(p, j) {
		return -1
	}
	for h.next < h.keys.Len() { // some may be passed over: an EXEC whose watch failed
		h.next++
		if h.of[h.next-1] == &p.Commands[j] {
			return h.next - 1
		}
	}
	h.drop()
	h.add(s, p, j)
	for i := 0; i < len(behind) && !h.keys.Full(); i++ {
		h.add(s, &behind[i], 0)
	}
	if h.keys.Len() > 1 { // one alone waits no longer later than now
		h.keys.Warm()
		if h.members {
			for i := range h.keys.Len() {
				h.keys.AddMember(i, h.of[i].Args)
			}
			h.keys.WarmMembers(s)
		}
	}
	h.next = 1
	return 0
}

// add takes keys from command j on.
func (h *ahead) add(s *keyspace.Space, p *entry.Proposal, j int) {
	for ; j < len(p.Commands) && !h.keys.Full(); j++ {
		if keyed(p, j) {
			h.of[h.keys.Add(s, p.DBOf(j), p.Commands[j].Args[1])] = &p.Commands[j]
		}
	}
}

// drop forgets all that was looked at.
func (h *ahead) drop() {
	clear(h.of[:h.keys.Len()])
	h.keys.Drop()
	h.next = 0
}
