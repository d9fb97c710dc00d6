package fsm

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/entry"
)

// typesLoads are the main writing commands of each type. %k is one of 5000 keys, %m one of
// 5000 members, %b one of a million members of the single collection that fill makes.
var typesLoads = []struct{ name, command, fill string }{
	{"INCR", "INCR i:%k", ""},
	{"APPEND", "APPEND a:%k 0123456789abcdef", ""},
	{"HSET", "HSET h:%k f:%m %v", ""},
	{"HINCRBY", "HINCRBY h:%k f:%m 1", ""},
	{"LPUSH", "LPUSH l:%k %v", ""},
	{"SADD", "SADD s:%k m:%m", ""},
	{"ZADD", "ZADD z:%k %m m:%m", ""},
	{"ZINCRBY", "ZINCRBY z:%k 1 m:%m", ""},
	{"GEOADD", "GEOADD g:%k %me-2 %me-2 m:%m", ""},
	{"BITFIELD", "BITFIELD b:%k INCRBY u32 4320 1", ""},
	{"PFADD", "PFADD p:%k m:%m", ""},
	{"XADD", "XADD x:%k * f %v", ""},
	{"HSET-1M", "HSET big f:%b 0123456789abcdef", "HSET big f:%b 0123456789abcdef"},
	{"SADD-1M", "SADD big n:%b", "SADD big m:%b"},
	{"ZADD-1M", "ZADD big %b m:%b", "ZADD big %b m:%b"},
	{"LSET-1M", "LSET big 400000 %v", "RPUSH big value:%b"},
	{"XADD-1M", "XADD big * f %v", "XADD big * f 0123456789abcdef"},
}

// BenchmarkTypes applies them as followers do, from the binary form and without replies,
// in entries of 800 commands.
func BenchmarkTypes(b *testing.B) {
	const different = 512 // entries
	for _, load := range typesLoads {
		b.Run(load.name, func(b *testing.B) {
			r := newRig(b)
			rnd := rand.New(rand.NewPCG(1, 2))
			number := func(n int) string { return fmt.Sprintf("%012d", n) }
			command := func(line, big string) entry.Command {
				for word, with := range map[string]func() string{
					"%k": func() string { return number(rnd.IntN(5000)) }, "%m": func() string { return number(rnd.IntN(5000)) },
					"%b": func() string { return big }, "%v": func() string { return string(benchValue) },
				} {
					for strings.Contains(line, word) {
						line = strings.Replace(line, word, with(), 1)
					}
				}
				return entry.Command{Args: words(line)}
			}
			if load.fill != "" {
				for i := 0; i < 1_000_000; i += 1000 {
					var p entry.Proposal
					for j := range 1000 {
						p.Commands = append(p.Commands, command(load.fill, number(i+j)))
					}
					r.apply(p)
				}
			}
			data := make([][]byte, different)
			for i := range data {
				batch := &entry.Batch{Version: entry.Version, ID: rnd.Uint64(), Now: start}
				for range benchCallers {
					var p entry.Proposal
					for range 16 {
						p.Commands = append(p.Commands, command(load.command, number(rnd.IntN(1_000_000))))
					}
					batch.Proposals = append(batch.Proposals, p)
				}
				data[i] = entry.Append(nil, batch)
			}
			var d entry.Decoder
			b.ResetTimer()
			benchEntry(b, benchCallers*16, func(i int) {
				if load.fill == "" && i%different == 0 {
					r.do("FLUSHALL") // what a load makes, it makes anew
				}
				batch, err := d.Decode(data[i%different])
				if err != nil {
					b.Fatal(err)
				}
				r.index++
				r.m.Apply(Position{Index: r.index, Term: 1}, batch, nil)
			})
		})
	}
}
