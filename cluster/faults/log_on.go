//go:build faults

package faults

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Log is the log store that the library gets: with AckEarly one that writes some
// time after it has said so.
func Log(s raft.LogStore) raft.LogStore {
	if !On(AckEarly) {
		return s
	}
	l := &lateLog{LogStore: s}
	go func() {
		for range time.Tick(300 * time.Millisecond) {
			l.flush()
		}
	}()
	return l
}

// lateLog keeps what was stored in memory for a while.
type lateLog struct {
	raft.LogStore
	mu      sync.Mutex
	pending []*raft.Log // guarded by mu; contiguous, above the store's last
}

func (l *lateLog) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) > 0 && l.LogStore.StoreLogs(l.pending) == nil {
		l.pending = nil
	}
}

func (l *lateLog) StoreLog(e *raft.Log) error { return l.StoreLogs([]*raft.Log{e}) }

func (l *lateLog) StoreLogs(es []*raft.Log) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = append(l.pending, es...)
	return nil
}

func (l *lateLog) GetLog(index uint64, log *raft.Log) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) > 0 && index >= l.pending[0].Index && index-l.pending[0].Index < uint64(len(l.pending)) {
		*log = *l.pending[index-l.pending[0].Index]
		return nil
	}
	return l.LogStore.GetLog(index, log)
}

func (l *lateLog) LastIndex() (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := len(l.pending); k > 0 {
		return l.pending[k-1].Index, nil
	}
	return l.LogStore.LastIndex()
}

func (l *lateLog) FirstIndex() (uint64, error) {
	l.flush()
	return l.LogStore.FirstIndex()
}

func (l *lateLog) DeleteRange(min, max uint64) error {
	l.flush()
	return l.LogStore.DeleteRange(min, max)
}
