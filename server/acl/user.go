package acl

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/raftkv/raftkv/resp/spec"
)

// User is what a user may do. It never changes: Modify returns another one.
type User struct {
	Name string

	commands  *Commands
	on        bool
	noPass    bool
	sanitize  sanitize
	passwords []Hash
	selectors []*selector // the first one is the user's own; never empty
	all       bool        // a selector lets everything through
}

// Hash is the SHA-256 of a password.
type Hash [sha256.Size]byte

// HashOf is a password's hash.
func HashOf(password []byte) Hash { return sha256.Sum256(password) }

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// sanitize is a flag of RESTORE's: kept and shown, as in Redis.
type sanitize uint8

const (
	sanitizeUnset sanitize = iota
	sanitizeSkip
	sanitizeDo
)

// NewUser returns a user as ACL SETUSER makes one without any rule: it can do nothing.
func (c *Commands) NewUser(name string) *User {
	s := &selector{granted: c.grant(false, nil)}
	return &User{Name: name, commands: c, selectors: []*selector{s}}
}

// DefaultUser returns the default user as it is where nobody has changed it: it may do
// everything, without a password.
func (c *Commands) DefaultUser() *User { return c.everything("default") }

// Everything returns a user of no name that may do everything.
func (c *Commands) Everything() *User { return c.everything("") }

func (c *Commands) everything(name string) *User {
	u, err := c.NewUser(name).Modify([]string{"+@all", "~*", "&*", "on", "nopass"})
	if err != nil {
		panic("acl: " + err.Error()) // these rules are right
	}
	return u
}

// Load returns the user that Rules described. The error says which rule this program
// does not know; the rest of the rules is in the user all the same, so that nobody may
// do more than was meant.
func (c *Commands) Load(name string, rules []string) (*User, error) {
	u := c.NewUser(name)
	if all, err := u.Modify(rules); err == nil {
		return all, nil
	}
	var first error
	for _, rule := range rules {
		next, err := u.Modify([]string{rule})
		if err != nil {
			if first == nil {
				first = err
			}
			next = u.without(rule)
		}
		u = next
	}
	return u, first
}

// without is the user after a rule that cannot be understood: where it took away
// something, nobody knows what, nothing is left.
func (u *User) without(rule string) *User {
	if strings.HasPrefix(rule, "-") {
		next := u.clone()
		next.selectors[0].setAll(u.commands, false)
		next.all = false
		return next
	}
	return u
}

func (u *User) clone() *User {
	c := *u
	c.passwords = slices.Clone(u.passwords)
	c.selectors = make([]*selector, len(u.selectors))
	for i, s := range u.selectors {
		c.selectors[i] = s.clone()
	}
	return &c
}

// On says whether anybody can become this user.
func (u *User) On() bool { return u.on }

// NoPass says whether the user needs no password.
func (u *User) NoPass() bool { return u.noPass }

// Open says whether a connection is this user without any password.
func (u *User) Open() bool { return u.on && u.noPass }

// All says that the user may run everything: nothing needs to be checked.
func (u *User) All() bool { return u.all }

// Flags are the words that GETUSER calls flags.
func (u *User) Flags() []string {
	flags := []string{"off"}
	if u.on {
		flags[0] = "on"
	}
	if u.noPass {
		flags = append(flags, "nopass")
	}
	switch u.sanitize {
	case sanitizeSkip:
		flags = append(flags, "skip-sanitize-payload")
	case sanitizeDo:
		flags = append(flags, "sanitize-payload")
	}
	return flags
}

// Passwords are the hashes of the user's passwords, in the order in which they came.
func (u *User) Passwords() []Hash { return u.passwords }

// Described is a selector in words.
type Described struct{ Commands, Keys, Channels string }

// Selectors are the user's selectors in words; the first one is its own.
func (u *User) Selectors() []Described {
	list := make([]Described, 0, len(u.selectors))
	for _, s := range u.selectors {
		list = append(list, Described{
			Commands: strings.Join(s.describeCommands(), " "),
			Keys:     strings.Join(s.describeKeys(), " "),
			Channels: strings.Join(s.describeChannels(), " "),
		})
	}
	return list
}

// Rules are the rules that make this user of a new one, in canonical form: equal
// users have equal rules. None holds a line break.
func (u *User) Rules() []string {
	rules := u.Flags()
	for _, p := range u.passwords {
		rules = append(rules, "#"+p.String())
	}
	for i, s := range u.selectors {
		if i == 0 {
			rules = append(rules, s.describe()...)
			continue
		}
		words := s.describe()
		for j, w := range words {
			words[j] = quote(w)
		}
		rules = append(rules, "("+strings.Join(words, " ")+")")
	}
	return rules
}

// String is the user as ACL LIST shows it.
func (u *User) String() string {
	return "user " + u.Name + " " + strings.Join(u.Rules(), " ")
}

// nobody's password is compared where there is no user to compare with.
var nobody = Hash{}

// Matches says whether a password is one of the user's. u may be nil, for a name that
// nobody has. It takes as long for a wrong password, a wrong name and a user that is
// off: one hash, and a comparison that looks at every byte, for each password.
func (u *User) Matches(password []byte) bool {
	given := HashOf(password)
	if u == nil || len(u.passwords) == 0 {
		subtle.ConstantTimeCompare(given[:], nobody[:])
		return u != nil && u.Open()
	}
	right := 0
	for i := range u.passwords {
		right |= subtle.ConstantTimeCompare(given[:], u.passwords[i][:])
	}
	return (right == 1 || u.noPass) && u.on
}

// Reason says why something was refused; the order is Redis's.
type Reason uint8

// The reasons: none, the command itself, a key or a channel that it names, for the log
// only a wrong password, and an option that names keys by a pattern (SORT's BY and GET),
// which only users have that may read all keys.
const (
	Allowed Reason = iota
	DeniedCommand
	DeniedKey
	DeniedChannel
	DeniedAuth
	DeniedPattern
)

// String is the reason as ACL LOG has it.
func (r Reason) String() string {
	return [...]string{"", "command", "key", "channel", "auth", "pattern"}[r]
}

// Denial says why a command line is refused; the zero value, that it is not.
type Denial struct {
	Reason Reason
	Arg    int // the argument that is a key, channel or option out of the user's reach
}

// Check says whether the user may run a command line: one selector must allow all of
// it. Of several reasons it gives the one that acl.c:ACLCheckAllUserCommandPerm does.
func (u *User) Check(decl *spec.Command, args [][]byte) Denial {
	if u.all {
		return Denial{}
	}
	l := lines.Get().(*line)
	*l = line{decl: decl, id: u.commands.index(decl), args: args, keys: l.keys[:0]}
	defer l.release()
	worst := Denial{Reason: DeniedCommand}
	for _, s := range u.selectors {
		d := s.check(l)
		if d.Reason == Allowed {
			return d
		}
		if d.Reason > worst.Reason || d.Reason == worst.Reason && d.Arg > worst.Arg {
			worst = d
		}
	}
	return worst
}
