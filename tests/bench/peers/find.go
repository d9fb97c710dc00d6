//go:build linux

package peers

import (
	"fmt"
	"os/exec"
	"strings"
)

// sources are where programs are found: by their names, or by others that Debian's
// packages have for them. redis-check-rdb is redis-server under another name.
var sources = map[string]struct {
	names   []string
	pkg     string
	version string // the argument that prints it
}{
	"redis-server":    {[]string{"redis-server", "redis-check-rdb"}, "redis-tools", ""},
	"redis-benchmark": {[]string{"redis-benchmark"}, "redis-tools", "--version"},
	"etcd":            {[]string{"etcd"}, "etcd-server", "--version"},
	"strace":          {[]string{"strace"}, "strace", "--version"},
}

// Find looks for a program that peers need.
func Find(program string) (string, error) {
	s := sources[program]
	for _, name := range s.names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("there is no %s here (apt-get install %s)", program, s.pkg)
}

// Version is the first line in which a program says which one it is.
func Version(path, program string) (string, error) {
	arg := sources[program].version
	if arg == "" {
		return "", fmt.Errorf("%s is asked by its protocol", program)
	}
	out, err := exec.Command(path, arg).CombinedOutput()
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line), nil
}
