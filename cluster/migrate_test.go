package cluster

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/cluster/logstore"
)

// The log goes to the other kind and back, with all that it holds, and whichever
// step a crash comes before, the directory is whole and can be migrated again.
func TestMigrate(t *testing.T) {
	for _, snapshot := range []bool{false, true} {
		for at := 0; ; at++ {
			dir := survivor(t, snapshot)
			before, err := Check(dir)
			must(t, err)
			for _, to := range []logstore.Kind{logstore.Segmented, logstore.Bolt} {
				n := 0
				crashed := errors.New("crash")
				_, err = migrate(dir, to, func(string) error {
					if n++; n > at {
						return crashed
					}
					return nil
				})
				if err != nil && !errors.Is(err, crashed) {
					t.Fatal(err)
				}
				holds(t, dir)
				m, again := Migrate(dir, to)
				if again != nil || m.To != to {
					t.Fatalf("to %s, again after a crash at step %d: %+v, %v", to, at, m, again)
				}
				after := holds(t, dir).Report
				if after.Log.Store != to || after.Log.Last != before.Log.Last || after.Log.First != before.Log.First || after.Log.Entries != before.Log.Entries {
					t.Errorf("to %s: %+v before, %+v after", to, before.Log, after.Log)
				}
				if found, err := logstore.Find(dir); err != nil || !slices.Equal(found, []logstore.Kind{to}) {
					t.Errorf("to %s, crash at step %d: %v is there, %v", to, at, found, err)
				}
			}
			if err == nil {
				break
			}
		}
	}
}

// A node starts on a log of the kind that the directory has, says so in one line
// where it was told another one, and goes on with a log that was migrated.
func TestNodeKeepsTheKindOfItsLog(t *testing.T) {
	dir := survivor(t, true)
	for _, has := range []logstore.Kind{logstore.Bolt, logstore.Segmented} {
		d := &dataDir{path: dir}
		must(t, d.load("n1"))
		for _, asked := range append([]logstore.Kind{""}, logstore.Kinds...) {
			err := d.keepsKind(asked)
			if refused := asked != "" && asked != has; (err != nil) != refused {
				t.Errorf("%q asked for, %q there: %v", asked, has, err)
			}
			if err != nil && (strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "raftkv migrate")) {
				t.Errorf("no way out in %q", err)
			}
		}
		if has == logstore.Bolt {
			_, err := Migrate(dir, logstore.Segmented)
			must(t, err)
		}
	}
	must(t, os.Truncate(fmt.Sprintf("%s/%016d.seg", logstore.Segmented.Path(dir), 1), 5000))
	r, err := Check(dir)
	must(t, err)
	if len(r.Findings) != 1 || !strings.Contains(r.Findings[0], logstore.Segmented.Path(dir)) {
		t.Errorf("findings: %q", r.Findings)
	}
	if _, err := Migrate(dir, logstore.Bolt); err == nil || !strings.Contains(err.Error(), "not sound") {
		t.Errorf("a damaged log was migrated: %v", err)
	}
}
