package arch

import (
	"go/ast"
	"strings"
)

// Docs checks that every package says what it does, and that every exported name
// outside tests has a comment that begins with it.
func Docs(t *Tree) []Violation {
	var found []Violation
	first := make(map[string]*File)
	documented := make(map[string]bool)
	for _, f := range t.Files {
		if f.Test {
			continue
		}
		if first[f.Room] == nil {
			first[f.Room] = f
		}
		if doc := f.AST.Doc; doc != nil && strings.HasPrefix(doc.Text(), packageOpening(f)) {
			documented[f.Room] = true
		}
		for _, d := range f.AST.Decls {
			found = append(found, f.undocumented(d)...)
		}
	}
	for room, f := range first {
		if !documented[room] {
			found = append(found, f.violation(f.AST.Name, "no file of %s has a package comment that begins with %q", room, packageOpening(f)))
		}
	}
	return found
}

// packageOpening is how a package's comment begins; a program's names the program.
func packageOpening(f *File) string {
	if f.AST.Name.Name == "main" {
		return "Command "
	}
	return "Package " + f.AST.Name.Name + " "
}

func (f *File) undocumented(d ast.Decl) []Violation {
	var found []Violation
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && exportedReceiver(d) && !speaksOf(d.Doc, d.Name.Name) && !wellKnown(d) {
			found = append(found, f.violation(d, "%s has no comment that begins with its name", d.Name.Name))
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && !speaksOf(s.Doc, s.Name.Name) && !speaksOf(d.Doc, s.Name.Name) && !grouped(d) {
					found = append(found, f.violation(s, "%s has no comment that begins with its name", s.Name.Name))
				}
			case *ast.ValueSpec:
				// Of a group one comment may speak for all.
				if s.Names[0].IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil && !follows(d, s) {
					found = append(found, f.violation(s, "%s has no comment", s.Names[0].Name))
				}
			}
		}
	}
	return found
}

// speaksOf says whether a comment begins with the name, an article before it allowed.
func speaksOf(doc *ast.CommentGroup, name string) bool {
	if doc == nil {
		return false
	}
	text := doc.Text()
	for _, article := range []string{"A ", "An ", "The "} {
		text = strings.TrimPrefix(text, article)
	}
	return strings.HasPrefix(text, name)
}

// grouped says whether one comment speaks for several types.
func grouped(d *ast.GenDecl) bool { return d.Lparen.IsValid() && d.Doc != nil }

// follows says whether the value stands in a run that a documented one opens, as
// the members of an enumeration do.
func follows(d *ast.GenDecl, s *ast.ValueSpec) bool {
	for _, other := range d.Specs {
		v := other.(*ast.ValueSpec)
		if v == s {
			return false
		}
		if v.Doc != nil || v.Comment != nil || v.Type != nil {
			return true
		}
	}
	return false
}

// wellKnown says whether a method without a comment is one whose contract is its
// interface's.
func wellKnown(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return false
	}
	switch d.Name.Name {
	case "Error", "Unwrap", "Is", "As", "String":
		return true
	}
	return false
}

// exportedReceiver says whether a function is none of an unexported type's methods.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	typ := d.Recv.List[0].Type
	for {
		switch t := typ.(type) {
		case *ast.StarExpr:
			typ = t.X
		case *ast.IndexExpr:
			typ = t.X
		case *ast.IndexListExpr:
			typ = t.X
		case *ast.Ident:
			return t.IsExported()
		default:
			return true
		}
	}
}
