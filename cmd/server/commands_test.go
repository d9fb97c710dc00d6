package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadmeIsCurrent: the README's command table is what the declarations say.
func TestReadmeIsCurrent(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(readme), "<!-- commands: begin; written by make docs -->\n\n")
	section, _, end := strings.Cut(section, "\n<!-- commands: end -->")
	if !ok || !end {
		t.Fatal("README.md has no section for the commands")
	}
	code, want, _ := inProcess(nil, "commands")
	if code != exitOK || section != want {
		t.Error("the command table of README.md is not what the program says: run make docs")
	}
	for _, row := range []string{"| `SET key value ", "| `CLIENT KILL ", "| `RAFT.STATUS` |", "| `COMMAND` |"} {
		if !strings.Contains(want, row) {
			t.Errorf("no row %q", row)
		}
	}
}
