package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/raftkv/raftkv/cluster/transport"
)

// pollVoter answers a poll, after some time.
type pollVoter struct {
	id    string
	after time.Duration
	term  uint64 // 0: an error
}

// pollOf makes a node that can ask these voters and nothing else.
func pollOf(t *testing.T, voters []pollVoter) (*poll, []string) {
	t.Helper()
	var mu sync.Mutex
	addrs := map[string]string{}
	start := func(id string, prepare func(*transport.Transport)) *transport.Transport {
		trans, err := transport.New(transport.Config{
			Addr: "127.0.0.1:0", Self: transport.Identity{ID: id, Cluster: "c"},
			Resolve: func(id string) (addr string, ok bool) {
				mu.Lock()
				defer mu.Unlock()
				addr, ok = addrs[id]
				return addr, ok
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { trans.Close() })
		prepare(trans)
		mu.Lock()
		addrs[id] = trans.Addr()
		mu.Unlock()
		trans.Start()
		return trans
	}
	n := &Node{}
	n.readers.init()
	n.ctx, n.cancel = context.WithCancel(context.Background())
	t.Cleanup(n.cancel)
	n.trans = start("me", func(*transport.Transport) {})
	var ids []string
	for _, v := range voters {
		start(v.id, func(trans *transport.Transport) {
			trans.Handle(kindTerm, false, func(ctx context.Context, _ transport.Peer, req []byte) ([]byte, error) {
				pause(ctx, v.after)
				if v.term == 0 || ctx.Err() != nil {
					return nil, errors.New("it has none")
				}
				return binary.LittleEndian.AppendUint64(req, v.term), nil
			})
		})
		ids = append(ids, v.id)
	}
	return &poll{n: n, term: 7, number: 1, answers: make(chan answerOfTerm, len(ids))}, ids
}

// TestPoll: what a read round makes of what the other voters answer, and when. The
// times are those of a network of regions: all answers come long after the moment at
// which the rest of the voters is asked, too.
func TestPoll(t *testing.T) {
	const far = 50 * time.Millisecond
	for _, c := range []struct {
		name   string
		voters []pollVoter
		need   int
		want   bool
	}{
		{"the only other voter is far", []pollVoter{{"a", far, 7}}, 1, true},
		{"all are needed, and far", []pollVoter{{"a", far, 7}, {"b", 2 * far, 7}}, 2, true},
		{"the first fails at once, the second is far", []pollVoter{{"a", 0, 0}, {"b", far, 7}}, 1, true},
		{"the first is behind, the second is far", []pollVoter{{"a", 0, 6}, {"b", far, 7}}, 1, true},
		{"the first is slow, the second answers", []pollVoter{{"a", 20 * far, 7}, {"b", 0, 7}}, 1, true},
		{"one is further", []pollVoter{{"a", far, 8}, {"b", 2 * far, 7}}, 1, false},
		{"a minority", []pollVoter{{"a", far, 7}, {"b", 0, 6}, {"c", 0, 0}}, 2, false},
		{"nobody answers in time", []pollVoter{{"a", 3 * roundWait, 7}, {"b", 3 * roundWait, 7}}, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, ids := pollOf(t, c.voters)
			begin := time.Now()
			if got := p.run(ids, c.need); got != c.want {
				t.Errorf("after %v: %v, want %v", time.Since(begin), got, c.want)
			}
			if took := time.Since(begin); took > 2*roundWait {
				t.Errorf("it took %v", took)
			}
		})
	}
}
