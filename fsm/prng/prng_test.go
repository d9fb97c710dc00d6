package prng

import (
	"fmt"
	"testing"
)

// The first outputs of xoshiro256** from the state 1, 2, 3, 4, as the authors' C
// program prints them, and of SplitMix64 from 1234567 as state.
func TestPublishedVectors(t *testing.T) {
	src := Source{[4]uint64{1, 2, 3, 4}}
	for i, want := range []uint64{11520, 0, 1509978240, 1215971899390074240, 1216172134540287360} {
		if got := src.Uint64(); got != want {
			t.Errorf("xoshiro256** output %d = %d, want %d", i, got, want)
		}
	}
	want := [4]uint64{6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431}
	if got := New(1234567).s; got != want {
		t.Errorf("state from seed = %d, want %d", got, want)
	}
}

func TestBelowIsEvenAndInRange(t *testing.T) {
	const n, rounds = 7, 70000
	var seen [n]int
	src := New(42)
	for range rounds {
		seen[src.Below(n)]++
	}
	for i, got := range seen {
		if got < rounds/n*95/100 || got > rounds/n*105/100 {
			t.Errorf("%d was picked %d times of %d", i, got, rounds)
		}
	}
	for range 1000 {
		if got := src.Below(1); got != 0 {
			t.Fatalf("Below(1) = %d", got)
		}
		if got := src.Below(1<<63 + 1); got > 1<<63 {
			t.Fatalf("Below(2^63+1) = %d", got)
		}
	}
}

// Samples are sorted, of different numbers, and each of the subsets is as likely as any.
func TestSample(t *testing.T) {
	src := New(9)
	for n := range 30 {
		for k := range n + 1 {
			picks := src.Sample(k, n)
			if len(picks) != k {
				t.Fatalf("%d of %d: %v", k, n, picks)
			}
			for i, p := range picks {
				if p < 0 || p >= n || i > 0 && picks[i-1] >= p {
					t.Fatalf("%d of %d: %v", k, n, picks)
				}
			}
		}
	}
	for _, tt := range []struct{ k, n, subsets int }{{2, 5, 10}, {2, 8, 28}, {3, 4, 4}} { // both ways of picking
		seen := map[string]int{}
		const each = 2000
		for range each * tt.subsets {
			seen[fmt.Sprint(src.Sample(tt.k, tt.n))]++
		}
		if len(seen) != tt.subsets {
			t.Errorf("%d of %d: %d subsets, want %d", tt.k, tt.n, len(seen), tt.subsets)
		}
		for subset, times := range seen {
			if times < each*85/100 || times > each*115/100 {
				t.Errorf("%s came up %d times, expected about %d", subset, times, each)
			}
		}
	}
}
