package arch

import (
	"go/ast"
	"go/token"
	"strings"
)

// indefinite are the packages that could make two replicas differ, each with what
// lies below it: clocks, chance, the machine, goroutines, and sorting that is not
// stable where slices has better.
var indefinite = []string{
	"time", "math/rand", "crypto/rand", "hash/maphash", "os", "net", "sync", "log", "context", "runtime",
	"unsafe", "reflect", "sort", "maps",
}

// exempt are the exceptions, by room and package.
var exempt = []struct{ room, name string }{
	{"fsm", "sync"}, // the Machine's lock, the only one
}

// scriptSteps is the one file of fsm/script that counts a script's steps and may
// use goroutine's tools for it.
const scriptSteps = "fsm/script/steps.go"

// Determinism checks that replicated code, fsm/**, is a function of the log.
func Determinism(t *Tree) []Violation {
	var found []Violation
	for _, f := range t.Files {
		if f.Test || !matches("fsm/**", f.Room) {
			continue
		}
		f.imports(func(spec *ast.ImportSpec, name string) {
			for _, bad := range indefinite {
				if (name == bad || strings.HasPrefix(name, bad+"/")) && !isExempt(f, name) {
					found = append(found, f.violation(spec, "%s must not import %s: replicas would differ", f.Room, name))
				}
			}
		})
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if what := indefiniteConstruct(f, n); what != "" {
				found = append(found, f.violation(n, "%s: replicas would differ", what))
			}
			return true
		})
	}
	return found
}

func isExempt(f *File, name string) bool {
	for _, e := range exempt {
		if f.Room == e.room && name == e.name {
			return true
		}
	}
	return f.Path == scriptSteps && (name == "context" || name == "time")
}

// indefiniteConstruct names what a node must not be in fsm/**; "" where it may.
func indefiniteConstruct(f *File, n ast.Node) string {
	switch n := n.(type) {
	case *ast.MapType:
		if f.Room != "fsm/dict" {
			return "a map outside fsm/dict"
		}
	case *ast.GoStmt:
		return "a goroutine"
	case *ast.SelectStmt:
		return "a select"
	case *ast.ChanType:
		if f.Path != scriptSteps {
			return "a channel"
		}
	case *ast.SendStmt:
		return "a send"
	case *ast.UnaryExpr:
		if n.Op == token.ARROW && f.Path != scriptSteps {
			return "a receive"
		}
	}
	return ""
}
