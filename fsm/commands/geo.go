package commands

import (
	"strconv"
	"strings"

	"github.com/raftkv/raftkv/fsm/geo"
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

func geoCommands() []Command {
	return []Command{
		// geo.go
		declGeoAdd, declGeoDist, declGeoHash, declGeoPos,
		// geo_search.go
		declGeoRadius, declGeoRadiusRO, declGeoRadiusByMember, declGeoRadiusByMemberRO,
		declGeoSearch, declGeoSearchStore,
	}
}

var declGeoAdd = Command{
	Command: spec.Command{
		Name: "GEOADD", Syntax: "key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]",
		Group: spec.Geo, Keys: spec.OneKey(spec.RW | spec.Update), Flags: spec.DenyOOM,
		Since: "3.2.0", Cost: "O(log N) for each member with N the size of the sorted set",
		Summary:    "Adds members with their positions to a sorted set, or moves them.",
		BlockNames: [][2]string{{"ch", "change"}},
	},
	Write: cmdGeoAdd,
	Grows: growsByMembers,
}

func cmdGeoAdd(t *keyspace.Txn, args Args, w *resp.Writer) error {
	var o zadd
	rest := args[2:]
	for len(rest) > 0 && (is(rest[0], "NX") || is(rest[0], "XX") || is(rest[0], "CH")) {
		o.take(rest[0])
		rest = rest[1:]
	}
	if len(rest)%3 != 0 || o.nx && o.xx {
		return resp.ErrSyntax
	}
	o.words, o.each = rest, 3
	scores := make([]float64, 0, fewMembers)
	for ; len(rest) > 0; rest = rest[3:] {
		p, err := parsePoint(rest)
		if err != nil {
			return err
		}
		scores = append(scores, geo.Score(p))
	}
	if len(scores) == 0 {
		return resp.ErrSyntax
	}
	return o.run(t, args[1], scores, w)
}

// parsePoint reads a longitude and a latitude.
func parsePoint(args Args) (p geo.Point, err error) {
	if p.Longitude, err = double(args[0]); err == nil {
		p.Latitude, err = double(args[1])
	}
	if err == nil && !p.Valid() {
		err = resp.Errorf("ERR invalid longitude,latitude pair %s,%s", fixed(p.Longitude, 6), fixed(p.Latitude, 6))
	}
	return p, err
}

// fixed is a number as C's printf writes it with so many decimals.
func fixed(f float64, decimals int) string {
	return strings.ToLower(strings.TrimPrefix(strconv.FormatFloat(f, 'f', decimals, 64), "+"))
}

var declGeoDist = Command{
	Command: spec.Command{
		Name: "GEODIST", Syntax: "key member1 member2 [M | KM | FT | MI]",
		Group: spec.Geo, Keys: spec.OneKey(spec.RO | spec.Access),
		Since: "3.2.0", Cost: "O(1)",
		Summary: "Returns the distance between two members.",
	},
	Read: cmdGeoDist,
}

func cmdGeoDist(v *keyspace.View, args Args, w *resp.Writer) error {
	unit := 1.0
	switch {
	case len(args) == 5:
		var err error
		if unit, err = parseUnit(args[4]); err != nil {
			return err
		}
	case len(args) > 5:
		return resp.ErrSyntax
	}
	z, err := zsetOrEmpty(v, args[1])
	if err != nil {
		return err
	}
	a, ok1 := z.Score(args[2])
	b, ok2 := z.Score(args[3])
	if ok1 && ok2 {
		w.BulkString(fixed(geo.Distance(geo.FromScore(a), geo.FromScore(b))/unit, 4))
	} else {
		w.Null()
	}
	return nil
}

// parseUnit reads a unit and returns it in meters.
func parseUnit(arg []byte) (meters float64, err error) {
	switch {
	case is(arg, "M"):
		return 1, nil
	case is(arg, "KM"):
		return 1000, nil
	case is(arg, "FT"):
		return 0.3048, nil
	case is(arg, "MI"):
		return 1609.34, nil
	}
	return 0, resp.ErrGeoUnit
}

var declGeoHash = Command{
	Command: spec.Command{
		Name: "GEOHASH", Syntax: "key member [member ...]", Arity: -2, // in Redis's table, too
		Group: spec.Geo, Keys: spec.OneKey(spec.RO | spec.Access),
		Since: "3.2.0", Cost: "O(N) with N the number of members asked for",
		Summary: "Returns the positions of members as geohash texts.",
	},
	Read: cmdGeoHash,
}

func cmdGeoHash(v *keyspace.View, args Args, w *resp.Writer) error {
	z, err := zsetOrEmpty(v, args[1])
	if err != nil {
		return err
	}
	w.Array(len(args) - 2)
	for _, member := range args[2:] {
		if score, ok := z.Score(member); ok {
			w.BulkString(geo.Hash(score))
		} else {
			w.Null()
		}
	}
	return nil
}

var declGeoPos = Command{
	Command: spec.Command{
		Name: "GEOPOS", Syntax: "key member [member ...]", Arity: -2, // in Redis's table, too
		Group: spec.Geo, Keys: spec.OneKey(spec.RO | spec.Access),
		Since: "3.2.0", Cost: "O(N) with N the number of members asked for",
		Summary: "Returns the positions of members.",
	},
	Read: cmdGeoPos,
}

func cmdGeoPos(v *keyspace.View, args Args, w *resp.Writer) error {
	z, err := zsetOrEmpty(v, args[1])
	if err != nil {
		return err
	}
	w.Array(len(args) - 2)
	for _, member := range args[2:] {
		if score, ok := z.Score(member); ok {
			writePoint(w, geo.FromScore(score))
		} else {
			w.NullArray()
		}
	}
	return nil
}

// writePoint writes a position, with 17 decimals as far as they are not 0.
// Source: redis/src/networking.c:addReplyHumanLongDouble.
func writePoint(w *resp.Writer, p geo.Point) {
	w.Array(2)
	for _, x := range [...]float64{p.Longitude, p.Latitude} {
		text := strings.TrimSuffix(strings.TrimRight(fixed(x, 17), "0"), ".")
		if text == "-0" {
			text = "0"
		}
		if w.Proto() == 3 {
			w.Raw([]byte("," + text + "\r\n"))
		} else {
			w.BulkString(text)
		}
	}
}
