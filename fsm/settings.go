package fsm

import (
	"slices"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/system"
)

// Setting returns the value of a setting of the cluster's.
func (m *Machine) Setting(name string) int64 { return m.look().system.Setting(name) }

// limits are what the cluster's settings say of the forms of values.
func limits(s *system.State) keyspace.Limits {
	l := keyspace.DefaultLimits
	if len(s.Changed()) == 0 {
		return l
	}
	l.Hash.Entries = int(s.Setting("hash-max-listpack-entries"))
	l.Hash.Value = int(s.Setting("hash-max-listpack-value"))
	l.SparseHLL = int(s.Setting("hll-sparse-max-bytes"))
	l.ListNode = int(s.Setting("list-max-listpack-size"))
	l.Set.Ints = int(s.Setting("set-max-intset-entries"))
	l.Set.Entries = int(s.Setting("set-max-listpack-entries"))
	l.Set.Value = int(s.Setting("set-max-listpack-value"))
	l.Stream.Bytes = int(s.Setting("stream-node-max-bytes"))
	l.Stream.Entries = int(s.Setting("stream-node-max-entries"))
	l.ZSet.Entries = int(s.Setting("zset-max-listpack-entries"))
	l.ZSet.Value = int(s.Setting("zset-max-listpack-value"))
	return l
}

// otherSettings says whether two states have other settings.
func otherSettings(a, b *system.State) bool { return !slices.Equal(a.Changed(), b.Changed()) }
