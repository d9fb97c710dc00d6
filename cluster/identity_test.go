package cluster

import (
	"os"
	"path/filepath"
	"testing"
)

// A directory that is refused is left as it was.
func TestForeignDataDirIsLeftAlone(t *testing.T) {
	for name, content := range map[string]string{"notes.txt": "mine", identityFile: `{"something": "else"}`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if d, err := openDataDir(dir, "n1"); err == nil {
			d.close()
			t.Errorf("%s: accepted", name)
		}
		files, err := os.ReadDir(dir)
		if err != nil || len(files) != 1 || files[0].Name() != name {
			t.Errorf("%s: left with %v, %v", name, files, err)
		}
	}
}
