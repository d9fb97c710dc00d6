//go:build linux

package nemesis

import (
	"reflect"
	"slices"
	"testing"
)

func steps(t *testing.T, seed uint64, count int) (all []Step) {
	t.Helper()
	s, err := NewSchedule(seed, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	for range count {
		all = append(all, s.Next())
	}
	return all
}

// The schedule is the seed's alone, and another seed's is another.
func TestScheduleIsTheSeeds(t *testing.T) {
	if a, b := steps(t, 7, 200), steps(t, 7, 200); !reflect.DeepEqual(a, b) {
		t.Error("one seed gave two schedules")
	}
	if a, b := steps(t, 7, 20), steps(t, 8, 20); reflect.DeepEqual(a, b) {
		t.Error("two seeds gave one schedule")
	}
}

// Every kind comes, and none much more often than the others.
func TestScheduleDealsEveryKind(t *testing.T) {
	for seed := range uint64(20) {
		times := map[string]int{}
		two := 0
		for _, s := range steps(t, seed, 10*len(kinds)) {
			for _, k := range s.Kinds {
				times[k]++
			}
			if len(s.Kinds) == 2 {
				two++
				if !mayOverlap(s.Kinds[0], s.Kinds[1]) {
					t.Errorf("seed %d: %v at once", seed, s.Kinds)
				}
			}
		}
		for _, name := range Names() {
			if n := times[name]; n < 8 || n > 16 {
				t.Errorf("seed %d: %s %d times in %d steps", seed, name, n, 10*len(kinds))
			}
		}
		if two == 0 {
			t.Errorf("seed %d: no faults overlap", seed)
		}
	}
}

func TestMayOverlap(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"bridge", "kill-leader", true},
		{"clock-forward", "pause-leader", true},
		{"clock-forward", "bridge", true},
		{"bridge", "flap", false},
		{"kill-all", "clock-drift", false}, // a cold start takes the wall's time
		{"clock-back", "swap", false},
		{"pause-stale", "transfer", false},
	} {
		if ab, ba := mayOverlap(tt.a, tt.b), mayOverlap(tt.b, tt.a); ab != tt.want || ba != tt.want {
			t.Errorf("%s and %s: %v, %v, want %v", tt.a, tt.b, ab, ba, tt.want)
		}
	}
}

func TestScheduleOfSomeKinds(t *testing.T) {
	s, err := NewSchedule(1, []string{"bridge", "flap"}, true)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if step := s.Next(); len(step.Kinds) != 1 || !slices.Contains([]string{"bridge", "flap"}, step.Kinds[0]) {
			t.Errorf("%v", step)
		}
	}
	if _, err := NewSchedule(1, []string{"earthquake"}, false); err == nil {
		t.Error("there is no such fault")
	}
}
