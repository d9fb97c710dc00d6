package commands

import (
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/rdb"
	"github.com/raftkv/raftkv/fsm/stream"
)

var dumpStream = dump{kind: rdb.Stream, append: appendStream, make: makeStream}

func appendStream(v *keyspace.View, key, dst []byte) []byte {
	s, _, _ := keyspace.Find[keyspace.StreamValue](v, key)
	w := rdb.NewStreamWriter(dst, s.Nodes())
	var node rdb.StreamNode
	s.EachNode(func(n stream.Node) {
		node.First, node.Last, node.Total, node.Size = rdb.ID(n.First), rdb.ID(n.Last), n.Total, n.Size
		node.Fields, node.Entries = n.Names, node.Entries[:0]
		for i := range n.Entries {
			node.Entries = append(node.Entries, dumpEntry(&n.Entries[i]))
		}
		w.Node(&node)
	})
	w.Head(&rdb.StreamHead{
		Length: s.Len(), Last: rdb.ID(s.Last()), First: rdb.ID(s.First()), MaxDeleted: rdb.ID(s.MaxDeleted()), EntriesEver: s.Added(),
	}, s.Groups())
	s.EachGroup(func(name []byte, g *stream.Group) { dumpGroup(w, name, g) })
	return w.End()
}

func dumpEntry(e *stream.Entry) rdb.StreamEntry {
	d := rdb.StreamEntry{ID: rdb.ID(e.ID), Same: e.Same(), Items: make([][]byte, 0, 2*e.Len())}
	e.Each(func(field, value []byte) {
		if !d.Same {
			d.Items = append(d.Items, field)
		}
		d.Items = append(d.Items, value)
	})
	return d
}

func dumpGroup(w *rdb.StreamWriter, name []byte, g *stream.Group) {
	w.Group(&rdb.StreamGroup{Name: name, Last: rdb.ID(g.Last()), Read: g.Read()}, g.Pending())
	g.Ascend(stream.ID{}, func(p stream.Pending) bool {
		w.Pending(rdb.StreamPending{ID: rdb.ID(p.ID), Time: p.Time, Count: p.Count})
		return true
	})
	w.Consumers(g.Consumers())
	g.EachConsumer(func(c *stream.Consumer) bool {
		w.Consumer(rdb.StreamConsumer{Name: c.Name(), Seen: c.Seen}, c.Pending())
		g.AscendOf(c, stream.ID{}, func(p stream.Pending) bool {
			w.Owned(rdb.ID(p.ID))
			return true
		})
		return true
	})
}

func makeStream(t *keyspace.Txn, o *rdb.Object) keyspace.Collection {
	b := t.BuildStream()
	for i := range o.Stream.Nodes {
		if restoreNode(b, &o.Stream.Nodes[i]) != nil {
			return nil
		}
	}
	h := &o.Stream.StreamHead
	s, err := b.Done(stream.ID(h.Last), stream.ID(h.MaxDeleted), h.EntriesEver)
	if err != nil {
		return nil
	}
	for i := range o.Stream.Groups {
		g := &o.Stream.Groups[i]
		if o.Stream.Uncounted {
			g.Read = s.ReadUpTo(stream.ID(g.Last))
		}
		if !restoreGroup(s, g) {
			return nil
		}
	}
	return keyspace.StreamValue{Stream: s}
}

func restoreNode(b *stream.Builder, n *rdb.StreamNode) error {
	err := b.Node(stream.Node{First: stream.ID(n.First), Last: stream.ID(n.Last), Total: n.Total, Size: n.Size, Names: n.Fields})
	var pairs [][]byte
	for i := 0; i < len(n.Entries) && err == nil; i++ {
		e := &n.Entries[i]
		pairs = pairs[:0]
		if e.Same {
			for i, value := range e.Items {
				pairs = append(pairs, n.Fields[i], value)
			}
		} else {
			pairs = append(pairs, e.Items...)
		}
		err = b.Entry(stream.ID(e.ID), pairs)
	}
	return err
}

// restoreGroup makes a group and says whether it can be: names are there once only.
func restoreGroup(s *stream.Stream, g *rdb.StreamGroup) bool {
	if !s.Create(g.Name, stream.ID(g.Last), g.Read) {
		return false
	}
	e, _ := s.Edit(g.Name)
	consumers := make([]*stream.Consumer, len(g.Consumers))
	for i := range g.Consumers {
		c := &g.Consumers[i]
		if _, there := e.Consumer(c.Name); there {
			return false
		}
		consumers[i] = e.Create(c.Name, c.Seen)
		consumers[i].Active = c.Active
	}
	for i := range g.Pending {
		p := &g.Pending[i]
		e.Assign(stream.Pending{ID: stream.ID(p.ID), Time: p.Time, Count: p.Count}, consumers[p.Owner])
	}
	return true
}

// streamGrowth is the most that a stream takes.
func streamGrowth(s *rdb.StreamObject) int64 {
	n := int64(stream.EmptySize)
	texts := func(list [][]byte) {
		const length = 5 // before each
		for _, b := range list {
			n += int64(len(b)+length) + int64(len(b)+length)/8
		}
	}
	for i := range s.Nodes {
		node := &s.Nodes[i]
		n += recordMost
		texts(node.Fields)
		for j := range node.Entries {
			n += recordMost
			texts(node.Entries[j].Items)
		}
	}
	for i := range s.Groups {
		g := &s.Groups[i]
		n += stream.GroupSize + recordMost + 2*int64(len(g.Name)) + stream.PendingSize*int64(len(g.Pending))
		for j := range g.Consumers {
			n += stream.ConsumerSize + recordMost + 3*int64(len(g.Consumers[j].Name))
		}
	}
	return n
}
