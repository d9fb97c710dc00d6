package config

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version and commit may be set when linking (-ldflags "-X …/config.version=v1.2.3");
// otherwise they come from what the go tool records in the binary.
var (
	version = ""
	commit  = ""
)

// Release returns the program's version and the commit that it was built from.
func Release() (ver, rev string) {
	ver, rev = version, commit
	info, ok := debug.ReadBuildInfo()
	if ok && ver == "" {
		ver = info.Main.Version
	}
	dirty := ""
	if ok && rev == "" {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				rev = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				dirty = " (modified)"
			}
		}
	}
	if ver == "" {
		ver = "(devel)"
	}
	if rev == "" {
		return ver, "unknown"
	}
	return ver, rev + dirty
}

// VersionText is the answer to --version.
func VersionText() string {
	ver, rev := Release()
	return fmt.Sprintf("raftkv %s\ncommit %s\n%s %s/%s\n", ver, rev, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
