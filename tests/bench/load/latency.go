package load

import (
	"slices"
	"time"
)

// Latencies are how long requests took, in any order.
type Latencies []time.Duration

// Quantile returns the smallest latency that a share q of them, from 0 to 1, does
// not exceed; 0 where there are none. It sorts them.
func (l Latencies) Quantile(q float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	if !slices.IsSorted(l) {
		slices.Sort(l)
	}
	rank := int(q*float64(len(l))+0.999999) - 1 // the nearest rank, from 0
	return l[min(max(rank, 0), len(l)-1)]
}

// Milliseconds is a duration as the tables have it.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
