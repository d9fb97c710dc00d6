package arch

import (
	"go/ast"
	"slices"
	"strings"
)

// The sizes that nothing exceeds, and the share of functions that stay small.
const (
	maxFileLines     = 1000
	maxFunctionLines = 100
	maxParameters    = 4
	smallFunction    = 40
	smallShare       = 0.9
)

// imposed are the methods whose parameters an interface of hashicorp/raft dictates.
var imposed = []string{"cluster/logstore.Create", "cluster/transport.InstallSnapshot"}

// Sizes checks the lengths of files and functions and the number of parameters.
// Functions in tests may be as long as their tables.
func Sizes(t *Tree) []Violation {
	var found []Violation
	for _, f := range t.Files {
		if f.Lines > maxFileLines {
			found = append(found, Violation{f.Path, f.Lines, "more than 1000 lines: one concern a file"})
		}
		if f.Test {
			continue
		}
		f.functions(func(fn *ast.FuncDecl, lines int) {
			if lines > maxFunctionLines {
				found = append(found, f.violation(fn, "%s has %d lines, at most %d are allowed", fn.Name.Name, lines, maxFunctionLines))
			}
			if n := fn.Type.Params.NumFields(); n > maxParameters && !(fn.Recv != nil && slices.Contains(imposed, f.Room+"."+fn.Name.Name)) {
				found = append(found, f.violation(fn, "%s has %d parameters, at most %d are allowed", fn.Name.Name, n, maxParameters))
			}
		})
	}
	return found
}

// SmallShare is the part of all functions outside tests that have at most 40 lines.
func SmallShare(t *Tree) (share float64, ok bool) {
	small, all := 0, 0
	for _, f := range t.Files {
		if f.Test {
			continue
		}
		f.functions(func(_ *ast.FuncDecl, lines int) {
			all++
			if lines <= smallFunction {
				small++
			}
		})
	}
	if all == 0 {
		return 1, true
	}
	share = float64(small) / float64(all)
	return share, share >= smallShare
}

// functions calls fn for each function and method with its number of lines.
func (f *File) functions(fn func(decl *ast.FuncDecl, lines int)) {
	for _, d := range f.AST.Decls {
		if decl, ok := d.(*ast.FuncDecl); ok && decl.Body != nil {
			fn(decl, f.line(decl.End())-f.line(decl.Pos())+1)
		}
	}
}

// emptyNames say nothing about what a package does.
var emptyNames = []string{"util", "utils", "common", "types", "helper", "helpers", "misc", "base"}

// emptySuffixes say nothing about what a type does.
var emptySuffixes = []string{"Manager", "Helper", "Util", "Utils", "Base", "Impl"}

// Names checks names that say nothing, and functions that run unasked.
func Names(t *Tree) []Violation {
	var found []Violation
	for _, f := range t.Files {
		for _, name := range emptyNames {
			if f.AST.Name.Name == name {
				found = append(found, f.violation(f.AST.Name, "a package named %s could hold anything", name))
			}
		}
		for _, d := range f.AST.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					found = append(found, f.violation(d, "an init function runs unasked: nothing registers itself here"))
				}
			case *ast.GenDecl:
				found = append(found, f.emptyTypes(d)...)
			}
		}
	}
	return found
}

func (f *File) emptyTypes(d *ast.GenDecl) []Violation {
	var found []Violation
	for _, s := range d.Specs {
		ts, ok := s.(*ast.TypeSpec)
		if !ok {
			continue
		}
		for _, suffix := range emptySuffixes {
			if strings.HasSuffix(ts.Name.Name, suffix) {
				found = append(found, f.violation(ts, "the name %s says nothing: no %s", ts.Name.Name, suffix))
			}
		}
	}
	return found
}

// topNames are what the top level holds; names with a dot in front may join them.
var topNames = []string{
	"server", "resp", "cluster", "fsm", "cmd", "tests", "go.mod", "go.sum", "Makefile", "README.md", "LICENSE",
}

// TopLevel checks the names at the top level. products are what builds and runs
// leave there.
func TopLevel(t *Tree, products ...string) []Violation {
	var found []Violation
	for _, name := range t.Top {
		if !strings.HasPrefix(name, ".") && !matchesAny(topNames, name) && !matchesAny(products, name) {
			found = append(found, Violation{name, 1, "does not belong on the top level"})
		}
	}
	return found
}
