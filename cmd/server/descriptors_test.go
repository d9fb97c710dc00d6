package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestShare(t *testing.T) {
	for _, tt := range []struct {
		limit       uint64
		maxclients  int
		redis, http int
	}{
		{1 << 63, 10000, 10000, 10000}, // no limit
		{20256, 10000, 10000, 10000},
		{20255, 10000, 10000, 9999},
		{11256, 10000, 10000, 1000},
		{10256, 10000, 9000, 1000},
		{1024, 10000, 576, 192},
		{1024, 500, 500, 268},
		{1024, 384, 384, 384},
		{272, 10000, 12, 4},
		{272, 1, 1, 1},
	} {
		got, err := share(tt.limit, tt.maxclients)
		if err != nil || got != (connections{tt.redis, tt.http}) {
			t.Errorf("limit %d, maxclients %d: got %+v, %v; want %d and %d", tt.limit, tt.maxclients, got, err, tt.redis, tt.http)
		}
	}
	if _, err := share(271, 1); err == nil || !strings.Contains(err.Error(), "ulimit -n") {
		t.Errorf("limit 271: %v", err)
	}
}

// TestDescriptorLimit: a node that may open few files gets more, or takes fewer
// clients and says so, also to CONFIG GET.
func TestDescriptorLimit(t *testing.T) {
	p := startCommand(t, t.TempDir(), exec.Command("sh", "-c", fmt.Sprintf(
		`ulimit -n 400 && exec "$0" --node-id n --resp-addr 127.0.0.1:0 --http-addr 127.0.0.1:0 --raft-addr 127.0.0.1:%d`, ports(t, 1)), os.Args[0]))
	said := p.waitFor(`(raised the limit of file descriptors|maxclients has been reduced)(?:.* maxclients=(\d+))?`)
	most := "108"
	if strings.HasPrefix(said[1], "raised") {
		most = "10000"
	} else if said[2] != most {
		t.Errorf("%s: maxclients %s, want %s", said[1], said[2], most)
	}
	conn, err := net.Dial("tcp", p.waitFor(`node started.* resp=(\S+)`)[1])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	want := fmt.Sprintf("*2\r\n$10\r\nmaxclients\r\n$%d\r\n%s\r\n", len(most), most)
	got := make([]byte, len(want))
	_, _ = io.WriteString(conn, "CONFIG GET maxclients\r\n")
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

// TestRoomFor: CONFIG SET maxclients gets what the system gives, and no more.
func TestRoomFor(t *testing.T) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if got := roomFor(10, 20, log); got < 10 {
		t.Errorf("room for %d clients, want 10 at least", got)
	}
	const absurd = 1 << 40 // above fs.nr_open everywhere
	if got, want := roomFor(absurd, 20, log), int64(limit.Cur)-20-reservedDescriptors; got != want {
		t.Errorf("room for %d clients of %d, want %d", got, int64(absurd), want)
	}
}
