package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// source gives kong the values of flags that are not on the command line: from
// the environment, else from the YAML file.
type source struct {
	env    map[string]string // the variables that have a value
	loaded bool
	file   map[string]setting
	path   string
	// where and flag name the value given last, for the error that it may cause.
	where, flag string
}

// setting is one line of the file.
type setting struct {
	value string
	line  int
}

func newSource(environ []string) *source {
	s := &source{env: make(map[string]string)}
	for _, e := range environ {
		// An empty variable counts as absent: container tools like to set those.
		if name, value, _ := strings.Cut(e, "="); value != "" {
			s.env[name] = value
		}
	}
	return s
}

// EnvName is the variable of the environment that stands for a flag.
func EnvName(flag string) string {
	return "RAFTKV_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Validate is part of kong.Resolver; the file is checked when it is read.
func (s *source) Validate(*kong.Application) error { return nil }

// Resolve is kong.Resolver's: nil where neither environment nor file has the flag.
func (s *source) Resolve(ctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if flag.Name == "help" || flag.Name == "version" {
		return nil, nil
	}
	if !s.loaded {
		s.loaded = true
		if err := s.load(ctx); err != nil {
			return nil, err
		}
	}
	if v, ok := s.env[EnvName(flag.Name)]; ok {
		s.flag, s.where = flag.Name, EnvName(flag.Name)+" in the environment"
		return v, nil
	}
	if v, ok := s.file[flag.Name]; ok {
		s.flag, s.where = flag.Name, fmt.Sprintf("%s, line %d", s.path, v.line)
		return v.value, nil
	}
	return nil, nil
}

// hasSecrets says whether a secret stands in the file, be it in use or not.
func (s *source) hasSecrets() bool {
	for _, name := range []string{"requirepass", "join-token"} {
		if one, ok := s.file[name]; ok && one.value != "" {
			return true
		}
	}
	return false
}

// wrongValue matches kong's words for a value of the wrong kind, some of which go
// on with Go's.
var wrongValue = regexp.MustCompile(`^(--[a-z-]+): expected (?:a valid )?(duration|64 bit int)(?: value)? but got ("[^"]*")`)

// flagForValue matches kong's words for a flag where a value is expected.
var flagForValue = regexp.MustCompile(`^(--[a-z-]+): expected .* but got "(-[^"]*)" \((?:long|short) flag\)`)

var valueKinds = map[string]string{
	"duration":   "duration: write a number and its unit, for example 3s or 500ms",
	"64 bit int": "whole number",
}

// explain turns kong's error into one line that says where the value came from.
func (s *source) explain(err error) error {
	var ours usageError
	if errors.As(err, &ours) {
		return ours // without kong's mention of the flag that it was looking up
	}
	text := strings.ReplaceAll(err.Error(), "\n", " ")
	if name, _, missing := strings.Cut(text, `: expected`); missing && strings.HasSuffix(text, `but got "EOL" (<EOL>)`) {
		text = name + ": a value is missing behind it"
	}
	if m := flagForValue.FindStringSubmatch(text); m != nil {
		text = m[1] + ": a value is missing behind it: " + m[2] + " is a flag"
	}
	if m := wrongValue.FindStringSubmatch(text); m != nil {
		text = m[1] + ": " + m[3] + " is no " + valueKinds[m[2]]
	}
	if s.where != "" && strings.HasPrefix(text, "--"+s.flag) {
		text = s.where + ": " + strings.TrimPrefix(text, "--")
	}
	return Usagef("%s (see raftkv --help)", text)
}

// load reads the file that --config or its variable names, if any.
func (s *source) load(ctx *kong.Context) error {
	s.path = s.env[EnvName("config")]
	for _, p := range ctx.Path {
		if p.Flag != nil && p.Flag.Name == "config" {
			s.path, _ = ctx.FlagValue(p.Flag).(string)
		}
	}
	if s.path == "" {
		return nil
	}
	data, err := os.ReadFile(s.path)
	if err != nil {
		var onPath *fs.PathError
		if errors.As(err, &onPath) {
			err = onPath.Err
		}
		return Usagef("--config %s: %v: name a YAML file that can be read", s.path, err)
	}
	names := slices.DeleteFunc(settings(ctx.Model.Flags), func(name string) bool { return name == "config" })
	s.file, err = parseYAML(s.path, data, names)
	return err
}

// parseYAML reads a flat mapping of setting to value; known are the settings there are.
func parseYAML(path string, data []byte, known []string) (map[string]setting, error) {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, Usagef("%s%s", path, yamlMistake(err))
	}
	found := make(map[string]setting)
	if len(file.Docs) > 1 {
		return nil, Usagef("%s: one YAML document is expected, not %d", path, len(file.Docs))
	}
	for _, doc := range file.Docs {
		var entries []*ast.MappingValueNode
		switch body := doc.Body.(type) {
		case nil, *ast.CommentGroupNode, *ast.NullNode:
		case *ast.MappingNode:
			entries = body.Values
		case *ast.MappingValueNode:
			entries = []*ast.MappingValueNode{body}
		default:
			return nil, Usagef("%s: a line for each setting is expected, for example node-id: node1", path)
		}
		for _, e := range entries {
			if err := addSetting(found, path, e, known); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// yamlMistake says where a file is no YAML and what is expected there.
func yamlMistake(err error) string {
	const hint = "it is no YAML: write a line for each setting, for example node-id: node1"
	text := strings.Join(strings.Fields(firstLine(yaml.FormatError(err, false, false))), " ")
	m := yamlPosition.FindStringSubmatch(text)
	if m == nil {
		return fmt.Sprintf(": %s (%s)", hint, text)
	}
	return fmt.Sprintf(", line %s: %s (column %s: %s)", m[1], hint, m[2], m[3])
}

var yamlPosition = regexp.MustCompile(`^\[(\d+):(\d+)\] (.*)$`)

func addSetting(settings map[string]setting, path string, e *ast.MappingValueNode, known []string) error {
	name := e.Key.GetToken().Value
	line := e.Key.GetToken().Position.Line
	ok := false
	for _, k := range known {
		ok = ok || k == name
	}
	if !ok {
		return Usagef("%s, line %d: there is no setting %q%s", path, line, name, suggest(name, known))
	}
	if before, dup := settings[name]; dup {
		return Usagef("%s, line %d: %s is already set in line %d", path, line, name, before.line)
	}
	value, err := scalarText(e.Value)
	if err != nil {
		return Usagef("%s, line %d: %s: %v", path, line, name, err)
	}
	if _, list := e.Value.(*ast.SequenceNode); value == "" && !list && !mayBeEmpty(name) {
		return Usagef("%s, line %d: %s: the value is empty: leave the line out for the default", path, line, name)
	}
	settings[name] = setting{value: value, line: line}
	return nil
}

// scalarText is a value as it would stand on the command line; a list is joined
// by commas.
func scalarText(n ast.Node) (string, error) {
	switch n := n.(type) {
	case *ast.NullNode:
		return "", errors.New("the value is missing: write one, or leave the line out for the default")
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		// The text, not the number: 0123 may well be a password.
		return n.GetToken().Value, nil
	case *ast.SequenceNode:
		var parts []string
		for _, v := range n.Values {
			if _, nested := v.(*ast.SequenceNode); nested {
				return "", errors.New("a list of plain values is expected")
			}
			part, err := scalarText(v)
			if err != nil {
				return "", err
			}
			parts = append(parts, part)
		}
		return strings.Join(parts, ","), nil
	}
	return "", errors.New("a plain value is expected, as it would stand behind the flag")
}

// suggest names the known setting nearest to a misspelt one.
func suggest(name string, known []string) string {
	best := nearest(strings.ReplaceAll(strings.ToLower(name), "_", "-"), known)
	if best == "" {
		return "; raftkv --help lists them"
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// nearest is the known name that differs least, "" where all are far off.
func nearest(name string, known []string) string {
	best, bestDistance := "", len(name)/3+2
	for _, k := range known {
		if d := distance(name, k); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
