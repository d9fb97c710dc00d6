package scripts

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/resp"
)

// script is one file of the corpus.
type script struct {
	path  string // "string/set.txt"
	items []item
	marks map[string]string // "since": "7.2"
}

// item is a step, or the comment or blank line between steps.
type item struct {
	text string // of a comment; empty for a blank line
	step *step
}

// step is a command and the reply it must give.
type step struct {
	line    int
	command string // the whole command line, as written
	client  string
	proto   int // 0: as before
	sorted  bool
	until   bool
	args    []string
	reply   string         // in redis-cli's form; empty: not recorded yet
	pattern *regexp.Regexp // instead of reply
}

var markLine = regexp.MustCompile(`^# @(\w+) ?(.*)$`)

var knownMarks = []string{"session", "pinned", "cluster", "since", "differs"}

// corpus reads all scripts, sorted by path.
func corpus(tb testing.TB) []*script {
	tb.Helper()
	var all []*script
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".txt" || strings.HasPrefix(path, "golden") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		s, err := parse(path, string(text))
		all = append(all, s)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	if len(all) == 0 {
		tb.Fatal("no scripts")
	}
	return all
}

func parse(path, text string) (*script, error) {
	s := &script{path: path, marks: map[string]string{}}
	var open *step
	var reply []string
	finish := func() error {
		if open == nil {
			return nil
		}
		open.reply = strings.Join(reply, "\n")
		if p, ok := strings.CutPrefix(open.reply, "~ "); ok {
			re, err := regexp.Compile("^(?s:" + p + ")$")
			if err != nil {
				return fmt.Errorf("%s:%d: %w", path, open.line, err)
			}
			open.pattern = re
		}
		s.items = append(s.items, item{step: open})
		open, reply = nil, nil
		return nil
	}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		switch {
		case open != nil && line != "":
			reply = append(reply, line)
		case line == "":
			if err := finish(); err != nil {
				return nil, err
			}
			s.items = append(s.items, item{})
		case line[0] == '#':
			if m := markLine.FindStringSubmatch(line); m != nil {
				if !slices.Contains(knownMarks, m[1]) {
					return nil, fmt.Errorf("%s:%d: unknown mark @%s", path, i+1, m[1])
				}
				s.marks[m[1]] = m[2]
			}
			s.items = append(s.items, item{text: line})
		default:
			st, err := parseCommand(line)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, i+1, err)
			}
			st.line = i + 1
			open = st
		}
	}
	return s, finish()
}

var clientPrefix = regexp.MustCompile(`^([a-z])> `)

func parseCommand(line string) (*step, error) {
	s := &step{command: line, client: "a"}
	if m := clientPrefix.FindStringSubmatch(line); m != nil {
		s.client, line = m[1], line[len(m[0]):]
	}
	for {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "!2":
			s.proto = 2
		case "!3":
			s.proto = 3
		case "@sorted":
			s.sorted = true
		case "@until":
			s.until = true
		default:
			args, err := split(line)
			if err == nil && len(args) == 0 {
				err = fmt.Errorf("no command in %q", s.command)
			}
			s.args = args
			return s, err
		}
		line = rest
	}
}

// format is the script's text, with its steps' replies.
func (s *script) format() []byte {
	var b bytes.Buffer
	for _, it := range s.items {
		if it.step == nil {
			b.WriteString(it.text + "\n")
			continue
		}
		b.WriteString(it.step.command + "\n")
		if it.step.reply != "" {
			b.WriteString(it.step.reply + "\n")
		}
	}
	return b.Bytes()
}

func (s *script) steps() (steps []*step) {
	for _, it := range s.items {
		if it.step != nil {
			steps = append(steps, it.step)
		}
	}
	return steps
}

func (s *script) has(mark string) bool {
	_, ok := s.marks[mark]
	return ok
}

// show is a reply in redis-cli's form, as the step wants it compared.
func (st *step) show(v resp.Value) string {
	if st.sorted {
		sortInnermost(v)
	}
	return resp.FormatCLI(v)
}

func (st *step) matches(reply string) bool {
	if st.pattern != nil {
		return st.pattern.MatchString(reply)
	}
	return st.reply == reply
}

// sortInnermost sorts every aggregate that holds no other.
func sortInnermost(v resp.Value) {
	flat := true
	for _, e := range v.Elems {
		if e.Elems != nil || e.Kind == resp.KindArray {
			sortInnermost(e)
			flat = false
		}
	}
	if flat {
		slices.SortFunc(v.Elems, func(a, b resp.Value) int { return bytes.Compare(a.Str, b.Str) })
	}
}

// split cuts a command line into arguments as redis-cli does (sdssplitargs).
func split(line string) (args []string, err error) {
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return args, nil
		}
		var arg []byte
		if arg, line, err = nextArg(line); err != nil {
			return nil, err
		}
		args = append(args, string(arg))
	}
}

var escapes = map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', 'b': '\b', 'a': '\a'}

func nextArg(s string) (arg []byte, rest string, err error) {
	quote := byte(0)
	for len(s) > 0 {
		c := s[0]
		s = s[1:]
		switch {
		case quote == 0 && (c == ' ' || c == '\t'):
			return arg, s, nil
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote != 0 && c == quote:
			if s != "" && s[0] != ' ' {
				return nil, "", fmt.Errorf("text behind a closing quote: %q", s)
			}
			return arg, s, nil
		case quote == '"' && c == '\\' && len(s) >= 3 && s[0] == 'x' && isHex(s[1]) && isHex(s[2]):
			arg = append(arg, unhex(s[1])<<4|unhex(s[2]))
			s = s[3:]
		case quote == '"' && c == '\\' && s != "":
			if e, ok := escapes[s[0]]; ok {
				arg = append(arg, e)
			} else {
				arg = append(arg, s[0])
			}
			s = s[1:]
		case quote == '\'' && c == '\\' && s != "" && s[0] == '\'':
			arg = append(arg, '\'')
			s = s[1:]
		default:
			arg = append(arg, c)
		}
	}
	if quote != 0 {
		return nil, "", fmt.Errorf("no closing %c", quote)
	}
	return arg, "", nil
}

func isHex(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }

func unhex(c byte) byte {
	return byte(strings.Index("0123456789abcdef", strings.ToLower(string(rune(c)))))
}
