package load

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// RedisBenchmark is a run of redis-benchmark with a number of requests.
type RedisBenchmark struct {
	Addr string
	Test string // as -t has it: set, get, incr …
	// Command, if set, is what is sent instead; __rand_int__ in it is a number below Over.Keys.
	Command  []string
	DB       int // the database
	Conns    int
	Pipeline int
	Over     Keyspace
	TLS      *TLSFiles // nil for plaintext
	As       *User     // nil for the default user
}

// User is whom the clients log in as.
type User struct{ Name, Password string }

// TLSFiles are PEM files: the CA to check the server by, and the client's certificate.
type TLSFiles struct{ CA, Cert, Key string }

// Summary is what redis-benchmark says of a run. Latencies are in milliseconds.
type Summary struct {
	PerSecond, Average, P50, P95, P99, Max float64
}

// Run sends so many requests and returns what redis-benchmark measured, with its
// clock of milliseconds: what takes less is done at an infinite rate.
func (b RedisBenchmark) Run(ctx context.Context, requests int) (*Summary, error) {
	host, port, err := net.SplitHostPort(b.Addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "redis-benchmark", "-h", host, "-p", port, "--csv",
		"-c", strconv.Itoa(b.Conns), "-P", strconv.Itoa(b.Pipeline), "-n", strconv.Itoa(requests),
		"-r", strconv.Itoa(b.Over.Keys), "-d", strconv.Itoa(b.Over.Size),
		"--dbnum", strconv.Itoa(b.DB))
	if b.TLS != nil {
		cmd.Args = append(cmd.Args, "--tls", "--cacert", b.TLS.CA, "--cert", b.TLS.Cert, "--key", b.TLS.Key)
	}
	if b.As != nil {
		cmd.Args = append(cmd.Args, "--user", b.As.Name, "-a", b.As.Password)
	}
	if len(b.Command) == 0 {
		cmd.Args = append(cmd.Args, "-t", b.Test)
	}
	cmd.Args = append(cmd.Args, b.Command...) // last: all that follows belongs to it
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("redis-benchmark: %w: %s", err, cmp.Or(lastLine(complaints.String()), lastLine(string(out))))
	}
	return parseSummary(string(out))
}

// parseSummary reads what redis-benchmark --csv prints. Older ones print no
// latencies; they are not supported.
func parseSummary(text string) (*Summary, error) {
	// Complaints about CONFIG may stand before the table.
	at := strings.Index(text, `"test","rps"`)
	if at < 0 {
		return nil, fmt.Errorf("redis-benchmark printed no table: %s", lastLine(text))
	}
	rows, err := csv.NewReader(strings.NewReader(text[at:])).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("redis-benchmark's table: %w", err)
	}
	if len(rows) != 2 {
		return nil, fmt.Errorf("redis-benchmark printed %d rows, not 2", len(rows))
	}
	s := &Summary{}
	into := map[string]*float64{
		"rps": &s.PerSecond, "avg_latency_ms": &s.Average, "p50_latency_ms": &s.P50, "p95_latency_ms": &s.P95,
		"p99_latency_ms": &s.P99, "max_latency_ms": &s.Max,
	}
	for i, name := range rows[0] {
		if field, known := into[name]; known {
			if *field, err = strconv.ParseFloat(rows[1][i], 64); err != nil {
				return nil, fmt.Errorf("redis-benchmark's %s: %w", name, err)
			}
			delete(into, name)
		}
	}
	if len(into) > 0 || s.PerSecond <= 0 {
		return nil, errors.New("redis-benchmark's table lacks columns: " + strings.Join(rows[0], " "))
	}
	return s, nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
