package commands

import (
	"github.com/raftkv/raftkv/fsm/geo"
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/zset"
	"github.com/raftkv/raftkv/resp"
)

// searchForm is how a search's area is given.
type searchForm uint8

const (
	aroundPoint  searchForm = iota // GEORADIUS: a position and a radius
	aroundMember                   // GEORADIUSBYMEMBER: a member and a radius
	byOptions                      // GEOSEARCH
)

// geoSearch is what a search's arguments say.
type geoSearch struct {
	form     searchForm
	readOnly bool   // no options to store what is found
	name     []byte // the command's, as the client wrote it

	storeKey  []byte // where to store what is found
	storeDist bool   // with the distances as scores

	z                               *zset.Set // nil where there is no such key
	area                            geo.Area
	withDist, withHash, withCoord   bool
	fromMember, fromPoint, byRadius bool
	count                           int64 // 0 for all
	any                             bool
	sort                            int // 1 for the nearest first, -1 for the farthest
}

// parse reads the arguments; args[1] is the key to search in.
// Source: redis/src/geo.c:georadiusGeneric.
func (s *geoSearch) parse(v *keyspace.View, args Args) error {
	if s.name == nil {
		s.name = args[0]
	}
	z, ok, err := keyspace.Find[keyspace.ZSetValue](v, args[1])
	if err != nil {
		return err
	}
	if ok {
		s.z = z.Set
	}
	options := args[2:]
	switch s.form {
	case aroundPoint:
		if s.area.Center, err = parsePoint(args[2:]); err == nil {
			err = s.radius(args[4:])
		}
		options = args[6:]
	case aroundMember:
		if s.z != nil { // otherwise only the options matter
			if err = s.member(args[2]); err == nil {
				err = s.radius(args[3:])
			}
		}
		options = args[5:]
	}
	for err == nil && len(options) > 0 {
		var took int
		if took, err = s.option(options); err == nil {
			options = options[took:]
		}
	}
	if err != nil {
		return err
	}
	return s.check()
}

// check looks for what does not go together.
func (s *geoSearch) check() error {
	stores := s.storeKey != nil
	switch {
	case stores && (s.withDist || s.withHash || s.withCoord) && s.form == byOptions:
		return resp.ErrGeoSearchStoreWith
	case stores && (s.withDist || s.withHash || s.withCoord):
		return resp.ErrGeoStoreWith
	case s.form == byOptions && !s.fromMember && !s.fromPoint:
		return resp.ExactlyOne("FROMMEMBER or FROMLONLAT", s.name)
	case s.form == byOptions && !s.byRadius && !s.area.Box:
		return resp.ExactlyOne("BYRADIUS and BYBOX", s.name)
	case s.any && s.count == 0:
		return resp.ErrGeoAny
	}
	return nil
}

// option reads one option and returns how many arguments it took.
func (s *geoSearch) option(args Args) (took int, err error) {
	old := s.form != byOptions
	switch more := len(args) - 1; {
	case is(args[0], "WITHDIST"):
		s.withDist = true
	case is(args[0], "WITHHASH"):
		s.withHash = true
	case is(args[0], "WITHCOORD"):
		s.withCoord = true
	case is(args[0], "ANY"):
		s.any = true
	case is(args[0], "ASC"):
		s.sort = 1
	case is(args[0], "DESC"):
		s.sort = -1
	case is(args[0], "COUNT") && more >= 1:
		if s.count, err = integer(args[1]); err == nil && s.count <= 0 {
			err = resp.ErrGeoCount
		}
		return 2, err
	case is(args[0], "STORE") && more >= 1 && old && !s.readOnly:
		s.storeKey, s.storeDist = args[1], false
		return 2, nil
	case is(args[0], "STOREDIST") && more >= 1 && old && !s.readOnly:
		s.storeKey, s.storeDist = args[1], true
		return 2, nil
	case is(args[0], "STOREDIST") && !old && s.storeKey != nil:
		s.storeDist = true
	default:
		return s.areaOption(args)
	}
	return 1, nil
}

// areaOption is option for those that give a GEOSEARCH its area.
func (s *geoSearch) areaOption(args Args) (took int, err error) {
	more := len(args) - 1
	switch {
	case s.form != byOptions:
	case is(args[0], "FROMMEMBER") && more >= 1 && !s.fromPoint:
		s.fromMember = true
		if s.z != nil { // otherwise there is nothing to find
			err = s.member(args[1])
		}
		return 2, err
	case is(args[0], "FROMLONLAT") && more >= 2 && !s.fromMember:
		s.fromPoint = true
		s.area.Center, err = parsePoint(args[1:])
		return 3, err
	case is(args[0], "BYRADIUS") && more >= 2 && !s.area.Box:
		s.byRadius = true
		return 3, s.radius(args[1:])
	case is(args[0], "BYBOX") && more >= 3 && !s.byRadius:
		s.area.Box = true
		return 4, s.box(args[1:])
	}
	return 0, resp.ErrSyntax
}

// member makes a member's position the center.
func (s *geoSearch) member(member []byte) error {
	score, ok := s.z.Score(member)
	if !ok {
		return resp.ErrGeoMember
	}
	s.area.Center = geo.FromScore(score)
	return nil
}

// radius reads a radius and its unit.
func (s *geoSearch) radius(args Args) (err error) {
	if s.area.Radius, err = doubleOr(args[0], resp.ErrGeoRadius); err != nil {
		return err
	}
	if s.area.Radius < 0 {
		return resp.ErrGeoNegative
	}
	s.area.Unit, err = parseUnit(args[1])
	return err
}

// box reads width and height and their unit.
func (s *geoSearch) box(args Args) (err error) {
	if s.area.Width, err = doubleOr(args[0], resp.ErrGeoWidth); err != nil {
		return err
	}
	if s.area.Height, err = doubleOr(args[1], resp.ErrGeoHeight); err != nil {
		return err
	}
	if s.area.Width < 0 || s.area.Height < 0 {
		return resp.ErrGeoBox
	}
	s.area.Unit, err = parseUnit(args[2])
	return err
}
