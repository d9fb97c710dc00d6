// Package arch keeps the rules of the house as checks over the source: who may
// import whom, what replicated code must not touch, how large things may get.
// Each check takes a Tree and returns what breaks its rule, so that the tests can
// run it over the real source and over planted violations alike. It compiles and
// runs nothing.
package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Module is the path of this module.
const Module = "github.com/raftkv/raftkv"

// Tree is the source of a module.
type Tree struct {
	Files []*File
	// Top are the names at the top level.
	Top  []string
	fset *token.FileSet
}

// File is one Go file.
type File struct {
	Path  string // from the module's root, with slashes
	Room  string // the directory that it lies in
	Test  bool
	Lines int
	AST   *ast.File
	tree  *Tree
}

// Violation is a place that breaks a rule.
type Violation struct {
	Path string
	Line int
	What string
}

func (v Violation) String() string { return fmt.Sprintf("%s:%d: %s", v.Path, v.Line, v.What) }

// Load parses all Go files below root but those of testdata and of directories
// whose name begins with a dot.
func Load(root fs.FS) (*Tree, error) {
	t := &Tree{fset: token.NewFileSet()}
	entries, err := fs.ReadDir(root, ".")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		t.Top = append(t.Top, e.Name())
	}
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || name == "data") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		return t.add(root, name)
	})
	return t, err
}

func (t *Tree) add(root fs.FS, name string) error {
	src, err := fs.ReadFile(root, name)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(t.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	t.Files = append(t.Files, &File{
		Path: name, Room: path.Dir(name), Test: strings.HasSuffix(name, "_test.go"),
		Lines: bytes.Count(src, []byte("\n")), AST: parsed, tree: t,
	})
	return nil
}

// line is the line of a position.
func (f *File) line(p token.Pos) int { return f.tree.fset.Position(p).Line }

// violation is one at a node of the file.
func (f *File) violation(n ast.Node, format string, args ...any) Violation {
	return Violation{f.Path, f.line(n.Pos()), fmt.Sprintf(format, args...)}
}

// imports calls fn for each import of the file.
func (f *File) imports(fn func(spec *ast.ImportSpec, name string)) {
	for _, spec := range f.AST.Imports {
		if name, err := strconv.Unquote(spec.Path.Value); err == nil {
			fn(spec, name)
		}
	}
}

// matches says whether a path is what a pattern names: "a" is a itself, "a/*" is
// what lies directly in it, "a/**" is a and all below.
func matches(pattern, name string) bool {
	if base, ok := strings.CutSuffix(pattern, "/**"); ok {
		return name == base || strings.HasPrefix(name, base+"/")
	}
	if base, ok := strings.CutSuffix(pattern, "/*"); ok {
		return path.Dir(name) == base
	}
	return name == pattern
}

func matchesAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if matches(p, name) {
			return true
		}
	}
	return false
}
