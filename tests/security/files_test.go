package security

import (
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// TestFilesArePrivate: whatever the umask lets through, nobody else on the machine
// reads a node's data: log, vote, snapshots, all that lies beside them.
func TestFilesArePrivate(t *testing.T) {
	for _, store := range []string{"segments", "bolt"} {
		t.Run(store, func(t *testing.T) {
			n := proc.NewNode(t, "node1", "--log-store", store)
			if proc.StoreFlags() != nil {
				t.Skip("the kind of log is chosen for all tests")
			}
			proc.Build(t)
			before := syscall.Umask(0)
			n.Start()
			syscall.Umask(before)
			n.WaitReady(patience)
			for range 3 {
				n.MustDo("SET", "k", "v")
				n.MustDo("RAFT.SNAPSHOT")
			}
			n.MustDo("RAFT.TOKEN", "CREATE")
			seen := map[string]bool{}
			look := func(path string, d fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				info, err := d.Info()
				if err != nil {
					return err
				}
				want := fs.FileMode(0o600)
				if d.IsDir() {
					want = 0o700
				}
				if info.Mode().Perm() != want {
					t.Errorf("%s is %v, want %v", path, info.Mode(), want)
				}
				rel, err := filepath.Rel(n.Dir, path)
				seen[rel] = true
				return err
			}
			if err := filepath.WalkDir(n.Dir, look); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{".", "identity.json", "lock", "vote.db", "snapshots"} {
				if !seen[name] {
					t.Errorf("there is no %s among %v", name, seen)
				}
			}
			if len(seen) < 7 {
				t.Errorf("only %v", seen)
			}
		})
	}
}
