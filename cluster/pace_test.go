package cluster

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"
)

// pacing is a paced writer whose clock is in the test's hands.
type pacing struct {
	paced
	out   bytes.Buffer
	clock time.Time
	takes time.Duration // one write
	rests []time.Duration
}

func newPacing(ctx context.Context, takes time.Duration, haste func() float64) *pacing {
	p := &pacing{clock: time.Unix(1, 0), takes: takes}
	p.paced = paced{
		ctx: ctx, w: p, haste: haste, began: p.clock,
		now: func() time.Time { return p.clock },
		rest: func(_ context.Context, d time.Duration) {
			p.rests = append(p.rests, d)
			p.clock = p.clock.Add(d)
		},
	}
	return p
}

// Write is the writer below.
func (p *pacing) Write(b []byte) (int, error) {
	p.clock = p.clock.Add(p.takes)
	return p.out.Write(b)
}

func TestPacedRests(t *testing.T) {
	always := func(haste float64) func() float64 { return func() float64 { return haste } }
	tests := []struct {
		name  string
		takes time.Duration
		haste func() float64
		want  []time.Duration // rests during four writes
	}{
		{"after each stretch", time.Millisecond, nil, []time.Duration{4e6, 4e6, 4e6, 4e6}},
		{"short writes together", workStretch / 2, nil, []time.Duration{1e6, 1e6}},
		{"not for ever", time.Minute, nil, []time.Duration{longestRest, longestRest, longestRest, longestRest}},
		{"less in haste", time.Millisecond, always(0.5), []time.Duration{2e6, 2e6, 2e6, 2e6}},
		{"not at all", time.Millisecond, always(3), nil},
		{"no more than that", time.Millisecond, always(-3), []time.Duration{4e6, 4e6, 4e6, 4e6}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPacing(context.Background(), tt.takes, tt.haste)
			for range 4 {
				if n, err := p.paced.Write([]byte("abc")); n != 3 || err != nil {
					t.Fatalf("got %d, %v", n, err)
				}
			}
			if p.out.String() != "abcabcabcabc" {
				t.Errorf("wrote %q", p.out.String())
			}
			if len(p.rests) != len(tt.want) {
				t.Fatalf("rested %v, want %v", p.rests, tt.want)
			}
			for i, want := range tt.want {
				if p.rests[i] != want {
					t.Errorf("rested %v, want %v", p.rests, tt.want)
				}
			}
		})
	}
}

// TestPacedEnds: a node that stops does not wait for what is being written slowly.
func TestPacedEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	p := newPacing(ctx, time.Millisecond, nil)
	if _, err := p.paced.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := p.paced.Write([]byte("def")); !errors.Is(err, context.Canceled) || p.out.String() != "abc" {
		t.Errorf("got %v, wrote %q", err, p.out.String())
	}
}
