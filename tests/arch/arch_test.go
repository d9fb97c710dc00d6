package arch

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var loadSource = sync.OnceValues(func() (*Tree, error) { return Load(os.DirFS(filepath.Join("..", ".."))) })

// source is the real module.
func source(t *testing.T) *Tree {
	t.Helper()
	tree, err := loadSource()
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Files) < 20 {
		t.Fatalf("only %d files found: is this the module?", len(tree.Files))
	}
	return tree
}

func report(t *testing.T, found []Violation) {
	t.Helper()
	for _, v := range found {
		t.Error(v)
	}
}

func TestImports(t *testing.T)     { report(t, Imports(source(t))) }
func TestDeterminism(t *testing.T) { report(t, Determinism(source(t))) }
func TestSizes(t *testing.T)       { report(t, Sizes(source(t))) }
func TestNames(t *testing.T)       { report(t, Names(source(t))) }
func TestDocs(t *testing.T)        { report(t, Docs(source(t))) }

func TestSmallFunctions(t *testing.T) {
	if share, ok := SmallShare(source(t)); !ok {
		t.Errorf("only %.1f %% of the functions have at most %d lines", 100*share, smallFunction)
	}
}

func TestTopLevel(t *testing.T) { report(t, TopLevel(source(t), products(t)...)) }

// products are the top-level names that .gitignore keeps out of the repository.
func products(t *testing.T) []string {
	t.Helper()
	ignore, err := os.ReadFile(filepath.Join("..", "..", ".gitignore"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, line := range strings.Fields(string(ignore)) {
		if strings.HasPrefix(line, "*") {
			matched, err := filepath.Glob(filepath.Join("..", "..", line))
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range matched {
				names = append(names, filepath.Base(m))
			}
			continue
		}
		names = append(names, strings.Trim(line, "/"))
	}
	return names
}
