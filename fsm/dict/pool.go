package dict

// pool keeps pages that were outgrown, for the next leaf that grows to their size. A
// page grows some five times between two splits; without this, each record that comes
// would cost the collector seven times its size.
//
// Only pages that nothing else refers to may be kept: those of a leaf that is owned
// (see node.own).
type pool struct {
	// spare has the kept pages by their length, in grains, rounded down.
	spare [maxPage/grain + 1][][]byte
	// lands is where in spare the pages lie that the allocator gives for a size in
	// grains: it rounds up. 0 where that is not known yet.
	lands   [maxPage/grain + 1]uint8
	scratch []byte // for packing a page in place
}

const (
	// grain is the difference between two sizes of pages.
	grain = 256
	// maxSpare is how many pages of one size are kept.
	maxSpare = 32
)

// page returns a page of about size bytes, at least least, with anything in it.
func (p *pool) page(size, least int) []byte {
	if size > maxPage {
		size = max(least, maxPage)
	}
	if size > maxPage || size < minPage { // of one large record; of a small table
		return newPage(size)
	}
	i := max(size/grain, (least+grain-1)/grain)
	if have := &p.spare[p.lands[i]]; p.lands[i] != 0 && len(*have) > 0 {
		last := len(*have) - 1
		b := (*have)[last]
		(*have)[last] = nil
		*have = (*have)[:last]
		return b
	}
	b := newPage(i * grain)
	p.lands[i] = uint8(min(len(b), maxPage) / grain)
	return b
}

// keep takes a page over that is out of use.
func (p *pool) keep(b []byte) {
	if len(b) < minPage || len(b) > maxPage {
		return
	}
	if have := &p.spare[len(b)/grain]; len(*have) < maxSpare {
		*have = append(*have, b)
	}
}

// newPage allocates a page of at least size bytes: all that the allocator's size class
// holds.
func newPage(size int) []byte {
	b := append([]byte(nil), make([]byte, size)...)
	return b[:cap(b)]
}
