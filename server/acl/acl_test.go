package acl

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/resp/spec"
)

// decls is a small table with one of everything that rules tell apart.
func decls() []spec.Command {
	container := func(name string, subs ...spec.Command) spec.Command {
		for i := range subs {
			subs[i].Container, subs[i].Group = name, spec.Server
		}
		return spec.Command{Name: name, Group: spec.Server, Subcommands: subs}
	}
	list := []spec.Command{
		{Name: "AUTH", Syntax: "[username] password", Arity: -2, Group: spec.Connection, Flags: spec.NoAuth | spec.Fast},
		{Name: "GET", Syntax: "key", Group: spec.String, Kind: spec.Read, Keys: spec.OneKey(spec.RO | spec.Access), Flags: spec.Fast},
		{Name: "EXISTS", Syntax: "key [key ...]", Group: spec.Generic, Kind: spec.Read, Keys: spec.AllKeys(spec.RO), Flags: spec.Fast},
		{Name: "MGET", Syntax: "key [key ...]", Group: spec.String, Kind: spec.Read, Keys: spec.AllKeys(spec.RO | spec.Access), Flags: spec.Fast},
		{
			Name: "SET", Syntax: "key value [GET]", Arity: -3, Group: spec.String, Kind: spec.Write,
			Keys: spec.OneKey(spec.RW | spec.Access | spec.Update | spec.VariableFlags),
			CallFlags: func(args [][]byte) spec.KeyFlags {
				if len(args) > 3 {
					return spec.RW | spec.Access | spec.Update
				}
				return spec.OW | spec.Update
			},
		},
		{Name: "COPY", Syntax: "source destination", Group: spec.Generic, Kind: spec.Write, Keys: []spec.KeySpec{spec.KeyAt(1, spec.RO|spec.Access), spec.KeyAt(2, spec.OW|spec.Update)}},
		{Name: "EVAL", Syntax: "script numkeys [key ...]", Arity: -3, Group: spec.Scripting, Flags: spec.NoMandatoryKeys,
			Keys: []spec.KeySpec{{Flags: spec.RW | spec.Access | spec.Update, Index: 2, KeyCount: true, FirstKey: 1, Step: 1}}},
		{Name: "ZUNION", Syntax: "numkeys key [key ...]", Arity: -3, Group: spec.SortedSet, Kind: spec.Read,
			Keys: []spec.KeySpec{{Flags: spec.RO | spec.Access, Index: 1, KeyCount: true, FirstKey: 1, Step: 1}}},
		{Name: "SELECT", Syntax: "index", Group: spec.Connection, Flags: spec.Fast},
		{Name: "FLUSHALL", Group: spec.Server, Kind: spec.Write, Categories: spec.CatKeyspace | spec.CatDangerous},
		{Name: "PUBLISH", Syntax: "channel message", Group: spec.PubSubGroup, Flags: spec.PubSub},
		{Name: "SUBSCRIBE", Syntax: "channel [channel ...]", Group: spec.PubSubGroup, Flags: spec.PubSub},
		{Name: "PSUBSCRIBE", Syntax: "pattern [pattern ...]", Group: spec.PubSubGroup, Flags: spec.PubSub},
		container("CONFIG",
			spec.Command{Name: "GET", Syntax: "parameter", Flags: spec.Admin}, spec.Command{Name: "HELP"}, spec.Command{Name: "SET", Syntax: "parameter value", Flags: spec.Admin}),
		container("CLIENT",
			spec.Command{Name: "ID", Categories: spec.CatConnection}, spec.Command{Name: "KILL", Syntax: "id", Flags: spec.Admin, Categories: spec.CatConnection}),
	}
	return spec.NewTable(list, func(c *spec.Command) *spec.Command { return c }).All()
}

var (
	table    = decls()
	commands = NewCommands(table)
)

func user(t testing.TB, words ...string) *User {
	t.Helper()
	u, err := commands.NewUser("u").Modify(words)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// find is the declaration of a command line.
func find(t testing.TB, args []string) *spec.Command {
	t.Helper()
	for i := range table {
		if c := &table[i]; strings.EqualFold(c.Name, args[0]) {
			for j := range c.Subcommands {
				if len(args) > 1 && strings.EqualFold(c.Subcommands[j].Name, args[1]) {
					return &c.Subcommands[j]
				}
			}
			return c
		}
	}
	t.Fatalf("no command %v", args)
	return nil
}

func check(t testing.TB, u *User, line string) Denial {
	t.Helper()
	words := strings.Fields(line)
	var args [][]byte
	for _, w := range words {
		args = append(args, []byte(w))
	}
	return u.Check(find(t, words), args)
}

// TestDescribe: what rules are shown as. But for the order of categories and of single
// commands it is what redis-server 7.0.15 shows.
func TestDescribe(t *testing.T) {
	const pw = "#30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4"
	for _, tt := range []struct{ in, want string }{
		{"", "off resetchannels -@all"},
		{"on >pw +@read ~a* %R~b* %W~c* %RW~d* &ch*", "on " + pw + " ~a* %R~b* %W~c* ~d* resetchannels &ch* -@all +@read"},
		{"%R~a %W~a %rw~b %wR~c", "off ~a ~b ~c resetchannels -@all"},
		{"ALLKEYS ALLCOMMANDS AllChannels NOPASS ON", "on nopass ~* &* +@all"},
		{"(+get ~x*) (+@all -@dangerous allkeys)", "off resetchannels -@all (~x* resetchannels -@all +get) (~* resetchannels +@all -@dangerous)"},
		{"(~a +get) clearselectors", "off resetchannels -@all"},
		{"() (  )", "off resetchannels -@all (resetchannels -@all) (resetchannels -@all)"},
		{"+get +set -get", "off resetchannels -@all +set"},
		{"+@read +get", "off resetchannels -@all +@read"},
		{"-get", "off resetchannels -@all"},
		{"+@all -get +get", "off resetchannels +@all"},
		{"+@read -@read", "off resetchannels -@all"},
		{"+GET +@READ", "off resetchannels -@all +get +@read"},
		{"+get|a +GET|B +get|A", "off resetchannels -@all +get|a +get|B"},
		{"+get|a +get", "off resetchannels -@all +get"},
		{"+get|a -get", "off resetchannels -@all"},
		{"+@read +get|x", "off resetchannels -@all +@read"},
		{"+config +config|get", "off resetchannels -@all +config"},
		{"+config|get +config", "off resetchannels -@all +config"},
		{"+client -client|kill", "off resetchannels -@all +client -client|kill"},
		{"+@all -config +config|get", "off resetchannels +@all -config +config|get"},
		{"+@all -@admin +@read", "off resetchannels +@all -@admin"},
		{"+@hash", "off resetchannels -@all +@hash"}, // none in this table, but in a later one
		{"+@all -@hash", "off resetchannels +@all -@hash"},
		{"skip-sanitize-payload sanitize-payload skip-sanitize-payload", "off skip-sanitize-payload resetchannels -@all"},
		{"on >pw ~k &c +get (+set) reset", "off sanitize-payload resetchannels -@all"},
		{">pw " + pw + " #" + strings.Repeat("0", 64) + " <pw", "off #" + strings.Repeat("0", 64) + " resetchannels -@all"},
		{">pw nopass", "off nopass resetchannels -@all"},
		{"nopass >pw", "off " + pw + " resetchannels -@all"},
		{">pw !" + pw[1:], "off resetchannels -@all"},
		{"allkeys resetkeys ~ &", "off ~ resetchannels & -@all"},
		{"&a allchannels resetchannels &b &b", "off resetchannels &b -@all"},
		{`(~"a\x22b" +get)`, `off resetchannels -@all ("~a\"b" resetchannels -@all +get)`},
		{"(~a) resetkeys (%R~x +get ~y))", "off resetchannels -@all (~a resetchannels -@all) (%R~x ~y) resetchannels -@all +get)"},
	} {
		u := user(t, splitOutside(tt.in)...)
		if got := strings.Join(u.Rules(), " "); got != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.in, got, tt.want)
		}
	}
}

// splitOutside splits at blanks that are in no parenthesis.
func splitOutside(line string) (words []string) {
	for _, w := range strings.Fields(line) {
		if n := len(words) - 1; n >= 0 && strings.HasPrefix(words[n], "(") && !strings.HasSuffix(words[n], ")") {
			words[n] += " " + w
		} else {
			words = append(words, w)
		}
	}
	return words
}

func TestMistakes(t *testing.T) {
	modifier := func(rule, why string) string { return "Error in ACL SETUSER modifier '" + rule + "': " + why }
	for _, tt := range []struct {
		in   []string
		want string
	}{
		{[]string{"%X~a"}, modifier("%X~a", "Syntax error")},
		{[]string{"%~a"}, modifier("%~a", "Syntax error")},
		{[]string{"%RR~a"}, modifier("%RR~a", "Syntax error")},
		{[]string{"%R"}, modifier("%R", "Syntax error")},
		{[]string{"~x\x00y"}, modifier("~x", "Syntax error")},
		{[]string{"~x y"}, modifier("~x y", "Syntax error")},
		{[]string{"&x y"}, modifier("&x y", "Syntax error")},
		{[]string{"foo"}, modifier("foo", "Syntax error")},
		{[]string{")"}, modifier(")", "Syntax error")},
		{[]string{"(on)"}, modifier("(on)", "Syntax error")},
		{[]string{`(~"a b" +get)`}, modifier(`(~"a b" +get)`, "Syntax error")},
		{[]string{`(~"a)`}, modifier(`(~"a)`, "Syntax error")},
		{[]string{`("" +get)`}, modifier(`("" +get)`, "Syntax error")},
		{[]string{"+nosuch"}, modifier("+nosuch", string(errUnknown))},
		{[]string{"+"}, modifier("+", string(errUnknown))},
		{[]string{"-"}, modifier("-", string(errUnknown))},
		{[]string{"+@"}, modifier("+@", string(errUnknown))},
		{[]string{"+@nosuch"}, modifier("+@nosuch", string(errUnknown))},
		{[]string{"-@nosuch"}, modifier("-@nosuch", string(errUnknown))},
		{[]string{"-get|x"}, modifier("-get|x", string(errUnknown))},
		{[]string{"+nosuch|x"}, modifier("+nosuch|x", string(errUnknown))},
		{[]string{"+config|nosuch"}, modifier("+config|nosuch", string(errUnknown))},
		{[]string{"+config|set|x"}, modifier("+config|set|x", "Allowing first-arg of a subcommand is not supported")},
		{[]string{"+get|"}, modifier("+get|", "Syntax error")},
		{[]string{"+get|a\nb"}, modifier("+get|a\nb", "Syntax error")},
		{[]string{"allkeys", "~x"}, modifier("~x", string(errAfterAllKeys))},
		{[]string{"allchannels", "&x"}, modifier("&x", string(errAfterAllChannels))},
		{[]string{"(allkeys ~x)"}, modifier("(allkeys ~x)", string(errAfterAllKeys))},
		{[]string{"(+get"}, "Unmatched parenthesis in acl selector starting at '(+get'."},
		{[]string{"+get", "(+set ~a", "~b"}, "Unmatched parenthesis in acl selector starting at '(+set ~a'."},
		{[]string{"(+get", "(+set"}, "Unmatched parenthesis in acl selector starting at '(+set'."},
		// What may be a password is not said again.
		{[]string{"<secret"}, modifier("<(redacted)", string(errNoSuchPass))},
		{[]string{"#secret"}, modifier("#(redacted)", string(errHash))},
		{[]string{"!secret"}, modifier("!(redacted)", string(errHash))},
		{[]string{"#" + strings.Repeat("A", 64)}, modifier("#(redacted)", string(errHash))},
		{[]string{"(+get >secret)"}, modifier("(+get >(redacted)", "Syntax error")},
		{[]string{"(>secret"}, "Unmatched parenthesis in acl selector starting at '(>(redacted)'."},
	} {
		before := user(t, "on", ">a", "+get")
		u, err := before.Modify(tt.in)
		if err == nil {
			t.Errorf("%q: no error but %s", tt.in, u)
		} else if err.Error() != tt.want {
			t.Errorf("%q\ngot  %s\nwant %s", tt.in, err, tt.want)
		}
		if got := before.String(); got != user(t, "on", ">a", "+get").String() {
			t.Errorf("%q has changed the user: %s", tt.in, got)
		}
	}
	if CheckName("a b") == nil || CheckName("a\x00") == nil || CheckName("a") != nil {
		t.Error("names")
	}
}

// TestManyRules: rules are weighed against each other, so there is a bound.
func TestManyRules(t *testing.T) {
	var words []string
	for i := range maxRules + 1 {
		words = append(words, fmt.Sprintf("+get|%d", i))
	}
	if _, err := commands.NewUser("u").Modify(words[:50]); err != nil {
		t.Error(err)
	}
	u := commands.NewUser("u")
	u.selectors[0].rules = words[:maxRules]
	if _, err := u.Modify(words[maxRules:]); err == nil {
		t.Error("no bound")
	}
}

func TestCheck(t *testing.T) {
	denied := func(r Reason, arg int) Denial { return Denial{r, arg} }
	command, ok := denied(DeniedCommand, 0), Denial{}
	for _, tt := range []struct {
		rules, line string
		want        Denial
	}{
		{"", "GET a", command},
		{"", "AUTH x", ok},
		{"+@all", "AUTH x", ok},
		{"+@all ~*", "GET a", ok},
		{"+get", "GET a", denied(DeniedKey, 1)},
		{"+get ~a*", "GET ab", ok},
		{"+get ~a*", "GET b", denied(DeniedKey, 1)},
		{"+mget ~a %R~b", "MGET a b", ok},
		{"+mget ~a %R~b", "MGET a c b", denied(DeniedKey, 2)},
		{"+mget ~a %W~b", "MGET a b", denied(DeniedKey, 2)},
		{"+set %W~a", "SET a v", ok},
		{"+set %W~a", "SET a v GET", denied(DeniedKey, 1)},
		{"+set %R~a", "SET a v", denied(DeniedKey, 1)},
		{"+set %RW~a", "SET a v GET", ok},
		{"+exists %W~a", "EXISTS a", ok}, // it is neither read nor written
		{"+exists %W~a", "EXISTS b", denied(DeniedKey, 1)},
		{"+copy %R~a %W~b", "COPY a b", ok},
		{"+copy %R~a %W~b", "COPY b a", denied(DeniedKey, 1)},
		{"+eval ~a", "EVAL s 1 a", ok},
		{"+eval ~a", "EVAL s 2 a b", denied(DeniedKey, 4)},
		{"+eval ~a", "EVAL s 0 b", ok},
		{"+zunion ~a", "ZUNION 2 a a", ok},
		{"+zunion ~a", "ZUNION x a", denied(DeniedKey, 2)}, // nobody can tell the keys
		{"+zunion allkeys", "ZUNION x a", ok},              // the command says what is wrong
		{"+flushall", "FLUSHALL", ok},
		{"+select|0", "SELECT 0", ok},
		{"+select|0", "SELECT 1", command},
		{"+config|get", "CONFIG GET x", ok},
		{"+config|get", "CONFIG SET x y", command},
		{"+config", "CONFIG SET x y", ok},
		{"+config -config|set", "CONFIG SET x y", command},
		{"+config -config|set", "CONFIG GET x", ok},
		// A container brings its subcommands along, whatever their categories are.
		{"+@slow", "CONFIG SET x y", ok},
		{"+@all -@slow", "CONFIG SET x y", command},
		{"+@admin", "CONFIG SET x y", ok},
		{"+@admin", "CONFIG HELP", command},
		{"+@connection", "CLIENT KILL 1", ok},
		{"+publish", "PUBLISH c m", denied(DeniedChannel, 1)},
		{"+publish &c*", "PUBLISH cc m", ok},
		{"+subscribe &c* &d", "SUBSCRIBE c1 d", ok},
		{"+subscribe &c*", "SUBSCRIBE c1 d", denied(DeniedChannel, 2)},
		{"+psubscribe &c*", "PSUBSCRIBE c*", ok},
		{"+psubscribe &c*", "PSUBSCRIBE c1", denied(DeniedChannel, 1)},
		{"+psubscribe allchannels", "PSUBSCRIBE *", ok},
		// Selectors: one of them must allow all of it.
		{"~b +mget (~a +@read) (%W~b +get +set)", "MGET a c b", denied(DeniedKey, 2)},
		{"~b +mget (~a +@read) (%W~b +get +set)", "SET b c", ok},
		{"~b +mget (~a +@read) (%W~b +get +set)", "SET b c GET", denied(DeniedKey, 1)},
		{"~b +mget (~a +@read)", "MGET a b", denied(DeniedKey, 2)},
		{"+get ~a (+set ~b)", "SET a v", denied(DeniedKey, 1)},
		{"(+@all ~* &*)", "FLUSHALL", ok},
	} {
		u := user(t, splitOutside(tt.rules)...)
		if got := check(t, u, tt.line); got != tt.want {
			t.Errorf("%s: %s: got %v, want %v", tt.rules, tt.line, got, tt.want)
		}
	}
	if u := user(t, "(+@all ~* &*)"); !u.All() {
		t.Error("a selector with everything is everything")
	}
	if u := user(t, "+@all", "~*", "&*", "-get"); u.All() {
		t.Error("all but GET is not everything")
	}
	unknown := &spec.Command{Name: "NEW", Group: spec.String}
	if d := user(t, "+@all", "~*", "-get").Check(unknown, nil); d.Reason != DeniedCommand {
		t.Error("what is in no table is allowed")
	}
}

func TestPasswords(t *testing.T) {
	for _, tt := range []struct {
		rules string
		given string
		want  bool
	}{
		{"on >a >b", "a", true}, {"on >a >b", "b", true}, {"on >a >b", "c", false}, {"on >a", "", false},
		{"off >a", "a", false}, {"on nopass", "anything", true}, {"off nopass", "x", false}, {"on", "", false},
		{"on >", "", false}, {"on >a <a", "a", false}, {"on", strings.Repeat("\x00", 32), false},
	} {
		u := user(t, strings.Fields(tt.rules)...)
		want := tt.want || tt.rules == "on >" // the empty password is one
		if got := u.Matches([]byte(tt.given)); got != want {
			t.Errorf("%s: %q: %v", tt.rules, tt.given, got)
		}
	}
	var nobody *User
	if nobody.Matches(nil) || nobody.Matches([]byte("x")) {
		t.Error("nobody has a password")
	}
}

// TestLoad: rules that an older program does not know give nothing.
func TestLoad(t *testing.T) {
	u, err := commands.Load("u", []string{"on", "#" + strings.Repeat("0", 64), "~*", "+newcmd", "+get", "(+newcmd ~*)"})
	if err == nil || check(t, u, "GET a").Reason != Allowed || check(t, u, "SET a b").Reason != DeniedCommand || len(u.Selectors()) != 1 {
		t.Errorf("%v: %s", err, u)
	}
	u, err = commands.Load("u", []string{"on", "~*", "&*", "+@all", "-newcmd"})
	if err == nil || u.All() || check(t, u, "GET a").Reason != DeniedCommand {
		t.Errorf("nobody knows what was taken away: %v: %s", err, u)
	}
}

func TestCategories(t *testing.T) {
	if got := commands.In(spec.CatDangerous); !slices.Equal(got, []string{"client|kill", "config|get", "config|set", "flushall"}) {
		t.Errorf("got %v", got)
	}
}

func TestLog(t *testing.T) {
	l, now := NewLog(), time.Unix(1_700_000_000, 0)
	add := func(object string, after time.Duration) {
		l.Add(Entry{Reason: DeniedKey, Context: "toplevel", Object: object, User: "u", At: now.Add(after), Client: after.String()})
	}
	show := func(n int) string {
		var b strings.Builder
		for _, e := range l.Latest(n) {
			fmt.Fprintf(&b, "%s%d@%s ", e.Object, e.Count, e.Client)
		}
		return b.String()
	}
	add("a", 0)
	add("b", time.Second)
	add("a", 2*time.Second)
	if got := show(10); got != "a2@2s b1@1s " {
		t.Errorf("alike: %s", got)
	}
	add("b", 62*time.Second) // too late
	if got := show(2); got != "b1@1m2s a2@2s " {
		t.Errorf("late: %s", got)
	}
	for i := range 200 {
		add(fmt.Sprint("k", i), time.Hour)
	}
	if n := len(l.Latest(1000)); n != 128 {
		t.Errorf("%d entries", n)
	}
	l.SetMax(1)
	if got := show(9); got != "k1991@1h0m0s " || len(l.Latest(-1)) != 0 {
		t.Errorf("shortened: %s", got)
	}
	l.Reset()
	if len(l.Latest(10)) != 0 || l.Max() != 1 {
		t.Error("reset")
	}
}

// FuzzRules: what a user is shown as makes the same user.
func FuzzRules(f *testing.F) {
	for _, seed := range []string{
		"on\n>pw\n+@read\n~a*\n%R~b*", "+@all\n-config\n+config|get\n(~\"a\\\"b\" +get|x)", "(+get\n~a)\n(%W~b))\n&c", "allkeys\nresetkeys\n%RW~'x'\n-@all\n+select|0",
		"+@string\n-@fast\n+get\n+@fast", "+@string\n-@fast\n+get\n+@all\n-@slow\n+client|kill\nreset\n(+@all -@read ~*)", "(~'a b')\n(~'a\\'b' +get)",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := commands.NewUser("u").Modify(strings.Split(text, "\n"))
		if err != nil {
			return
		}
		rules := u.Rules()
		if strings.Contains(strings.Join(rules, ""), "\n") {
			t.Fatalf("a line break in %q", rules)
		}
		again, err := commands.Load("u", rules)
		if err != nil {
			t.Fatalf("%q: %v", rules, err)
		}
		if got := again.Rules(); !slices.Equal(got, rules) {
			t.Fatalf("%q\nbecame %q", rules, got)
		}
		for i := range u.selectors {
			if a, b := &u.selectors[i].granted, &again.selectors[i].granted; !a.equal(b) {
				t.Fatalf("%q: other commands", rules)
			}
		}
		if again.All() != u.All() || again.Open() != u.Open() {
			t.Fatalf("%q: more or less than before", rules)
		}
	})
}

var sink Denial

// BenchmarkCheck: what a command costs before it runs, by what its user may do.
func BenchmarkCheck(b *testing.B) {
	args := [][]byte{[]byte("GET"), []byte("user:1234")}
	get := find(b, []string{"GET"})
	for _, tt := range []struct{ name, rules string }{
		{"everything", "+@all ~* &*"}, {"one pattern", "+@all -@dangerous ~user:*"}, {"ten patterns", "+@read ~a* ~b* ~c* ~d* ~e* ~f* ~g* ~h* ~i* ~user:*"},
		{"selector", "+@write ~w:* (+@read ~user:*)"},
	} {
		u := user(b, splitOutside(tt.rules)...)
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink = u.Check(get, args)
			}
		})
	}
}

// TestRulesAreReadFast: a long list of rules is read in no time, as all clients of all nodes wait
// for it. (At about 0.1 s the bound leaves room for any machine; it took a minute.)
func TestRulesAreReadFast(t *testing.T) {
	words := []string{"on", "~*"}
	for i := range maxRules / 2 {
		words = append(words, fmt.Sprintf("+get|%d", i))
	}
	start := time.Now()
	u := user(t, words...)
	again, err := commands.Load("u", u.Rules())
	if err != nil || !slices.Equal(again.Rules(), u.Rules()) || len(u.Rules()) < maxRules/2 {
		t.Errorf("%d rules, read again %d, %v", len(u.Rules()), len(again.Rules()), err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}
