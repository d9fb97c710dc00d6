//go:build linux

// Package nemesis is what goes wrong in a chaos run: faults of the network, of
// processes and of clocks, changes of the membership and of the leader. The
// schedule is a function of the seed; whom a fault hits by role, such as the
// leader, is looked up when it comes, and recorded. It knows nothing of the clients'
// operations but those that it makes itself to catch a stale read.
package nemesis

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Step is one fault, or two that overlap, and the quiet time after it.
type Step struct {
	Kinds []string
	// Gap lies between the first fault and the second.
	Gap time.Duration
	// Hold is how long the last one stays.
	Hold time.Duration
	// Quiet is how long nothing else happens once the service is back.
	Quiet time.Duration
	// Seed decides what the step picks by chance.
	Seed uint64
}

// String is the step in a few words.
func (s Step) String() string {
	return fmt.Sprintf("%s for %s", strings.Join(s.Kinds, " + "), s.Hold.Round(100*time.Millisecond))
}

// Names are the kinds of faults there are.
func Names() (names []string) {
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

// Schedule draws steps for ever: every kind comes once before one comes again. A
// part of the steps are two faults at once. short makes them short enough for a
// test of less than a minute.
type Schedule struct {
	rnd   *rand.Rand
	names []string
	deck  []string
	short bool
}

// NewSchedule returns the schedule of a seed. names are kinds, all of them if there
// is none.
func NewSchedule(seed uint64, names []string, short bool) (*Schedule, error) {
	if len(names) == 0 {
		names = Names()
	}
	for _, name := range names {
		if find(name) == nil {
			return nil, fmt.Errorf("no fault is called %q; there are %s", name, strings.Join(Names(), ", "))
		}
	}
	return &Schedule{rnd: rand.New(rand.NewPCG(seed, 0x6e656d)), names: names, short: short}, nil
}

// overlapOdds: one in so many steps is two faults at once.
const overlapOdds = 4

// Next draws a step.
func (s *Schedule) Next() Step {
	step := Step{
		Kinds: []string{s.draw()},
		Hold:  s.between(1500, 6000), Quiet: s.between(700, 2500), Gap: s.between(100, 1500),
		Seed: s.rnd.Uint64(),
	}
	if s.short {
		step.Hold, step.Quiet, step.Gap = step.Hold/3, step.Quiet/3, step.Gap/3
	}
	if s.rnd.IntN(overlapOdds) == 0 {
		if other := s.draw(); mayOverlap(step.Kinds[0], other) {
			step.Kinds = append(step.Kinds, other)
		} else {
			s.deck = append(s.deck, other)
		}
	}
	return step
}

// draw takes a kind from the deck.
func (s *Schedule) draw() string {
	if len(s.deck) == 0 {
		s.deck = slices.Clone(s.names)
		s.rnd.Shuffle(len(s.deck), func(i, j int) { s.deck[i], s.deck[j] = s.deck[j], s.deck[i] })
	}
	name := s.deck[len(s.deck)-1]
	s.deck = s.deck[:len(s.deck)-1]
	return name
}

func (s *Schedule) between(low, high int) time.Duration {
	return time.Duration(low+s.rnd.IntN(high-low)) * time.Millisecond
}

// mayOverlap says whether two kinds make sense together. Nodes that all restart
// take the time from the wall, so no clock may be wrong then: the keys' times to
// live would be off by as much, as they have to be.
func mayOverlap(a, b string) bool {
	ga, gb := find(a).group, find(b).group
	if ga > gb {
		ga, gb = gb, ga
	}
	return ga != gb && ga != alone && gb != alone && !(ga == restarts && gb == clocks)
}
