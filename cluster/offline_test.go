package cluster

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// Whatever bit of identity.json flips: it is refused, or nothing has changed.
func TestFlippedIdentity(t *testing.T) {
	dir := t.TempDir()
	d := &dataDir{path: dir}
	must(t, d.save(identity{Format: 1, NodeID: "n1", UUID: oldCluster, State: pledged, Cluster: "c2", Seeds: []string{"h:1"}, Stores: true}))
	want, err := readIdentity(dir)
	must(t, err)
	path := filepath.Join(dir, identityFile)
	good, err := os.ReadFile(path)
	must(t, err)
	refused := 0
	for bit := range 8 * len(good) {
		bad := bytes.Clone(good)
		bad[bit/8] ^= 1 << (bit % 8)
		must(t, os.WriteFile(path, bad, 0o600))
		got, err := readIdentity(dir)
		if err != nil {
			refused++
			if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), path) {
				t.Errorf("bit %d: %q is not one line with the file", bit, err)
			}
			continue
		}
		got.Sum = want.Sum // whose own name may have been hit
		if !reflect.DeepEqual(got, want) {
			t.Errorf("bit %d: %+v passed for %+v", bit, got, want)
		}
	}
	if refused < 6*len(good) {
		t.Errorf("only %d of %d refused", refused, 8*len(good))
	}
}

// What was written before there was a checksum is read.
func TestIdentityWithoutSum(t *testing.T) {
	dir := t.TempDir()
	want := identity{Format: 1, NodeID: "n1", UUID: "u", State: pristine}
	text, err := json.Marshal(want)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, identityFile), text, 0o600))
	if got, err := readIdentity(dir); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A book with a flipped bit is not believed.
func TestFlippedBook(t *testing.T) {
	file := bookFile{Addresses: map[string]string{"n2": "127.0.0.1:8001"}, Index: 7}
	var err error
	file.Sum, err = sumOf(file)
	must(t, err)
	good, err := json.Marshal(file)
	must(t, err)
	if got, err := readBook(good); err != nil || !reflect.DeepEqual(got, file) {
		t.Fatalf("got %+v, %v", got, err)
	}
	bad := bytes.Replace(good, []byte("8001"), []byte("8000"), 1)
	if _, err := readBook(bad); err == nil {
		t.Error("a wrong port was believed")
	}
	for _, text := range []string{"", "null", "{}", "[]"} {
		if _, err := readBook([]byte(text)); err == nil {
			t.Errorf("%q passed for a book", text)
		}
	}
}

func TestCheckPristine(t *testing.T) {
	dir := t.TempDir()
	must(t, (&dataDir{path: dir}).create("n1"))
	if r, err := Check(dir); err != nil || r.State != pristine || r.NodeID != "n1" || len(r.Findings) > 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
