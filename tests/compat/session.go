package compat

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/tests/peer"
)

// session is what our end keeps of its connection. It is as little of package server as
// transactions need: what is compared is what the Machine makes of them.
type session struct {
	proto, db    int
	multi, dirty bool
	queue        []entry.Command
	watches      []entry.Watch
	// ran are the full names of the commands since the first WATCH, watched are the keys
	// that the last EXEC looked at.
	ran     []string
	watched []entry.Watch
}

const (
	replyOK     = "+OK\r\n"
	replyQueued = "+QUEUED\r\n"
)

// own runs a command on our end. What a transaction ran comes with EXEC's reply.
func (p *player) own(args [][]byte) (reply []byte, ran []entry.Command, err error) {
	s := &p.session
	switch name := strings.ToUpper(string(args[0])); {
	case name == "MULTI" && s.multi:
		return p.refuse(resp.ErrNestedMulti)
	case name == "MULTI":
		s.multi = true
	case name == "EXEC":
		return p.exec()
	case name == "DISCARD" && !s.multi:
		return p.refuse(resp.ErrDiscardNoMulti)
	case name == "DISCARD":
		s.end()
	case name == "WATCH" && s.multi:
		return p.refuse(resp.ErrWatchInMulti)
	case name == "WATCH":
		err = p.watch(args[1:])
	case s.multi:
		reply, err = p.enqueue(args)
		return reply, nil, err
	case name == "UNWATCH":
		s.watches, s.ran = nil, nil
	case name == "SELECT":
		s.db, _ = strconv.Atoi(string(args[1]))
	case name == "CONFIG":
		err = p.configure(args)
	default:
		if len(s.watches) > 0 {
			s.ran = append(s.ran, fullName(p.rig, args))
		}
		reply, err = p.ours.Do(peer.Call{Proto: s.proto, DB: s.db, Now: p.now, Args: args})
		return reply, nil, err
	}
	return []byte(replyOK), nil, err
}

func (p *player) refuse(err resp.Error) ([]byte, []entry.Command, error) {
	w := resp.NewWriter(p.session.proto, nil)
	w.Error(err)
	return w.Bytes(), nil, nil
}

// end leaves a transaction, and forgets the watched keys.
func (s *session) end() {
	s.multi, s.dirty, s.queue, s.watches, s.ran = false, false, nil, nil, nil
}

// enqueue is for data commands; there is none that Redis has and the Machine has not.
func (p *player) enqueue(args [][]byte) ([]byte, error) {
	s := &p.session
	if _, err := p.ours.Lookup(args); err != nil {
		s.dirty = true
		w := resp.NewWriter(s.proto, nil)
		w.Error(resp.Error(err.Error()))
		return w.Bytes(), nil
	}
	s.queue = append(s.queue, entry.Command{Args: args})
	return []byte(replyQueued), nil
}

func (p *player) exec() ([]byte, []entry.Command, error) {
	s := &p.session
	multi, dirty, all := s.multi, s.dirty, entry.Proposal{DB: s.db, Atomic: true, Watches: s.watches, Commands: s.queue}
	ran, watched := s.ran, s.watches
	if multi {
		s.end()
	}
	s.ran, s.watched = ran, watched // the comparison of this reply asks for them
	switch {
	case !multi:
		return p.refuse(resp.ErrExecWithoutMulti)
	case dirty:
		return p.refuse(resp.ErrExecAbort)
	}
	reply, err := p.ours.Run(s.proto, p.now, &all)
	return reply, all.Commands, err
}

// watch notes the versions of keys; of one that is watched already, the first counts.
func (p *player) watch(keys [][]byte) error {
	s := &p.session
	if len(s.watches) == 0 {
		s.ran = nil
	}
	for _, key := range keys {
		if s.isWatched(key) {
			continue
		}
		w, err := p.ours.Watch(s.db, p.now, [][]byte{key})
		if err != nil {
			return err
		}
		s.watches = append(s.watches, w...)
	}
	return nil
}

func (s *session) isWatched(key []byte) bool {
	for i := range s.watches {
		if s.watches[i].DB == s.db && bytes.Equal(s.watches[i].Key, key) {
			return true
		}
	}
	return false
}

// configure is CONFIG SET of a setting of the cluster's. Only such are made: what is left
// of one in a shorter sequence tells nothing.
func (p *player) configure(args [][]byte) error {
	if len(args) != 4 {
		p.parted = true
		return nil
	}
	n, err := strconv.ParseInt(string(args[3]), 10, 64)
	if err != nil {
		p.parted = true
		return nil
	}
	return p.ours.Set(string(args[2]), n, p.now)
}
