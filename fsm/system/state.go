package system

import (
	"crypto/sha256"
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
	// version is the cluster version: it fixes what commands do, and is raised only
	// when all members understand the new one.
	version uint64
	members []Member // ordered by ID
}

// FirstVersion is the cluster version that a new cluster starts with.
const FirstVersion = 1

// NewState returns the state that a snapshot told of. Members may come in any
// order; the error says what cannot be.
func NewState(clusterID string, version uint64, members []Member) (*State, error) {
	if version > FirstVersion {
		return nil, fmt.Errorf("cluster version %d; this program knows up to %d", version, FirstVersion)
	}
	s := &State{clusterID: clusterID, version: version, members: slices.Clone(members)}
	slices.SortFunc(s.members, byID)
	for i := range s.members {
		if s.members[i].ID == "" {
			return nil, fmt.Errorf("a member without an id")
		}
		if i > 0 && s.members[i].ID == s.members[i-1].ID {
			return nil, fmt.Errorf("member %q twice", s.members[i].ID)
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

// Version is the cluster version, 0 before the cluster is founded.
func (s *State) Version() uint64 {
	if s == nil {
		return 0
	}
	return s.version
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
	cmdMemberDel   = "MEMBER-DEL"
	cmdAudit       = "AUDIT"
)

// ClusterInit founds the cluster: it gives it its UUID. It is refused once there
// is a UUID, unless it is the same one.
func ClusterInit(uuid string) Command { return command(cmdClusterInit, uuid) }

// MemberSet adds a member, or replaces what is known of one.
func MemberSet(m Member) Command {
	return command(cmdMemberSet, m.ID, m.Raft, m.RESP, m.HTTP, strconv.FormatBool(m.Learner), m.Dir)
}

// MemberDel removes a member; an unknown id is no error.
func MemberDel(id string) Command { return command(cmdMemberDel, id) }

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
	case name == cmdMemberSet && len(words) == 6 && isBool(words[4]):
		return s.setMember(Member{
			ID: words[0], Raft: words[1], RESP: words[2], HTTP: words[3], Learner: words[4] == "true", Dir: words[5],
		})
	case name == cmdMemberDel && len(words) == 1:
		return s.deleteMember(words[0]), nil
	case name == cmdAudit && len(words) == 2:
		return s, nil
	}
	return s, fmt.Errorf("unknown system command %s of %d words", strconv.Quote(name), len(args))
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
	return &State{clusterID: uuid, version: FirstVersion, members: s.Members()}, nil
}

func (s *State) setMember(m Member) (*State, error) {
	if m.ID == "" {
		return s, fmt.Errorf("a member needs an id")
	}
	members := slices.Clone(s.Members())
	if i, ok := find(members, m.ID); ok {
		members[i] = m
	} else {
		members = slices.Insert(members, i, m)
	}
	return s.with(members), nil
}

func (s *State) deleteMember(id string) *State {
	i, ok := find(s.Members(), id)
	if !ok {
		return s
	}
	return s.with(slices.Delete(slices.Clone(s.members), i, i+1))
}

func (s *State) with(members []Member) *State {
	return &State{clusterID: s.ClusterID(), version: s.Version(), members: members}
}

// find says where the member of that id stands, or would stand.
func find(members []Member, id string) (int, bool) {
	return slices.BinarySearchFunc(members, id, func(m Member, id string) int { return strings.Compare(m.ID, id) })
}

func byID(a, b Member) int { return strings.Compare(a.ID, b.ID) }
