//go:build linux

package network

import (
	"context"
	"net"
	"runtime"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// space is a network namespace and a thread that lives in it for as long as it is
// used. What is started on that thread is in the namespace; and the kernel ends a
// process that asked to die with its parent when the thread ends that started it,
// so the thread has to stay.
type space struct {
	work chan func()
	once sync.Once // closes

	mu     sync.RWMutex
	handle netns.NsHandle // guarded by mu: whoever dials may be late
}

func newSpace() (*space, error) {
	s := &space{work: make(chan func())}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with this function
		handle, err := netns.New()
		s.handle = handle
		made <- err
		if err != nil {
			return
		}
		for fn := range s.work {
			fn()
		}
	}()
	return s, <-made
}

// do runs fn in the namespace, one at a time.
func (s *space) do(fn func() error) error {
	done := make(chan error)
	s.work <- func() { done <- fn() }
	return <-done
}

// netlink returns a handle of the namespace's links, addresses, routes and rules.
func (s *space) netlink() (*netlink.Handle, error) { return netlink.NewHandleAt(s.handle) }

// dial connects from within the namespace. A socket belongs to the namespace that
// its thread was in when it was made. It does not go through do, because others
// would have to wait for an address that does not answer.
func (s *space) dial(ctx context.Context, address string) (net.Conn, error) {
	if _, err := net.ResolveTCPAddr("tcp4", address); err != nil {
		return nil, err // a name would be looked up by goroutines on other threads
	}
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	defer home.Close()
	if err := s.enter(); err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	var d net.Dialer
	conn, dialErr := d.DialContext(ctx, "tcp4", address)
	if err := netns.Set(home); err != nil {
		// Still locked, so this thread ends with its goroutine and serves no other.
		if conn != nil {
			conn.Close()
		}
		return nil, err
	}
	runtime.UnlockOSThread()
	return conn, dialErr
}

// enter moves this thread into the namespace.
func (s *space) enter() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !s.handle.IsOpen() {
		return net.ErrClosed
	}
	return netns.Set(s.handle)
}

// close ends the thread; the namespace goes once nobody uses it.
func (s *space) close() {
	if s == nil {
		return
	}
	s.once.Do(func() {
		close(s.work)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.handle.Close()
	})
}
