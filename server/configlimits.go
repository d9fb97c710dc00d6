package server

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// policies are Redis's words for what is thrown out when memory is full. Nothing ever
// is here: a key that was acknowledged stays until somebody deletes it.
var policies = []string{
	"volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl",
	"allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction",
}

func checkPolicy(_ *Server, value string) (func(), error) {
	switch lower := strings.ToLower(value); {
	case !slices.Contains(policies, lower):
		return nil, errors.New("argument(s) must be one of the following: " + strings.Join(policies, ", "))
	case lower != "noeviction":
		return nil, errors.New("it is always 'noeviction' here: no acknowledged key is ever thrown out")
	}
	return func() {}, nil
}

// maxClientsSetting and timeoutSetting are what checks build on.
var (
	maxClientsSetting = number("maxclients", 1, math.MaxUint32, func(s *Server) settingField { return &s.settings.maxClients })
	timeoutSetting    = number("timeout", 0, math.MaxInt32, func(s *Server) settingField { return &s.settings.timeout })
)

func getMaxClients(s *Server) string { return maxClientsSetting.get(s) }

// checkMaxClients asks for room first: connections that cannot be had must not be
// promised.
func checkMaxClients(s *Server, value string) (func(), error) {
	apply, err := maxClientsSetting.check(s, value)
	if err != nil || s.opts.RoomFor == nil {
		return apply, err
	}
	n, _ := parseLong([]byte(value))
	if room := s.opts.RoomFor(n); room < n {
		return nil, configError(fmt.Sprintf("The operating system is not able to handle the specified number of clients, try with %d", room))
	}
	return apply, nil
}

// checkTimeout has those who are idle already count from when they became it.
func checkTimeout(s *Server, value string) (func(), error) {
	apply, err := timeoutSetting.check(s, value)
	if err != nil {
		return nil, err
	}
	return func() {
		apply()
		for _, session := range s.sessions.all() {
			session.wake() // it looks at the clock, and waits on
		}
	}, nil
}

func checkOutputLimits(s *Server, value string) (func(), error) {
	limits, err := ParseOutputLimits(value, *s.settings.output.Load())
	if err != nil {
		return nil, err
	}
	return func() { s.settings.output.Store(&limits) }, nil
}
