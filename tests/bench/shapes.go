//go:build linux

package bench

import (
	"fmt"
	"strings"
	"time"

	"github.com/raftkv/raftkv/tests/bench/peers"
)

// Shape is a load: which command, over how many connections, how deep the pipelines.
type Shape struct {
	Name     string `json:"name"`
	Part     string `json:"part"`
	Command  string `json:"command"` // in capitals; of the mix, MIX; of the types, with a word on what it is about
	Conns    int    `json:"conns"`
	Pipeline int    `json:"pipeline"`
	Size     int    `json:"size"` // of a value, in bytes
	Keys     int    `json:"keys"`
	// Group is whose type the command is, where the shape is one of the types.
	Group string `json:"group,omitempty"`
	typed *typed // what is sent there
}

// Words says it without abbreviations.
func (s Shape) Words() string {
	words := s.Command
	if s.Command == mix {
		words = "90 % GET, 10 % SET"
	}
	switch s.Size {
	case 4 << 10:
		words += " of 4 KB"
	case 1 << 20:
		words += " of 1 MB"
	}
	if s.Conns == 1 {
		words += ", 1 client"
	} else {
		words += fmt.Sprintf(", %d clients", s.Conns)
	}
	if s.Pipeline > 1 {
		words += fmt.Sprintf(", pipelines of %d", s.Pipeline)
	}
	return words
}

// mix is the load of 90 % GET and 10 % SET.
const mix = "MIX"

// mixReads is its share of GETs.
const mixReads = 0.9

// Scale says how large everything is.
type Scale struct {
	Long      time.Duration // of one measurement
	Keys      int           // keyspace of the throughput shapes
	Million   int           // keys for memory, snapshots and cold starts
	Many      int           // keys for the growth of costs, compared with Keys
	Kills     int           // of the leader, and as many SIGTERMs
	PeerKills int           // of etcd's
	Window    time.Duration // of writes without, and with a snapshot in progress
	Rate      int           // of these writes, a second
	Around    time.Duration // shown before and after a kill
}

// long is how long one measurement of a shape takes: there are many of the types.
func (s *Scale) long(shape Shape) time.Duration {
	if shape.typed != nil {
		return s.Long / 2
	}
	return s.Long
}

// FullScale is what the goals are about.
var FullScale = Scale{
	Long: 1500 * time.Millisecond, Keys: 100_000, Million: 1_000_000, Many: 5_000_000, Kills: 20, PeerKills: 5,
	Window: 4 * time.Second, Rate: 4000, Around: 3 * time.Second,
}

// QuickScale is for development.
var QuickScale = Scale{
	Long: 300 * time.Millisecond, Keys: 10_000, Million: 50_000, Many: 200_000, Kills: 3, PeerKills: 2,
	Window: time.Second, Rate: 2000, Around: 2 * time.Second,
}

// usual is the size of values.
const usual = 64

// shapes are all shapes of throughput, in the order of the tables.
func (s *Scale) shapes() (all []Shape) {
	add := func(part, command string, conns, pipeline int) {
		all = append(all, Shape{
			Name: fmt.Sprintf("%s c=%d P=%d", command, conns, pipeline),
			Part: part, Command: command, Conns: conns, Pipeline: pipeline, Size: usual, Keys: s.Keys,
		})
	}
	for _, command := range []string{"SET", "GET"} {
		part := strings.ToLower(command)
		for _, conns := range []int{1, 50, 200} {
			add(part, command, conns, 1)
		}
		for _, pipeline := range []int{16, 128} {
			add(part, command, 50, pipeline)
		}
	}
	add("mix", mix, 50, 1)
	add("mix", mix, 50, 16)
	all = append(all, s.typedShapes()...)
	return append(all,
		Shape{Name: "SET 4 KB c=50 P=1", Part: "large", Command: "SET", Conns: 50, Pipeline: 1, Size: 4 << 10, Keys: 10_000},
		Shape{Name: "SET 1 MB c=4 P=1", Part: "large", Command: "SET", Conns: 4, Pipeline: 1, Size: 1 << 20, Keys: 100},
	)
}

// shapesOf are those of one part.
func (s *Scale) shapesOf(part string) (some []Shape) {
	for _, shape := range s.shapes() {
		if shape.Part == part {
			some = append(some, shape)
		}
	}
	return some
}

// fits says whether a shape is for a system at all: the echo knows SET and GET,
// etcd has neither pipelines nor Redis's types, and how a Redis syncs makes no
// difference to what it reads. The types are measured beside one Redis.
func (s Shape) fits(system string) bool {
	if s.typed != nil {
		return system == peers.RaftKV || system == peers.RedisAlways
	}
	plain := s.Command == "SET" || s.Command == "GET"
	switch system {
	case peers.Echo:
		return plain || s.Command == mix
	case peers.Etcd:
		return plain && s.Pipeline == 1
	case peers.RedisEverysec:
		return s.Command != "GET"
	}
	return true
}
