package golden

import (
	"bytes"
	"flag"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/resp"
)

var rewrite = flag.Bool("rewrite", false, "record the golden file from a real redis-server 7.0.15")

const goldenFile = "command-info-7.0.15.txt"

// TestCommandInfoIsRedis compares the golden file with a real Redis, where there
// is one; with -rewrite it records the file from it.
func TestCommandInfoIsRedis(t *testing.T) {
	conn, version := startRedis(t)
	if version != "7.0.15" {
		unavailable(t, "the golden file is of Redis 7.0.15, this is "+version)
	}
	for _, proto := range []string{"2", "3"} {
		call(t, conn, "HELLO "+proto)
		live, err := FromReply(call(t, conn, "COMMAND"))
		if err != nil {
			t.Fatal(err)
		}
		text, err := Format(live)
		if err != nil {
			t.Fatal(err)
		}
		if *rewrite {
			if err := os.WriteFile(goldenFile, text, 0o644); err != nil {
				t.Fatal(err)
			}
		} else if !bytes.Equal(text, commandInfo) {
			t.Errorf("%s is not what Redis says over RESP%s; record it anew with -rewrite", goldenFile, proto)
		}
	}
}

func TestCommands(t *testing.T) {
	all, err := Commands()
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]Command)
	for _, c := range all {
		byName[c.Name] = c
	}
	if got, want := len(all), 366; got != want {
		t.Errorf("%d commands, want %d", got, want)
	}
	set := byName["set"]
	if set.Arity != -3 || set.Keys != [3]int64{1, 1, 1} || strings.Join(set.Flags, " ") != "write denyoom" {
		t.Errorf("SET: got %+v", set)
	}
	if kill := byName["client|kill"]; kill.Arity != -3 {
		t.Errorf("CLIENT KILL: got %+v", kill)
	}
}

func TestCompare(t *testing.T) {
	get := Command{Name: "get", Arity: 2, Flags: []string{"readonly"}, Keys: [3]int64{1, 1, 1}}
	slow := get
	slow.Arity, slow.Flags = -2, nil
	tests := []struct {
		name   string
		got    []Command
		except Exceptions
		want   []string
	}{
		{"same", []Command{get}, nil, nil},
		{"nothing implemented", nil, nil, nil},
		{"two fields", []Command{slow}, nil, []string{"get.arity: got -2, want 2", "get.flags: got [], want [readonly]"}},
		{"excused", []Command{slow}, Exceptions{"get.arity": "why", "get.flags": "why"}, nil},
		{"unknown", []Command{{Name: "raft.join"}}, nil, []string{"raft.join: Redis 7.0.15 has no such command"}},
		{"unknown but excused", []Command{{Name: "raft.join"}}, Exceptions{"raft.join": "ours"}, nil},
		{"idle exception", []Command{get}, Exceptions{"get.tips": "why"}, []string{"get.tips: this exception excuses nothing"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Compare(tt.got, []Command{get}, tt.except); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// startRedis runs a real Redis on a port of the kernel's choice for the time of
// the test and returns a connection to it, and its version. Without one it skips, but not in CI.
func startRedis(t *testing.T) (net.Conn, string) {
	t.Helper()
	dir := t.TempDir()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		// The Debian package redis-tools carries the server under another name.
		check, err := exec.LookPath("redis-check-rdb")
		if err != nil {
			unavailable(t, "no redis-server on this machine")
		}
		binary = filepath.Join(dir, "redis-server")
		if err := os.Symlink(check, binary); err != nil {
			t.Fatal(err)
		}
	}
	// A unix socket needs no free port.
	socket := filepath.Join(dir, "s")
	cmd := exec.Command(binary, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	deadline := time.Now().Add(10 * time.Second)
	for {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			t.Cleanup(func() { _ = conn.Close() })
			_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
			return conn, serverVersion(t, conn)
		}
		if time.Now().After(deadline) {
			t.Fatalf("redis-server does not answer: %v", err)
		}
		time.Sleep(10 * time.Millisecond) // until the socket is there
	}
}

func serverVersion(t *testing.T, conn net.Conn) string {
	t.Helper()
	version, _ := call(t, conn, "HELLO").Lookup("version")
	return version.Text()
}

func call(t *testing.T, conn net.Conn, line string) resp.Value {
	t.Helper()
	if _, err := conn.Write([]byte(line + "\r\n")); err != nil {
		t.Fatal(err)
	}
	reply, err := resp.NewReader(conn).Read()
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// unavailable skips a test for want of the right Redis, but never in CI, where
// nothing may be left out.
func unavailable(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip("NOT RUN: " + why)
}
