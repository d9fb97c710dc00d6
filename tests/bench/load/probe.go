package load

import (
	"context"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Prober tries one small write at one node.
type Prober interface {
	// Write returns nil once the write is acknowledged.
	Write(ctx context.Context) error
	Close()
}

// NewProbe returns a Prober of a node that speaks RESP. It connects when it first
// writes, and anew after an error.
func NewProbe(addr string) Prober { return &probe{addr: addr} }

type probe struct {
	addr string
	conn *Conn
}

func (p *probe) Write(ctx context.Context) (err error) {
	if p.conn == nil {
		if p.conn, err = Dial(ctx, p.addr); err != nil {
			p.conn = nil
			return err
		}
	}
	stop := context.AfterFunc(ctx, func() { p.conn.Deadline(time.Unix(1, 0)) })
	err = p.conn.Do(wordSet, []byte("probe"), []byte("1"))
	if !stop() || err != nil {
		if _, answered := err.(ReplyError); !answered {
			p.Close()
		}
	}
	return err
}

func (p *probe) Close() {
	if p.conn != nil {
		p.conn.Close()
		p.conn = nil
	}
}

// NewEtcdProbe returns a Prober of a node of etcd.
func NewEtcdProbe(endpoint string) (Prober, error) {
	c, err := EtcdClient(endpoint)
	return &etcdProbe{c}, err
}

type etcdProbe struct{ client *clientv3.Client }

// etcdAttempt bounds one attempt: while there is no leader, etcd drops what comes,
// and answers only after seven seconds that it did.
const etcdAttempt = 50 * time.Millisecond

func (p *etcdProbe) Write(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, etcdAttempt)
	defer cancel()
	_, err := p.client.Put(ctx, "probe", "1")
	return err
}

func (p *etcdProbe) Close() { p.client.Close() }

// Ack is an acknowledged write of a Watch.
type Ack struct {
	Node     int
	Sent, At time.Time
}

// Watch writes through all probers at once, each one write after the other, until
// ctx is done. A prober whose write failed waits a moment, so that no write that
// the cluster could have taken is late by more than that.
func Watch(ctx context.Context, probers []Prober) *Acks {
	w := &Acks{changed: make(chan struct{}, 1)}
	for node, p := range probers {
		w.probing.Go(func() {
			for ctx.Err() == nil {
				sent := time.Now()
				pause := time.Millisecond
				if p.Write(ctx) == nil {
					w.add(Ack{node, sent, time.Now()})
				} else {
					pause = 2 * time.Millisecond
				}
				select {
				case <-ctx.Done():
				case <-time.After(pause):
				}
			}
		})
	}
	return w
}

// Acks are the acknowledged writes of a Watch, in the order in which they came.
type Acks struct {
	probing sync.WaitGroup
	changed chan struct{} // holds one when there is something new

	mu  sync.Mutex
	all []Ack // guarded by mu
}

func (w *Acks) add(a Ack) {
	w.mu.Lock()
	w.all = append(w.all, a)
	w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// First waits for the first one that fits.
func (w *Acks) First(ctx context.Context, fits func(Ack) bool) (Ack, error) {
	for seen := 0; ; {
		w.mu.Lock()
		fresh := w.all[seen:]
		seen = len(w.all)
		w.mu.Unlock()
		for _, a := range fresh {
			if fits(a) {
				return a, nil
			}
		}
		select {
		case <-w.changed:
		case <-ctx.Done():
			return Ack{}, ctx.Err()
		}
	}
}

// Done returns them all once the Watch has ended.
func (w *Acks) Done() []Ack {
	w.probing.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all
}
