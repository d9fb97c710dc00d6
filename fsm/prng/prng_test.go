package prng

import (
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

// Each number is picked as often as the others, and none twice, for few of many, for
// most of them and for all.
func TestDistinct(t *testing.T) {
	for _, tt := range []struct{ k, n int }{{0, 0}, {0, 5}, {1, 1}, {1, 10}, {4, 10}, {5, 10}, {6, 10}, {10, 10}, {3, 1000}, {500, 1000}} {
		src, seen := New(7), make([]int, tt.n)
		rounds := 20_000
		if tt.n > 10 {
			rounds = 3000
		}
		for range rounds {
			got := src.Distinct(tt.k, tt.n)
			if len(got) != tt.k {
				t.Fatalf("%d of %d: got %d", tt.k, tt.n, len(got))
			}
			for i, x := range got {
				if i > 0 && got[i-1] >= x || x >= tt.n {
					t.Fatalf("%d of %d: got %v", tt.k, tt.n, got)
				}
				seen[x]++
			}
		}
		for x, n := range seen {
			if want := rounds * tt.k / tt.n; want >= 1000 && (n < want*9/10 || n > want*11/10) {
				t.Errorf("%d of %d: %d was picked %d times, want %d", tt.k, tt.n, x, n, want)
			}
		}
	}
}
