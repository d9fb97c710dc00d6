package server

import (
	"slices"
	"sync"
	"sync/atomic"
)

// registry holds the sessions that have a connection.
type registry struct {
	lastID atomic.Int64
	mu     sync.Mutex
	byID   map[int64]*Session // guarded by mu
}

func (r *registry) init() { r.byID = make(map[int64]*Session) }

func (r *registry) nextID() int64 { return r.lastID.Add(1) }

func (r *registry) add(s *Session) {
	r.mu.Lock()
	r.byID[s.id] = s
	r.mu.Unlock()
}

func (r *registry) remove(s *Session) {
	r.mu.Lock()
	delete(r.byID, s.id)
	r.mu.Unlock()
}

func (r *registry) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.byID)
}

// get returns the session of that id.
func (r *registry) get(id int64) (*Session, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.byID[id]
	return s, ok
}

// all returns the sessions ordered by id.
func (r *registry) all() []*Session {
	r.mu.Lock()
	list := make([]*Session, 0, len(r.byID))
	for _, s := range r.byID {
		list = append(list, s)
	}
	r.mu.Unlock()
	slices.SortFunc(list, func(a, b *Session) int { return int(a.id - b.id) })
	return list
}
