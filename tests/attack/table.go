// Package attack is what the tests that attack a node share: another client, which works
// meanwhile and whose waits are measured, and the table of what was tried and what came
// of it. It knows no attack, and nothing of the code under test.
package attack

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
)

// Table has a row for each attack and is printed at the end of a run.
type Table struct {
	Above   string   // what is said above it
	Head    []string // of the columns
	ByFirst bool     // rows of the same first cell stand together: tests that run beside each other add them as they end

	mu   sync.Mutex
	rows [][]string // guarded by mu
}

// Add appends a row.
func (t *Table) Add(cells ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows = append(t.rows, cells)
}

// Print writes the table, where tests are to tell what they do.
func (t *Table) Print() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !testing.Verbose() || len(t.rows) == 0 {
		return
	}
	if t.ByFirst {
		slices.SortStableFunc(t.rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	}
	fmt.Println("\n" + t.Above)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{t.Head}, t.rows...) {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	w.Flush()
}
