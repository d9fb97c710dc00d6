package prng

import "slices"

// Sample returns k different numbers of 0 to n-1 in ascending order, any k of them as
// likely as any others. k is at most n.
func (r *Source) Sample(k, n int) []int {
	picks := make([]int, 0, k)
	if k > n/3 { // one pass over all: a number is taken by the share that is still wanted
		for i := 0; len(picks) < k; i++ {
			if r.Below(uint64(n-i)) < uint64(k-len(picks)) {
				picks = append(picks, i)
			}
		}
		return picks
	}
	for len(picks) < k { // those that came twice are drawn again
		for range k - len(picks) {
			picks = append(picks, int(r.Below(uint64(n))))
		}
		slices.Sort(picks)
		picks = slices.Compact(picks)
	}
	return picks
}
