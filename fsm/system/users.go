package system

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// User is what the log keeps of a user of the access control lists. What the rules
// mean is for others: here they are text.
type User struct {
	Name string
	// Rules are the user's rules in the words of ACL SETUSER, with line breaks
	// between them. Passwords are in it as SHA-256 hashes only.
	Rules string
	// Born is the revision that made the user: one that was deleted and made again is
	// another one.
	Born uint64
}

// Login is a user's name and password, as a client gives them.
type Login struct{ User, Password string }

// Users are all users that were ever changed and are still there. They never change.
type Users struct {
	Revision uint64 // raised with each change
	List     []User // ordered by name
}

// Bounds on what is in memory, and in every snapshot.
const (
	maxUsers     = 1 << 16
	maxUserName  = 1 << 10
	maxUserRules = 1 << 18
)

// ErrUsersChanged refuses a change that was made from an older revision: read the
// users again and change those. Its text is the reply of the command.
var ErrUsersChanged = errors.New("the users were changed meanwhile")

// Get returns the user of that name. The nil *Users has none.
func (u *Users) Get(name string) (User, bool) {
	if u == nil {
		return User{}, false
	}
	if i, ok := findUser(u.List, name); ok {
		return u.List[i], true
	}
	return User{}, false
}

// At returns the revision, 0 of the nil *Users.
func (u *Users) At() uint64 {
	if u == nil {
		return 0
	}
	return u.Revision
}

// Equal says whether both are the same users at the same revision.
func (u *Users) Equal(o *Users) bool {
	if u == nil || o == nil {
		return u.At() == o.At()
	}
	return u.Revision == o.Revision && slices.Equal(u.List, o.List)
}

// Users returns the users, nil where no user was ever changed.
func (s *State) Users() *Users {
	if s == nil {
		return nil
	}
	return s.users
}

// WithUsers returns the state with users that a snapshot told of, in any order; the
// error says what cannot be.
func (s *State) WithUsers(u *Users) (*State, error) {
	if u == nil || s == nil {
		return s, nil
	}
	list := slices.Clone(u.List)
	slices.SortFunc(list, func(a, b User) int { return strings.Compare(a.Name, b.Name) })
	for i := range list {
		if err := checkUser(list[i].Name, list[i].Rules); err != nil {
			return nil, err
		}
		if list[i].Rules == "" || list[i].Born > u.Revision || i > 0 && list[i].Name == list[i-1].Name {
			return nil, fmt.Errorf("user %q has no rules, or is there twice, or is of a revision to come", list[i].Name)
		}
	}
	if len(list) > maxUsers {
		return nil, fmt.Errorf("%d users; there are at most %d", len(list), maxUsers)
	}
	next := *s
	next.users = &Users{Revision: u.Revision, List: list}
	return &next, nil
}

const cmdUsersSet = "USERS-SET"

// UserChange sets a user's rules, or with Rules empty deletes the user.
type UserChange struct{ Name, Rules string }

// UsersSet changes users, all or none. It is refused with ErrUsersChanged unless the
// users are at that revision.
func UsersSet(revision uint64, changes ...UserChange) Command {
	words := []string{cmdUsersSet, strconv.FormatUint(revision, 10)}
	for _, c := range changes {
		words = append(words, c.Name, c.Rules)
	}
	return command(words...)
}

// IsUsersSet says whether a command's arguments are those of a UsersSet: the only
// system command that a node may ask the leader to log for a client.
func IsUsersSet(args [][]byte) bool {
	return len(args) >= 4 && len(args)%2 == 0 && string(args[0]) == cmdUsersSet
}

// setUsers applies a UsersSet; words are what is behind its name.
func (s *State) setUsers(words []string) (*State, error) {
	have := s.Users()
	if words[0] != strconv.FormatUint(have.At(), 10) {
		return s, ErrUsersChanged
	}
	next := &Users{Revision: have.At() + 1}
	if have != nil {
		next.List = slices.Clone(have.List)
	}
	for i := 1; i < len(words); i += 2 {
		if err := next.change(words[i], words[i+1]); err != nil {
			return s, err
		}
	}
	state := State{}
	if s != nil {
		state = *s
	}
	state.users = next
	return &state, nil
}

// change is for a Users that nobody else has yet.
func (u *Users) change(name, rules string) error {
	if err := checkUser(name, rules); err != nil {
		return err
	}
	i, known := findUser(u.List, name)
	switch {
	case rules == "" && name == "default":
		return errors.New("the default user cannot be deleted")
	case rules == "" && known:
		u.List = slices.Delete(u.List, i, i+1)
	case rules == "":
	case known:
		u.List[i].Rules = rules
	case len(u.List) >= maxUsers:
		return fmt.Errorf("there can be %d users at most", maxUsers)
	default:
		u.List = slices.Insert(u.List, i, User{Name: name, Rules: rules, Born: u.Revision})
	}
	return nil
}

func checkUser(name, rules string) error {
	if len(name) > maxUserName {
		return fmt.Errorf("a user's name has at most %d bytes, not %d", maxUserName, len(name))
	}
	if len(rules) > maxUserRules {
		return fmt.Errorf("a user's rules have at most %d bytes, not %d", maxUserRules, len(rules))
	}
	return nil
}

// findUser says where the user of that name stands, or would stand.
func findUser(users []User, name string) (int, bool) {
	return slices.BinarySearchFunc(users, name, func(u User, name string) int { return strings.Compare(u.Name, name) })
}
