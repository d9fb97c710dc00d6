package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	// beforePrefix and a cluster's UUID is the directory, below the data directory,
	// of what a recovered node had before.
	beforePrefix = "before-recover-"
	// replacedFile, beside a recovered node's stores, is the identity that it had
	// before, for as long as the old stores are not all moved aside.
	replacedFile = "replaced.json"
)

// before is the directory of what the node had before.
func (r *Recovery) before() string { return filepath.Join(r.dir, beforePrefix+r.old.Cluster) }

// note writes down what is replaced, beside the new stores: once they are switched
// to, identity.json does not know it any more.
func (r *Recovery) note(storesIn string) error {
	old, err := r.old, error(nil)
	if old.Sum, err = sumOf(old); err != nil {
		return err
	}
	return writeFileDurably(filepath.Join(r.dir, storesIn, replacedFile), old)
}

// resume finds out whether this directory's last recovery was cut off behind its
// one-way step.
func (r *Recovery) resume() error {
	r.old = r.Report.id
	if r.Report.id.StoresIn != "" {
		path := filepath.Join(r.dir, r.Report.id.StoresIn, replacedFile)
		old, err := readIdentityFile(path)
		switch {
		case err == nil:
			r.old, r.Unfinished = old, old.Cluster
			return nil
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%s cannot be read: the last recover was not finished, and of which cluster is not known; the node does not need the file, nor the stores that it had before: move them away; nothing was changed", path)
		}
	}
	if _, err := os.Lstat(r.before()); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s exists, where what this node has is to be kept; move it away first, nothing was changed", r.before())
	}
	return nil
}

// tidying are the steps behind the one that switches over. Each can be taken again;
// the last one says that all were.
func (r *Recovery) tidying(storesIn string) []step {
	return []step{
		{"addresses", func() error { return gone(os.Remove(filepath.Join(r.dir, peersFile))) }},
		{"directory", func() error { return os.MkdirAll(r.before(), 0o700) }},
		{"keep vote", func() error { return r.keep(voteFile) }},
		{"keep log", func() error { return r.keep(r.old.logKind().Name()) }},
		{"keep snapshots", func() error { return r.keep(snapshotDir) }},
		{"keep identity", func() error { return r.keepIdentity() }},
		{"sync kept", func() error { return errors.Join(syncDir(r.before()), syncDir(r.dir)) }},
		{"done", func() error { return gone(os.Remove(filepath.Join(r.dir, storesIn, replacedFile))) }},
	}
}

// keep moves one of the old stores aside. They are of no use to the node any more,
// but may be to a human.
func (r *Recovery) keep(name string) error {
	return gone(os.Rename(filepath.Join(r.dir, r.old.StoresIn, name), filepath.Join(r.before(), name)))
}

// keepIdentity makes what was kept a data directory of its own, that check can read.
func (r *Recovery) keepIdentity() error {
	old := r.old
	if old.StoresIn != "" {
		if err := gone(os.Remove(filepath.Join(r.dir, old.StoresIn))); err != nil {
			return err
		}
		old.StoresIn = ""
	}
	return (&dataDir{path: r.before()}).save(old)
}

// gone is err, unless that says that there was nothing.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
