package certs

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMakeWritesPrivately(t *testing.T) {
	dir := made(t)
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory is %v, %v; want 0700", info.Mode(), err)
	}
	count := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		count++
		info, err := d.Info()
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s is %v, want 0600", path, info.Mode())
		}
		return err
	})
	if err != nil || count != 8 {
		t.Errorf("%d files, %v; want 8", count, err)
	}
}

func TestMakeReplacesNothing(t *testing.T) {
	dir := made(t)
	before := contents(t, dir)
	for _, o := range []Order{
		{Dir: dir, Nodes: []string{"node1"}, Days: 1},
		{Dir: dir, Nodes: []string{"node3", "node2"}, Days: 1},
		{Dir: dir, Clients: []string{"app"}, Days: 1},
		{Dir: dir, Nodes: []string{"ca"}, Days: 1},
		{Dir: dir, Nodes: []string{"node4", "node4"}, Days: 1},
		{Dir: dir, Nodes: []string{"node5"}, Days: 2 * caDays},
	} {
		if paths, err := Make(o); err == nil {
			t.Errorf("%+v wrote %v", o, paths)
		}
	}
	after := contents(t, dir)
	if len(after) != len(before) {
		t.Errorf("%d files, want %d as before", len(after), len(before))
	}
	for name, text := range before {
		if !bytes.Equal(after[name], text) {
			t.Errorf("%s has changed", name)
		}
	}
}

func TestMakeGoesOnWithACA(t *testing.T) {
	dir := made(t)
	paths, err := Make(Order{Dir: dir, Nodes: []string{"node3"}, Hosts: []string{"127.0.0.1"}, Days: 30})
	if err != nil || len(paths) != 2 {
		t.Fatalf("%v, %v; want two more files", paths, err)
	}
	if err := open(t, filesOf(dir, "node3"), AuthNo, &lines{}).CheckNode("node3"); err != nil {
		t.Error(err)
	}
}

func TestMakeRefusesHalfACA(t *testing.T) {
	dir := made(t)
	if err := os.Remove(filepath.Join(dir, "ca.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := Make(Order{Dir: dir, Nodes: []string{"node3"}, Days: 30}); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("%v, want that a file is missing", err)
	}
	other := made(t)
	if err := os.Rename(filepath.Join(other, "ca.key"), filepath.Join(dir, "ca.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := Make(Order{Dir: dir, Nodes: []string{"node3"}, Days: 30}); err == nil || !strings.Contains(err.Error(), "no CA and its key") {
		t.Errorf("%v, want that the two do not fit", err)
	}
}

func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found[e.Name()] = text
	}
	return found
}
