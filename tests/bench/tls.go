//go:build linux

package bench

import (
	"context"
	"errors"

	"github.com/raftkv/raftkv/tests/bench/load"
	"github.com/raftkv/raftkv/tests/bench/peers"
)

// Encrypted is throughput without and with TLS and ACLs: of clients, which show a
// certificate, and in a cluster between the nodes, too; and of a user who may do some
// commands with some keys.
type Encrypted struct {
	Shape  Shape   `json:"shape"`
	System string  `json:"system"`
	Plain  []Round `json:"plain"`
	TLS    []Round `json:"tls"`
}

// Ratio is the throughput with TLS and ACLs by that without.
func (e *Encrypted) Ratio() (ratio float64, ok bool) { return ratioOf(e.TLS, e.Plain) }

// tlsShapes are the loads of that part.
func (s *Scale) tlsShapes() (all []Shape) {
	for _, shape := range s.shapes() {
		if shape.Part != "set" && shape.Part != "get" || shape.Conns != 50 || shape.Pipeline > 16 {
			continue
		}
		shape.Part = "tls"
		all = append(all, shape)
	}
	return all
}

// tls compares throughput with and without TLS and ACLs: of each system one of both runs, and
// rounds take turns.
func (r *runner) tls(ctx context.Context) (err error) {
	pairs := map[string][2]peers.Server{}
	names := []string{peers.RaftKV, peers.RedisAlways}
	defer func() {
		for _, pair := range pairs {
			for _, s := range pair {
				if s != nil {
					err = errors.Join(err, r.discard(s))
				}
			}
		}
	}()
	dir, err := r.dir()
	if err != nil {
		return err
	}
	if r.certs, err = peers.MakeCerts(ctx, r.RaftKV, dir); err != nil {
		return err
	}
	for _, name := range names {
		var pair [2]peers.Server
		for i, secret := range []bool{false, true} {
			if pair[i], err = r.startWith(ctx, name, with{tls: secret}); err != nil {
				return err
			}
			pairs[name] = pair
			if pair[i] != nil && secret {
				if err := restrict(ctx, pair[i]); err != nil {
					return err
				}
			}
		}
		if pair[0] == nil {
			delete(pairs, name)
		}
	}
	for _, shape := range r.Scale.tlsShapes() {
		for _, name := range names {
			if pair, there := pairs[name]; there {
				if err := r.encrypted(ctx, name, pair, shape); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// encrypted measures one shape on both servers of a system, after storing two keys of
// three of what is to be read.
func (r *runner) encrypted(ctx context.Context, name string, pair [2]peers.Server, shape Shape) error {
	e := Encrypted{Shape: shape, System: name}
	for round := range r.Rounds {
		for i, side := range []struct {
			label string
			into  *[]Round
		}{{" plain", &e.Plain}, {" TLS+ACL", &e.TLS}} {
			labelled := shape
			labelled.Name += side.label // which the rates of gauge go by
			if round == 0 {
				filling := shape // with pipelines, which are quicker
				filling.Command, filling.Pipeline = "SET", 16
				if _, err := r.redisBenchmark(ctx, pair[i], filling, shape.Keys); err != nil {
					return err
				}
				if err := r.gauge(ctx, pair[i], labelled); err != nil {
					return err
				}
			}
			got, err := r.measure(ctx, pair[i], labelled)
			if err != nil {
				return err
			}
			*side.into = append(*side.into, got)
		}
	}
	ratio, _ := e.Ratio()
	r.say("  %s %s: %.2f of the throughput without TLS and ACLs", name, shape.Name, ratio)
	r.res.Encrypted = append(r.res.Encrypted, e)
	return nil
}

// restrict has the load be a user with few rights.
func restrict(ctx context.Context, s peers.Server) error {
	addr, err := s.Addr(ctx)
	if err != nil {
		return err
	}
	return s.(interface {
		Restrict(ctx context.Context, addr string) error
	}).Restrict(ctx, addr)
}

// userOf is whom redis-benchmark is to be at a server, nil for the default user.
func userOf(s peers.Server) *load.User {
	if some, ok := s.(interface{ User() *load.User }); ok {
		return some.User()
	}
	return nil
}

// encryption is what redis-benchmark needs for a server, nil for plaintext.
func encryption(s peers.Server) *load.TLSFiles {
	if secret, ok := s.(interface{ TLS() *load.TLSFiles }); ok {
		return secret.TLS()
	}
	return nil
}

// encryptedGoal is about what TLS and ACLs cost: no more than a tenth more than it costs Redis.
func encryptedGoal(shape string) Goal {
	return Goal{
		What: shape + " with TLS and ACLs by without, ratio to Redis's", Limit: 0.9, AtLeast: true,
		measure: func(res *Results) (float64, bool) {
			found := map[string]float64{}
			for i := range res.Encrypted {
				if e := &res.Encrypted[i]; e.Shape.Name == shape {
					if ratio, ok := e.Ratio(); ok {
						found[e.System] = ratio
					}
				}
			}
			ours, redis := found[peers.RaftKV], found[peers.RedisAlways]
			if ours == 0 || redis == 0 {
				return 0, false
			}
			return ours / redis, true
		},
	}
}
