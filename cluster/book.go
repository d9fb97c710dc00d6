package cluster

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync"
)

// book is the address book: node id → Raft address (host:port). Raft itself
// knows nodes by id only, so that addresses may change between restarts. It is
// filled from handshakes, which are the freshest, and from the replicated
// members; it is kept on disk because a node must find its peers before it can
// know what is replicated.
type book struct {
	path string
	log  *slog.Logger

	mu    sync.RWMutex
	addrs map[string]string // guarded by mu
	save  sync.Mutex        // one writer of the file at a time

	writers sync.WaitGroup // Stop waits for them
}

func openBook(path string, log *slog.Logger) *book {
	b := &book{path: path, log: log, addrs: map[string]string{}}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &b.addrs)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		// The book is a hint: members announce themselves again.
		log.Warn("address book not readable; starting with an empty one", "file", path, "error", err)
		b.addrs = map[string]string{}
	}
	return b
}

// resolve returns the address of a node.
func (b *book) resolve(id string) (string, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	addr, ok := b.addrs[id]
	return addr, ok
}

// learn notes an address. Where it is new the file follows in the background.
func (b *book) learn(id, addr string) {
	b.mu.Lock()
	changed := addr != "" && b.addrs[id] != addr
	if changed {
		b.addrs[id] = addr
	}
	b.mu.Unlock()
	if changed {
		b.writers.Go(b.write)
	}
}

func (b *book) write() {
	b.save.Lock()
	defer b.save.Unlock()
	b.mu.RLock()
	addrs := make(map[string]string, len(b.addrs))
	for id, addr := range b.addrs {
		addrs[id] = addr
	}
	b.mu.RUnlock()
	if err := writeFileDurably(b.path, addrs); err != nil {
		b.log.Warn("address book not written", "file", b.path, "error", err)
	}
}

// addresses returns all known addresses but that of one node.
func (b *book) addresses(but string) []string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var all []string
	for id, addr := range b.addrs {
		if id != but {
			all = append(all, addr)
		}
	}
	return all
}
