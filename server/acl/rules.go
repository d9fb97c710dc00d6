package acl

import (
	"encoding/hex"
	"slices"
	"strings"
)

// fault is what is wrong with a rule, in Redis's words (acl.c:ACLSetUserStringError).
type fault string

func (f fault) Error() string { return string(f) }

const (
	errSyntax        fault = "Syntax error"
	errUnknown       fault = "Unknown command or category name in ACL"
	errNoSuchPass    fault = "The password you are trying to remove from the user does not exist"
	errHash          fault = "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
	errTooMany       fault = "Too many command rules" // ours
	errFirstArgOfSub fault = "Allowing first-arg of a subcommand is not supported"
	errAfterAllKeys  fault = "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. " +
		"Try 'resetkeys' to start with an empty list of patterns"
	errAfterAllChannels fault = "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. " +
		"Try 'resetchannels' to start with an empty list of channels"
)

// RuleError says which of the words of ACL SETUSER is wrong, and why. A password in
// it is not told.
type RuleError struct {
	Rule string // without what is secret
	Err  error
}

func (e *RuleError) Error() string {
	return "Error in ACL SETUSER modifier '" + e.Rule + "': " + e.Err.Error()
}

func (e *RuleError) Unwrap() error { return e.Err }

// UnmatchedError says that a selector was begun and not ended.
type UnmatchedError struct{ Rule string }

func (e *UnmatchedError) Error() string {
	return "Unmatched parenthesis in acl selector starting at '" + e.Rule + "'."
}

// CheckName says whether a user may be called so.
func CheckName(name string) error {
	if hasSpace(name) {
		return fault("Usernames can't contain spaces or null characters")
	}
	return nil
}

// Modify returns the user after the words of ACL SETUSER: all of them, or none and a
// *RuleError or *UnmatchedError.
func (u *User) Modify(words []string) (*User, error) {
	rules, err := join(words)
	if err != nil {
		return nil, err
	}
	next := u.clone()
	for _, rule := range rules {
		if err := next.set(rule); err != nil {
			return nil, &RuleError{conceal(rule), err}
		}
	}
	next.all = slices.ContainsFunc(next.selectors, (*selector).unrestricted)
	return next, nil
}

// conceal is a rule as it may be shown: where it holds a password, or what may be one
// with the wrong sign before it, only the sign is.
func conceal(rule string) string {
	rule, _, _ = strings.Cut(rule, "\x00") // as Redis, which prints it as a C string
	if rule != "" && strings.IndexByte("<>#!", rule[0]) >= 0 {
		return rule[:1] + "(redacted)"
	}
	if strings.HasPrefix(rule, "(") { // it holds no password where it is right
		words := strings.Split(strings.TrimPrefix(rule, "("), " ")
		for i, w := range words {
			if w != "" && strings.IndexByte("<>#!", w[0]) >= 0 {
				words[i] = w[:1] + "(redacted)"
			}
		}
		rule = "(" + strings.Join(words, " ")
	}
	return rule
}

// join puts together the words of a selector that was sent as several.
// Source: redis/src/acl.c:ACLMergeSelectorArguments.
func join(words []string) ([]string, error) {
	rules := make([]string, 0, len(words))
	open, begun := "", ""
	for _, w := range words {
		switch {
		case strings.HasPrefix(w, "(") && !strings.HasSuffix(w, ")"): // one that is open already is forgotten, as in Redis
			open, begun = w, w
		case begun != "":
			open += " " + w
			if strings.HasSuffix(w, ")") {
				rules, begun = append(rules, open), ""
			}
		default:
			rules = append(rules, w)
		}
	}
	if begun != "" {
		return nil, &UnmatchedError{conceal(begun)}
	}
	return rules, nil
}

// set takes one rule; u is a copy that nobody else has.
// Source: redis/src/acl.c:ACLSetUser (7.0).
func (u *User) set(rule string) error {
	if rule == "" {
		return nil
	}
	switch strings.ToLower(rule) {
	case "on":
		u.on = true
	case "off":
		u.on = false
	case "skip-sanitize-payload":
		u.sanitize = sanitizeSkip
	case "sanitize-payload":
		u.sanitize = sanitizeDo
	case "nopass":
		u.noPass, u.passwords = true, nil
	case "resetpass":
		u.noPass, u.passwords = false, nil
	case "clearselectors":
		u.selectors = u.selectors[:1]
	case "reset":
		*u = *u.commands.NewUser(u.Name)
		u.sanitize = sanitizeDo
	default:
		switch {
		case strings.IndexByte("><#!", rule[0]) >= 0:
			return u.setPassword(rule)
		case strings.HasPrefix(rule, "(") && strings.HasSuffix(rule, ")"):
			return u.addSelector(rule[1 : len(rule)-1])
		}
		return u.selectors[0].set(u.commands, rule)
	}
	return nil
}

func (u *User) setPassword(rule string) error {
	hash := HashOf([]byte(rule[1:]))
	if rule[0] == '#' || rule[0] == '!' {
		var ok bool
		if hash, ok = parseHash(rule[1:]); !ok {
			return errHash
		}
	}
	at := slices.Index(u.passwords, hash)
	if rule[0] == '<' || rule[0] == '!' {
		if at < 0 {
			return errNoSuchPass
		}
		u.passwords = slices.Delete(u.passwords, at, at+1)
		return nil
	}
	if at < 0 {
		u.passwords = append(u.passwords, hash)
	}
	u.noPass = false
	return nil
}

// parseHash reads a hash as Redis writes it: in lower case.
func parseHash(text string) (h Hash, ok bool) {
	if len(text) != hex.EncodedLen(len(h)) || strings.ToLower(text) != text {
		return h, false
	}
	_, err := hex.Decode(h[:], []byte(text))
	return h, err == nil
}

// addSelector adds a selector, given what stands in its parentheses. Unlike Redis,
// which takes words with an unbalanced quote for an empty selector, it refuses them.
func (u *User) addSelector(inner string) error {
	words, ok := split(inner)
	if !ok {
		return errSyntax
	}
	s := &selector{granted: u.commands.grant(false, nil)}
	for _, w := range words {
		if w == "" {
			return errSyntax
		}
		if err := s.set(u.commands, w); err != nil {
			return err
		}
	}
	u.selectors = append(u.selectors, s)
	return nil
}

// split cuts a line into words, which may stand in quotes: "a\x20\"b", 'a b'.
// Source: redis/src/sds.c:sdssplitargs.
func split(text string) (words []string, ok bool) {
	for {
		text = strings.TrimLeft(text, " \t\n\v\f\r\x00")
		if text == "" {
			return words, true
		}
		var word string
		if word, text, ok = splitWord(text); !ok {
			return nil, false
		}
		words = append(words, word)
	}
}

// splitWord takes the first word off a line that begins with one.
func splitWord(text string) (word, rest string, ok bool) {
	var b []byte
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote == 0 && strings.IndexByte(" \t\n\r\x00", c) >= 0:
			return string(b), text[i:], true
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0:
			b = append(b, c)
		case c == quote:
			if i+1 < len(text) && !hasSpace(text[i+1:i+2]) {
				return "", "", false // a closing quote ends the word
			}
			return string(b), text[i+1:], true
		case c == '\\' && i+1 < len(text):
			more, n := escaped(text[i+1:], quote)
			b = append(b, more)
			i += n
		default:
			b = append(b, c)
		}
	}
	return string(b), "", quote == 0
}

// escaped is the byte that a backslash and what follows it stand for; n is how much
// of what follows belongs to it. In single quotes only \' is special.
func escaped(text string, quote byte) (c byte, n int) {
	if quote == '\'' {
		if text[0] == '\'' {
			return '\'', 1
		}
		return '\\', 0
	}
	if text[0] == 'x' && len(text) >= 3 {
		var one [1]byte
		if _, err := hex.Decode(one[:], []byte(text[1:3])); err == nil {
			return one[0], 3
		}
	}
	if at := strings.IndexByte("nrtba", text[0]); at >= 0 {
		return "\n\r\t\b\a"[at], 1
	}
	return text[0], 1
}

// quote is a word of a selector such that split gives it back.
func quote(word string) string {
	if !strings.ContainsAny(word, "\"'") {
		return word
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`
}
