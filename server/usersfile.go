package server

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/raftkv/raftkv/fsm/system"
)

// A node that has just started does not know yet what the log says, and must not let
// anybody in who could not come in before: so it keeps, beside the log, what was in
// force last. Nothing is lost with the file but that.

// nobodyYet is in force where the file is there and cannot be read, until the node has
// caught up: what it finds in a snapshot or hears on the way may be long over.
var nobodyYet = &system.Users{Revision: math.MaxUint64, List: []system.User{{Name: defaultUser, Rules: "off"}}}

// usersJSON is the file. Names and rules need not be text.
type usersJSON struct {
	Revision uint64
	List     []userJSON
}

type userJSON struct {
	Name, Rules []byte
	Born        uint64
}

// lastUsers reads the file, nil where there is none.
func lastUsers(path string) (*system.Users, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var in usersJSON
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, err
	}
	u := &system.Users{Revision: in.Revision}
	for _, one := range in.List {
		u.List = append(u.List, system.User{Name: string(one.Name), Rules: string(one.Rules), Born: one.Born})
	}
	return u, nil
}

// keepUsers writes the file, if it is not the same as before.
func (s *Server) keepUsers(u *system.Users) {
	if s.opts.UsersFile == "" || u.Equal(s.users.kept) {
		return
	}
	if err := writeUsers(s.opts.UsersFile, u); err != nil {
		s.log.Warn("the users cannot be kept beside the log; they are in the log all the same", "error", err)
		return
	}
	s.users.kept = u
}

// writeUsers replaces the file, all or nothing.
func writeUsers(path string, u *system.Users) error {
	out := usersJSON{Revision: u.At()}
	if u != nil {
		for _, one := range u.List {
			out.List = append(out.List, userJSON{[]byte(one.Name), []byte(one.Rules), one.Born})
		}
	}
	text, err := json.Marshal(out)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}
