package acl

import (
	"sync"
	"time"

	"github.com/raftkv/raftkv/resp/spec"
)

// Log keeps what was refused last, for ACL LOG. Any goroutine may use it.
type Log struct {
	mu      sync.Mutex
	entries []Entry // guarded by mu: the newest first
	most    int     // guarded by mu
}

// Entry is a refusal, or several that are alike.
type Entry struct {
	Count   int64
	Reason  Reason
	Context string // "toplevel", "multi", "lua"
	Object  string // the command, key or channel; of a wrong password the command that had it
	User    string
	At      time.Time // the last of them
	Client  string    // as CLIENT LIST has it, at the last of them
}

// How entries are put together and how many are kept. Source: redis/src/acl.c:addACLLogEntry.
const (
	grouped    = 60 * time.Second
	lookedAt   = 10
	defaultMax = 128
)

// NewLog returns a Log of Redis's default length.
func NewLog() *Log { return &Log{most: defaultMax} }

// Add takes up a refusal, whose Count is not looked at.
func (l *Log) Add(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Count = 1
	for i := range min(lookedAt, len(l.entries)) {
		old := &l.entries[i]
		if old.Reason == e.Reason && old.Context == e.Context && old.Object == e.Object && old.User == e.User &&
			e.At.Sub(old.At).Abs() <= grouped {
			e.Count += old.Count
			copy(l.entries[1:i+1], l.entries[:i])
			l.entries[0] = e
			return
		}
	}
	l.entries = append(l.entries, Entry{})
	copy(l.entries[1:], l.entries)
	l.entries[0] = e
	l.trimLocked()
}

// trimLocked drops the oldest entries that are too many. Call it with l.mu held.
func (l *Log) trimLocked() {
	if len(l.entries) > l.most {
		clear(l.entries[l.most:])
		l.entries = l.entries[:l.most]
	}
}

// Max returns the number of entries that are kept at most.
func (l *Log) Max() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.most
}

// SetMax changes the number of entries that are kept at most.
func (l *Log) SetMax(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most = n
	l.trimLocked()
}

// Latest returns up to n entries, the newest first.
func (l *Log) Latest(n int) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Entry(nil), l.entries[:min(max(n, 0), len(l.entries))]...)
}

// Reset forgets all.
func (l *Log) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = nil
}

// Object is what a denial was about, for an Entry.
func (d Denial) Object(decl *spec.Command, args [][]byte) string {
	if d.Reason == DeniedCommand {
		return decl.FullName()
	}
	return string(args[d.Arg])
}
