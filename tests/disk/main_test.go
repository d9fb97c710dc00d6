// Package disk tests what is left of a node when its disk, or the other nodes'
// disks, fail: damaged files, lost power, a majority that is gone for good.
package disk

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// patience is how long a test waits for what takes a second on an idle machine.
const patience = 60 * time.Second

var ctx = context.Background()

func TestMain(m *testing.M) { os.Exit(proc.Main(m)) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fill writes count keys through a node that leads; each value is its key.
func fill(t testing.TB, n *proc.Node, prefix string, count int) (keys []string) {
	t.Helper()
	_, err := n.Client().Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range count {
			keys = append(keys, fmt.Sprintf("%s%d", prefix, i))
			p.Set(ctx, keys[i], keys[i], 0)
		}
		return nil
	})
	check(t, err)
	return keys
}

// lost reads all keys from one node itself and returns those that are not there.
func lost(t testing.TB, n *proc.Node, keys []string) (missing []string) {
	t.Helper()
	client := n.ReadOnly()
	defer client.Close()
	for i := 0; i < len(keys); i += 500 {
		part := keys[i:min(i+500, len(keys))]
		got, err := client.MGet(ctx, part...).Result()
		check(t, err)
		for j, v := range got {
			if v != part[j] {
				missing = append(missing, part[j])
			}
		}
	}
	return missing
}

func checkAll(t testing.TB, n *proc.Node, keys []string) {
	t.Helper()
	if missing := lost(t, n, keys); len(missing) > 0 {
		t.Errorf("%s lacks %d of %d keys, first %s", n.ID, len(missing), len(keys), missing[0])
	}
}

// raftkv runs a subcommand and returns what it printed, and its exit status.
func raftkv(t testing.TB, args ...string) (out string, status int) {
	t.Helper()
	cmd := exec.Command(proc.Build(t), args...)
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "goroutine ") {
		t.Errorf("raftkv %v panicked:\n%s", args, text)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

func envInt(t testing.TB, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	check(t, err)
	return n
}

func copyOf(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir() + "/copy"
	check(t, os.CopyFS(to, os.DirFS(dir)))
	return to
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
