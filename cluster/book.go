package cluster

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/raftkv/raftkv/fsm/system"
)

// book is the address book: node id → Raft address (host:port). Raft itself
// knows nodes by id only, so that addresses may change between restarts. It is
// filled from handshakes, which are the freshest, and from the replicated
// members; it is kept on disk because a node must find its peers before it can
// know what is replicated. The members stand in it too, as of the last change that
// was applied: after a restart the Machine is empty until a leader tells what is
// committed, and clients want to know at once where that leader is. All of it is a
// hint, and a book that cannot be read is no reason not to start.
type book struct {
	path string
	log  *slog.Logger

	mu      sync.RWMutex
	addrs   map[string]string // guarded by mu
	members []system.Member   // guarded by mu; replaced, never changed
	at      uint64            // guarded by mu; the log index as of which members holds
	save    sync.Mutex        // one writer of the file at a time

	writers sync.WaitGroup // Stop waits for them
}

// bookFile is the book as it lies on disk.
type bookFile struct {
	Addresses map[string]string `json:"addresses"`
	Index     uint64            `json:"index"`
	Members   []system.Member   `json:"members"`
	Sum       string            `json:"sum,omitempty"` // a checksum of the rest
}

func openBook(path string, log *slog.Logger) *book {
	b := &book{path: path, log: log, addrs: map[string]string{}}
	var file bookFile
	text, err := os.ReadFile(path)
	if err == nil {
		file, err = readBook(text)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		log.Warn("address book not readable; starting with an empty one", "file", path, "error", err)
	default:
		b.addrs, b.members, b.at = file.Addresses, file.Members, file.Index
	}
	return b
}

// readBook decodes a book that is whole.
func readBook(text []byte) (file bookFile, err error) {
	if err := json.Unmarshal(text, &file); err != nil {
		return file, err
	}
	sum, err := jsonSum(text)
	if err == nil && (file.Addresses == nil || file.Sum != "" && file.Sum != sum) {
		err = errors.New("wrong checksum")
	}
	return file, err
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

// note takes down the members as of a log index; the file follows in the background.
func (b *book) note(members []system.Member, index uint64) {
	b.mu.Lock()
	changed := index > b.at && !slices.Equal(members, b.members)
	if index > b.at {
		b.at, b.members = index, members
	}
	b.mu.Unlock()
	if changed {
		b.writers.Go(b.write)
	}
}

// noted returns the members, where the book knows newer ones than whoever has
// applied the log up to index.
func (b *book) noted(index uint64) (members []system.Member, newer bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.members, b.at > index
}

func (b *book) write() {
	b.save.Lock()
	defer b.save.Unlock()
	b.mu.RLock()
	file := bookFile{Addresses: maps.Clone(b.addrs), Index: b.at, Members: b.members}
	b.mu.RUnlock()
	sum, err := sumOf(file)
	if file.Sum = sum; err == nil {
		err = writeFileDurably(b.path, file)
	}
	if err != nil {
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
