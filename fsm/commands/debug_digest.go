package commands

import (
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"strconv"

	"github.com/raftkv/raftkv/fsm/hash"
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/stream"
	"github.com/raftkv/raftkv/resp"
)

// digest is Redis's digest of data, byte for byte that of Redis 7.0 for the same data.
// Where order does not count parts are xored to it, where it counts they are mixed
// into it. Source: redis/src/debug.c:computeDatasetDigest.
type digest [sha1.Size]byte

func (d *digest) xor(b []byte) { d.xorSum(sha1.Sum(b)) }

func (d *digest) xorSum(sum [sha1.Size]byte) {
	for i := range d {
		d[i] ^= sum[i]
	}
}

func (d *digest) mix(b []byte) {
	d.xor(b)
	*d = sha1.Sum(d[:])
}

// mixText is mix for a string that may lie in pieces.
func (d *digest) mixText(t keyspace.Text) {
	h := sha1.New()
	t.Each(func(piece []byte) { h.Write(piece) })
	d.xorSum([sha1.Size]byte(h.Sum(nil)))
	*d = sha1.Sum(d[:])
}

func (d *digest) mixNumber(n uint32) { d.mix(binary.BigEndian.AppendUint32(nil, n)) }

func (d *digest) String() string { return hex.EncodeToString(d[:]) }

// typeNumbers are Redis's: 5 is a module's.
var typeNumbers = [...]uint32{
	keyspace.String: 0, keyspace.List: 1, keyspace.Set: 2, keyspace.ZSet: 3, keyspace.Hash: 4, keyspace.Stream: 6,
}

// debugDigest is DEBUG DIGEST: of all databases.
func debugDigest(v *keyspace.View, _ Args, w *resp.Writer) error {
	var all digest
	for db := range keyspace.Databases {
		v.Within(db, func(v *keyspace.View) {
			if v.Len() == 0 {
				return
			}
			all.mixNumber(uint32(db))
			v.Each(func(e keyspace.Entry) bool {
				var one digest
				one.mix(e.Key())
				one.value(v, e)
				all.xor(one[:])
				return true
			})
		})
	}
	w.Simple(all.String())
	return nil
}

// debugDigestValue is DEBUG DIGEST-VALUE: of values without their keys.
func debugDigestValue(v *keyspace.View, args Args, w *resp.Writer) error {
	w.Array(len(args) - 2)
	for _, key := range args[2:] {
		var one digest
		if e, ok := v.Peek(key); ok {
			one.value(v, e)
		}
		w.Simple(one.String())
	}
	return nil
}

// value takes up what a key holds.
func (d *digest) value(v *keyspace.View, e keyspace.Entry) {
	d.mixNumber(typeNumbers[e.Type()])
	switch value := e.Value().(type) {
	case keyspace.HashValue:
		d.hash(v, e.Key())
	case keyspace.ListValue:
		value.Ascend(0, func(element []byte) bool {
			d.mix(element)
			return true
		})
	case keyspace.SetValue:
		value.Each(func(member []byte) bool {
			d.xor(member)
			return true
		})
	case keyspace.ZSetValue:
		value.Each(func(member []byte, score float64) bool {
			var one digest
			one.mix(member)
			one.mix(resp.AppendDouble(nil, score))
			d.xor(one[:])
			return true
		})
	case keyspace.StreamValue:
		d.stream(value)
	default:
		text, _ := e.Text()
		d.mixText(text)
	}
	if e.ExpireAt() != 0 {
		d.xor([]byte("!!expire!!"))
	}
}

func (d *digest) hash(v *keyspace.View, key []byte) {
	h, _ := keyspace.FindHash(v, key)
	h.Each(func(f hash.Field) {
		var one digest
		one.mix(f.Name)
		one.mix(f.Value)
		if f.Expires != 0 { // as Redis 7.4
			one.xor([]byte("!!hexpire!!"))
		}
		d.xor(one[:])
	})
}

// stream takes up a stream's entries; its groups are no part of Redis's digest.
func (d *digest) stream(s keyspace.StreamValue) {
	s.Ascend(stream.ID{}, func(e stream.Entry) bool {
		id := strconv.AppendUint(nil, e.ID.MS, 10)
		d.mix(strconv.AppendUint(append(id, '.'), e.ID.Seq, 10))
		e.Each(func(field, value []byte) {
			d.mix(field)
			d.mix(value)
		})
		return true
	})
}
