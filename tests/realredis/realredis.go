// Package realredis runs a redis-server of our own, which tests compare with. It knows
// nothing of what is compared, and nothing of ours.
package realredis

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// Version is the Redis that ours is compared with.
const Version = "7.0.15"

// ErrUnavailable says that there is no such Redis here.
var ErrUnavailable = errors.New("there is no redis-server " + Version + " here (apt-get install redis-tools)")

// Server is a redis-server on a Unix socket, with nothing on disk.
type Server struct {
	Socket string
	dir    string
	cmd    *exec.Cmd
	log    bytes.Buffer  // to be read when done is closed
	done   chan struct{} // closed when the process has ended
}

// Start starts the real Redis: redis-server, or redis-check-rdb under that name,
// which is the same program. The error is ErrUnavailable where it is not Version.
func Start(flags ...string) (*Server, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if path, err = exec.LookPath("redis-check-rdb"); err != nil {
			return nil, ErrUnavailable
		}
	}
	dir, err := os.MkdirTemp("", "redis") // short: the path of a socket has a limit
	if err != nil {
		return nil, err
	}
	r := &Server{Socket: filepath.Join(dir, "s"), dir: dir, done: make(chan struct{})}
	r.cmd = &exec.Cmd{Path: path, Stdout: &r.log, Stderr: &r.log}
	r.cmd.Args = append([]string{"redis-server", "--port", "0", "--unixsocket", r.Socket, "--save", "", "--appendonly", "no", "--enable-debug-command", "yes", "--dir", dir}, flags...)
	if err := r.cmd.Start(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	go func() {
		_ = r.cmd.Wait()
		close(r.done)
	}()
	if err := r.ready(); err != nil {
		r.Stop()
		return nil, fmt.Errorf("%w\n%s", err, r.log.Bytes()) // nobody writes to it any more
	}
	return r, nil
}

// ready waits until the server answers, and checks what it is.
func (r *Server) ready() error {
	retry, last := time.NewTicker(5*time.Millisecond), time.After(20*time.Second)
	defer retry.Stop()
	for {
		c, err := r.Dial()
		if err == nil {
			defer c.Close()
			info, err := c.Do([][]byte{[]byte("INFO"), []byte("server")})
			if err == nil && !bytes.Contains(info, []byte("redis_version:"+Version+"\r")) {
				err = ErrUnavailable
			}
			return err
		}
		select {
		case <-r.done:
			return fmt.Errorf("redis-server ended: %w", err)
		case <-last:
			return fmt.Errorf("redis-server does not answer: %w", err)
		case <-retry.C:
		}
	}
}

// LastWords waits for the end of a server that is about to end, and returns what it wrote.
func (r *Server) LastWords() string {
	<-r.done
	return r.log.String()
}

// Stop ends the server and removes its files.
func (r *Server) Stop() {
	_ = r.cmd.Process.Kill()
	<-r.done
	os.RemoveAll(r.dir)
}

// Conn is a connection that keeps replies as they came.
type Conn struct {
	net net.Conn
	in  *bufio.Reader
	out *bufio.Writer
}

// Dial connects to the server.
func (r *Server) Dial() (*Conn, error) {
	c, err := net.DialTimeout("unix", r.Socket, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &Conn{net: c, in: bufio.NewReaderSize(c, 64<<10), out: bufio.NewWriterSize(c, 64<<10)}, nil
}

// Close ends the connection.
func (c *Conn) Close() { c.net.Close() }

// Send sends a command, at the latest when Receive waits for a reply.
func (c *Conn) Send(args ...[]byte) error {
	fmt.Fprintf(c.out, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(c.out, "$%d\r\n", len(a))
		c.out.Write(a)
		c.out.WriteString("\r\n")
	}
	return c.net.SetDeadline(time.Now().Add(time.Minute))
}

// Flush sends what Send has kept back.
func (c *Conn) Flush() error { return c.out.Flush() }

// Receive returns the next reply, byte by byte as it came.
func (c *Conn) Receive() ([]byte, error) {
	if err := c.out.Flush(); err != nil {
		return nil, err
	}
	var reply bytes.Buffer
	err := readReply(c.in, &reply)
	return reply.Bytes(), err
}

// Do sends a command and returns its reply.
func (c *Conn) Do(args [][]byte) ([]byte, error) {
	if err := c.Send(args...); err != nil {
		return nil, err
	}
	return c.Receive()
}

// Elements cuts an array's reply into those of its elements; ok is false for any other.
func Elements(raw []byte) (elements [][]byte, ok bool) {
	if len(raw) == 0 || raw[0] != '*' || bytes.HasPrefix(raw, []byte("*-1")) {
		return nil, false
	}
	in := bufio.NewReader(bytes.NewReader(raw))
	line, err := in.ReadBytes('\n')
	if err != nil {
		return nil, false
	}
	n, err := strconv.Atoi(string(bytes.TrimSpace(line[1:])))
	for range n {
		var e bytes.Buffer
		if err != nil || readReply(in, &e) != nil {
			return nil, false
		}
		elements = append(elements, e.Bytes())
	}
	return elements, err == nil
}

// readReply copies one reply.
func readReply(in *bufio.Reader, out *bytes.Buffer) error {
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	out.Write(line)
	if len(line) < 3 {
		return fmt.Errorf("reply %q", line)
	}
	n, _ := strconv.Atoi(string(line[1 : len(line)-2]))
	switch line[0] {
	case '$', '=':
		if n >= 0 {
			_, err = io.CopyN(out, in, int64(n)+2)
		}
	case '%':
		n *= 2
		fallthrough
	case '*', '~', '>':
		for range n {
			if err := readReply(in, out); err != nil {
				return err
			}
		}
	}
	return err
}
