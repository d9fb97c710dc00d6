//go:build linux

package load

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// serve answers each command with what reply returns, as it stands, until the test
// ends. An empty reply closes the connection.
func serve(t *testing.T, reply func(args []string) string) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		serving sync.WaitGroup
		mu      sync.Mutex
		conns   []net.Conn
	)
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			serving.Go(func() { answer(conn, reply) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
	return ln.Addr().String()
}

func answer(conn net.Conn, reply func(args []string) string) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		args, err := command(in)
		if err != nil {
			return
		}
		text := reply(args)
		if text == "" {
			return
		}
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
	}
}

// command reads one command in RESP, strictly.
func command(in *bufio.Reader) (args []string, err error) {
	count, err := header(in, '*')
	for range count {
		length, err := header(in, '$')
		if err != nil {
			return nil, err
		}
		arg := make([]byte, length+2)
		if _, err := io.ReadFull(in, arg); err != nil {
			return nil, err
		}
		if !strings.HasSuffix(string(arg), "\r\n") {
			return nil, fmt.Errorf("an argument that does not end: %q", arg)
		}
		args = append(args, string(arg[:length]))
	}
	return args, err
}

func header(in *bufio.Reader, kind byte) (int, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if line[0] != kind || !strings.HasSuffix(line, "\r\n") {
		return 0, fmt.Errorf("no header: %q", line)
	}
	return strconv.Atoi(line[1 : len(line)-2])
}
