package server

import (
	"sync/atomic"
	"time"
)

// settings are what CONFIG SET may change while the server runs. Every field may
// be read and written from any goroutine.
type settings struct {
	protected  atomic.Bool // protected-mode: without a password only this machine's clients are served
	maxClients atomic.Int64
	timeout    atomic.Int64 // seconds that a client may be idle; 0: for ever
	keepAlive  atomic.Int64 // seconds between TCP keepalives; 0: none
	maxBulk    atomic.Int64 // proto-max-bulk-len, bytes
	maxCommand atomic.Int64 // bytes of one command, and of one transaction
	maxMemory  atomic.Int64 // bytes of the keyspace beyond which it may not grow; 0: no limit
	maxQuery   atomic.Int64 // client-query-buffer-limit, bytes
	output     atomic.Pointer[OutputLimits]
}

// The defaults are Redis's, but for maxCommand, which the log demands.
const (
	defaultMaxClients = 10000
	defaultKeepAlive  = 300
	defaultMaxBulk    = 512 << 20
	defaultMaxCommand = 16 << 20
	defaultMaxQuery   = 1 << 30
	writeTimeout      = 60 * time.Second // a client that takes nothing for so long is dropped
)

// apply sets what the options say, and the defaults where they say nothing.
func (s *settings) apply(o *Options) {
	s.protected.Store(!o.Unprotected)
	s.maxClients.Store(orDefault(int64(o.MaxClients), defaultMaxClients))
	s.timeout.Store(int64(o.Timeout / time.Second))
	s.keepAlive.Store(defaultKeepAlive)
	if o.KeepAlive != 0 {
		s.keepAlive.Store(max(0, int64(o.KeepAlive/time.Second)))
	}
	s.maxBulk.Store(orDefault(o.MaxBulk, defaultMaxBulk))
	s.maxCommand.Store(orDefault(o.MaxCommand, defaultMaxCommand))
	s.maxMemory.Store(o.MaxMemory)
	s.maxQuery.Store(orDefault(o.MaxQuery, defaultMaxQuery))
	output := DefaultOutputLimits
	if o.Output != nil {
		output = *o.Output
	}
	s.output.Store(&output)
}

func orDefault(n, standard int64) int64 {
	if n == 0 {
		return standard
	}
	return n
}
