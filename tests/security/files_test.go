package security

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// TestFilesArePrivate: whatever the umask lets through, nobody else on the machine
// reads a node's data: log, vote, snapshots, all that lies beside them.
func TestFilesArePrivate(t *testing.T) {
	for _, store := range []string{"segments", "bolt"} {
		alone(t, onDisk, "files of a node, "+store, func(t *testing.T) (string, string) {
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
			n.MustDo("ACL", "SETUSER", "bob", "on", ">hush-bob")
			proc.Eventually(t, patience, "users.json", func() error {
				_, err := os.Stat(filepath.Join(n.Dir, "users.json"))
				return err
			})
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
			for _, name := range []string{".", "identity.json", "lock", "vote.db", "snapshots", "users.json"} {
				if !seen[name] {
					t.Errorf("there is no %s among %v", name, seen)
				}
			}
			if len(seen) < 7 {
				t.Errorf("only %v", seen)
			}
			return fmt.Sprintf("umask 000; modes of all %d files, snapshots and users.json among them", len(seen)), "0700 for directories, 0600 for files"
		})
	}
}

const onDisk = "files"

// TestFilesThatOthersCanRead: of files with secrets that somebody else made, or put back,
// the node says that others can read them.
func TestFilesThatOthersCanRead(t *testing.T) {
	t.Parallel()
	const warning = "every user of this machine may read or change files that are secret"
	says := func(t *testing.T, n *proc.Node, files ...string) (string, string) {
		t.Helper()
		n.Start().WaitReady(patience)
		if len(files) == 0 {
			if text := read(t, n.LogPath); strings.Contains(text, warning) {
				t.Errorf("it warns: %s", text)
			}
			return "0640 and 0600", "says nothing"
		}
		for _, file := range files {
			logged(t, n, "level=WARN", warning, file)
		}
		return "0644", "starts, and warns: " + warning + "; it names them"
	}
	alone(t, onDisk, "a file with the password that others can read", func(t *testing.T) (string, string) {
		n := proc.NewNode(t, "node1")
		return says(t, n, passwordFile(t, n, 0o644))
	})
	alone(t, onDisk, "a file with the password that the group can read", func(t *testing.T) (string, string) {
		n := proc.NewNode(t, "node1")
		passwordFile(t, n, 0o640)
		return says(t, n)
	})
	alone(t, onDisk, "a private key that others can read", func(t *testing.T) (string, string) {
		a := certs(t)
		chmod(t, a.file("node1.key"), 0o644)
		return says(t, a.node(t, "node1"), a.file("node1.key"))
	})
	alone(t, onDisk, "a data dir and a users.json that others can read", func(t *testing.T) (string, string) {
		n := proc.NewNode(t, "node1").Start().WaitReady(patience)
		n.MustDo("ACL", "SETUSER", "bob", "on", ">hush-bob")
		users := filepath.Join(n.Dir, "users.json")
		proc.Eventually(t, patience, "the file", func() error {
			_, err := os.Stat(users)
			return err
		})
		n.Term()
		chmod(t, n.Dir, 0o755)
		chmod(t, users, 0o644)
		return says(t, n, n.Dir, users)
	})
}

// passwordFile has a node take its password from a file of that mode, and returns its path.
func passwordFile(t *testing.T, n *proc.Node, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "raftkv.yml")
	if err := os.WriteFile(path, []byte("requirepass: "+password+"\n"), mode); err != nil {
		t.Fatal(err)
	}
	chmod(t, path, mode)
	n.Flags, n.Password = append(n.Flags, "--config", path), password
	return path
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
