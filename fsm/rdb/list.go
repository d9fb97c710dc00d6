package rdb

// The two kinds of nodes of a list.
const (
	nodePlain  = 1 // an element that is a node by itself
	nodePacked = 2
)

// nodeSizes are how long the listpack of a node is, at most, if it has several elements,
// by list-max-listpack-size if that is below 0. Where it is not, it is the most elements
// of a node, in up to safeSize bytes. Source: redis/src/quicklist.c.
var nodeSizes = [...]int{4096, 8192, 16384, 32768, 65536}

const safeSize = 8192

// AppendList appends the payload of a list, whose elements each calls fn with in order;
// node is list-max-listpack-size.
func AppendList(dst []byte, node int, each func(fn func(element []byte) bool)) []byte {
	body := &writer{}
	nodes := 0
	eachNode(node, each, func(node []byte) {
		body.length(nodePacked)
		body.string(node)
		nodes++
	})
	w := newWriter(dst, formQuicklist2)
	w.length(uint64(nodes))
	w.b = append(w.b, body.b...)
	return w.end(Version)
}

// ListNodes tells into how many nodes AppendList cuts a list, and how many bytes they
// have together before any is compressed.
func ListNodes(node int, each func(fn func(element []byte) bool)) (nodes, size int) {
	eachNode(node, each, func(node []byte) {
		nodes++
		size += len(node)
	})
	return nodes, size
}

// eachNode calls fn with the listpacks of the nodes that a list is cut into.
func eachNode(node int, each func(fn func(element []byte) bool), fn func(node []byte)) {
	const overhead = 8 // what an element takes beside its bytes, about
	size, most := safeSize, max(node, 1)
	if node < 0 {
		size, most = nodeSizes[min(-node, len(nodeSizes))-1], packMany
	}
	var l listpack
	flush := func() {
		if l.n > 0 {
			fn(l.bytes())
			l = listpack{buf: l.buf[:0]}
		}
	}
	each(func(element []byte) bool {
		if l.n >= most || l.size()+len(element)+overhead > size {
			flush()
		}
		l.add(element)
		return true
	})
	flush()
}

func (r *reader) list(form byte, o *Object) {
	switch form {
	case formList:
		o.Items = r.strings(1)
	case formListZiplist:
		o.Items = r.ziplist(nil)
	case formQuicklist:
		for range r.count(1) {
			if o.Items = r.ziplist(o.Items); r.bad {
				return
			}
		}
	case formQuicklist2:
		for range r.count(2) {
			if !r.allocate(itemSize) {
				return
			}
			switch r.length() {
			case nodePlain:
				element := r.string()
				r.refuse(len(element) == 0)
				o.Items = append(o.Items, element)
			case nodePacked:
				o.Items = r.listpack(o.Items)
			default:
				r.bad = true
			}
			if r.bad {
				return
			}
		}
	}
}
