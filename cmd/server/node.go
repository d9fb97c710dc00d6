package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/raftkv/raftkv/cluster"
	"github.com/raftkv/raftkv/cluster/logstore"
	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/server"
	"github.com/raftkv/raftkv/server/certs"
	"github.com/raftkv/raftkv/server/config"
	"github.com/raftkv/raftkv/server/httpapi"
	"github.com/raftkv/raftkv/server/metrics"
)

// The parts of the ten seconds that a node may take to end: handing leadership
// over, letting what runs end, and closing what is on disk.
const (
	handOverTime = 3 * time.Second
	lingerTime   = time.Second // how long one that led sends its clients on before it closes
	drainTime    = 3 * time.Second
	closeTime    = 2 * time.Second
	endTimeout   = 9800 * time.Millisecond
)

// httpBodies is how much memory the bodies of HTTP requests may take together.
const httpBodies = 512 << 20

// process is a running node with everything that belongs to it.
type process struct {
	cfg        *config.Config
	share      connections
	log        *slog.Logger
	machine    *fsm.Machine
	node       *cluster.Node
	server     *server.Server
	http       *httpapi.Server
	metrics    *metrics.Registry
	resp, web  net.Listener
	secrets    secrets
	serving    sync.WaitGroup
	failed     chan error    // a listener that failed
	stop       chan struct{} // closed by SHUTDOWN
	stopOnce   sync.Once
	ver, build string
	output     server.OutputLimits
}

// runNode runs one node until it is told to stop.
func runNode(args []string, env environment) error {
	cfg, done, err := config.Parse(args, env.variables, env.stdout)
	if err != nil || done {
		return err
	}
	output, err := server.ParseOutputLimits(cfg.OutputLimits, server.DefaultOutputLimits)
	if err != nil {
		return config.Usagef("--client-output-buffer-limit: %v", err)
	}
	log := newLogger(cfg, env.stderr)
	defer tuneCollector(env.variables, log)()
	// From here on a signal ends the node in good order, however early it comes.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	p := &process{
		cfg: cfg, log: log, machine: fsm.New(), metrics: metrics.New(),
		failed: make(chan error, 2), stop: make(chan struct{}), output: output,
	}
	p.ver, p.build = config.Release()
	if err := p.start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	defer close(ended)
	go p.reload(hangups, ended)
	return p.wait(signals)
}

// newLogger makes the node's logger; every line names the node.
func newLogger(cfg *config.Config, out io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.LogLevel)) // checked by config
	o := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewTextHandler(out, o)
	if cfg.LogFormat == "json" {
		h = slog.NewJSONHandler(out, o)
	}
	return slog.New(h).With("node", cfg.NodeID)
}

// start opens everything, sockets first: a taken port is found out before
// anything on disk is touched.
func (p *process) start() (err error) {
	if err := p.secrets.open(p.cfg, p.log); err != nil {
		return err
	}
	if p.resp, err = p.listenFor("--resp-addr", p.cfg.RESPAddr, certs.RESPWords); err != nil {
		return err
	}
	if p.web, err = p.listenFor("--http-addr", p.cfg.HTTPAddr, certs.HTTPWords); err != nil {
		p.resp.Close()
		return err
	}
	defer func() {
		if err != nil {
			p.resp.Close()
			p.web.Close()
		}
	}()
	p.cfg.RESPAdvertise = announced(p.cfg.RESPAdvertise, p.resp)
	p.cfg.HTTPAdvertise = announced(p.cfg.HTTPAdvertise, p.web)
	if err := p.openNode(); err != nil {
		return err
	}
	// Only now, as it may say something: a start that was refused is one line.
	if p.cfg.RaftIsOpen() {
		p.log.Warn("the Raft port can be reached from other machines without TLS: whoever reaches it can become a member, read and change everything (--insecure-raft yes)", "raft", p.cfg.RaftAddr)
	}
	p.warnOfReaders()
	if p.share, err = shareDescriptors(p.cfg.MaxClients, p.log); err == nil {
		p.makeServers()
		p.node.OnForward(p.server.RunForwarded)
		err = p.node.Start()
	}
	if err != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		return errors.Join(err, p.node.Stop(ctx))
	}
	p.serve("RESP", func() error { return p.server.Serve(p.resp) })
	p.serve("HTTP", func() error { return p.http.Serve(p.web) })
	p.log.Info("node started", "version", p.ver, "commit", p.build, "data-dir", p.cfg.DataDir,
		"resp", p.resp.Addr().String(), "http", p.web.Addr().String(), "raft", p.cfg.RaftAddr)
	return nil
}

func (p *process) openNode() (err error) {
	p.node, err = cluster.Open(cluster.Config{
		NodeID: p.cfg.NodeID, DataDir: p.cfg.DataDir, Join: p.cfg.Join, LeaderWait: p.cfg.LeaderWait, Logger: p.log,
		RaftAddr: p.cfg.RaftAddr, RaftAdvertise: p.cfg.RaftAdvertise,
		RESPAdvertise: p.cfg.RESPAdvertise, HTTPAdvertise: p.cfg.HTTPAdvertise,
		OnBatch: p.metrics.Batch, DiskReserve: int64(p.cfg.DiskReserve), AuditInterval: p.cfg.AuditInterval,
		LogStore: logstore.Kind(p.cfg.LogStore), Network: cluster.Network(p.cfg.Network),
		TLS: p.secrets.betweenNodes(), JoinToken: string(p.cfg.JoinToken),
	}, p.machine)
	var onAddress *net.OpError
	if errors.Is(err, syscall.EADDRINUSE) || errors.As(err, &onAddress) {
		return explainListen("--raft-addr", p.cfg.RaftAddr, err)
	}
	var onPath *fs.PathError
	if errors.As(err, &onPath) {
		return fmt.Errorf("data dir %s cannot be used: %w: choose another --data-dir, or mend that", p.cfg.DataDir, onPath)
	}
	return err
}

// makeServers makes what answers clients.
func (p *process) makeServers() {
	keepAlive := time.Duration(p.cfg.TCPKeepAlive) * time.Second
	if keepAlive == 0 {
		keepAlive = -1 // the server's word for none
	}
	p.server = server.New(server.Options{
		NodeID: p.cfg.NodeID, Version: p.ver, Commit: p.build, ConfigFile: p.cfg.ConfigFile,
		DataDir: absolute(p.cfg.DataDir), Unprotected: p.cfg.ProtectedMode == "no", TLS: p.secrets.shown(p.cfg),
		RequirePass: string(p.cfg.RequirePass), UsersFile: filepath.Join(absolute(p.cfg.DataDir), "users.json"), MaxClients: p.share.redis,
		Timeout: time.Duration(p.cfg.Timeout) * time.Second, KeepAlive: keepAlive,
		MaxBulk: int64(p.cfg.MaxBulk), MaxCommand: cluster.MaxCommand,
		MaxMemory: int64(p.cfg.MaxMemory), MaxQuery: int64(p.cfg.QueryLimit), Output: &p.output,
		RoomFor:      func(clients int64) int64 { return roomFor(clients, p.share.http, p.log) },
		Slowlog:      &server.Slowlog{SlowerThan: p.cfg.SlowlogSlower, MaxLen: p.cfg.SlowlogLen},
		DebugCommand: p.cfg.DebugCommand, Crash: crash,
		Stop: p.askToStop, Wrote: p.metrics.Write, Logger: p.log,
	}, p.node, p.machine)
	p.watch()
	p.http = httpapi.New(httpapi.Options{
		Executor: p.server.NewLocal(), Cluster: p.node, Metrics: p.metrics.Handler(),
		Denies: p.server.Denies, Users: p.server,
		MaxValue: p.server.MaxValue, CheckID: config.CheckNodeID, CheckAddress: config.CheckDialable,
		Secure: p.secrets.clients != nil, MaxConnections: p.share.http, MaxBodies: httpBodies, Logger: p.log,
	})
}

// watch connects the metrics to those who know.
func (p *process) watch() {
	p.metrics.Watch(metrics.Source{
		Connections: func() (c metrics.Connections) {
			c.Open, c.Accepted, c.Rejected = p.server.Connections()
			return c
		},
		Commands: p.server.Calls,
		Databases: func() []metrics.Database {
			var dbs []metrics.Database
			for _, db := range p.machine.Stats().Databases {
				dbs = append(dbs, metrics.Database{Keys: db.Keys, Expires: db.Expires})
			}
			return dbs
		},
		Bytes:        func() int64 { return p.machine.Stats().Bytes },
		Status:       p.node.Status,
		LastSnapshot: p.node.LastSnapshot,
		Version:      p.ver, Commit: p.build,
	})
}

// serve runs a listener; that it fails by itself ends the node.
func (p *process) serve(what string, fn func() error) {
	p.serving.Go(func() {
		if err := fn(); err != nil && !errors.Is(err, server.ErrClosed) {
			p.failed <- fmt.Errorf("%s listener: %w", what, err)
		}
	})
}

// askToStop is the SHUTDOWN command.
func (p *process) askToStop() { p.stopOnce.Do(func() { close(p.stop) }) }

// wait returns once the node has ended: nil where it was asked to.
func (p *process) wait(signals <-chan os.Signal) error {
	select {
	case s := <-signals:
		p.log.Info("stopping", "signal", s.String())
	case <-p.stop:
		p.log.Info("stopping", "command", "SHUTDOWN")
	case err := <-p.failed:
		p.log.Error("stopping", "error", err)
		p.end(signals)
		return err
	case err := <-p.node.Fatal():
		// What is on disk or in memory is in doubt: nothing more may be done with it,
		// least of all in good order.
		return fmt.Errorf("this node cannot go on: %w", err)
	}
	return p.end(signals)
}

// end stops the node in the order that costs clients nothing: another node leads
// first, then commands still under way get their replies, then the disk is let go.
// Ctrl-C, an error that makes the disk doubtful, or ten seconds end it at once.
func (p *process) end(signals <-chan os.Signal) error {
	ended := make(chan error, 1)
	go func() { ended <- p.endInOrder() }()
	late := time.NewTimer(endTimeout)
	defer late.Stop()
	for {
		select {
		case err := <-ended:
			if err == nil {
				p.log.Info("stopped")
			}
			return err
		case err := <-p.node.Fatal():
			return fmt.Errorf("this node cannot go on: %w", err)
		case s := <-signals:
			if s == syscall.SIGINT {
				return errors.New("ended at once by Ctrl-C")
			}
		case <-late.C:
			return errors.New("ended at once: it took too long to end in order")
		}
	}
}

func (p *process) endInOrder() error {
	within := func(d time.Duration, what string, fn func(context.Context) error) {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		defer cancel()
		if err := fn(ctx); err != nil {
			p.log.Warn(what, "error", err)
		}
	}
	within(handOverTime, "leadership could not be handed over", func(ctx context.Context) error {
		led, err := p.node.HandOver(ctx)
		if led && err == nil {
			// Cluster clients that reload the slots only now and then would find a closed
			// port where they believe the leader is; MOVED tells them better.
			time.Sleep(lingerTime)
		}
		return err
	})
	var drained sync.WaitGroup
	drained.Go(func() { within(drainTime, "clients were cut off", p.server.Shutdown) })
	drained.Go(func() { within(drainTime, "HTTP clients were cut off", p.http.Shutdown) })
	drained.Wait()
	p.serving.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	return p.node.Stop(ctx)
}

// absolute is a path as it is from everywhere.
func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}
