package fsm

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"testing"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/rdb"
	"github.com/raftkv/raftkv/resp"
)

// payload is a value for RESTORE, mostly a good one, of any type and size.
func (g *generator) payload() []byte {
	n := 1 + g.IntN([...]int{3, 20, 700}[g.IntN(3)])
	items := make([][]byte, n)
	for i := range items {
		items[i] = strconv.AppendInt(nil, g.Int64N(1_000_000), 10)
		if g.IntN(3) > 0 {
			items[i] = append([]byte("text"), items[i]...)
		}
		if g.IntN(100) == 0 {
			items[i] = append(bytes.Repeat([]byte{'x'}, g.IntN(5000)), items[i]...)
		}
	}
	each := func(fn func([]byte) bool) {
		for _, item := range items {
			fn(item)
		}
	}
	pairs := func(fn func(field, value []byte) bool) {
		for i, item := range items {
			fn(strconv.AppendInt([]byte("field"), int64(i), 10), item)
		}
	}
	var b []byte
	switch g.IntN(8) {
	case 0:
		b = rdb.AppendString(nil, g.value())
	case 1:
		b = rdb.AppendHash(nil, g.IntN(2) == 0, n, pairs)
	case 2:
		b = rdb.AppendTimedHash(nil, n, func(fn func(field, value []byte, expires int64)) {
			pairs(func(field, value []byte) bool {
				fn(field, value, max(0, g.now+g.Int64N(200_000)-50_000)*g.Int64N(2))
				return true
			})
		})
	case 3:
		b = rdb.AppendList(nil, g.IntN(12)-5, each)
	case 4: // of numbers, so that it may be an intset
		b = rdb.AppendSet(nil, g.IntN(2) == 0, n, func(fn func([]byte) bool) {
			for i := range n {
				fn(strconv.AppendInt(nil, int64(i)<<g.IntN(2), 10))
			}
		})
	case 5:
		b = rdb.AppendSet(nil, false, n, each)
	case 6:
		b = rdb.AppendZSet(nil, g.IntN(2) == 0, n, func(fn func([]byte, float64) bool) {
			for i, item := range items {
				fn(item, float64(i)/4)
			}
		})
	default:
		b = g.streamPayload(items)
	}
	if g.IntN(8) == 0 {
		const footer = 10
		b = b[:len(b)-footer]
		b[g.IntN(len(b))] ^= 1 << g.IntN(8)
		b = rdb.Seal(b, rdb.Version)
	}
	return b
}

// streamPayload is that of a stream with these values, and groups.
func (g *generator) streamPayload(values [][]byte) []byte {
	const each = 10
	nodes := (len(values) + each - 1) / each
	w := rdb.NewStreamWriter(nil, nodes)
	id := rdb.ID{MS: uint64(g.now) - 1000}
	first := id
	var ids []rdb.ID
	for i := range nodes {
		n := rdb.StreamNode{First: id, Fields: [][]byte{[]byte("field1")}}
		for _, value := range values[i*each : min(len(values), (i+1)*each)] {
			e := rdb.StreamEntry{ID: id, Same: g.IntN(4) > 0, Items: [][]byte{value}}
			if !e.Same {
				e.Items = [][]byte{value, value}
			}
			n.Entries = append(n.Entries, e)
			ids = append(ids, id)
			id = rdb.ID{MS: id.MS + g.Uint64N(2), Seq: id.Seq + 1 + g.Uint64N(300)}
		}
		n.Last, n.Total, n.Size = ids[len(ids)-1], len(n.Entries)+g.IntN(3), 1000
		w.Node(&n)
	}
	w.Head(&rdb.StreamHead{Length: len(ids), Last: id, First: first, EntriesEver: uint64(len(ids) + g.IntN(3))}, 2)
	for i := range 2 {
		pending := ids[:g.IntN(len(ids)+1)]
		w.Group(&rdb.StreamGroup{Name: []byte("g" + strconv.Itoa(i)), Last: ids[g.IntN(len(ids))], Read: int64(g.IntN(5)) - 1}, len(pending))
		for _, id := range pending {
			w.Pending(rdb.StreamPending{ID: id, Time: g.now - 10, Count: 1})
		}
		w.Consumers(2)
		at := g.IntN(len(pending) + 1)
		for j, owned := range [][]rdb.ID{pending[:at], pending[at:]} {
			w.Consumer(rdb.StreamConsumer{Name: []byte("c" + strconv.Itoa(j)), Seen: g.now}, len(owned))
			for _, id := range owned {
				w.Owned(id)
			}
		}
	}
	return w.End()
}

// TestPayloads: the generator's payloads of all types are mostly taken.
func TestPayloads(t *testing.T) {
	g, r := newGenerator(3), newRig(t)
	types := map[string]int{}
	const n = 800
	for range n {
		if r.restore("k", g.payload()) {
			types[r.do("TYPE k")]++
		}
	}
	for _, kind := range []string{"string", "list", "set", "zset", "hash", "stream"} {
		if types["+"+kind] < n/30 {
			t.Errorf("payloads that were taken: %v", types)
		}
	}
}

// restore puts a payload under a key, and checks what that was foretold to add.
func (r *rig) restore(key string, payload []byte) bool {
	r.t.Helper()
	args := [][]byte{[]byte("RESTORE"), []byte(key), []byte("0"), payload, []byte("REPLACE")}
	before, most := r.m.Bytes(), r.m.Growth(0, args)
	reply := r.apply(entry.Proposal{Commands: []entry.Command{{Args: args}}})[0]
	if got := r.m.Bytes() - before; got > most {
		r.t.Errorf("%.200q: %d bytes more, %d were foretold", payload, got, most)
	}
	return reply == "+OK"
}

// FuzzRestore: whatever is taken is sound. It is in snapshots, DUMP gives it back, commands
// of all types run on it.
func FuzzRestore(f *testing.F) {
	const footer = 10
	g := newGenerator(4)
	for range 60 {
		if b := g.payload(); len(b) < 3000 {
			f.Add(b[:len(b)-footer])
		}
	}
	for _, body := range []string{
		"090d02016101003101620101320 0ff", "0a1414000000 0f000000 0300 00 0161 03 f7 02 c0e803 ff", "0303 0161 03312e35 0162 fe 0163 ff",
		"0b0c 02000000 02000000 0100 0500", "140f 0f000000 0300 0101 8161 02 0201 ff",
	} {
		b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(body), []byte(" "), nil)))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r := newRig(t)
		if !r.restore("k", rdb.Seal(bytes.Clone(body), rdb.Version)) {
			return
		}
		if again := stream(t, r.copy()); !bytes.Equal(again, stream(t, r.m)) {
			t.Fatal("a restored Machine has another snapshot")
		}
		kind := r.do("TYPE k")
		payload := r.read0("DUMP", "k")
		if kind == "+none" {
			return
		}
		if !r.restore("copy", payload) {
			t.Fatalf("what DUMP gives is refused: %q", payload)
		}
		if again := r.read0("DUMP", "copy"); !bytes.Equal(again, payload) && kind != "+set" { // numbers that were none
			t.Fatalf("DUMP gives %q, and then %q", payload, again)
		}
		r.do("APPEND k x", "HSET k field v", "SADD k 5 x", "ZADD k 1.5 x", "RPUSH k x", "LPOP k", "HDEL k f", "ZREMRANGEBYRANK k 0 0", "SPOP k",
			"XADD k * f v", "XADD k MAXLEN ~ 3 * f v g w", "XREADGROUP GROUP g0 c0 STREAMS k >", "XAUTOCLAIM k g0 c1 0 0", "XTRIM k MAXLEN 1", "XGROUP DELCONSUMER k g0 c0", "XDEL k 5-1")
		if again := stream(t, r.copy()); !bytes.Equal(again, stream(t, r.m)) {
			t.Fatal("a restored Machine has another snapshot after changes")
		}
	})
}

// read0 is the text that a command answers.
func (r *rig) read0(words ...string) []byte {
	r.t.Helper()
	var args [][]byte
	for _, word := range words {
		args = append(args, []byte(word))
	}
	w := resp.NewWriter(2, nil)
	if err := r.m.Read(&entry.Proposal{Commands: []entry.Command{{Args: args}}}, r.now, w); err != nil {
		r.t.Fatal(err)
	}
	_, text, _ := bytes.Cut(w.Bytes(), []byte("\r\n"))
	return bytes.TrimSuffix(text, []byte("\r\n"))
}
