package logstore

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
)

func newSegments(t *testing.T, o segmentOptions) (*Segments, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	s, err := createSegments(path, uuid, o)
	check(t, err)
	t.Cleanup(func() { s.Close() })
	return s, path
}

func smallSegments() segmentOptions {
	return segmentOptions{disk: osFiles{}, size: 64 << 10, step: 20 << 10}
}

// model is what a log should hold.
type model struct {
	first uint64
	logs  []*raft.Log
}

func (m *model) last() uint64 {
	if len(m.logs) == 0 {
		return 0
	}
	return m.first + uint64(len(m.logs)) - 1
}

func (m *model) store(logs []*raft.Log) {
	if len(m.logs) == 0 || logs[0].Index > m.last()+1 {
		m.first, m.logs = logs[0].Index, nil
	}
	m.logs = append(m.logs[:len(m.logs):len(m.logs)], logs...)
}

func (m *model) remove(min, max uint64) {
	var keep []*raft.Log
	for _, l := range m.logs {
		if l.Index < min || l.Index > max {
			keep = append(keep, l)
		}
	}
	m.logs = keep
	if m.first = 0; len(keep) > 0 {
		m.first = keep[0].Index
	}
}

func sameLog(a, b *raft.Log) bool {
	return a.Index == b.Index && a.Term == b.Term && a.Type == b.Type && a.AppendedAt.Equal(b.AppendedAt) &&
		bytes.Equal(a.Data, b.Data) && bytes.Equal(a.Extensions, b.Extensions)
}

// differs says how a log is not what the model is.
func (m *model) differs(s Store) error {
	first, err1 := s.FirstIndex()
	last, err2 := s.LastIndex()
	if err1 != nil || err2 != nil || first != m.first || last != m.last() {
		return fmt.Errorf("it is from %d to %d (%v, %v), not from %d to %d", first, last, err1, err2, m.first, m.last())
	}
	for _, want := range m.logs {
		var got raft.Log
		if err := s.GetLog(want.Index, &got); err != nil {
			return err
		}
		if !sameLog(&got, want) {
			return fmt.Errorf("entry %d is %.200v, not %.200v", want.Index, got, *want)
		}
	}
	for _, index := range []uint64{0, m.first - 1, m.last() + 1} {
		if err := s.GetLog(index, &raft.Log{}); err != raft.ErrLogNotFound {
			return fmt.Errorf("entry %d: %v, want raft.ErrLogNotFound", index, err)
		}
	}
	i := 0
	err := s.Each(max(m.first, 1)-1, func(got *raft.Log) error {
		if i == len(m.logs) || !sameLog(got, m.logs[i]) {
			return fmt.Errorf("Each: entry %.200v in place %d", got, i)
		}
		i++
		return nil
	})
	if err == nil && i != len(m.logs) {
		err = fmt.Errorf("Each: %d entries, not %d", i, len(m.logs))
	}
	return err
}

func randomLogs(rnd *rand.Rand, from uint64, n, size int) (logs []*raft.Log) {
	for i := range n {
		l := &raft.Log{Index: from + uint64(i), Term: rnd.Uint64N(9), Type: raft.LogType(rnd.IntN(6))}
		if k := rnd.IntN(size + 1); k > 0 {
			l.Data = make([]byte, k)
			for j := range l.Data {
				l.Data[j] = byte(rnd.Uint32())
			}
		}
		if rnd.IntN(4) == 0 {
			l.Extensions = []byte("extension")[:1+rnd.IntN(8)]
		}
		logs = append(logs, l)
	}
	return logs
}

// Random operations, with the log closed and opened in between, against a slice.
func TestSegmentsAgreeWithModel(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 7))
			o := smallSegments()
			s, path := newSegments(t, o)
			m := &model{}
			for step := range 400 {
				var err error
				what := ""
				switch k := rnd.IntN(20); {
				case k < 12:
					from := m.last() + 1
					if rnd.IntN(30) == 0 {
						from += 1 + rnd.Uint64N(50)
					}
					size := 400
					if rnd.IntN(20) == 0 {
						size = 100 << 10 // more than a segment
					}
					logs := randomLogs(rnd, from, 1+rnd.IntN(20), size)
					what = fmt.Sprintf("store %d to %d", from, from+uint64(len(logs))-1)
					err = s.StoreLogs(logs)
					m.store(logs)
				case k < 15: // the tail
					min := m.last() - min(m.last(), rnd.Uint64N(30))
					what = fmt.Sprintf("cut the tail from %d", min)
					err = s.DeleteRange(min, m.last()+rnd.Uint64N(3))
					m.remove(min, m.last()+3)
				case k < 17 && m.last() > 0: // the head
					max := m.first + rnd.Uint64N(uint64(len(m.logs))+1)
					max -= min(max, rnd.Uint64N(60))
					what = fmt.Sprintf("cut the head to %d", max)
					err = s.DeleteRange(1, max)
					m.remove(1, max)
				default:
					what = "reopen"
					check(t, s.Close())
					s, err = openSegments(path, uuid, o)
				}
				if err != nil {
					t.Fatalf("step %d, %s: %v", step, what, err)
				}
				if err := m.differs(s); err != nil {
					t.Fatalf("step %d, %s: %v", step, what, err)
				}
			}
			check(t, s.Close())
		})
	}
}

// The middle of a log cannot go, nor can an entry be stored where one is.
func TestSegmentsRefuse(t *testing.T) {
	s, _ := newSegments(t, smallSegments())
	check(t, s.StoreLogs(testEntries(1, 10)))
	for what, err := range map[string]error{
		"a middle":   s.DeleteRange(3, 4),
		"again":      s.StoreLogs(testEntries(10, 11)),
		"no index":   s.StoreLog(&raft.Log{}),
		"a gap":      s.StoreLogs([]*raft.Log{testEntry(11), testEntry(13)}),
		"one behind": s.StoreLogs([]*raft.Log{testEntry(11), testEntry(11)}),
	} {
		if err == nil || errors.Is(err, ErrWriteFailed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	check(t, s.StoreLogs(testEntries(11, 12)))
}
