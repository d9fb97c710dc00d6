package logstore

import (
	"sync"

	"github.com/hashicorp/raft"
)

// What the cache holds at most; only the newest entry may be larger by itself. A
// follower that keeps up is behind by two requests at the most. This is half a second
// of the heaviest load of small writes; who is behind by more is served from the disk.
const (
	cacheEntries = 4096
	cacheBytes   = 16 << 20
)

// cache keeps the newest entries of the log in memory: what was just stored is
// what replication and Apply read next.
type cache struct {
	mu sync.RWMutex
	// ring holds the entries of the indexes [first, next), each at index modulo
	// its length. guarded by mu
	ring        []raft.Log
	first, next uint64
	bytes       int // that their data keep from being freed; guarded by mu
}

func newCache() *cache { return &cache{ring: make([]raft.Log, cacheEntries)} }

func (c *cache) get(index uint64, log *raft.Log) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if index < c.first || index >= c.next {
		return false
	}
	*log = *c.at(index)
	return true
}

// add appends entries that are on disk now. Entries that do not follow the last
// one make the cache forget what it had.
func (c *cache) add(logs []*raft.Log) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, log := range logs {
		if log.Index != c.next || c.first == c.next {
			c.clear()
			c.first, c.next = log.Index, log.Index
		}
		if c.next-c.first == cacheEntries {
			c.dropFirst()
		}
		*c.at(log.Index) = *log
		c.next++
		c.bytes += entryBytes(log)
		for c.bytes > cacheBytes && c.next-c.first > 1 {
			c.dropFirst()
		}
	}
}

// remove forgets the entries in [min, max]; where a hole would stay, those
// before it too.
func (c *cache) remove(min, max uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if max >= c.next && min < c.next { // the tail goes
		for c.next > c.first && c.next > min {
			c.next--
			c.bytes -= entryBytes(c.at(c.next))
			*c.at(c.next) = raft.Log{}
		}
	}
	for c.first < c.next && c.first <= max {
		c.dropFirst()
	}
}

func (c *cache) at(index uint64) *raft.Log { return &c.ring[index%cacheEntries] }

func (c *cache) dropFirst() {
	c.bytes -= entryBytes(c.at(c.first))
	*c.at(c.first) = raft.Log{} // let its data go
	c.first++
}

func (c *cache) clear() {
	for c.first < c.next {
		c.dropFirst()
	}
}

func entryBytes(log *raft.Log) int { return cap(log.Data) + cap(log.Extensions) }
