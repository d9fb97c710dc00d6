package system

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// State is the replicated state that is not keys. It never changes: Apply returns
// another one, so whoever holds a State may read it without a lock. The nil
// *State is that of a node without a cluster.
type State struct {
	clusterID string
	version   uint64      // see version.go; 0 without a cluster
	members   []Member    // ordered by ID
	departed  []Departure // ordered by ID; grows, never shrinks
	users     *Users      // nil until the first change of a user
	joining   *tokens     // nil while nobody needs one to join
	settings  []Value     // ordered by name: those that were ever set
}

// maxIDs is how many ids a cluster can use in its life, those in use included: what
// is kept of each is in memory and in every snapshot, about 100 bytes. It is a bound
// that no cluster meets, and one that does takes no more nodes: to forget an id would
// let a directory that lies about somewhere take part again under it.
const maxIDs = 1 << 16

// NewState returns the state that a snapshot told of. Members and departed may come
// in any order; the error says what cannot be.
func NewState(clusterID string, version uint64, members []Member, departed []Departure) (*State, error) {
	if version > NewestVersion {
		return nil, fmt.Errorf("cluster version %d, this program knows up to %d", version, NewestVersion)
	}
	if len(members)+len(departed) > maxIDs {
		return nil, fmt.Errorf("%d node ids; there are at most %d", len(members)+len(departed), maxIDs)
	}
	s := &State{clusterID: clusterID, version: version, members: slices.Clone(members), departed: slices.Clone(departed)}
	slices.SortFunc(s.members, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(s.departed, func(a, b Departure) int { return strings.Compare(a.ID, b.ID) })
	for i := range s.members {
		if s.members[i].ID == "" {
			return nil, fmt.Errorf("a member without an id")
		}
		if i > 0 && s.members[i].ID == s.members[i-1].ID {
			return nil, fmt.Errorf("member %q twice", s.members[i].ID)
		}
	}
	for i, d := range s.departed {
		if _, still := s.Member(d.ID); d.ID == "" || still || i > 0 && d.ID == s.departed[i-1].ID {
			return nil, fmt.Errorf("former member %q is one still, or twice, or has no id", d.ID)
		}
	}
	return s, nil
}

// ClusterID is the cluster's UUID, empty before it is founded.
func (s *State) ClusterID() string {
	if s == nil {
		return ""
	}
	return s.clusterID
}

// Members returns all members, ordered by id. The caller must not change the slice.
func (s *State) Members() []Member {
	if s == nil {
		return nil
	}
	return s.members
}

// Member returns the member of that id.
func (s *State) Member(id string) (Member, bool) {
	members := s.Members()
	if i, ok := find(members, id); ok {
		return members[i], true
	}
	return Member{}, false
}

// Departures returns all former members, ordered by id. The caller must not change
// the slice.
func (s *State) Departures() []Departure {
	if s == nil {
		return nil
	}
	return s.departed
}

// Departure returns what is kept of the former member of that id.
func (s *State) Departure(id string) (Departure, bool) {
	departed := s.Departures()
	if i, ok := findDeparture(departed, id); ok {
		return departed[i], true
	}
	return Departure{}, false
}

// HashKey is the key of the hash that gives keys their places. It follows from
// the cluster's UUID, so that all its nodes have the same and no two clusters do.
func (s *State) HashKey() [16]byte {
	if s.ClusterID() == "" {
		return [16]byte{}
	}
	sum := sha256.Sum256([]byte("raftkv hash key " + s.clusterID))
	return [16]byte(sum[:16])
}

// The system commands. No client can name them: only a Proposal with System set
// runs them.
const (
	cmdClusterInit = "CLUSTER-INIT"
	cmdMemberSet   = "MEMBER-SET"
	cmdMemberLeft  = "MEMBER-LEFT"
	cmdMemberDel   = "MEMBER-DEL" // of older logs; not made any more
	cmdAudit       = "AUDIT"
)

// ClusterInit founds the cluster, at FirstVersion: it gives it its UUID. It is refused
// once there is a UUID, unless it is the same one.
func ClusterInit(uuid string) Command { return command(cmdClusterInit, uuid) }

// MemberSet adds a member, or replaces what is known of one. It is refused where the
// id was used before by another data directory, or is that of a former member.
func MemberSet(m Member) Command {
	return command(cmdMemberSet, m.ID, m.Raft, m.RESP, m.HTTP, strconv.FormatBool(m.Learner), m.Dir)
}

// MemberLeft removes a member for good: no other is ever added under its id. An
// unknown id is no error.
func MemberLeft(id string) Command { return command(cmdMemberLeft, id) }

// Audit marks a place in the log and changes nothing: at it the replicas compare
// their states, and rebuild, unless empty, names the node that takes over the
// leader's state of that place. nonce tells one mark from all others.
func Audit(nonce, rebuild string) Command { return command(cmdAudit, nonce, rebuild) }

// AuditMark returns what an Audit command says; ok is false for any other command.
func AuditMark(c *Command) (nonce, rebuild string, ok bool) {
	if len(c.Args) != 3 || string(c.Args[0]) != cmdAudit {
		return "", "", false
	}
	return string(c.Args[1]), string(c.Args[2]), true
}

func command(words ...string) Command {
	args := make([][]byte, len(words))
	for i, w := range words {
		args[i] = []byte(w)
	}
	return Command{Args: args}
}

// Apply returns the state after a system command. The error is for a command
// that cannot be done in this state, or that this program does not know; the
// state is the old one then.
func (s *State) Apply(args [][]byte) (*State, error) {
	if len(args) == 0 {
		return s, fmt.Errorf("empty system command")
	}
	name, words := string(args[0]), make([]string, len(args)-1)
	for i := range words {
		words[i] = string(args[i+1])
	}
	switch {
	case name == cmdClusterInit && len(words) == 1:
		return s.initCluster(words[0])
	case name == cmdClusterVersion && len(words) == 1:
		return s.raise(words[0])
	case name == cmdMemberSet && len(words) == 6 && isBool(words[4]):
		return s.setMember(memberOf(words))
	case name == cmdMemberLeft && len(words) == 1:
		return s.departMember(words[0]), nil
	case name == cmdMemberDel && len(words) == 1:
		// Programs that logged this did not keep the id. Whether an entry is replayed or
		// was in a snapshot must make no difference.
		return s.dropMember(words[0]), nil
	case name == cmdAudit && len(words) == 2:
		return s, nil
	case IsUsersSet(args):
		return s.setUsers(words)
	case IsSettingsSet(args):
		return s.setSettings(words)
	}
	if next, known, err := s.applyToken(name, words); known {
		return next, err
	}
	return s, fmt.Errorf("unknown system command %s of %d words", strconv.Quote(name), len(args))
}

// memberOf is the member that the first words of a command tell of.
func memberOf(words []string) Member {
	return Member{ID: words[0], Raft: words[1], RESP: words[2], HTTP: words[3], Learner: words[4] == "true", Dir: words[5]}
}

// isBool says whether a word is one that strconv.FormatBool writes.
func isBool(word string) bool { return word == "true" || word == "false" }

func (s *State) initCluster(uuid string) (*State, error) {
	switch have := s.ClusterID(); {
	case uuid == "":
		return s, fmt.Errorf("a cluster needs a UUID")
	case have == uuid:
		return s, nil
	case have != "":
		return s, fmt.Errorf("the cluster is %s already", have)
	}
	next := s.with(s.Members(), s.Departures())
	next.clusterID, next.version = uuid, FirstVersion
	return next, nil
}

func (s *State) setMember(m Member) (*State, error) {
	if m.ID == "" {
		return s, fmt.Errorf("a member needs an id")
	}
	if _, gone := s.Departure(m.ID); gone {
		return s, errors.New(IDIsSpent(m.ID))
	}
	members := slices.Clone(s.Members())
	i, ok := find(members, m.ID)
	switch {
	case ok && members[i].Dir != "" && members[i].Dir != m.Dir:
		return s, fmt.Errorf("node id %q is in use by another node", m.ID)
	case ok:
		members[i] = m
	case len(members)+len(s.Departures()) >= maxIDs:
		return s, fmt.Errorf("this cluster has used up its %d node ids", maxIDs)
	default:
		members = slices.Insert(members, i, m)
	}
	return s.with(members, s.Departures()), nil
}

// IDIsSpent says that no node can be added under the id of a former member, and what
// to do.
func IDIsSpent(id string) string {
	return fmt.Sprintf("node id %q was removed from this cluster, and an id is used once in a cluster's life; start the node with another --node-id and a fresh --data-dir", id)
}

// departMember moves a member to those that left.
func (s *State) departMember(id string) *State {
	m, ok := s.Member(id)
	if !ok {
		return s
	}
	departed := s.Departures()
	i, _ := findDeparture(departed, id)
	next := s.dropMember(id)
	next.departed = slices.Insert(slices.Clone(departed), i, Departure{ID: id, Dir: m.Dir})
	return next
}

func (s *State) dropMember(id string) *State {
	i, ok := find(s.Members(), id)
	if !ok {
		return s
	}
	return s.with(slices.Delete(slices.Clone(s.members), i, i+1), s.departed)
}

func (s *State) with(members []Member, departed []Departure) *State {
	next := &State{}
	if s != nil {
		*next = *s
	}
	next.members, next.departed = members, departed
	return next
}

// find says where the member of that id stands, or would stand.
func find(members []Member, id string) (int, bool) {
	return slices.BinarySearchFunc(members, id, func(m Member, id string) int { return strings.Compare(m.ID, id) })
}

// findDeparture does the same for those that left.
func findDeparture(departed []Departure, id string) (int, bool) {
	return slices.BinarySearchFunc(departed, id, func(d Departure, id string) int { return strings.Compare(d.ID, id) })
}
