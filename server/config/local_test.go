package config

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestLocalDefaults(t *testing.T) {
	l, done, err := ParseLocal(nil, nil)
	if err != nil || done {
		t.Fatalf("done %v, error %v", done, err)
	}
	first, third := l.Node(1), l.Node(3)
	if first.NodeID != "node1" || first.RESPAddr != "127.0.0.1:6379" || first.DataDir != "data/run/node1" || len(first.Join) != 0 {
		t.Errorf("node1: %+v", first)
	}
	if third.NodeID != "node3" || third.RESPAddr != "127.0.0.1:6381" || third.HTTPAddr != "127.0.0.1:8082" ||
		third.RaftAddr != "127.0.0.1:8002" || len(third.Join) != 1 || third.Join[0] != "127.0.0.1:8000" {
		t.Errorf("node3: %+v", third)
	}
}

func TestLocalRefusals(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"--port 0", "--port must be between"},
		{"--raft-port 65534", "--raft-port must be between"},
		{"--http-port 6381", "--port 6379 and --http-port 6381 overlap"},
		{"--prot 7000", "--port"},
		{"now", "unexpected argument now"},
	} {
		_, done, err := ParseLocal(strings.Fields(tt.args), nil)
		if done || !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: done %v, error %v", tt.args, done, err)
		}
	}
}

func TestLocalHelp(t *testing.T) {
	var out bytes.Buffer
	if _, done, err := ParseLocal([]string{"-h"}, &out); !done || err != nil || !strings.Contains(out.String(), "--raft-port") {
		t.Errorf("done %v, error %v, %s", done, err, out.String())
	}
}
