package glob

import (
	"strings"
	"testing"
	"time"
)

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", false}, {"**", "", false}, {"*", "abc", true},
		{"a", "a", true}, {"a", "b", false}, {"a", "", false}, {"a", "ab", false}, {"A", "a", false},
		{"?", "a", true}, {"?", "", false}, {"h?llo", "hello", true}, {"h?llo", "hllo", false},
		{"h*llo", "hllo", true}, {"h*llo", "heeello", true}, {"h*llo", "heeell", false},
		{"*a", "aaa", true}, {"a*a", "a", false}, {"*a*b*", "xxaxxbxx", true}, {"*a*b*", "xxbxxaxx", false},
		{"*abab", "ababab", true}, {"a*b*c", "abxbc", true}, {"a**c", "abc", true},
		{"h[ae]llo", "hello", true}, {"h[ae]llo", "hillo", false}, {"h[^e]llo", "hallo", true}, {"h[^e]llo", "hello", false},
		{"[a-c]", "b", true}, {"[c-a]", "b", true}, {"[a-c]", "d", false}, {"[^a-c]", "b", false},
		{"[a-]", "]", true}, {"[a-]", "-", false}, {"[a-]", "a", true}, {"[-a]", "-", true},
		{"[]", "a", false}, {"[]a]", "a", false}, {"[^]", "a", true}, {"[^]x", "ax", true},
		{"[abc", "b", true}, {"[abc", "bc", false}, {"[^abc", "d", true}, {"[", "a", false}, {"[", "[", false}, {"[^", "a", true},
		{`\*`, "*", true}, {`\*`, "a", false}, {`a\`, `a\`, true}, {`\\`, `\`, true}, {`\a`, "a", true}, {`\`, "", false},
		{`[\]]`, "]", true}, {`[\]`, "]", true}, {`[\`, `\`, true}, {`[\a-c]`, "b", false}, {`[\a-c]`, "-", true},
		{"[\x01-\xff]", "a", false}, {"[\x01-\xff]", "\x00", true}, {"[\xe0-\x7f]", "a", true}, {"[\x80-\xff]", "\x90", true},
		{"a\x00b", "a\x00b", true}, {"*\x00*", "a\x00b", true}, {"*[", "x[", false}, {"*?", "", false}, {"*?", "x", true},
	} {
		if got := Match(tc.pattern, tc.s); got != tc.want {
			t.Errorf("Match(%q, %q) = %v, want %v", tc.pattern, tc.s, got, tc.want)
		}
	}
}

func TestMatchAll(t *testing.T) {
	if !MatchAll("*", "") || !MatchAll("*", "a") || MatchAll("**", "") || MatchAll("b*", "a") {
		t.Error("MatchAll differs from Match in more than the pattern *")
	}
}

// What redis-server 7.0.15 of Debian 12 answers to KEYS with these patterns.
func TestTooManyStars(t *testing.T) {
	s := strings.Repeat("a", 1501)
	for _, tc := range []struct {
		name, pattern string
		want          bool
	}{
		{"1000 and a letter", strings.Repeat("a*", 1000) + "a", true},
		{"1001 and a letter", strings.Repeat("a*", 1001) + "a", false},
		{"1000, the last at the end", strings.Repeat("a*", 1000), true},
		{"1500, the last at the end", strings.Repeat("a*", 1500), false},
		{"2000 together", strings.Repeat("*", 2000) + "a", true},
	} {
		if got := Match(tc.pattern, s); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestNoExponentialPattern(t *testing.T) {
	start := time.Now()
	if Match(strings.Repeat("a*", 500)+"b", strings.Repeat("a", 20000)) {
		t.Error("matched")
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %v", d)
	}
}

// slow is the definition, by recursion over both strings.
func slow(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	if pattern[0] == '*' {
		return slow(pattern[1:], s) || s != "" && slow(pattern, s[1:])
	}
	if s == "" {
		return false
	}
	n, ok := one(pattern, s[0])
	return ok && slow(pattern[n:], s[1:])
}

func FuzzMatch(f *testing.F) {
	f.Add("a*b[^c-d]?", "aabxy")
	f.Add("**[", "[")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 12 || len(s) > 12 {
			return
		}
		if got, want := Match(pattern, s), slow(pattern, s) && (s != "" || pattern == ""); got != want {
			t.Errorf("Match(%q, %q) = %v, want %v", pattern, s, got, want)
		}
	})
}
