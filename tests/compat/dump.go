package compat

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"

	"github.com/raftkv/raftkv/fsm/rdb"
	"github.com/raftkv/raftkv/resp"
)

// sameDump compares what two payloads hold, and their bytes as far as they follow from
// it. That each end takes the other's is seen by RESTOREs that are made of them.
func sameDump(x *exchange, a, b resp.Value) bool {
	if a.Kind != b.Kind || a.Kind != resp.KindBulk || rdb.Check(a.Str) != nil || rdb.Check(b.Str) != nil {
		return false
	}
	ours, err := rdb.Decode(a.Str, resp.MaxBulk)
	theirs, err2 := rdb.Decode(b.Str, resp.MaxBulk)
	if err != nil || err2 != nil || ours.Kind != theirs.Kind || len(ours.Items) != len(theirs.Items) {
		return false
	}
	switch ours.Kind {
	case rdb.Hash, rdb.Set, rdb.ZSet:
		large := x.player.tell("OBJECT", "ENCODING", string(x.args[1])).Text() == "hashtable"
		if large || x.player.sorted && ours.Kind == rdb.ZSet {
			return slices.Equal(memberTexts(ours), memberTexts(theirs))
		}
	case rdb.List:
		return slices.EqualFunc(ours.Items, theirs.Items, bytes.Equal)
	case rdb.Stream:
		return sameStreams(ours.Stream, theirs.Stream)
	}
	if a.Str[0] == formIntset && b.Str[0] == formIntset {
		return slices.EqualFunc(ours.Items, theirs.Items, bytes.Equal)
	}
	plain, ok := plainPayload(a.Str)
	other, ok2 := plainPayload(b.Str)
	return ok && ok2 && bytes.Equal(plain, other)
}

// sameStreams compares streams but for times that are near each other.
func sameStreams(a, b *rdb.StreamObject) bool {
	near := func(p, q *int64) {
		if max(*p-*q, *q-*p) <= late {
			*p = *q
		}
	}
	for i := 0; i < min(len(a.Groups), len(b.Groups)); i++ {
		g, h := &a.Groups[i], &b.Groups[i]
		for j := 0; j < min(len(g.Pending), len(h.Pending)); j++ {
			near(&g.Pending[j].Time, &h.Pending[j].Time)
		}
		for j := 0; j < min(len(g.Consumers), len(h.Consumers)); j++ {
			c, d := &g.Consumers[j], &h.Consumers[j]
			if seenLater("seen-time", c.Seen, d.Seen) {
				c.Seen = d.Seen
			}
			near(&c.Seen, &d.Seen)
			c.Active = d.Active // neither payload has it: both are in the form of 7.0
		}
	}
	return reflect.DeepEqual(a, b)
}

// formIntset begins the payload of a set of integers.
const formIntset = 11

// footer is what stands behind a value: version and checksum.
const footer = 10

// plainPayload is a payload of one text with that text not compressed, and without its checksum.
func plainPayload(payload []byte) (plain []byte, ok bool) {
	if len(payload) < 1+footer {
		return nil, false
	}
	const formString = 0
	o, err := rdb.Decode(append([]byte{formString}, payload[1:]...), resp.MaxBulk)
	if err != nil {
		return nil, false
	}
	plain = append(binary.AppendUvarint(payload[:1:1], uint64(len(o.Items[0]))), o.Items[0]...)
	return append(plain, payload[len(payload)-footer:len(payload)-8]...), true
}

// memberTexts are the members, sorted, with what belongs to each.
func memberTexts(o *rdb.Object) (all []string) {
	for i := 0; i < len(o.Items); i++ {
		text := fmt.Sprintf("%q", o.Items[i])
		switch o.Kind {
		case rdb.Hash:
			i++
			text += fmt.Sprintf(" %q", o.Items[i])
		case rdb.ZSet:
			text += fmt.Sprint(" ", o.Scores[i])
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}
