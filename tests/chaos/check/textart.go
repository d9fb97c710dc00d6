package check

import (
	"fmt"
	"strings"
)

const (
	textWidth  = 100 // columns of time
	textHeight = 10  // rows of the rates
	textLines  = 40
)

// TimelineText is the picture for a terminal, of at most 40 lines of 112 columns: the
// operations per second (# acknowledged; ? above them where some are unknown, ! where
// some failed), the latency by its power of ten, and a line for each node with the first
// letter of its fault (a capital where it led meanwhile), = where it led without
// one. Nodes that find no room are left out, and it says so.
func TimelineText(h *History, faults []Fault) string {
	t := newTimeline(h, faults, textWidth)
	var lines []string
	most := t.most()
	for row := textHeight; row > 0; row-- {
		label := ""
		if row == textHeight {
			label = fmt.Sprintf("%.0f/s", t.rate(most))
		}
		lines = append(lines, fmt.Sprintf("%9s |", label)+t.rateRow(row, most))
	}
	lines = append(lines, fmt.Sprintf("%9s |", "p99")+t.delayRow())
	letters := t.letters()
	for i, node := range t.nodes {
		if len(lines) == textLines-4 {
			lines = append(lines, fmt.Sprintf("%9s  … and %d more nodes", "", len(t.nodes)-i))
			break
		}
		lines = append(lines, fmt.Sprintf("%9.9s |", node)+t.nodeRow(node, letters))
	}
	lines = append(lines, fmt.Sprintf("%9s +%s", "", strings.Repeat("-", textWidth)))
	lines = append(lines, fmt.Sprintf("%9s  0 s%*.4g s", "", textWidth-6, float64(t.length)/1e9))
	legend := "p99: u below 1 ms, 1 below 10 ms, 2 below 100 ms, 3 below 1 s, 4 above; = leader"
	for _, kind := range t.kinds() {
		legend += fmt.Sprintf(", %c %s", letters[kind], kind)
	}
	return strings.Join(append(lines, legend), "\n") + "\n"
}

// rateRow is one row of the bars; rows count from 1 at the bottom.
func (t *timeline) rateRow(row, most int) string {
	line := make([]byte, len(t.buckets))
	for i, b := range t.buckets {
		full := (b.ok*textHeight + most - 1) / most
		switch {
		case row <= full:
			line[i] = '#'
		case b.unknown > 0 && row == full+1:
			line[i] = '?'
		case b.failed > 0 && (row == full+1 || (b.unknown > 0 && row == full+2)):
			line[i] = '!'
		default:
			line[i] = ' '
		}
		if row == textHeight && full == textHeight && b.unknown > 0 {
			line[i] = '?' // the bar reaches the top
		}
	}
	return strings.TrimRight(string(line), " ")
}

func (t *timeline) delayRow() string {
	line := make([]byte, len(t.buckets))
	for i, b := range t.buckets {
		switch {
		case b.p99 == 0:
			line[i] = ' '
		case b.p99 < 1e6:
			line[i] = 'u'
		case b.p99 < 1e7:
			line[i] = '1'
		case b.p99 < 1e8:
			line[i] = '2'
		case b.p99 < 1e9:
			line[i] = '3'
		default:
			line[i] = '4'
		}
	}
	return strings.TrimRight(string(line), " ")
}

// letters gives each kind of fault a small letter, its first where that is free.
func (t *timeline) letters() map[string]byte {
	letters := make(map[string]byte)
	taken := make(map[byte]bool)
	for _, kind := range t.kinds() {
		for _, c := range []byte(strings.ToLower(kind) + "abcdefghijklmnopqrstuvwxyz") {
			if c >= 'a' && c <= 'z' && !taken[c] {
				letters[kind], taken[c] = c, true
				break
			}
		}
	}
	return letters
}

func (t *timeline) nodeRow(node string, letters map[string]byte) string {
	line := []byte(strings.Repeat(".", len(t.buckets)))
	for _, f := range t.lane(node, false) {
		for i := f.From / t.piece; i <= f.To/t.piece; i++ {
			line[i] = letters[f.Kind]
		}
	}
	for _, f := range t.lane(node, true) {
		for i := f.From / t.piece; i <= f.To/t.piece; i++ {
			switch c := line[i]; {
			case c == '.':
				line[i] = '='
			case c >= 'a' && c <= 'z':
				line[i] = c - 'a' + 'A'
			}
		}
	}
	return string(line)
}
