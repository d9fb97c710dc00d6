package spec

import "fmt"

// Table finds commands by name, in any case, and keeps them in the order in
// which they were declared. It is read-only once built, so it needs no lock.
type Table[T any] struct {
	items  []T
	byName map[string]int // lower-case name → index in items
}

// NewTable resolves each declaration (see Command.Resolve) and indexes it by
// name. decl says where an item holds its declaration. It panics on a duplicate
// name and on a declaration that does not hold together: both are mistakes in
// the program, found at its start.
func NewTable[T any](items []T, decl func(*T) *Command) *Table[T] {
	t := &Table[T]{items: items, byName: make(map[string]int, len(items))}
	for i := range items {
		c := decl(&items[i])
		if err := c.Resolve(); err != nil {
			panic(fmt.Sprintf("spec: command %s: %v", c.Name, err))
		}
		name := lower(c.Name)
		if _, dup := t.byName[name]; dup {
			panic("spec: command " + c.Name + " is declared twice")
		}
		t.byName[name] = i
	}
	return t
}

// maxName is the longest name that Get looks for; none declared is longer.
const maxName = 64

// Get returns the item of that name, written in any case. It allocates nothing.
func (t *Table[T]) Get(name []byte) (*T, bool) {
	if len(name) > maxName {
		return nil, false
	}
	var buf [maxName]byte
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	i, ok := t.byName[string(buf[:len(name)])]
	if !ok {
		return nil, false
	}
	return &t.items[i], true
}

// All returns the items in the order of their declaration. The caller must not
// change them.
func (t *Table[T]) All() []T { return t.items }

// Len returns the number of items.
func (t *Table[T]) Len() int { return len(t.items) }

// lower is strings.ToLower for ASCII, which is all that names are made of.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
