//go:build linux

package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/raftkv/raftkv/tests/bench/load"
	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// EtcdCluster is three nodes of etcd with default settings, but for a quota that
// lasts for the run and a log that is quiet.
type EtcdCluster struct {
	processes
	endpoints []string // without a scheme
}

// etcdQuota is the largest that etcd recommends.
const etcdQuota = 8 << 30

// StartEtcd starts three nodes and waits until one leads and all serve.
func StartEtcd(ctx context.Context, opts Options) (*EtcdCluster, error) {
	e := &EtcdCluster{processes: processes{name: Etcd, opts: opts}}
	return started(e, e.start(ctx))
}

func (e *EtcdCluster) start(ctx context.Context) error {
	var peers, initial []string
	for i := range clusterSize {
		peer, err := proc.FreeAddress()
		if err != nil {
			return err
		}
		client, err := proc.FreeAddress()
		if err != nil {
			return err
		}
		peers, e.endpoints = append(peers, peer), append(e.endpoints, client)
		initial = append(initial, fmt.Sprintf("etcd%d=http://%s", i+1, peer))
	}
	for i := range clusterSize {
		name := fmt.Sprintf("etcd%d", i+1)
		n, data, err := e.add(name)
		if err != nil {
			return err
		}
		client, peer := "http://"+e.endpoints[i], "http://"+peers[i]
		n.args = []string{
			e.opts.Binary, "--name", name, "--data-dir", filepath.Join(data, "data"),
			"--listen-client-urls", client, "--advertise-client-urls", client,
			"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
			"--initial-cluster", strings.Join(initial, ","), "--initial-cluster-state", "new",
			"--quota-backend-bytes", fmt.Sprint(etcdQuota), "--logger", "zap", "--log-level", "warn",
		}
		if runtime.GOARCH != "amd64" { // 3.4 wants to be told that this is meant
			n.env = append(os.Environ(), "ETCD_UNSUPPORTED_ARCH="+runtime.GOARCH)
		}
		if err := e.launch(n); err != nil {
			return err
		}
	}
	return e.Whole(ctx)
}

// Size is three.
func (e *EtcdCluster) Size() int { return len(e.nodes) }

// Addr is the leader's.
func (e *EtcdCluster) Addr(ctx context.Context) (string, error) {
	leader, err := e.Leader(ctx)
	if err != nil {
		return "", err
	}
	return e.endpoints[leader], nil
}

// Leader waits for a node that leads.
func (e *EtcdCluster) Leader(ctx context.Context) (leader int, err error) {
	err = proc.Poll(startLimit, func() error {
		for i, n := range e.nodes {
			if !n.Running() {
				continue
			}
			if s, err := e.status(ctx, i); err == nil && s.Leader == s.Header.MemberId {
				leader = i
				return nil
			}
		}
		return errors.New("etcd: no leader")
	})
	return leader, err
}

func (e *EtcdCluster) status(ctx context.Context, node int) (*clientv3.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c, err := load.EtcdClient(e.endpoints[node])
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Status(ctx, e.endpoints[node])
}

// Signal sends a node's process a signal.
func (e *EtcdCluster) Signal(node int, sig os.Signal) <-chan struct{} {
	return e.nodes[node].Signal(sig)
}

// Restart starts a node again, and returns once it has what the others have.
func (e *EtcdCluster) Restart(ctx context.Context, node int) error {
	if err := e.launch(e.nodes[node]); err != nil {
		return err
	}
	return e.Whole(ctx)
}

// Whole waits until every node has applied what the leader has committed by now.
func (e *EtcdCluster) Whole(ctx context.Context) error {
	return e.await(ctx, 2*startLimit, func() error {
		leader, err := e.Leader(ctx)
		if err != nil {
			return err
		}
		s, err := e.status(ctx, leader)
		if err != nil {
			return err
		}
		for i, n := range e.nodes {
			own, err := e.status(ctx, i)
			if err != nil {
				return err
			}
			if own.Leader != s.Leader || own.RaftAppliedIndex < s.RaftAppliedIndex {
				return fmt.Errorf("%s has applied %d of %d", n.Name, own.RaftAppliedIndex, s.RaftAppliedIndex)
			}
		}
		return nil
	})
}

// Probe returns a client of one node.
func (e *EtcdCluster) Probe(node int) (load.Prober, error) {
	return load.NewEtcdProbe(e.endpoints[node])
}

// Served says whether another node acknowledged what was sent after the signal. It
// may have passed it on to the old leader, if that still served: a client cannot tell.
func (e *EtcdCluster) Served(a load.Ack, old int, signalled time.Time) bool {
	return a.Node != old && a.Sent.After(signalled)
}
