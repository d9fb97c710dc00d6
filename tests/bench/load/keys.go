package load

import (
	"bytes"
	"math/rand/v2"
)

// keyLength is that of every key: as redis-benchmark writes them, key:000000000042.
const keyLength = 16

// AppendKey writes the key with this number over dst.
func AppendKey(dst []byte, number int) []byte {
	dst = append(dst[:0], "key:000000000000"...)
	for i := keyLength - 1; number > 0 && i >= 4; i-- {
		dst[i] = byte('0' + number%10)
		number /= 10
	}
	return dst
}

// Keyspace says which keys load touches, and with what values.
type Keyspace struct {
	Keys int // 0 to Keys-1
	Size int // of each value, in bytes
}

func (k Keyspace) value() []byte { return bytes.Repeat([]byte("v"), k.Size) }

// random is a chooser of keys of one caller's own.
func (k Keyspace) random(caller int) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(caller)+1, uint64(k.Keys)))
}

var (
	wordSet = []byte("SET")
	wordGet = []byte("GET")
)
