//go:build linux

package report

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/raftkv/raftkv/tests/bench"
	"github.com/raftkv/raftkv/tests/bench/peers"
)

// picture is a figure of one or more plots in a grid.
type picture struct {
	name, title   string
	plots         [][]*plot.Plot // rows of equal length; nil leaves a place empty
	width, height vg.Length
}

// colors of the systems, which differ in brightness too.
var colors = map[string]color.Color{
	peers.RaftKV:        color.RGBA{R: 0x1b, G: 0x5e, B: 0xa8, A: 0xff},
	peers.RedisAlways:   color.RGBA{R: 0xd6, G: 0x45, B: 0x3d, A: 0xff},
	peers.RedisEverysec: color.RGBA{R: 0xf2, G: 0xb1, B: 0xab, A: 0xff},
	peers.Echo:          color.RGBA{R: 0xa6, G: 0xa6, B: 0xa6, A: 0xff},
	peers.Etcd:          color.RGBA{R: 0x3f, G: 0x8f, B: 0x4f, A: 0xff},
}

// short names, for below the bars.
var shortNames = map[string]string{
	peers.RaftKV: "RaftKV", peers.RedisAlways: "Redis\nalways", peers.RedisEverysec: "Redis\neverysec", peers.Echo: "echo", peers.Etcd: "etcd",
}

// drawAll makes every figure that there is data for, as SVG for pages and as PNG.
func drawAll(dir string, res *bench.Results) (drawn []picture, err error) {
	for _, make := range []func(*bench.Results) (*picture, error){bars, around, snapshotCurves} {
		p, err := make(res)
		if err != nil {
			return nil, err
		}
		if p == nil {
			continue
		}
		if err := p.save(dir); err != nil {
			return nil, err
		}
		drawn = append(drawn, *p)
	}
	return drawn, nil
}

// save writes the picture in both forms.
func (p *picture) save(dir string) error {
	svg := vgsvg.New(p.width, p.height)
	p.paint(draw.New(svg))
	png := vgimg.NewWith(vgimg.UseWH(p.width, p.height), vgimg.UseDPI(110), vgimg.UseBackgroundColor(color.White))
	p.paint(draw.New(png))
	save := func(ext string, write func(*os.File) error) error {
		f, err := os.Create(filepath.Join(dir, p.name+ext))
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	return errors.Join(
		save(".svg", func(f *os.File) error { _, err := svg.WriteTo(f); return err }),
		save(".png", func(f *os.File) error { _, err := vgimg.PngCanvas{Canvas: png}.WriteTo(f); return err }),
	)
}

func (p *picture) paint(onto draw.Canvas) {
	const margin = 8
	tiles := draw.Tiles{
		Rows: len(p.plots), Cols: len(p.plots[0]), PadX: 14, PadY: 14,
		PadTop: margin, PadBottom: margin, PadLeft: margin, PadRight: margin,
	}
	if len(p.plots) == 1 && len(p.plots[0]) == 1 { // aligned with nothing, it would lose room
		p.plots[0][0].Draw(draw.Crop(onto, margin, -margin, margin, -margin))
		return
	}
	canvases := plot.Align(p.plots, tiles, onto)
	for i, row := range p.plots {
		for j, one := range row {
			if one != nil {
				one.Draw(canvases[i][j])
			}
		}
	}
}

// barColumns is how many plots of bars stand side by side.
const barColumns = 5

// bars are one small plot for each shape but those of the types, each with a scale of its own: throughput
// differs a hundredfold between shapes, and it is the systems that are compared.
func bars(res *bench.Results) (*picture, error) {
	shapes := shapesOf(res.Shapes, false)
	if len(shapes) == 0 {
		return nil, nil
	}
	rows := (len(shapes) + barColumns - 1) / barColumns
	p := &picture{name: "throughput", title: "Throughput by shape and system", width: 15 * vg.Inch, height: vg.Length(rows) * 2.4 * vg.Inch}
	for i, shape := range shapes {
		one, err := shapeBars(res, shape)
		if err != nil {
			return nil, err
		}
		if i%barColumns == 0 {
			p.plots = append(p.plots, make([]*plot.Plot, barColumns))
		}
		p.plots[i/barColumns][i%barColumns] = one
	}
	return p, nil
}

func shapeBars(res *bench.Results, shape string) (*plot.Plot, error) {
	one := plot.New()
	one.Title.Text = shape + ", replies/s"
	one.Title.Padding = 4
	one.Y.Min = 0
	one.Y.Tick.Marker = noTicks{}
	one.Y.LineStyle.Width = 0
	one.X.LineStyle.Width = 0
	one.X.Tick.LineStyle.Width = 0
	var systems []string
	for _, system := range []string{peers.RaftKV, peers.RedisAlways, peers.RedisEverysec, peers.Etcd, peers.Echo} {
		r := bench.Find(res.Shapes, shape, system)
		if r == nil {
			continue
		}
		at := float64(len(systems))
		systems = append(systems, shortNames[system])
		bar, err := plotter.NewBarChart(plotter.Values{r.PerSecond()}, 30)
		if err != nil {
			return nil, err
		}
		bar.XMin, bar.Color, bar.LineStyle.Width = at, colors[system], 0
		labels, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{{X: at, Y: r.PerSecond()}}, Labels: []string{thousands(r.PerSecond())}})
		if err != nil {
			return nil, err
		}
		labels.TextStyle[0].XAlign, labels.Offset = -0.5, vg.Point{Y: 2}
		labels.TextStyle[0].Font.Size = 9
		one.Add(bar, labels)
	}
	one.NominalX(systems...)
	one.X.Min, one.X.Max = -0.6, float64(len(systems))-0.4
	one.X.Tick.Label.Font.Size = 9
	one.Y.Max = max(1, one.Y.Max) * 1.15 // room for the labels
	return one, nil
}

// noTicks leaves an axis bare: the bars carry their numbers.
type noTicks struct{}

// Ticks returns none.
func (noTicks) Ticks(float64, float64) []plot.Tick { return nil }

// around shows when writes were answered while the leader was killed.
func around(res *bench.Results) (*picture, error) {
	if len(res.Around) == 0 {
		return nil, nil
	}
	one := plot.New()
	one.Title.Text = "SETs around a kill -9 of the leader: from when each was due to its acknowledgement"
	one.X.Label.Text = "when the write was due, seconds after the kill"
	one.Y.Label.Text = "ms" // a long one costs room above: gonum takes its middle for its end
	var points plotter.XYs
	lowest, highest := math.Inf(1), 0.0
	for _, p := range res.Around {
		points = append(points, plotter.XY{X: p.At, Y: p.Latency})
		lowest, highest = min(lowest, p.Latency), max(highest, p.Latency)
	}
	dots, err := plotter.NewScatter(points)
	if err != nil {
		return nil, err
	}
	dots.GlyphStyle = draw.GlyphStyle{Color: colors[peers.RaftKV], Radius: 1.6, Shape: draw.CircleGlyph{}}
	bottom, top := decade(lowest, math.Floor), decade(highest, math.Ceil)
	kill, err := plotter.NewLine(plotter.XYs{{X: 0, Y: bottom}, {X: 0, Y: top}})
	if err != nil {
		return nil, err
	}
	kill.Color, kill.Width = colors[peers.RedisAlways], 1
	one.X.Tick.Marker = halves{}
	one.Add(plotter.NewGrid(), kill, dots)
	logY(one, bottom, top)
	return &picture{name: "kill", title: one.Title.Text, plots: [][]*plot.Plot{{one}}, width: 10 * vg.Inch, height: 4 * vg.Inch}, nil
}

// halves are ticks at every half of a unit.
type halves struct{}

// Ticks returns those from low to high.
func (halves) Ticks(low, high float64) (ticks []plot.Tick) {
	for at := math.Ceil(2*low) / 2; at <= high; at += 0.5 {
		ticks = append(ticks, plot.Tick{Value: at, Label: fmt.Sprint(at)})
	}
	return ticks
}

// decade is the power of ten below or above a value.
func decade(value float64, round func(float64) float64) float64 {
	return math.Pow(10, round(math.Log10(value)))
}

// logY gives a plot a logarithmic axis from one power of ten to another.
func logY(one *plot.Plot, bottom, top float64) {
	one.Y.Scale = plot.LogScale{}
	one.Y.Min, one.Y.Max = bottom, max(top, 10*bottom)
	one.Y.Tick.Marker = decades{}
}

// decades are the ticks of a logarithmic axis, labelled as plain numbers.
type decades struct{}

// Ticks returns one for each power of ten, and unlabelled ones between them.
func (decades) Ticks(low, high float64) (ticks []plot.Tick) {
	for at := decade(low, math.Floor); at <= high*1.0001; at *= 10 {
		ticks = append(ticks, plot.Tick{Value: at, Label: fmt.Sprintf("%.6g", at)})
		for step := 2.0; step < 10; step++ {
			ticks = append(ticks, plot.Tick{Value: at * step})
		}
	}
	for len(ticks) > 0 && ticks[len(ticks)-1].Value > high*1.0001 {
		ticks = ticks[:len(ticks)-1]
	}
	return ticks
}

// snapshotCurves shows the latencies of writes by quantile, without and with a
// snapshot in progress.
func snapshotCurves(res *bench.Results) (*picture, error) {
	if len(res.Snapshots) == 0 {
		return nil, nil
	}
	one := plot.New()
	one.Title.Text = fmt.Sprintf("SETs at %s per second, from when each was due, without and with a snapshot of %s keys",
		thousands(float64(res.Snapshots[0].Rate)), thousands(float64(res.Snapshots[0].Keys)))
	one.X.Label.Text, one.Y.Label.Text = "share of the writes that were faster", "ms"
	one.Add(plotter.NewGrid())
	lowest, highest := math.Inf(1), 0.0
	for _, s := range res.Snapshots {
		for _, side := range []struct {
			name   string
			rounds []bench.Distribution
			dashed bool
		}{{" without", s.Without, true}, {" with a snapshot", s.With, false}} {
			curve := medianCurve(side.rounds)
			line, err := plotter.NewLine(curve)
			if err != nil {
				return nil, err
			}
			line.Color, line.Width = colors[s.System], 2
			if side.dashed {
				line.Dashes = []vg.Length{5, 4}
			}
			one.Add(line)
			one.Legend.Add(names[s.System]+side.name, line)
			lowest, highest = min(lowest, curve[0].Y), max(highest, curve[len(curve)-1].Y)
		}
	}
	one.Legend.Top, one.Legend.Left = true, true
	one.Legend.XOffs, one.Legend.YOffs = 8, -8
	one.X.Tick.Marker = quantileTicks{}
	logY(one, decade(lowest, math.Floor), decade(highest, math.Ceil))
	return &picture{name: "snapshot", title: one.Title.Text, plots: [][]*plot.Plot{{one}}, width: 10 * vg.Inch, height: 4.5 * vg.Inch}, nil
}

// nines places a quantile: 0.9 at 1, 0.99 at 2, 0.999 at 3.
func nines(quantile float64) float64 { return -math.Log10(1 - quantile) }

// medianCurve is the median over the rounds of the latency at each quantile.
func medianCurve(rounds []bench.Distribution) (curve plotter.XYs) {
	for i, q := range bench.Quantiles {
		var values []float64
		for _, d := range rounds {
			values = append(values, d.Curve[i])
		}
		curve = append(curve, plotter.XY{X: nines(q), Y: bench.Median(values)})
	}
	return curve
}

// quantileTicks are those that people ask for.
type quantileTicks struct{}

// Ticks returns them all.
func (quantileTicks) Ticks(float64, float64) (ticks []plot.Tick) {
	for _, q := range []float64{0.5, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999} {
		ticks = append(ticks, plot.Tick{Value: nines(q), Label: fmt.Sprintf("%.4g %%", 100*q)})
	}
	return ticks
}
