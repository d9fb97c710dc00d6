//go:build linux

// Package report shows what a bench measured: tables as text and as Markdown, the
// main figures as pictures, everything as JSON. It measures nothing.
package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table is a title, a header and rows of the same length. The first column is
// words, the others are numbers and stand to the right.
type table struct {
	title  string
	header []string
	rows   [][]string
	notes  []string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// text writes the table for a terminal.
func (t *table) text(w io.Writer) {
	widths := make([]int, len(t.header))
	for _, row := range append([][]string{t.header}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	fmt.Fprintf(w, "\n%s\n\n", t.title)
	for _, row := range append([][]string{t.header}, t.rows...) {
		var line strings.Builder
		for i, cell := range row {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				line.WriteString("  " + cell + padding)
			} else {
				line.WriteString("  " + padding + cell)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
	for _, note := range t.notes {
		fmt.Fprintf(w, "  %s\n", note)
	}
}

// markdown writes the table for a page.
func (t *table) markdown(w io.Writer) {
	if t.title != "" {
		fmt.Fprintf(w, "## %s\n\n", t.title)
	}
	escape := func(cells []string) string { return strings.ReplaceAll(strings.Join(cells, "\x00"), "|", `\|`) }
	line := func(cells []string) { fmt.Fprintf(w, "| %s |\n", strings.ReplaceAll(escape(cells), "\x00", " | ")) }
	line(t.header)
	fmt.Fprintf(w, "|---%s|\n", strings.Repeat("|--:", len(t.header)-1))
	for _, row := range t.rows {
		line(row)
	}
	fmt.Fprintln(w)
	for _, note := range t.notes {
		fmt.Fprintf(w, "%s\n\n", note)
	}
}

// none stands for what was not measured.
const none = "–"

// thousands writes a whole number with commas.
func thousands(value float64) string {
	digits := fmt.Sprintf("%.0f", value)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// short writes a number of at least three digits' worth.
func short(value float64) string {
	switch {
	case value >= 100:
		return thousands(value)
	case value >= 10:
		return fmt.Sprintf("%.1f", value)
	}
	return fmt.Sprintf("%.2f", value)
}

// ratio writes a ratio, or none.
func ratio(value float64, ok bool) string {
	if !ok {
		return none
	}
	return fmt.Sprintf("%.2f", value)
}

// megabytes writes bytes.
func megabytes(bytes int64) string { return fmt.Sprintf("%.0f", float64(bytes)/(1<<20)) }
