package check

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"math"
	"slices"
)

// The picture's measures, in pixels.
const (
	pictureLeft  = 90 // room for the names of the lanes
	pictureWidth = 1200
	pictureRight = 60
	rateTop      = 68
	rateHeight   = 200
	delayTop     = rateTop + rateHeight + 34
	delayHeight  = 90
	laneTop      = delayTop + delayHeight + 40
	rowHeight    = 13
	laneGap      = 8
	pieces       = 300
)

const (
	okColor      = "#59a14f"
	failedColor  = "#f1a340"
	unknownColor = "#d7301f"
	leaderColor  = "#222222"
)

// faultColors are given to the kinds of faults in their order by name.
var faultColors = []string{
	"#4e79a7", "#b07aa1", "#e15759", "#76b7b2", "#edc948", "#9c755f", "#ff9da7", "#8cd17d", "#86bcb6", "#d37295", "#79706e", "#499894",
}

// Timeline draws a run as an SVG: on top the operations per second by outcome, below
// them the latency within which 99 of 100 acknowledged operations stayed, and below
// that a lane for each node with its faults and, as a black line, its leadership. A fault
// without a node is drawn in every lane.
func Timeline(h *History, faults []Fault, w io.Writer) error {
	t := newTimeline(h, faults, pieces)
	height := laneTop
	for _, node := range t.nodes {
		height += laneHeight(t.lane(node, false)) + laneGap
	}
	height += 30
	p := &picture{w: bufio.NewWriter(w), t: t, colors: make(map[string]string)}
	for i, kind := range t.kinds() {
		p.colors[kind] = faultColors[i%len(faultColors)]
	}
	p.printf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`,
		pictureLeft+pictureWidth+pictureRight, height, pictureLeft+pictureWidth+pictureRight, height)
	p.printf(`<rect width="100%%" height="100%%" fill="white"/>`)
	p.title(h)
	p.shade(height - 30)
	p.rates()
	p.delays()
	p.lanes()
	p.times(height - 30)
	p.printf(`</svg>`)
	return p.w.Flush()
}

// laneHeight is the height of a node's lane: a row for leadership and one or more for faults.
func laneHeight(faults []Fault) int { return 6 + rowHeight*max(1, len(rows(faults))) }

type picture struct {
	w      *bufio.Writer // keeps the first error
	t      *timeline
	colors map[string]string // by kind of fault
}

func (p *picture) printf(format string, args ...any) { fmt.Fprintf(p.w, format+"\n", args...) }

// x is where a time lies.
func (p *picture) x(ns int64) float64 {
	return pictureLeft + pictureWidth*float64(ns)/float64(p.t.length)
}

func (p *picture) text(x, y float64, anchor, s string) {
	p.printf(`<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, x, y, anchor, html.EscapeString(s))
}

// title is the first line and the legend.
func (p *picture) title(h *History) {
	count := make(map[Outcome]int)
	for _, op := range h.Ops() {
		count[op.Outcome]++
	}
	meta := h.Meta()
	p.printf(`<text x="10" y="18" font-size="14" font-weight="bold">seed %d, %s: %d operations in %.0f s on %d nodes</text>`,
		meta.Seed, meta.Started.UTC().Format("2006-01-02 15:04:05 UTC"), h.Len(), float64(p.t.length)/1e9, len(p.t.nodes))
	x := 10.0
	entry := func(color, label string) {
		p.printf(`<rect x="%.1f" y="28" width="11" height="11" fill="%s"/>`, x, color)
		p.text(x+15, 38, "start", label)
		x += 32 + 6.2*float64(len(label))
	}
	entry(okColor, fmt.Sprintf("%d ok", count[OK]))
	entry(failedColor, fmt.Sprintf("%d failed", count[Failed]))
	entry(unknownColor, fmt.Sprintf("%d unknown", count[Unknown]))
	entry(leaderColor, "leader")
	for _, kind := range p.t.kinds() {
		entry(p.colors[kind], kind)
	}
}

// shade marks the time of faults behind everything.
func (p *picture) shade(bottom int) {
	for _, f := range p.t.faults {
		if f.Kind != Leading {
			p.printf(`<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s" opacity="0.07"/>`,
				p.x(f.From), rateTop, max(1, p.x(f.To)-p.x(f.From)), bottom-rateTop, p.colors[f.Kind])
		}
	}
}

// rates are the bars of operations per second.
func (p *picture) rates() {
	most := p.t.most()
	top := niceCeiling(p.t.rate(most))
	for i := 0; i <= 4; i++ {
		y := rateTop + rateHeight - rateHeight*float64(i)/4
		p.grid(y, fmt.Sprintf("%.4g", top*float64(i)/4))
	}
	p.text(pictureLeft, rateTop-5, "start", "operations per second")
	wide := float64(pictureWidth) / pieces
	for i, b := range p.t.buckets {
		x, y := pictureLeft+wide*float64(i), float64(rateTop+rateHeight)
		for _, part := range []struct {
			n     int
			color string
		}{{b.ok, okColor}, {b.failed, failedColor}, {b.unknown, unknownColor}} {
			if part.n == 0 {
				continue
			}
			high := rateHeight * p.t.rate(part.n) / top
			if part.color != okColor {
				high = max(high, 2) // one that went wrong must be seen among thousands that did not
			}
			y -= high
			p.printf(`<rect x="%.2f" y="%.2f" width="%.2f" height="%.2f" fill="%s"/>`, x, y, wide, high, part.color)
		}
	}
}

// delays are the latencies, on a logarithmic scale.
func (p *picture) delays() {
	low, high := math.Inf(1), 0.0
	for _, b := range p.t.buckets {
		if b.p99 > 0 {
			low, high = min(low, float64(b.p99)), max(high, float64(b.p99))
		}
	}
	p.text(pictureLeft, delayTop-5, "start", "latency of the acknowledged, p99")
	if high == 0 {
		return
	}
	from, to := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	if from == to {
		to++
	}
	y := func(ns float64) float64 {
		return delayTop + delayHeight - delayHeight*(math.Log10(ns)-from)/(to-from)
	}
	for e := from; e <= to; e++ {
		p.grid(y(math.Pow(10, e)), duration(math.Pow(10, e)))
	}
	wide := float64(pictureWidth) / pieces
	for i, b := range p.t.buckets {
		if b.p99 > 0 {
			p.printf(`<rect x="%.2f" y="%.2f" width="%.2f" height="2.5" fill="#1f4e79"/>`, pictureLeft+wide*float64(i), y(float64(b.p99))-1.2, wide)
		}
	}
}

func (p *picture) grid(y float64, label string) {
	p.printf(`<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#dddddd"/>`, pictureLeft, y, pictureLeft+pictureWidth, y)
	p.text(pictureLeft-6, y+4, "end", label)
}

// lanes are the nodes.
func (p *picture) lanes() {
	p.text(pictureLeft, laneTop-8, "start", "faults by node; black: it led")
	y := laneTop
	for _, node := range p.t.nodes {
		faults := p.t.lane(node, false)
		high := laneHeight(faults)
		p.printf(`<rect x="%d" y="%d" width="%d" height="%d" fill="#f4f4f4"/>`, pictureLeft, y, pictureWidth, high)
		p.text(pictureLeft-6, float64(y)+float64(high)/2+4, "end", node)
		for _, f := range p.t.lane(node, true) {
			p.interval(f, y, 4, leaderColor)
		}
		for row, members := range rows(faults) {
			for _, f := range members {
				p.interval(f, y+6+row*rowHeight, rowHeight-2, p.colors[f.Kind])
			}
		}
		y += high + laneGap
	}
}

// interval draws one; where there is room for it, with its kind.
func (p *picture) interval(f Fault, y, high int, color string) {
	x := p.x(f.From)
	wide := max(2, p.x(f.To)-x)
	title := fmt.Sprintf("%s %s %s, from %s to %s", f.Node, f.Kind, f.Note, seconds(f.From), seconds(f.To))
	p.printf(`<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"><title>%s</title></rect>`, x, y, wide, high, color, html.EscapeString(title))
	if f.Kind != Leading && wide > 6.5*float64(len(f.Kind)) {
		p.printf(`<text x="%.1f" y="%d" font-size="10" fill="white">%s</text>`, x+3, y+high-2, html.EscapeString(f.Kind))
	}
}

// times are the marks of the axis.
func (p *picture) times(y int) {
	step := niceCeiling(float64(p.t.length) / 12e9)
	for s := 0.0; s*1e9 <= float64(p.t.length); s += step {
		x := p.x(int64(s * 1e9))
		p.printf(`<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#999999"/>`, x, y, x, y+5)
		p.text(x, float64(y)+17, "middle", fmt.Sprintf("%.4g s", s))
	}
}

// niceCeiling is the smallest of 1, 2, 5, 10, 20, … (and their tenths) not below v.
func niceCeiling(v float64) float64 {
	scale := math.Pow(10, math.Floor(math.Log10(v)))
	i := slices.IndexFunc([]float64{1, 2, 5}, func(m float64) bool { return v <= m*scale })
	if i < 0 {
		return 10 * scale
	}
	return []float64{1, 2, 5}[i] * scale
}

// duration shows ns without fractions where they are powers of ten.
func duration(ns float64) string {
	switch {
	case ns >= 1e9:
		return fmt.Sprintf("%.4g s", ns/1e9)
	case ns >= 1e6:
		return fmt.Sprintf("%.4g ms", ns/1e6)
	}
	return fmt.Sprintf("%.4g µs", ns/1e3)
}
