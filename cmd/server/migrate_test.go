package main

import (
	"strings"
	"testing"
)

// migrate says in one line what it needs, and touches nothing that is no data directory.
func TestMigrateRefusals(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--data-dir", dir}, exitUsage, "--log-store"},
		{[]string{"--log-store", "bolt"}, exitUsage, "--data-dir"},
		{[]string{"--data-dir", dir, "--log-store", "paper"}, exitUsage, "must be bolt or segments"},
		{[]string{"--data-dir", dir, "--log-store", "segments"}, exitError, "no identity.json"},
		{[]string{"--data-dir", dir + "/none", "--log-store", "segments"}, exitError, "none"},
		{[]string{"--help"}, exitOK, ""},
	} {
		code, out, said := inProcess(nil, append([]string{"migrate"}, tt.args...)...)
		if code != tt.code || !strings.Contains(said, tt.want) || strings.Count(said, "\n") > 1 {
			t.Errorf("%v: exit code %d, %q, %q; want %d and %q", tt.args, code, out, said, tt.code, tt.want)
		}
	}
}
