package server

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

// withShared adds the cluster's settings to a node's own, under both of their names.
func withShared(own []parameter) []parameter {
	for _, setting := range system.Settings() {
		if setting.Hidden {
			continue
		}
		own = append(own, shared(setting.Name, setting))
		if setting.Alias != "" {
			own = append(own, shared(setting.Alias, setting))
		}
	}
	slices.SortFunc(own, func(a, b parameter) int { return strings.Compare(a.name, b.name) })
	return own
}

// shared is a setting that all nodes have in common, because it decides in which form
// they keep values.
func shared(name string, setting system.Setting) parameter {
	parse := parseNumber
	if setting.Bytes {
		parse = parseSize
	}
	return parameter{
		name: name,
		get:  func(s *Server) string { return strconv.FormatInt(s.machine.Setting(setting.Name), 10) },
		share: func(value string) (system.Value, error) {
			n, err := parse(value, setting.Least, setting.Most)
			return system.Value{Name: setting.Name, N: n}, err
		},
	}
}

// namesShared says whether a CONFIG GET asks for one of the cluster's settings by its
// name. Patterns do not count: what asks for all is answered at once, also where there is
// no leader.
func namesShared(args [][]byte) bool {
	return slices.ContainsFunc(args[2:], func(name []byte) bool {
		p, ok := findParameter(name)
		return ok && p.share != nil
	})
}

// catchUpWait is how long CONFIG GET waits for what the cluster has.
const catchUpWait = time.Second

// catchUp waits until this node has what another one may have acknowledged already. Where
// that takes long, or there is no leader, the client gets what this node has.
func (s *Session) catchUp() {
	s.block(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, catchUpWait)
		defer cancel()
		if _, err := s.srv.rep.FollowerBarrier(ctx); err != nil {
			s.srv.log.Debug("CONFIG GET tells what this node has", "error", err)
		}
	})
}

// changeSettings changes the cluster's settings through the log. It returns once this
// node has the change.
func (s *Session) changeSettings(values []system.Value) error {
	reply, err := s.srv.rep.Forward(s.ctx, system.Caller{Proto: 2}, system.SettingsSet(values...).Args)
	if err != nil {
		return err
	}
	if text := strings.TrimSuffix(string(reply), "\r\n"); text != "+OK" {
		return resp.Error(strings.TrimPrefix(text, "-"))
	}
	// Whether this node leads says nothing: it may have become leader meanwhile, and have the change still before it.
	for _, v := range values {
		if s.srv.machine.Setting(v.Name) == v.N {
			continue
		}
		if _, err := s.srv.rep.FollowerBarrier(s.ctx); err != nil {
			return system.ErrUnknownOutcome // it is done, and not here: nobody may be told that it is not
		}
		break
	}
	return nil
}
