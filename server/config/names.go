package config

import (
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// settings are the names of the flags that can also be given in the environment.
func settings(flags []*kong.Flag) []string {
	var names []string
	for _, f := range flags {
		if f.Name != "help" && f.Name != "version" {
			names = append(names, f.Name)
		}
	}
	return names
}

// checkNames refuses variables of the environment that look like settings and are
// none: a typo there would go unnoticed for long.
func (s *source) checkNames(flags []*kong.Flag) error {
	var known []string
	for _, name := range settings(flags) {
		known = append(known, EnvName(name))
	}
	var strangers []string
	for name, value := range s.env {
		if strings.HasPrefix(name, EnvName("")) && !slices.Contains(known, name) && !ofAnother(name, value) {
			strangers = append(strangers, name)
		}
	}
	if len(strangers) == 0 {
		return nil
	}
	name := slices.Min(strangers)
	best := nearest(strings.TrimPrefix(strings.ToUpper(name), EnvName("")), bare(known))
	hint := "; raftkv --help lists the settings: unset it"
	if best != "" {
		hint = ": did you mean " + EnvName(best) + "? Otherwise unset it"
	}
	return Usagef("%s in the environment is no setting%s", name, hint)
}

// bare takes the prefix off, which would make any two names alike.
func bare(names []string) []string {
	short := make([]string, len(names))
	for i, n := range names {
		short[i] = strings.TrimPrefix(n, EnvName(""))
	}
	return short
}

// ofAnother says whether a variable is meant for others than a node's settings:
// Kubernetes and Docker describe a service named raftkv by variables that begin as
// ours do, and a build with planted faults has switches of its own.
func ofAnother(name, value string) bool {
	if faultVariables && strings.HasPrefix(name, EnvName("fault")) {
		return true
	}
	return serviceVariable.MatchString(name) || strings.HasSuffix(name, "_PORT") && serviceURL.MatchString(value)
}

var (
	serviceVariable = regexp.MustCompile(`^RAFTKV_(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$`)
	serviceURL      = regexp.MustCompile(`^(?:tcp|udp|sctp)://`)
)

// tidy makes of the arguments what kong understands: it takes a negative number
// for a flag, and one dash for several short flags.
func tidy(args []string, flags []*kong.Flag) ([]string, error) {
	var tidied []string
	for i, arg := range args {
		if arg == "--" {
			return append(tidied, args[i:]...), nil
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		if slices.ContainsFunc(flags, func(f *kong.Flag) bool { return f.Name == name }) {
			return nil, Usagef("-%s: flags have two dashes: write --%s (see raftkv --help)", name, name)
		}
		if last := len(tidied) - 1; last >= 0 && negative.MatchString(arg) && longFlag.MatchString(tidied[last]) {
			tidied[last] += "=" + arg
			continue
		}
		tidied = append(tidied, arg)
	}
	return tidied, nil
}

var (
	negative = regexp.MustCompile(`^-[0-9]`)
	longFlag = regexp.MustCompile(`^--[a-z-]+$`)
)

// refuseEmpty refuses flags that were given without a value: mostly it was to come
// from a variable that is not set, and the default is not what was meant.
func refuseEmpty(ctx *kong.Context) error {
	for _, p := range ctx.Path {
		if p.Flag == nil || p.Flag.Name == "node-id" || mayBeEmpty(p.Flag.Name) {
			continue
		}
		v := reflect.ValueOf(ctx.FlagValue(p.Flag))
		if (v.Kind() == reflect.String || v.Kind() == reflect.Slice) && v.Len() == 0 {
			return Usagef("--%s: the value is empty: leave the flag out for the default", p.Flag.Name)
		}
	}
	return nil
}

// mayBeEmpty is for the setting whose empty value says something, as in Redis: no
// password.
func mayBeEmpty(setting string) bool { return setting == "requirepass" }
