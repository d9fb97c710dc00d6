package geo

import "math"

// Area is a circle or a rectangle around a position. Lengths are in units of Unit
// meters.
type Area struct {
	Center        Point
	Unit          float64
	Box           bool    // a rectangle
	Radius        float64 // of a circle
	Width, Height float64 // of a rectangle
}

// Distance returns how far a position is from the center, in meters, and whether it is
// inside.
func (a *Area) Distance(p Point) (meters float64, inside bool) {
	if !a.Box {
		radius := float64(a.Radius * a.Unit)
		// Most that are outside are too far away by their latitude alone.
		if north := math.Abs(radians(p.Latitude - a.Center.Latitude)); float64(north*earthRadius) > radius+float64(radius*1e-6)+1 {
			return 0, false
		}
		meters = Distance(a.Center, p)
		return meters, !(meters > radius)
	}
	across := Distance(p, Point{a.Center.Longitude, p.Latitude})
	along := Distance(p, Point{p.Longitude, a.Center.Latitude})
	if across > float64(a.Width*a.Unit)/2 || along > float64(a.Height*a.Unit)/2 {
		return 0, false
	}
	return Distance(a.Center, p), true
}

// Range is one of scores: from Min up to, not including, Max.
type Range struct{ Min, Max float64 }

// Ranges returns the ranges of scores in which all positions of the area are, in the
// order in which Redis searches them, and with those positions others.
// Source: redis/src/geohash_helper.c:geohashCalculateAreasByShapeWGS84,
// geo.c:membersOfAllNeighbors.
func (a *Area) Ranges() (ranges []Range) {
	last, searched := cell{}, 0
	for i, c := range a.cells() {
		// Where cells are large, neighbours may be the same.
		if c == (cell{}) || searched > 0 && c == last {
			continue
		}
		shift := 2 * (maxStep - c.step)
		ranges = append(ranges, Range{float64(c.bits << shift), float64((c.bits + 1) << shift)})
		last, searched = c, i
	}
	return ranges
}

// The places of a cell's neighbours in cells.
const (
	center = iota
	north
	south
	east
	west
	northEast
	northWest
	southEast
	southWest
)

// cells returns the cell of the center and its neighbours, as large as the area needs
// them; those that the area does not reach are none.
func (a *Area) cells() (cells [9]cell) {
	long, lat := a.bounds()
	step := a.step()
	cells = neighbours(encode(a.Center, longitudes, latitudes, step))
	_, n := cells[north].area()
	_, s := cells[south].area()
	e, _ := cells[east].area()
	w, _ := cells[west].area()
	if step > 1 && (n.max < lat.max || s.min > lat.min || e.max < long.max || w.min > long.min) {
		step--
		cells = neighbours(encode(a.Center, longitudes, latitudes, step))
	}
	if step < 2 {
		return cells
	}
	ownLong, ownLat := cells[center].area()
	drop := func(unneeded bool, which ...int) {
		for _, i := range which {
			if unneeded {
				cells[i] = cell{}
			}
		}
	}
	drop(ownLat.min < lat.min, south, southWest, southEast)
	drop(ownLat.max > lat.max, north, northEast, northWest)
	drop(ownLong.min < long.min, west, southWest, northWest)
	drop(ownLong.max > long.max, east, southEast, northEast)
	return cells
}

// bounds is the smallest rectangle of coordinates around the area.
func (a *Area) bounds() (longitude, latitude span) {
	width, height := a.Radius, a.Radius
	if a.Box {
		width, height = a.Width/2, a.Height/2
	}
	width, height = float64(width*a.Unit), float64(height*a.Unit)
	p := a.Center
	up := height / earthRadius / degree
	// The parallel nearer to the pole is the shorter one.
	farther := p.Latitude + up
	if p.Latitude < 0 {
		farther = p.Latitude - up
	}
	aside := width / earthRadius / cos(radians(farther)) / degree
	return span{p.Longitude - aside, p.Longitude + aside}, span{p.Latitude - up, p.Latitude + up}
}

// step is how fine the cells may be at the most.
func (a *Area) step() uint {
	meters := a.Radius
	if a.Box {
		w, h := a.Width/2, a.Height/2
		meters = math.Sqrt(float64(w*w) + float64(h*h))
	}
	if meters = float64(meters * a.Unit); meters == 0 {
		return maxStep
	}
	const halfEquator = 20037726.37 // of the Mercator projection
	step := 1
	for ; meters < halfEquator; step++ {
		meters *= 2
	}
	step -= 2 // so that in most cases all is covered
	if lat := math.Abs(a.Center.Latitude); lat > 80 {
		step -= 2
	} else if lat > 66 {
		step--
	}
	return uint(min(max(step, 1), maxStep))
}

// neighbours returns a cell and those around it.
func neighbours(c cell) (cells [9]cell) {
	cells[center] = c
	cells[north], cells[south] = c.move(0, 1), c.move(0, -1)
	cells[east], cells[west] = c.move(1, 0), c.move(-1, 0)
	cells[northEast], cells[northWest] = c.move(1, 1), c.move(-1, 1)
	cells[southEast], cells[southWest] = c.move(1, -1), c.move(-1, -1)
	return cells
}

// move returns the cell so many places east and north, around the earth. A coordinate
// that does not move stays, even one beyond the last place.
func (c cell) move(longitude, latitude int32) cell {
	lat, long := deinterleave(c.bits)
	mask := uint32(1)<<c.step - 1
	if longitude != 0 {
		long = (long + uint32(longitude)) & mask
	}
	if latitude != 0 {
		lat = (lat + uint32(latitude)) & mask
	}
	return cell{interleave(lat, long), c.step}
}
