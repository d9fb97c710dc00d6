package entry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// The form of a batch (numbers are varints unless a size is given):
//
//	version          of the cluster; this form is that of all up to now
//	flags            none known yet
//	id               8 bytes, little endian
//	now              signed
//	count of proposals, then for each
//	  flags          atomic, system, has database, has watches, several databases
//	  database       if flagged; otherwise 0
//	  watches        if flagged: count, then for each: database, key, version
//	  count of commands, then for each: its database, if flagged as several; count
//	                 of arguments, each as length and bytes
//
// An optional field that comes later takes a flag bit of its own; a program that
// does not know the bit stops at it with ErrVersion instead of misreading what
// follows. There is no checksum: the log store has one over each entry.

const (
	flagAtomic = 1 << iota
	flagSystem
	flagDB
	flagWatches
	flagSeveralDBs

	knownBatchFlags    = 0
	knownProposalFlags = flagAtomic | flagSystem | flagDB | flagWatches | flagSeveralDBs
)

var (
	// ErrVersion says that a newer program wrote the batch: this one must not
	// apply it, nor anything behind it.
	ErrVersion = errors.New("log entry of a newer version")
	// ErrCorrupt says that the bytes are no batch of a version known here.
	ErrCorrupt = errors.New("log entry is corrupt")
)

// Append appends the binary form of b to dst. Read commands are left out, and so
// is a proposal that has no others: it changes nothing, wherever it is applied.
func Append(dst []byte, b *Batch) []byte {
	dst = binary.AppendUvarint(dst, uint64(b.Version))
	dst = binary.AppendUvarint(dst, 0)
	dst = binary.LittleEndian.AppendUint64(dst, b.ID)
	dst = binary.AppendVarint(dst, b.Now)
	count := 0
	for i := range b.Proposals {
		if b.Proposals[i].logged() > 0 {
			count++
		}
	}
	dst = binary.AppendUvarint(dst, uint64(count))
	for i := range b.Proposals {
		if p := &b.Proposals[i]; p.logged() > 0 {
			dst = p.append(dst)
		}
	}
	return dst
}

// HeadSize is an upper bound of what a batch takes without its proposals.
const HeadSize = 4*binary.MaxVarintLen64 + 8

// Size is an upper bound of what the proposal adds to a batch's binary form.
func (p *Proposal) Size() int {
	const number = binary.MaxVarintLen32 // no count and no length needs more
	n := 4 * number
	for i := range p.Watches {
		n += 2*number + len(p.Watches[i].Key) + binary.MaxVarintLen64
	}
	for i := range p.Commands {
		if p.Commands[i].Read {
			continue
		}
		n += 2 * number
		for _, arg := range p.Commands[i].Args {
			n += number + len(arg)
		}
	}
	return n
}

// logged is the number of commands that go into the binary form.
func (p *Proposal) logged() int {
	n := 0
	for i := range p.Commands {
		if !p.Commands[i].Read {
			n++
		}
	}
	return n
}

func (p *Proposal) append(dst []byte) []byte {
	var flags uint64
	if p.Atomic {
		flags |= flagAtomic
	}
	if p.System {
		flags |= flagSystem
	}
	if p.DB != 0 {
		flags |= flagDB
	}
	if len(p.Watches) > 0 {
		flags |= flagWatches
	}
	if p.severalDBs() {
		flags |= flagSeveralDBs
	}
	dst = binary.AppendUvarint(dst, flags)
	if p.DB != 0 {
		dst = appendDB(dst, p.DB)
	}
	if len(p.Watches) > 0 {
		dst = binary.AppendUvarint(dst, uint64(len(p.Watches)))
		for i := range p.Watches {
			w := &p.Watches[i]
			dst = appendDB(dst, w.DB)
			dst = appendBytes(dst, w.Key)
			dst = binary.AppendUvarint(dst, w.Version)
		}
	}
	return p.appendCommands(dst, flags&flagSeveralDBs != 0)
}

// severalDBs says whether a logged command runs elsewhere than in the proposal's
// database.
func (p *Proposal) severalDBs() bool {
	for i := range p.Commands {
		if !p.Commands[i].Read && p.DBOf(i) != p.DB {
			return true
		}
	}
	return false
}

func (p *Proposal) appendCommands(dst []byte, severalDBs bool) []byte {
	dst = binary.AppendUvarint(dst, uint64(p.logged()))
	for i := range p.Commands {
		if p.Commands[i].Read {
			continue
		}
		if severalDBs {
			dst = appendDB(dst, p.DBOf(i))
		}
		dst = binary.AppendUvarint(dst, uint64(len(p.Commands[i].Args)))
		for _, arg := range p.Commands[i].Args {
			dst = appendBytes(dst, arg)
		}
	}
	return dst
}

// appendDB appends a database's number, of which 32 bits count. One that cannot be
// is for the Machine to refuse: an entry that cannot be decoded stops every node.
func appendDB(dst []byte, db int) []byte { return binary.AppendUvarint(dst, uint64(uint32(db))) }

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// Decode reads the binary form of a batch. Keys and arguments alias data, with
// their capacity cut, so data must not be changed afterwards. The error is
// ErrVersion or ErrCorrupt, wrapped.
func Decode(data []byte) (*Batch, error) { return new(Decoder).Decode(data) }

// Decoder decodes one batch after the other into the same memory. The zero value is
// ready for use.
type Decoder struct {
	d     decoder
	batch Batch
}

// Decode is the function of that name, but what it returns is valid only until the
// next call.
func (d *Decoder) Decode(data []byte) (*Batch, error) {
	clear(d.batch.Proposals) // as slab.reset does
	ps := d.batch.Proposals[:0]
	if cap(ps) > keptElements {
		ps = nil
	}
	d.d.begin(data)
	d.batch = d.d.batch(ps)
	err := d.d.err
	if err == nil && len(d.d.rest) > 0 {
		d.d.corrupt("bytes behind its end")
		err = d.d.err
	}
	if err != nil {
		return nil, err
	}
	return &d.batch, nil
}

// decoder reads from rest. After the first error it reads only zeros.
type decoder struct {
	rest []byte
	err  error
	cmds slab[Command]
	args slab[[]byte]
}

func (d *decoder) begin(data []byte) {
	d.rest, d.err = data, nil
	d.cmds.reset()
	d.args.reset()
}

// batch reads a batch, whose proposals go into the room of ps.
func (d *decoder) batch(ps []Proposal) Batch {
	version := d.number()
	if d.err == nil && (version == 0 || version > Version) {
		d.err = fmt.Errorf("%w: version %d, this program knows up to %d", ErrVersion, version, Version)
	}
	d.flags(knownBatchFlags)
	b := Batch{Version: uint16(version), ID: d.fixed(), Now: d.signed(), Proposals: ps}
	n := d.count()
	if d.err != nil || n == 0 {
		return b
	}
	// A proposal in memory is far larger than in binary form, so room is made as
	// they really come.
	b.Proposals = slices.Grow(b.Proposals, min(n, 128))
	for range n {
		p := d.proposal()
		if d.err != nil {
			return b
		}
		b.Proposals = append(b.Proposals, p)
	}
	return b
}

func (d *decoder) proposal() Proposal {
	flags := d.flags(knownProposalFlags)
	p := Proposal{Atomic: flags&flagAtomic != 0, System: flags&flagSystem != 0}
	if flags&flagDB != 0 {
		p.DB = d.db()
	}
	if flags&flagWatches != 0 {
		for range d.count() {
			w := Watch{DB: d.db(), Key: d.bytes(), Version: d.number()}
			if d.err != nil {
				return p
			}
			p.Watches = append(p.Watches, w)
		}
	}
	p.Commands = d.cmds.take(d.count(), len(d.rest))
	for i := range p.Commands {
		p.Commands[i] = Command{} // there may be an older one
		if flags&flagSeveralDBs != 0 {
			if db := d.db(); db != p.DB {
				p.Commands[i].In(db)
			}
		}
		args := d.args.take(d.count(), len(d.rest))
		for j := range args {
			args[j] = d.bytes()
		}
		if d.err != nil {
			return p
		}
		p.Commands[i].Args = args
	}
	return p
}

func (d *decoder) corrupt(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrCorrupt, what)
	}
	d.rest = nil
}

// number reads an unsigned varint.
func (d *decoder) number() uint64 {
	if len(d.rest) > 0 && d.rest[0] < 0x80 { // most are
		v := uint64(d.rest[0])
		d.rest = d.rest[1:]
		return v
	}
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.corrupt("a number is cut off or too large")
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// signed reads a signed varint.
func (d *decoder) signed() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.corrupt("a number is cut off or too large")
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// fixed reads a number of 8 bytes.
func (d *decoder) fixed() uint64 {
	if len(d.rest) < 8 {
		d.corrupt("it is cut off")
		return 0
	}
	v := binary.LittleEndian.Uint64(d.rest)
	d.rest = d.rest[8:]
	return v
}

// flags reads flag bits, of which only the known ones may be set.
func (d *decoder) flags(known uint64) uint64 {
	f := d.number()
	if d.err == nil && f&^known != 0 {
		d.err = fmt.Errorf("%w: unknown flags %#x", ErrVersion, f&^known)
		d.rest = nil
	}
	return f
}

func (d *decoder) db() int {
	n := d.number()
	if n > math.MaxUint32 {
		d.corrupt("a database's number is too large")
		return 0
	}
	return int(int32(n))
}

// count reads a number of things that take at least one byte each.
func (d *decoder) count() int {
	n := d.number()
	if n > uint64(len(d.rest)) {
		d.corrupt("a count is larger than what follows")
		return 0
	}
	return int(n)
}

// bytes reads a length and so many bytes.
func (d *decoder) bytes() []byte {
	n := d.count()
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

// slab hands out slices of one larger allocation: a batch has hundreds of small ones.
// Their elements are whatever was there before.
type slab[T any] struct {
	buf  []T
	used int // of buf
	need int // elements handed out since the last reset
}

// keptElements is how many elements of each kind are kept from one batch to the next:
// the memory of a huge one must not stay for ever.
const keptElements = 1 << 16

// reset takes back all that was handed out.
func (s *slab[T]) reset() {
	switch {
	case s.need > keptElements:
		s.buf = nil
	case s.need > len(s.buf): // the next batch is probably like the last one
		s.buf = make([]T, s.need)
	default:
		clear(s.buf[:s.used]) // or it would keep its batch's data, until one as long comes
	}
	s.used, s.need = 0, 0
}

// take returns n elements. No more than most are ever needed, this call's and all
// later ones' together.
func (s *slab[T]) take(n, most int) []T {
	if n > len(s.buf)-s.used {
		s.buf, s.used = make([]T, max(n, min(128, most))), 0
	}
	t := s.buf[s.used : s.used+n : s.used+n]
	s.used += n
	s.need += n
	return t
}
