package fsm

import (
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Reads run beside each other, also those that put a result together: they must share
// nothing that they change. The race detector sees it where the replies don't.
func TestReadsBesideEachOther(t *testing.T) {
	r := newRig(t)
	for _, key := range []string{"a", "b"} {
		members := []string{"SADD", key}
		for i := range 600 {
			members = append(members, key[:i%2]+strconv.Itoa(i))
		}
		r.do(strings.Join(members, " "))
		r.do("PFADD h" + key + " x y z")
	}
	r.do("SETBIT bits 100000 1")
	lines := []string{
		"SUNION a b", "SDIFF a b", "SINTER a b", "SINTERCARD 2 a b", "SMEMBERS a", "SSCAN a 0 COUNT 50", "SMISMEMBER a 1 a1 x",
		"BITCOUNT bits", "BITPOS bits 1", "BITFIELD_RO bits GET u8 99999", "PFCOUNT ha", "PFCOUNT ha hb",
	}
	want := make([]string, len(lines))
	for i, line := range lines {
		want[i], _ = r.read(start, line)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				for i, line := range lines {
					if got, err := r.read(start, line); got != want[i] || err != nil {
						t.Errorf("%s: %.100q, %v; want %.100q", line, got, err, want[i])
					}
				}
				if _, err := r.read(start, "SRANDMEMBER a 50"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
