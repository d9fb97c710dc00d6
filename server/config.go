package server

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/raftkv/raftkv/fsm/glob"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

func configCommands() []command { return []command{declConfig()} }

func declConfig() command {
	sub := func(name, syntax, summary string, run func(*Session, [][]byte, *resp.Writer) error) command {
		return command{
			Command: spec.Command{
				Name: name, Syntax: syntax, Group: spec.Server, Flags: adminClient, Since: "2.0.0",
				Cost: "O(N), where N is the number of parameters", Summary: summary,
			},
			run: run, early: true,
		}
	}
	set := sub("SET", "parameter value [parameter value ...]", "Changes settings, all of them or none: of this node until it ends, or of the cluster for good.", cmdConfigSet)
	set.early = false // requirepass goes through the log
	set.Tips = []string{"request_policy:all_nodes", "response_policy:all_succeeded"}
	rewrite := sub("REWRITE", "", "Not available: the configuration file is never written.", cmdConfigRewrite)
	rewrite.Since = "2.8.0"
	get := sub("GET", "parameter [parameter ...]", "Returns the settings whose names match a pattern.", cmdConfigGet)
	get.late = namesShared
	return command{
		Command: spec.Command{
			Name: "CONFIG", Group: spec.Server, Since: "2.0.0", Cost: "Depends on subcommand.",
			Summary: "A container for commands about this node's settings.",
		},
		sub: []command{
			get,
			helpCommand("CONFIG", spec.Server, spec.Loading|spec.Stale, "5.0.0"),
			sub("RESETSTAT", "", "Sets INFO's counters to zero.", cmdConfigResetstat),
			rewrite,
			set,
		},
	}
}

// parameter is one setting. One without set is as it is for this server's whole
// life, or for ever: it is shown because clients ask for it.
type parameter struct {
	name string
	get  func(s *Server) string
	// check reads a new value and returns what puts it into effect.
	check func(s *Server, value string) (apply func(), err error)
	// replicate, instead of check, changes the setting on all nodes.
	replicate func(s *Session, value string) error
	// share, instead of check, reads a new value of a setting of the cluster's.
	share func(value string) (system.Value, error)
}

// parseNumber reads a whole number; the error is Redis's.
func parseNumber(value string, least, most int64) (int64, error) {
	n, ok := parseLong([]byte(value))
	if !ok {
		return 0, fmt.Errorf("argument couldn't be parsed into an integer")
	}
	if n < least || n > most {
		return 0, fmt.Errorf("argument must be between %d and %d inclusive", least, most)
	}
	return n, nil
}

// parseSize reads a number of bytes, for which a unit may be written.
func parseSize(value string, least, most int64) (int64, error) {
	n, ok := parseBytes(value)
	if value == "" { // as in Redis
		n, ok = 0, true
	}
	if !ok {
		return 0, fmt.Errorf("argument must be a memory value")
	}
	if n < least || n > most {
		return 0, fmt.Errorf("argument must be between %d and %d inclusive", least, most)
	}
	return n, nil
}

// number is a whole number that may change while the server runs.
func number(name string, least, most int64, field func(s *Server) settingField) parameter {
	return parameter{
		name: name,
		get:  func(s *Server) string { return strconv.FormatInt(field(s).Load(), 10) },
		check: func(s *Server, value string) (func(), error) {
			n, err := parseNumber(value, least, most)
			return func() { field(s).Store(n) }, err
		},
	}
}

// size is a number of bytes that may change while the server runs.
func size(name string, least int64, field func(s *Server) settingField) parameter {
	return parameter{
		name: name,
		get:  func(s *Server) string { return strconv.FormatInt(field(s).Load(), 10) },
		check: func(s *Server, value string) (func(), error) {
			n, err := parseSize(value, least, math.MaxInt64)
			return func() { field(s).Store(n) }, err
		},
	}
}

// yesOrNo is a setting that may be switched on and off while the server runs.
func yesOrNo(name string, field func(s *Server) *atomic.Bool) parameter {
	return parameter{
		name: name,
		get:  func(s *Server) string { return yesNo(field(s).Load()) },
		check: func(s *Server, value string) (func(), error) {
			yes := strings.EqualFold(value, "yes")
			if !yes && !strings.EqualFold(value, "no") {
				return nil, fmt.Errorf("argument must be 'yes' or 'no'")
			}
			return func() { field(s).Store(yes) }, nil
		},
	}
}

// settingField is a number that any goroutine may read and write.
type settingField interface {
	Load() int64
	Store(n int64)
}

// fixed is a setting that never changes.
func fixed(name, value string) parameter {
	return parameter{name: name, get: func(*Server) string { return value }}
}

// only is a setting that Redis lets clients change and that has one value here.
// Setting that value is no change.
func only(name, value string) parameter {
	p := fixed(name, value)
	p.check = func(_ *Server, given string) (func(), error) {
		if !strings.EqualFold(given, value) {
			return nil, fmt.Errorf("it is always '%s' here", value)
		}
		return func() {}, nil
	}
	return p
}

// parameters are ordered by name, the cluster's among the node's own. Names, units and limits are Redis's. Settings of
// Redis that mean nothing here are left out.
var parameters = withShared([]parameter{
	only("acl-pubsub-default", "resetchannels"),
	fixed("aclfile", ""),
	number("acllog-max-len", 0, math.MaxInt32, func(s *Server) settingField { return aclLogLength{s.users.log} }),
	only("activedefrag", "no"),
	only("appendfsync", "always"), // of the log, before a write is acknowledged
	only("appendonly", "no"),
	{name: "bind", get: (*Server).bind},
	{name: "client-output-buffer-limit", get: func(s *Server) string { return s.settings.output.Load().String() }, check: checkOutputLimits},
	size("client-query-buffer-limit", 1<<20, func(s *Server) settingField { return &s.settings.maxQuery }),
	only("cluster-allow-reads-when-down", "no"),
	fixed("cluster-enabled", "yes"),
	only("cluster-require-full-coverage", "yes"),
	fixed("daemonize", "no"),
	fixed("databases", strconv.Itoa(databases)),
	{name: "dir", get: func(s *Server) string { return s.opts.DataDir }},
	{name: "enable-debug-command", get: func(s *Server) string { return cmp.Or(s.opts.DebugCommand, "no") }},
	fixed("enable-module-command", "no"),
	only("latency-monitor-threshold", "0"),
	only("latency-tracking", "no"),
	{name: "maxclients", get: getMaxClients, check: checkMaxClients},
	size("maxmemory", 0, func(s *Server) settingField { return &s.settings.maxMemory }),
	{name: "maxmemory-policy", get: func(*Server) string { return "noeviction" }, check: checkPolicy},
	only("notify-keyspace-events", ""),
	{name: "port", get: func(s *Server) string { return s.portOf(false) }},
	yesOrNo("protected-mode", func(s *Server) *atomic.Bool { return &s.settings.protected }),
	size("proto-max-bulk-len", 1<<20, func(s *Server) settingField { return &s.settings.maxBulk }),
	only("rdbchecksum", "yes"), // of snapshots
	only("replica-read-only", "yes"),
	only("replica-serve-stale-data", "no"),
	fixed("replicaof", ""),
	{name: "requirepass", get: getPassword, replicate: setPassword},
	only("save", ""),
	only("slave-read-only", "yes"),
	only("slave-serve-stale-data", "no"),
	fixed("slaveof", ""),
	number("slowlog-log-slower-than", -1, math.MaxInt64, func(s *Server) settingField { return &s.slowlog.slower }),
	number("slowlog-max-len", 0, math.MaxInt64, func(s *Server) settingField { return &s.slowlog.keep }),
	fixed("supervised", "no"),
	number("tcp-keepalive", 0, math.MaxInt32, func(s *Server) settingField { return &s.settings.keepAlive }),
	{name: "timeout", get: timeoutSetting.get, check: checkTimeout},
	{name: "tls-auth-clients", get: func(s *Server) string { return s.tls().AuthClients }},
	{name: "tls-ca-cert-file", get: func(s *Server) string { return s.tls().CACertFile }},
	{name: "tls-cert-file", get: func(s *Server) string { return s.tls().CertFile }},
	{name: "tls-key-file", get: func(s *Server) string { return s.tls().KeyFile }},
	{name: "tls-port", get: func(s *Server) string { return s.portOf(true) }},
	fixed("unixsocket", ""),
})

// tls is what there is to show of TLS; without it what Redis shows then.
func (s *Server) tls() TLSSettings {
	if s.opts.TLS == nil {
		return TLSSettings{AuthClients: "yes"}
	}
	return *s.opts.TLS
}

// portOf is the port of that kind, 0 where there is none: a node has one, of either.
func (s *Server) portOf(secure bool) string {
	if secure != (s.opts.TLS != nil) {
		return "0"
	}
	return strconv.Itoa(s.port())
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// bind is where the first listener listens, in Redis's words.
func (s *Server) bind() string {
	switch ip := s.listening().IP; {
	case ip == nil:
		return ""
	case ip.IsUnspecified() && ip.To4() == nil: // Go listens for both families then
		return "* -::*"
	default:
		return ip.String()
	}
}

// getPassword says whether the default user has a password, and not which: the log has
// its hash only.
func getPassword(s *Server) string {
	if len(s.accounts().byName[defaultUser].Passwords()) == 0 {
		return ""
	}
	return "(hidden)"
}

// setPassword changes the default user's password, for those who connect from now on:
// who has given the old one stays, as in Redis. It is the cluster's, not this node's.
func setPassword(s *Session, value string) error {
	rules := []string{"resetpass", "nopass"}
	if value != "" {
		rules[1] = ">" + value
	}
	return s.setUser(defaultUser, rules)
}

// parseBytes reads a size with one of Redis's units. Source: redis/src/util.c:memtoull.
func parseBytes(text string) (int64, bool) {
	text = strings.ToLower(text)
	digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
	unit, ok := map[string]int64{
		"": 1, "b": 1, "k": 1e3, "kb": 1 << 10, "m": 1e6, "mb": 1 << 20, "g": 1e9, "gb": 1 << 30,
	}[text[digits:]]
	n, err := strconv.ParseInt(text[:digits], 10, 64)
	if !ok || err != nil || n > math.MaxInt64/unit {
		return 0, false
	}
	return n * unit, true
}

func findParameter(name []byte) (*parameter, bool) {
	for i := range parameters {
		if strings.EqualFold(parameters[i].name, string(name)) {
			return &parameters[i], true
		}
	}
	return nil, false
}

func cmdConfigGet(s *Session, args [][]byte, w *resp.Writer) error {
	if namesShared(args) {
		s.catchUp()
	}
	var found []*parameter
	for i := range parameters {
		p := &parameters[i]
		if slices.ContainsFunc(args[2:], func(pattern []byte) bool {
			return glob.Match(strings.ToLower(string(pattern)), p.name)
		}) {
			found = append(found, p)
		}
	}
	w.Map(len(found))
	for _, p := range found {
		w.BulkString(p.name)
		w.BulkString(p.get(s.srv))
	}
	return nil
}

// cmdConfigSet checks all values before it changes anything. What goes through the log
// comes first: nothing is changed where the others refuse it.
func cmdConfigSet(s *Session, args [][]byte, w *resp.Writer) error {
	pairs := args[2:]
	if len(pairs)%2 != 0 {
		return resp.ErrSyntax
	}
	var seen []*parameter
	for i := 0; i < len(pairs); i += 2 {
		p, ok := findParameter(pairs[i])
		if !ok {
			return resp.Error("ERR Unknown option or number of arguments for CONFIG SET - '" + string(pairs[i]) + "'")
		}
		seen = append(seen, p)
	}
	var c configChange
	for i, p := range seen {
		err := error(configError("duplicate parameter"))
		if !slices.Contains(seen[:i], p) {
			err = c.add(s.srv, p, string(pairs[2*i+1]))
		}
		if err != nil {
			return resp.Error("ERR CONFIG SET failed (possibly related to argument '" + p.name + "') - " + err.Error())
		}
	}
	if err := c.everywhere(s, args); err != nil {
		return err
	}
	for _, change := range c.here {
		change()
	}
	w.OK()
	return nil
}

// configChange is what a CONFIG SET changes.
type configChange struct {
	here       []func()               // on this node
	shared     []system.Value         // in the cluster
	replicated []func(*Session) error // on all nodes
}

func (c *configChange) add(s *Server, p *parameter, value string) error {
	switch {
	case p.replicate != nil:
		c.replicated = append(c.replicated, func(s *Session) error { return p.replicate(s, value) })
	case p.share != nil:
		v, err := p.share(value) // under two names, the last one counts, as in Redis
		c.shared = append(c.shared, v)
		return err
	case p.check != nil:
		change, err := p.check(s, value)
		c.here = append(c.here, change)
		return err
	default:
		return configError("can't set immutable config")
	}
	return nil
}

// everywhere makes the changes that other nodes have, too.
func (c *configChange) everywhere(s *Session, args [][]byte) error {
	if len(c.replicated)+len(c.shared) == 0 {
		return nil
	}
	if err := s.permittedBehind(args); err != nil {
		return err
	}
	if len(c.shared) > 0 {
		if err := s.changeSettings(c.shared); err != nil {
			return err
		}
	}
	for _, change := range c.replicated {
		if err := change(s); err != nil {
			return err
		}
	}
	return nil
}

func cmdConfigResetstat(s *Session, _ [][]byte, w *resp.Writer) error {
	now := s.srv.counts()
	s.srv.base.store(now)
	s.srv.tally.reset()
	w.OK()
	return nil
}

func cmdConfigRewrite(s *Session, _ [][]byte, _ *resp.Writer) error {
	if s.srv.opts.ConfigFile == "" {
		return resp.Error("ERR The server is running without a config file")
	}
	return resp.Error("ERR Rewriting config file: not available, the file belongs to whoever wrote it; change it by hand")
}
