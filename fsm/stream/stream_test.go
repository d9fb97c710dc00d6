package stream

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/dict"
)

// model is what a stream must be like: entries in a slice, among them those that were
// deleted, cut into nodes as Redis's are.
type model struct {
	nodes     [][]modelEntry
	last, max ID
	added     uint64
	groups    map[string]*modelGroup
}

type modelEntry struct {
	id    ID
	pairs []string
	gone  bool
}

type modelGroup struct {
	last      ID
	read      int64
	pending   map[ID]modelPending
	consumers map[string][2]int64 // seen, active
}

type modelPending struct {
	owner       string
	time, count int64
}

func (m *model) clone() *model {
	c := *m
	c.nodes = nil
	for _, n := range m.nodes {
		c.nodes = append(c.nodes, slices.Clone(n))
	}
	c.groups = map[string]*modelGroup{}
	for name, g := range m.groups {
		twin := &modelGroup{g.last, g.read, map[ID]modelPending{}, map[string][2]int64{}}
		for id, p := range g.pending {
			twin.pending[id] = p
		}
		for name, c := range g.consumers {
			twin.consumers[name] = c
		}
		c.groups[name] = twin
	}
	return &c
}

// entries are those that are there.
func (m *model) entries() (list []modelEntry) {
	for _, n := range m.nodes {
		for _, e := range n {
			if !e.gone {
				list = append(list, e)
			}
		}
	}
	return list
}

func live(node []modelEntry) (n int) {
	for _, e := range node {
		if !e.gone {
			n++
		}
	}
	return n
}

func (m *model) add(id ID, pairs []string, limits Limits) {
	k := len(m.nodes)
	for k > 0 && id.Less(m.nodes[k-1][0].id) {
		k--
	}
	m.nodes = m.nodes[:k]
	if k == 0 || len(m.nodes[k-1]) >= limits.Entries {
		m.nodes = append(m.nodes, nil)
		k++
	}
	m.nodes[k-1] = append(m.nodes[k-1], modelEntry{id: id, pairs: pairs})
	m.last = id
	m.added++
}

func (m *model) delete(id ID) bool {
	for i, n := range m.nodes {
		for j, e := range n {
			if e.id != id || e.gone {
				continue
			}
			n[j].gone = true
			if live(n) == 0 {
				m.nodes = slices.Delete(m.nodes, i, i+1)
			}
			if m.max.Less(id) {
				m.max = id
			}
			return true
		}
	}
	return false
}

func (m *model) trim(t Trim) (removed int) {
	length := len(m.entries())
	for len(m.nodes) > 0 {
		n := m.nodes[0]
		entries := live(n)
		if !t.ByID && uint64(length) <= t.MaxLen || t.Limit > 0 && removed+entries > t.Limit {
			break
		}
		whole := uint64(length-entries) >= t.MaxLen
		if t.ByID {
			whole = n[len(n)-1].id.Less(t.MinID)
		}
		if !whole {
			for i := range n {
				stop := uint64(length) <= t.MaxLen
				if t.ByID {
					stop = !n[i].id.Less(t.MinID)
				}
				if t.Whole || stop {
					break
				}
				if !n[i].gone {
					n[i].gone = true
					removed++
					length--
				}
			}
			break
		}
		m.nodes = m.nodes[1:]
		removed += entries
		length -= entries
	}
	return removed
}

func read(e Entry) modelEntry {
	got := modelEntry{id: e.ID}
	e.Each(func(field, value []byte) { got.pairs = append(got.pairs, string(field), string(value)) })
	if len(got.pairs) != 2*e.Len() {
		panic("another number of fields")
	}
	return got
}

func sameEntries(a, b []modelEntry) bool {
	return slices.EqualFunc(a, b, func(x, y modelEntry) bool { return x.id == y.id && slices.Equal(x.pairs, y.pairs) })
}

// equal compares everything that can be asked of a stream.
func equal(t *testing.T, what string, s *Stream, m *model) {
	t.Helper()
	want := m.entries()
	var got, back []modelEntry
	s.Ascend(ID{}, func(e Entry) bool { got = append(got, read(e)); return true })
	s.Descend(MaxID, func(e Entry) bool { back = append(back, read(e)); return true })
	slices.Reverse(back)
	if !sameEntries(got, want) || !sameEntries(back, want) || s.Len() != len(want) {
		t.Fatalf("%s: it holds %v,\n backwards %v,\nwant %v", what, got, back, want)
	}
	if s.Last() != m.last || s.MaxDeleted() != m.max || s.Added() != m.added || s.Nodes() != len(m.nodes) {
		t.Fatalf("%s: last %v, deleted %v, added %d, %d nodes; want %v, %v, %d, %d", what,
			s.Last(), s.MaxDeleted(), s.Added(), s.Nodes(), m.last, m.max, m.added, len(m.nodes))
	}
	var first, top ID
	if len(want) > 0 {
		first, top = want[0].id, want[len(want)-1].id
	}
	if s.First() != first || s.Top() != top {
		t.Fatalf("%s: from %v to %v, want %v to %v", what, s.First(), s.Top(), first, top)
	}
	for i, e := range want {
		if got, ok := s.Get(e.id); !ok || !s.Has(e.id) || !sameEntries([]modelEntry{read(got)}, want[i:i+1]) {
			t.Fatalf("%s: Get(%v) = %v, want %v", what, e.id, got, e)
		}
	}
	equalGroups(t, what, s, m)
	if bytes := counted(s); s.Size() != EmptySize+bytes {
		t.Fatalf("%s: %d bytes, counted are %d", what, s.Size(), EmptySize+bytes)
	}
}

func equalGroups(t *testing.T, what string, s *Stream, m *model) {
	t.Helper()
	var names []string
	s.EachGroup(func(name []byte, g *Group) {
		names = append(names, string(name))
		want := m.groups[string(name)]
		if g.Last() != want.last || g.Read() != want.read || g.Pending() != len(want.pending) || g.Consumers() != len(want.consumers) {
			t.Fatalf("%s: group %q: last %v, read %d, %d pending, %d consumers; want %v", what, name, g.Last(), g.Read(), g.Pending(), g.Consumers(), want)
		}
		got := map[ID]modelPending{}
		before := ID{}
		g.Ascend(ID{}, func(p Pending) bool {
			if len(got) > 0 && !before.Less(p.ID) {
				t.Fatalf("%s: %v behind %v", what, p.ID, before)
			}
			before = p.ID
			got[p.ID] = modelPending{string(g.Owner(p).Name()), p.Time, p.Count}
			return true
		})
		own, lastName := 0, ""
		g.EachConsumer(func(c *Consumer) bool {
			if lastName != "" && lastName >= string(c.Name()) || want.consumers[string(c.Name())] != [2]int64{c.Seen, c.Active} {
				t.Fatalf("%s: consumer %q behind %q, seen %d, active %d, want %v", what, c.Name(), lastName, c.Seen, c.Active, want.consumers)
			}
			lastName = string(c.Name())
			n := 0
			g.AscendOf(c, ID{}, func(p Pending) bool {
				if got[p.ID].owner != lastName {
					t.Fatalf("%s: %v is pending with %q and %q", what, p.ID, lastName, got[p.ID].owner)
				}
				n++
				return true
			})
			held := 0
			c.own.Ascend(0, func(_ uint64, r dict.Record[dict.None]) bool { held += pendingCost(len(r.Key)); return true })
			if held != c.held {
				t.Fatalf("%s: %q holds %d bytes, counted are %d", what, lastName, held, c.held)
			}
			if n != c.Pending() {
				t.Fatalf("%s: %q has %d pending, %d are counted", what, lastName, n, c.Pending())
			}
			own += n
			return true
		})
		if own != len(got) || len(got) != len(want.pending) {
			t.Fatalf("%s: %d pending, %d with consumers", what, len(got), own)
		}
		for id, p := range want.pending {
			if got[id] != p {
				t.Fatalf("%s: pending %v is %v, want %v", what, id, got[id], p)
			}
		}
	})
	if len(names) != len(m.groups) || !slices.IsSorted(names) {
		t.Fatalf("%s: groups %q", what, names)
	}
}

// counted is what the stream's bytes must be.
func counted(s *Stream) (sum int) {
	s.entries.Ascend(0, func(_ uint64, r dict.Record[dict.None]) bool {
		sum += entryCost(len(r.Key), len(r.Data))
		return true
	})
	s.nodes.Ascend(0, func(pos uint64, r dict.Record[dict.None]) bool {
		n := readNode(pos, r)
		sum += n.recordCost()
		return true
	})
	if s.tail.n > 0 {
		sum += s.tail.recordCost()
	}
	s.EachGroup(func(name []byte, g *Group) {
		one := GroupSize + len(name) + dict.RecordCost(len(name), 0)
		g.EachConsumer(func(c *Consumer) bool { one += consumerCost(c.Name()); return true })
		g.pending.Ascend(0, func(_ uint64, r dict.Record[dict.None]) bool { one += pendingCost(len(r.Key)); return true })
		if one != g.bytes {
			panic(fmt.Sprint("group of ", g.bytes, " bytes, counted are ", one))
		}
		sum += one
	})
	return sum
}

// pieces is the snapshot form.
func pieces(t *testing.T, s *Stream) (list []string) {
	t.Helper()
	if err := s.Parts(func(part []byte) error { list = append(list, string(part)); return nil }); err != nil {
		t.Fatal(err)
	}
	return list
}

// reload returns what comes out of the snapshot form.
func reload(t *testing.T, s *Stream, kit *dict.Kit) *Stream {
	t.Helper()
	l := NewLoader(kit)
	if err := s.Parts(l.Add); err != nil {
		t.Fatal(err)
	}
	back, err := l.Done()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(pieces(t, back), pieces(t, s)) || back.Size() != s.Size() {
		t.Fatalf("another stream came out of its snapshot, of %d bytes, not %d", back.Size(), s.Size())
	}
	return back
}

func asBytes(list []string) (args [][]byte) {
	for _, text := range list {
		args = append(args, []byte(text))
	}
	return args
}

// player makes random changes to a stream and its model.
type player struct {
	*rand.Rand
	s      *Stream
	m      *model
	limits Limits
}

func (p *player) id() ID {
	if all := p.m.entries(); len(all) > 0 && p.Intn(10) > 0 {
		return all[p.Intn(len(all))].id
	}
	return ID{uint64(p.Intn(100)), uint64(p.Intn(3))}
}

func (p *player) add() {
	id := p.m.last
	switch p.Intn(4) {
	case 0:
		id, _ = id.Next()
	case 1:
		id = ID{id.MS, id.Seq + uint64(1+p.Intn(1<<uint(p.Intn(40))))}
	default:
		id = ID{id.MS + uint64(1+p.Intn(10)), uint64(p.Intn(2))}
	}
	var pairs []string
	for i := range 1 + p.Intn(3)*p.Intn(2) {
		name := fmt.Sprint("field", i)
		if p.Intn(6) == 0 {
			name = fmt.Sprint(p.Intn(3))
		}
		pairs = append(pairs, name, strings.Repeat("v", p.Intn(20)))
	}
	p.s.Append(id, asBytes(pairs), p.limits)
	p.m.add(id, pairs, p.limits)
}

func (p *player) trim(t *testing.T) {
	trim := Trim{ByID: p.Intn(2) == 0, MaxLen: uint64(p.Intn(80)), MinID: p.id(), Whole: p.Intn(2) == 0}
	if trim.Whole {
		trim.Limit = p.Intn(3) * p.Intn(30)
	}
	if got, want := p.s.Trim(trim), p.m.trim(trim); got != want {
		t.Fatalf("Trim(%+v) = %d, want %d", trim, got, want)
	}
}

func (p *player) group(t *testing.T) {
	name := fmt.Sprint("group", p.Intn(3))
	g := p.m.groups[name]
	e, ok := p.s.Edit([]byte(name))
	if ok != (g != nil) {
		t.Fatalf("Edit(%q) = %v", name, ok)
	}
	switch {
	case g == nil:
		id := p.id()
		if !p.s.Create([]byte(name), id, Unknown) || p.s.Create([]byte(name), id, 1) {
			t.Fatal("Create says the opposite")
		}
		p.m.groups[name] = &modelGroup{id, Unknown, map[ID]modelPending{}, map[string][2]int64{}}
	case p.Intn(40) == 0:
		if !p.s.Destroy([]byte(name)) || p.s.Destroy([]byte(name)) {
			t.Fatal("Destroy says the opposite")
		}
		delete(p.m.groups, name)
	default:
		p.consumer(e, g)
	}
}

func (p *player) consumer(e Editor, g *modelGroup) {
	name := strings.Repeat("consumer", p.Intn(2)) + fmt.Sprint(p.Intn(4))
	c, ok := e.Consumer([]byte(name))
	if !ok {
		c = e.Create([]byte(name), 5)
		g.consumers[name] = [2]int64{5, Never}
	}
	switch id, now := p.id(), int64(p.Intn(1000)); p.Intn(9) {
	case 0:
		e.SetLast(id, now)
		g.last, g.read = id, now
	case 1:
		if p.Intn(4) > 0 {
			return
		}
		e.Remove(c)
		delete(g.consumers, name)
		for id, held := range g.pending {
			if held.owner == name {
				delete(g.pending, id)
			}
		}
	case 2, 3:
		e.Ack(id)
		delete(g.pending, id)
	case 4:
		if held, ok := e.Find(id); ok {
			held.Time, held.Count = now, held.Count+1
			e.Update(held)
			g.pending[id] = modelPending{g.pending[id].owner, now, held.Count}
		}
	default:
		c = e.Own(c)
		c.Seen, c.Active = now, now
		g.consumers[name] = [2]int64{now, now}
		e.Assign(Pending{ID: id, Time: now, Count: 1}, c)
		g.pending[id] = modelPending{name, now, 1}
	}
}

// Random changes against a model, with clones that must stay as they were, and with
// replicas that go through the snapshot form.
func TestAgainstModel(t *testing.T) {
	kit, other := &dict.Kit{}, &dict.Kit{Hasher: dict.NewHasher([16]byte{2})}
	for round := range 60 {
		p := &player{rand.New(rand.NewSource(int64(round))), New(kit), &model{groups: map[string]*modelGroup{}}, Limits{Entries: []int{1, 4, 30}[round%3]}}
		type shot struct {
			s *Stream
			m *model
		}
		var shots []shot
		for range 400 {
			switch p.Intn(12) {
			case 0, 1:
				id := p.id()
				if got, want := p.s.Delete(id), p.m.delete(id); got != want {
					t.Fatalf("Delete(%v) = %v", id, got)
				}
			case 2:
				if p.Intn(6) == 0 {
					p.trim(t)
				}
			case 3, 4, 5, 6:
				p.group(t)
			case 7:
				if p.Intn(8) == 0 && !p.m.last.Less(p.s.Top()) { // as XSETID does it
					id := p.s.Top()
					id.Seq += uint64(p.Intn(3))
					p.s.SetLast(id)
					p.m.last = id
				}
			default:
				p.add()
			}
			switch p.Intn(60) {
			case 0:
				shots = append(shots, shot{p.s, p.m.clone()})
				if p.Intn(2) == 0 {
					twin := p.s.Clone()
					shots = append(shots, shot{twin, p.m.clone()})
				}
				p.s = p.s.Clone()
			case 1:
				equal(t, "of another keyspace", reload(t, p.s, other), p.m)
				p.s = reload(t, p.s, kit)
			case 2:
				equal(t, "stream", p.s, p.m)
			}
		}
		equal(t, "stream", p.s, p.m)
		for _, s := range shots {
			equal(t, "original or clone", s.s, s.m)
		}
	}
}
