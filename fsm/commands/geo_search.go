package commands

import (
	"cmp"
	"slices"

	"github.com/raftkv/raftkv/fsm/geo"
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/zset"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

const (
	searchCost   = "O(N + log M) with N the number of members around the area and M the size of the sorted set"
	radiusOption = "[WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]"
	searchArea   = "<FROMMEMBER member | FROMLONLAT longitude latitude> <BYRADIUS radius <M | KM | FT | MI> | BYBOX width height <M | KM | FT | MI>> [ASC | DESC] [COUNT count [ANY]]"
)

var declGeoRadius = Command{
	Command: spec.Command{
		Name: "GEORADIUS", Syntax: "key longitude latitude radius <M | KM | FT | MI> " + radiusOption + " [STORE key] [STOREDIST key]",
		Group: spec.Geo, BlockNames: countBlock, Keys: radiusKeys(6), CallKeys: radiusCallKeys(6), Flags: spec.DenyOOM,
		Since: "3.2.0", Cost: searchCost,
		Summary:    "Returns the members within a distance from a position, or stores them.",
		Deprecated: "6.2.0; `GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		return writeSearch(t, args, w, geoSearch{form: aroundPoint})
	},
	Grows: func(v *keyspace.View, args Args) int64 { return growsBySources(v, args[1:2]) },
}

var declGeoRadiusRO = Command{
	Command: spec.Command{
		Name: "GEORADIUS_RO", Syntax: "key longitude latitude radius <M | KM | FT | MI> " + radiusOption,
		Group: spec.Geo, BlockNames: countBlock, Keys: spec.OneKey(spec.RO | spec.Access),
		Since: "3.2.10", Cost: searchCost,
		Summary:    "Returns the members within a distance from a position.",
		Deprecated: "6.2.0; `GEOSEARCH` with the `BYRADIUS` argument",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error {
		return readSearch(v, args, w, geoSearch{form: aroundPoint, readOnly: true})
	},
}

var declGeoRadiusByMember = Command{
	Command: spec.Command{
		Name: "GEORADIUSBYMEMBER", Syntax: "key member radius <M | KM | FT | MI> " + radiusOption + " [STORE key] [STOREDIST key]",
		Group: spec.Geo, BlockNames: countBlock, Keys: radiusKeys(5), CallKeys: radiusCallKeys(5), Flags: spec.DenyOOM,
		Since: "3.2.0", Cost: searchCost,
		Summary:    "Returns the members within a distance from one of them, or stores them.",
		Deprecated: "6.2.0; `GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		return writeSearch(t, args, w, geoSearch{form: aroundMember})
	},
	Grows: func(v *keyspace.View, args Args) int64 { return growsBySources(v, args[1:2]) },
}

var declGeoRadiusByMemberRO = Command{
	Command: spec.Command{
		Name: "GEORADIUSBYMEMBER_RO", Syntax: "key member radius <M | KM | FT | MI> " + radiusOption,
		Group: spec.Geo, BlockNames: countBlock, Keys: spec.OneKey(spec.RO | spec.Access),
		Since: "3.2.10", Cost: searchCost,
		Summary:    "Returns the members within a distance from one of them.",
		Deprecated: "6.2.0; `GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error {
		return readSearch(v, args, w, geoSearch{form: aroundMember, readOnly: true})
	},
}

var declGeoSearch = Command{
	Command: spec.Command{
		Name: "GEOSEARCH", Syntax: "key " + searchArea + " [WITHCOORD] [WITHDIST] [WITHHASH]",
		Group: spec.Geo, BlockNames: countBlock, Keys: spec.OneKey(spec.RO | spec.Access),
		Since: "6.2.0", Cost: searchCost,
		Summary: "Returns the members inside a circle or a rectangle.",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error {
		return readSearch(v, args, w, geoSearch{form: byOptions})
	},
}

var declGeoSearchStore = Command{
	Command: spec.Command{
		Name: "GEOSEARCHSTORE", Syntax: "destination source " + searchArea + " [STOREDIST]",
		Group: spec.Geo, BlockNames: countBlock, Flags: spec.DenyOOM,
		Keys:  []spec.KeySpec{spec.KeyAt(1, spec.OW|spec.Update), spec.KeyAt(2, spec.RO|spec.Access)},
		Since: "6.2.0", Cost: searchCost,
		Summary: "Stores the members inside a circle or a rectangle.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		return writeSearch(t, args[1:], w, geoSearch{form: byOptions, name: args[0], storeKey: args[1]})
	},
	Grows: func(v *keyspace.View, args Args) int64 { return growsBySources(v, args[2:3]) },
}

var countBlock = [][2]string{{"count_any", "count"}}

// radiusKeys are those of the old commands, whose options begin at an argument.
func radiusKeys(options int) []spec.KeySpec {
	return []spec.KeySpec{
		spec.KeyAt(1, spec.RO|spec.Access),
		{Flags: spec.OW | spec.Update, Keyword: "STORE", StartFrom: options, Step: 1},
		{Flags: spec.OW | spec.Update, Keyword: "STOREDIST", StartFrom: options, Step: 1},
	}
}

// radiusCallKeys returns what finds the keys of one call of an old command: what is
// searched, and all destinations. Of several the last one counts, where the notation
// would find the first.
func radiusCallKeys(options int) func([][]byte) []spec.KeyPos {
	return func(args [][]byte) []spec.KeyPos {
		if len(args) < options {
			return nil
		}
		keys := []spec.KeyPos{{Pos: 1, Flags: spec.RO | spec.Access}}
		for at := options; at+1 < len(args); at++ {
			if is(args[at], "STORE") || is(args[at], "STOREDIST") {
				at++
				keys = append(keys, spec.KeyPos{Pos: at, Flags: spec.OW | spec.Update})
			}
		}
		return keys
	}
}

// readSearch answers with what a search finds.
func readSearch(v *keyspace.View, args Args, w *resp.Writer, s geoSearch) error {
	if err := s.parse(v, args); err != nil {
		return err
	}
	s.write(w, s.run())
	return nil
}

// writeSearch stores what a search finds, if that is asked for, and answers with it
// otherwise.
func writeSearch(t *keyspace.Txn, args Args, w *resp.Writer, s geoSearch) error {
	if err := s.parse(&t.View, args); err != nil {
		return err
	}
	if s.storeKey == nil {
		if w != nil { // followers need not search
			s.write(w, s.run())
		}
		return nil
	}
	found := s.run()
	b := t.BuildZSet()
	for _, f := range found {
		score := f.score
		if s.storeDist {
			score = f.meters / s.area.Unit
		}
		b.Set(f.member, score)
	}
	storeZSet(t, s.storeKey, b.Done(t.Limits().ZSet), w)
	return nil
}

// geoFound is a member that a search has found.
type geoFound struct {
	member []byte
	score  float64
	at     geo.Point
	meters float64 // from the center
}

// run returns what is found, in order.
func (s *geoSearch) run() (found []geoFound) {
	if s.z == nil {
		return nil
	}
	for _, r := range s.area.Ranges() {
		if s.any && int64(len(found)) >= s.count {
			break
		}
		from, to := s.z.Between(zset.Bound{Score: r.Min}, zset.Bound{Score: r.Max, Open: true})
		s.z.Ascend(from, to, func(member []byte, score float64) bool {
			at := geo.FromScore(score)
			if meters, inside := s.area.Distance(at); inside {
				found = append(found, geoFound{member, score, at, meters})
			}
			return !s.any || int64(len(found)) < s.count
		})
	}
	sort := s.sort
	if s.count > 0 && sort == 0 && !s.any { // the nearest ones are wanted
		sort = 1
	}
	if sort != 0 {
		slices.SortStableFunc(found, func(a, b geoFound) int { return sort * cmp.Compare(a.meters, b.meters) })
	}
	if s.count > 0 && s.count < int64(len(found)) {
		found = found[:s.count]
	}
	return found
}

// write answers with what was found.
func (s *geoSearch) write(w *resp.Writer, found []geoFound) {
	more := 0
	for _, with := range [...]bool{s.withDist, s.withHash, s.withCoord} {
		if with {
			more++
		}
	}
	w.Array(len(found))
	for _, f := range found {
		if more > 0 {
			w.Array(1 + more)
		}
		w.Bulk(f.member)
		if s.withDist {
			w.BulkString(fixed(f.meters/s.area.Unit, 4))
		}
		if s.withHash {
			w.Int(int64(f.score))
		}
		if s.withCoord {
			writePoint(w, f.at)
		}
	}
}
