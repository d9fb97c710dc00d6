package rdb

import "encoding/binary"

// ID is that of an entry of a stream.
type ID struct{ MS, Seq uint64 }

func (a ID) less(b ID) bool { return a.MS < b.MS || a.MS == b.MS && a.Seq < b.Seq }

// StreamObject is a stream as plain content.
type StreamObject struct {
	StreamHead
	Nodes  []StreamNode
	Groups []StreamGroup
	// Uncounted says that it comes from before Redis 7.0, which knew neither MaxDeleted
	// nor how many entries a group has read.
	Uncounted bool
}

// StreamHead is what belongs to a stream as a whole.
type StreamHead struct {
	Length      int // of entries that are there
	Last        ID
	First       ID // of the first entry
	MaxDeleted  ID
	EntriesEver uint64
}

// StreamNode is a run of entries that Redis keeps in one listpack.
type StreamNode struct {
	First  ID       // of the entry that it began with
	Last   ID       // of the last one that it ever had
	Total  int      // how many it ever had
	Size   int      // bytes of the listpack, without its two counts of entries
	Fields [][]byte // of the entry that it began with
	// Entries are those that are there, in order.
	Entries []StreamEntry
}

// StreamEntry is an entry of a stream.
type StreamEntry struct {
	ID ID
	// Same says that its fields are those of the node: Items are only its values, not
	// fields and values in turn.
	Same  bool
	Items [][]byte
}

// StreamGroup is a consumer group.
type StreamGroup struct {
	Name      []byte
	Last      ID
	Read      int64 // entries read; -1 for unknown
	Pending   []StreamPending
	Consumers []StreamConsumer
}

// StreamPending is an entry that was delivered and is not acknowledged.
type StreamPending struct {
	ID          ID
	Time, Count int64
	Owner       int // the number of the consumer
}

// StreamConsumer is a consumer of a group.
type StreamConsumer struct {
	Name         []byte
	Seen, Active int64
}

// The flags of an entry of a stream, and the items of one beside its fields and values:
// flags, two differences to the ID of the node, and a count.
const (
	entryDeleted = 1
	entrySame    = 2
	entryExtra   = 3
)

// StreamWriter writes the payload of a stream: nodes, the head, groups, and for each of
// them what is pending and then its consumers, for each of these the IDs that it owns.
// What is counted must come as often as was told.
type StreamWriter struct {
	w          *writer
	pack, body listpack
}

// NewStreamWriter begins the payload of a stream of so many nodes.
func NewStreamWriter(dst []byte, nodes int) *StreamWriter {
	s := &StreamWriter{w: newWriter(dst, formStream2)}
	s.w.length(uint64(nodes))
	return s
}

// Head writes what stands behind the nodes, and how many groups follow.
func (s *StreamWriter) Head(h *StreamHead, groups int) {
	for _, n := range [...]uint64{
		uint64(h.Length), h.Last.MS, h.Last.Seq, h.First.MS, h.First.Seq, h.MaxDeleted.MS, h.MaxDeleted.Seq, h.EntriesEver, uint64(groups),
	} {
		s.w.length(n)
	}
}

// Group begins a group of which so many entries are pending.
func (s *StreamWriter) Group(g *StreamGroup, pending int) {
	s.w.string(g.Name)
	for _, n := range [...]uint64{g.Last.MS, g.Last.Seq, uint64(g.Read), uint64(pending)} {
		s.w.length(n)
	}
}

// Pending writes a pending entry of the group; its Owner is told by Owned.
func (s *StreamWriter) Pending(p StreamPending) {
	s.Owned(p.ID)
	s.w.b = binary.LittleEndian.AppendUint64(s.w.b, uint64(p.Time))
	s.w.length(uint64(p.Count))
}

// Consumers writes how many consumers the group has.
func (s *StreamWriter) Consumers(n int) { s.w.length(uint64(n)) }

// Consumer begins a consumer with which so many entries are pending. The form has no
// place for Active.
func (s *StreamWriter) Consumer(c StreamConsumer, pending int) {
	s.w.string(c.Name)
	s.w.b = binary.LittleEndian.AppendUint64(s.w.b, uint64(c.Seen))
	s.w.length(uint64(pending))
}

// Owned writes the ID of an entry that is pending with the consumer.
func (s *StreamWriter) Owned(id ID) { s.w.b = appendRawID(s.w.b, id) }

func appendRawID(b []byte, id ID) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, id.MS), id.Seq)
}

// End returns the payload.
func (s *StreamWriter) End() []byte { return s.w.end(Version) }

// stream reads one.
func (r *reader) stream(form byte) *StreamObject {
	const nodeSize, groupSize = 200, 300
	o := &StreamObject{Uncounted: form == formStream}
	for range r.count(packHead + 4) {
		if !r.allocate(nodeSize) {
			return nil
		}
		o.Nodes = append(o.Nodes, r.streamNode())
	}
	o.Length = int(r.length())
	o.Last = r.id()
	if o.Uncounted {
		o.EntriesEver = uint64(o.Length)
	} else {
		o.First, o.MaxDeleted, o.EntriesEver = r.id(), r.id(), r.length()
	}
	r.checkStream(o)
	for range r.count(5) {
		if !r.allocate(groupSize) {
			return nil
		}
		o.Groups = append(o.Groups, r.group(form))
	}
	return o
}

// rawID is the length of an ID as it stands in a payload.
const rawID = 16

func (r *reader) id() ID { return ID{r.length(), r.length()} }

func (r *reader) rawID() (id ID) {
	if b := r.take(rawID); b != nil {
		id = ID{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
	}
	return id
}

// checkStream looks at what Redis believes: that nodes are in order, that the length is
// that of the entries, and that the last ID is not below theirs.
func (r *reader) checkStream(o *StreamObject) {
	n, last := 0, ID{}
	for i := range o.Nodes {
		node := &o.Nodes[i]
		r.refuse(i > 0 && !(last.less(node.First) && o.Nodes[i-1].First.less(node.First)))
		if n += len(node.Entries); len(node.Entries) > 0 {
			last = node.Entries[len(node.Entries)-1].ID
		}
	}
	r.refuse(o.Length != n || o.Last.less(last))
}

// group reads a group. Every pending entry must belong to one of its consumers, and to
// one only.
func (r *reader) group(form byte) (g StreamGroup) {
	const pendingSize, consumerSize, nobody = 64, 64, -1
	g.Name, g.Last = r.string(), r.id()
	if form != formStream {
		g.Read = int64(r.length())
	}
	for range r.count(rawID + 9) {
		if !r.allocate(pendingSize) {
			return g
		}
		g.Pending = append(g.Pending, StreamPending{r.rawID(), r.little(8), int64(r.length()), nobody})
		n := len(g.Pending)
		r.refuse(n > 1 && !g.Pending[n-2].ID.less(g.Pending[n-1].ID))
	}
	for i := range r.count(1 + 9) {
		if !r.allocate(consumerSize) {
			return g
		}
		c := StreamConsumer{Name: r.string(), Seen: r.little(8)}
		c.Active = c.Seen // as near as one can get
		if form == formStream3 {
			c.Active = r.little(8)
		}
		g.Consumers = append(g.Consumers, c)
		for range r.count(rawID) {
			r.own(&g, i)
		}
	}
	for i := range g.Pending {
		r.refuse(g.Pending[i].Owner == nobody)
	}
	return g
}

// own reads an ID that is pending with the i-th consumer.
func (r *reader) own(g *StreamGroup, i int) {
	id := r.rawID()
	at, end := 0, len(g.Pending)
	for at < end {
		if mid := int(uint(at+end) >> 1); g.Pending[mid].ID.less(id) {
			at = mid + 1
		} else {
			end = mid
		}
	}
	if at == len(g.Pending) || g.Pending[at].ID != id || g.Pending[at].Owner >= 0 {
		r.bad = true
		return
	}
	g.Pending[at].Owner = i
}
