package logstore

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const sector = 512

// memDisk is a disk in memory that knows what of it a power loss would leave:
// what was synced, and of everything since any sectors in any of the forms that
// they had, and any of the names that were made, moved and removed.
type memDisk struct {
	inodes map[string]*inode // by name, directories as nil
	synced map[string]*inode // the names that are durable
	moves  []move            // since then
	steps  int               // writes, syncs and changes of names so far
	// before is called before each step; on an error it is not done, but for a
	// write, of which a power loss may leave parts all the same.
	before func(step int, what string) error
}

type move struct {
	name string
	to   *inode // nil: the name goes
	dir  bool
	from string // of a directory that was renamed
}

type inode struct {
	name             string
	content, durable []byte
	// versions are the forms that a sector had since the last sync, by its number.
	versions map[int][][]byte
}

func newMemDisk() *memDisk {
	return &memDisk{inodes: map[string]*inode{}, synced: map[string]*inode{}}
}

func (d *memDisk) step(what string) error {
	d.steps++
	if d.before == nil {
		return nil
	}
	return d.before(d.steps, what)
}

func (d *memDisk) open(path string, _ bool) (file, error) {
	if i := d.inodes[path]; i != nil {
		return &memFile{d, i}, nil
	}
	return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
}

func (d *memDisk) create(path string) (file, error) {
	if err := d.step("create " + path); err != nil {
		return nil, err
	}
	i := &inode{name: path, versions: map[int][][]byte{}}
	d.inodes[path] = i
	d.moves = append(d.moves, move{name: path, to: i})
	return &memFile{d, i}, nil
}

func (d *memDisk) mkdir(path string) error {
	d.inodes[path] = nil
	return nil
}

func (d *memDisk) rename(from, to string) error {
	if err := d.step("rename " + from); err != nil {
		return err
	}
	if i, ok := d.inodes[from]; ok && i != nil {
		d.moves = append(d.moves, move{name: from}, move{name: to, to: i})
		i.name = to
	} else {
		d.moves = append(d.moves, move{name: to, from: from, dir: true})
	}
	moveName(d.inodes, from, to)
	return nil
}

// moveName renames a file or a directory with all in it.
func moveName(names map[string]*inode, from, to string) {
	for name, i := range maps.Clone(names) {
		if rest, ok := strings.CutPrefix(name, from); ok && (rest == "" || rest[0] == '/') {
			delete(names, name)
			names[to+rest] = i
		}
	}
}

func (d *memDisk) remove(path string) error {
	if _, ok := d.inodes[path]; !ok {
		return fs.ErrNotExist
	}
	if err := d.step("remove " + path); err != nil {
		return err
	}
	delete(d.inodes, path)
	d.moves = append(d.moves, move{name: path})
	return nil
}

func (d *memDisk) removeAll(path string) error {
	for name := range maps.Clone(d.inodes) {
		if name == path || strings.HasPrefix(name, path+"/") {
			delete(d.inodes, name)
			d.moves = append(d.moves, move{name: name})
		}
	}
	return nil
}

func (d *memDisk) list(dir string) (names []string, err error) {
	there := false
	for name := range d.inodes {
		there = there || name == dir
		if filepath.Dir(name) == dir {
			names, there = append(names, filepath.Base(name)), true
		}
	}
	if !there {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: fs.ErrNotExist}
	}
	return names, nil
}

// syncDir makes all names durable: the log has one directory.
func (d *memDisk) syncDir(string) error {
	if err := d.step("sync the directory"); err != nil {
		return err
	}
	d.synced, d.moves = maps.Clone(d.inodes), nil
	return nil
}

func (d *memDisk) lock(file, string, bool) error { return nil }

type memFile struct {
	d *memDisk
	i *inode
}

func (f *memFile) ReadAt(b []byte, at int64) (int, error) {
	if at >= int64(len(f.i.content)) {
		return 0, io.EOF
	}
	n := copy(b, f.i.content[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(b []byte, at int64) (int, error) {
	err := f.d.step("write " + f.i.name)
	if err != nil && !errors.Is(err, errPower) {
		return 0, err
	}
	f.i.write(b, at)
	return len(b), err
}

func (f *memFile) append(b []byte, at int64) error {
	if _, err := f.WriteAt(b, at); err != nil {
		return err
	}
	return f.Sync()
}

func (*memFile) full() {}

func (i *inode) write(b []byte, at int64) {
	if end := int(at) + len(b); end > len(i.content) {
		i.content = append(i.content, make([]byte, end-len(i.content))...)
	}
	copy(i.content[at:], b)
	for s := int(at) / sector; s*sector < int(at)+len(b); s++ {
		i.versions[s] = append(i.versions[s], bytes.Clone(i.content[s*sector:min((s+1)*sector, len(i.content))]))
	}
}

// Sync may fail: then the system forgets that there is something to write, and
// goes on showing it.
func (f *memFile) Sync() error {
	if err := f.d.step("sync " + f.i.name); err != nil {
		if !errors.Is(err, errPower) {
			clear(f.i.versions)
		}
		return err
	}
	f.i.durable = f.i.durable[:min(len(f.i.durable), len(f.i.content))]
	if len(f.i.durable) < len(f.i.content) {
		f.i.durable = append(f.i.durable, make([]byte, len(f.i.content)-len(f.i.durable))...)
	}
	for s, v := range f.i.versions {
		copy(f.i.durable[s*sector:], v[len(v)-1])
	}
	clear(f.i.versions)
	return nil
}

// Truncate cuts the file; a power loss leaves that or the former size.
func (f *memFile) Truncate(size int64) error {
	if err := f.d.step("truncate " + f.i.name); err != nil {
		return err
	}
	f.i.content = f.i.content[:size]
	maps.DeleteFunc(f.i.versions, func(s int, _ [][]byte) bool { return int64(s)*sector >= size })
	return nil
}

func (f *memFile) reserve(int64) error { return f.d.step("reserve " + f.i.name) }

func (f *memFile) Size() (int64, error) { return int64(len(f.i.content)), nil }

func (f *memFile) Close() error { return nil }

// errPower is what every step returns once the power is gone.
var errPower = errors.New("the power is gone")

// errFull is a full disk.
var errFull = &fs.PathError{Op: "write", Err: syscall.ENOSPC}

// killed is the disk after the process died: all that it wrote is there, and what
// was not synced still may go.
func (d *memDisk) killed() *memDisk {
	left := newMemDisk()
	copies := map[*inode]*inode{nil: nil}
	copied := func(i *inode) *inode {
		if copies[i] == nil && i != nil {
			c := &inode{name: i.name, content: bytes.Clone(i.content), durable: bytes.Clone(i.durable), versions: map[int][][]byte{}}
			for s, v := range i.versions {
				c.versions[s] = slices.Clone(v)
			}
			copies[i] = c
		}
		return copies[i]
	}
	for name, i := range d.inodes {
		left.inodes[name] = copied(i)
	}
	for name, i := range d.synced {
		left.synced[name] = copied(i)
	}
	for _, m := range d.moves {
		m.to = copied(m.to)
		left.moves = append(left.moves, m)
	}
	return left
}

// unlucky is the disk after a power loss that left only what was synced.
func (d *memDisk) unlucky() *memDisk { return d.after(func(int) int { return 0 }) }

// lottery is the disk after a power loss that left some of the rest.
func (d *memDisk) lottery(rnd *rand.Rand) *memDisk {
	// Now and then few survive, or nearly all.
	odds := []int{1, 2, 5}[rnd.IntN(3)]
	few := rnd.IntN(2) == 0
	return d.after(func(n int) int {
		if (rnd.IntN(odds+1) == 0) != few {
			return rnd.IntN(n)
		}
		if few {
			return 0
		}
		return n - 1
	})
}

// dirty is how many sectors a power loss may or may not leave, where each has
// changed once and no name has; -1 otherwise.
func (d *memDisk) dirty() (sectors int) {
	if len(d.moves) > 0 {
		return -1
	}
	for _, i := range d.synced {
		for _, v := range i.forms() {
			if len(v) > 1 {
				return -1
			}
			sectors++
		}
	}
	return sectors
}

func (i *inode) forms() map[int][][]byte {
	if i == nil {
		return nil
	}
	return i.versions
}

// after is the disk as choose leaves it: of n forms of something, from the one
// that was synced to the newest, it picks one.
func (d *memDisk) after(choose func(n int) int) *memDisk {
	names := maps.Clone(d.synced)
	for _, m := range d.moves {
		switch {
		case choose(2) == 0:
		case m.dir:
			moveName(names, m.from, m.name)
		case m.to == nil:
			delete(names, m.name)
		default:
			names[m.name] = m.to
		}
	}
	left := newMemDisk()
	copies := map[*inode]*inode{nil: nil}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		i := names[name]
		if copies[i] == nil && i != nil {
			copies[i] = i.after(choose)
			copies[i].name = name
		}
		left.inodes[name] = copies[i]
	}
	left.synced = maps.Clone(left.inodes)
	return left
}

func (i *inode) after(choose func(n int) int) *inode {
	durable := bytes.Clone(i.durable)
	if len(i.content) < len(durable) && choose(2) > 0 {
		durable = durable[:len(i.content)]
	}
	if len(i.content) > len(durable) && choose(2) > 0 {
		durable = append(durable, make([]byte, len(i.content)-len(durable))...)
	}
	for _, s := range slices.Sorted(maps.Keys(i.versions)) {
		v := i.versions[s]
		if k := choose(len(v) + 1); k > 0 && s*sector < len(durable) {
			copy(durable[s*sector:], v[k-1])
		}
	}
	return &inode{content: bytes.Clone(durable), durable: durable, versions: map[int][][]byte{}}
}
