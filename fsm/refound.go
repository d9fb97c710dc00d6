package fsm

import (
	"errors"
	"fmt"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/system"
)

// Refound makes the state that of a new cluster with these members: same keys,
// versions, users, settings, position and clock. The places of the keys follow from the cluster's
// UUID, so they all move. Ids that were used in the old cluster can be used again, and
// its join tokens no more; that joining needs one stays.
func (m *Machine) Refound(uuid string, members []system.Member) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.look()
	state, err := system.NewState(uuid, max(before.system.Version(), system.FirstVersion), members, nil)
	if err == nil {
		state, err = state.WithUsers(before.system.Users())
	}
	if err == nil {
		state, err = state.WithSettings(before.system.Changed())
	}
	if _, required := before.system.Tokens(); err == nil && required {
		state, err = state.WithTokens(nil, true)
	}
	if err != nil {
		return err
	}
	keys, old := keyspace.New(state.HashKey()), m.keys.Snapshot()
	keys.SetCounter(old.Counter())
	for _, db := range old.Databases() {
		err := old.Each(db, func(it keyspace.Item) (err error) {
			if it.Members != nil {
				it.Members, err = keys.Adopt(it.Members)
			}
			return errors.Join(err, keys.LoadItem(db, it))
		})
		// Where keys were created is told by places that are no more: what counts is
		// that no version is ever given twice.
		newest := uint64(0)
		if err == nil {
			err = old.EachCreation(db, func(_ int, version uint64) error { newest = max(newest, version); return nil })
		}
		if err == nil && newest > 0 {
			err = keys.LoadCreation(db, keyspace.WholeDatabase, newest)
		}
		if err != nil {
			return fmt.Errorf("database %d: %w", db, err)
		}
	}
	m.replace(keys, state)
	m.publish(before.at, before.now, state)
	return nil
}
