package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// environ is an environment of a test's own.
func environ(pairs ...string) []string { return pairs }

func yamlFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "raftkv.yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaults(t *testing.T) {
	got, done, err := Parse([]string{"--node-id", "node1"}, environ(), nil)
	if err != nil || done {
		t.Fatalf("Parse: done %v, error %v", done, err)
	}
	want := &Config{
		NodeID: "node1", DataDir: filepath.Join("data", "node1"),
		RaftAddr: "127.0.0.1:8000", RESPAddr: "127.0.0.1:6379", HTTPAddr: "127.0.0.1:8080",
		RaftAdvertise: "127.0.0.1:8000", RESPAdvertise: "127.0.0.1:6379", HTTPAdvertise: "127.0.0.1:8080",
		Network: "lan", DebugCommand: "no", LeaderWait: 3 * time.Second, ProtectedMode: "yes", MaxClients: 10000, TCPKeepAlive: 300, MaxBulk: 512 << 20, QueryLimit: 1 << 30,
		SlowlogSlower: 10000, SlowlogLen: 128, DiskReserve: 64 << 20, AuditInterval: time.Hour,
		LogLevel: "info", LogFormat: "text", TLS: TLS{TLSAuthClients: "yes", InsecureRaft: "no"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestPrecedence(t *testing.T) {
	file := yamlFile(t, "# a comment\nnode-id: fromfile\ntimeout: 1\nmaxclients: 11\nrequirepass: 0123\n"+
		"protected-mode: no\nresp-addr: \":7000\"\nresp-advertise: db.example:7000\njoin: [a:1, \"b:2\"]\nleader-wait: 5s\n")
	env := environ("RAFTKV_CONFIG="+file, "RAFTKV_TIMEOUT=2", "RAFTKV_MAXCLIENTS=12", "RAFTKV_LEADER_WAIT=")
	got, _, err := Parse([]string{"--timeout=3"}, env, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.NodeID != "fromfile" || got.Timeout != 3 || got.MaxClients != 12 || got.LeaderWait != 5*time.Second {
		t.Errorf("got id %q, timeout %d, maxclients %d, leader-wait %s; want fromfile, 3, 12, 5s",
			got.NodeID, got.Timeout, got.MaxClients, got.LeaderWait)
	}
	if got.RequirePass != "0123" || got.ProtectedMode != "no" || !reflect.DeepEqual(got.Join, []string{"a:1", "b:2"}) {
		t.Errorf("got requirepass %q, protected-mode %s, join %v", string(got.RequirePass), got.ProtectedMode, got.Join)
	}
	if got.RESPAdvertise != "db.example:7000" {
		t.Errorf("got resp-advertise %q", got.RESPAdvertise)
	}
}

// How long requests wait for a leader fits the network, unless it is said.
func TestLeaderWaitFollowsTheNetwork(t *testing.T) {
	for _, tt := range []struct {
		args, env []string
		want      time.Duration
	}{
		{nil, nil, 3 * time.Second},
		{[]string{"--network", "wan"}, nil, 10 * time.Second},
		{nil, []string{"RAFTKV_NETWORK=wan"}, 10 * time.Second},
		{[]string{"--network", "wan", "--leader-wait", "3s"}, nil, 3 * time.Second},
		{[]string{"--network", "wan", "--leader-wait", "0s"}, nil, 0},
		{[]string{"--network", "wan"}, []string{"RAFTKV_LEADER_WAIT=4s"}, 4 * time.Second},
		{nil, []string{"RAFTKV_CONFIG=" + yamlFile(t, "network: wan\nleader-wait: 5s\n")}, 5 * time.Second},
	} {
		got, _, err := Parse(append([]string{"--node-id", "n"}, tt.args...), tt.env, nil)
		if err != nil || got.LeaderWait != tt.want {
			t.Errorf("%v %v: %+v, %v, want leader-wait %s", tt.args, tt.env, got, err, tt.want)
		}
	}
}

func TestFlagNamesAnotherFileThanTheEnvironment(t *testing.T) {
	env := environ("RAFTKV_CONFIG=" + yamlFile(t, "node-id: one"))
	got, _, err := Parse([]string{"--config", yamlFile(t, "node-id: two")}, env, nil)
	if err != nil || got.NodeID != "two" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestRefusals: each mistake gives one line that names what is wrong and what to do.
func TestRefusals(t *testing.T) {
	id := []string{"--node-id", "n"}
	for _, tt := range []struct {
		name string
		args []string
		file string
		env  string
		want []string
	}{
		{"no id", nil, "", "", []string{"--node-id is missing", "--node-id node1"}},
		{"bad id", []string{"--node-id", "a b"}, "", "", []string{"--node-id", `"a b"`}},
		{"long id", []string{"--node-id", strings.Repeat("x", 65)}, "", "", []string{"at most 64"}},
		{"typo", []string{"--nod-id", "n"}, "", "", []string{"unknown flag --nod-id", "--node-id"}},
		{"no value", []string{"--node-id"}, "", "", []string{"--node-id: a value is missing"}},
		{"no duration", append(id, "--leader-wait"), "", "", []string{"--leader-wait: a value is missing"}},
		{"a flag for a value", append(id, "--join", "--data-dir", "d"), "", "", []string{"--join: a value is missing behind it: --data-dir is a flag"}},
		{"stray word", append(id, "start"), "", "", []string{"unexpected argument start"}},
		{"no port", append(id, "--resp-addr", "localhost"), "", "", []string{"--resp-addr", "HOST:PORT"}},
		{"bare IPv6", append(id, "--resp-addr", "fe80::1"), "", "", []string{"[fe80::1]:PORT"}},
		{"IPv6 and port", append(id, "--resp-addr", "2001:db8::1:7000"), "", "", []string{"brackets", "[2001:db8::1]:7000, or [2001:db8::1:7000]:PORT"}},
		{"unknown host", append(id, "--raft-addr", "no-such-host.invalid:8000"), "", "", []string{`--raft-addr no-such-host.invalid:8000: the host "no-such-host.invalid" cannot be resolved`}},
		{"unknown host, unprotected", append(id, "--resp-addr", "no-such-host.invalid:8000", "--protected-mode", "no"), "", "", []string{"--resp-addr", "cannot be resolved"}},
		{"one dash", []string{"-node-id", "n"}, "", "", []string{"write --node-id"}},
		{"one dash and a value", []string{"-node-id=n"}, "", "", []string{"write --node-id"}},
		{"word for a port", append(id, "--http-addr", "localhost:http"), "", "", []string{"--http-addr", "number"}},
		{"large port", append(id, "--raft-addr", "localhost:65536"), "", "", []string{"--raft-addr", "number"}},
		{"bad host", append(id, "--raft-addr", "ho st:1"), "", "", []string{"--raft-addr", `"ho st"`}},
		{"bad IPv4", append(id, "--raft-addr", "10.0.0.256:1"), "", "", []string{"--raft-addr", "10.0.0.256"}},
		{"raft port 0", append(id, "--raft-addr", "127.0.0.1:0"), "", "", []string{"--raft-addr", "choose one"}},
		{"same twice", append(id, "--http-addr", "127.0.0.1:6379"), "", "", []string{"--resp-addr and --http-addr"}},
		{"wildcard", append(id, "--resp-addr", ":6379"), "", "", []string{"--resp-advertise HOST:PORT"}},
		{"IPv6 wildcard", append(id, "--raft-addr", "[::]:8000"), "", "", []string{"--raft-advertise HOST:PORT"}},
		{"wildcard advertised", append(id, "--http-advertise", "0.0.0.0:80"), "", "", []string{"--http-advertise", "names no machine"}},
		{"open", append(id, "--resp-addr", "10.1.2.3:6379"), "", "", []string{"--resp-addr 10.1.2.3:6379", "--requirepass", "--protected-mode no"}},
		{"open Raft", append(id, "--raft-addr", "10.1.2.3:8000"), "", "", []string{"--raft-addr 10.1.2.3:8000", "--tls-cert-file", "--insecure-raft yes"}},
		{"open HTTP", append(id, "--http-addr", ":80", "--http-advertise", "h:80"), "", "", []string{"--http-addr :80", "--requirepass"}},
		{"join", append(id, "--join", "a:1,b"), "", "", []string{"--join", `"b"`}},
		{"join itself", append(id, "--join", "127.0.0.1:8000"), "", "", []string{"--join 127.0.0.1:8000 is this node itself"}},
		{"join the address it advertises", append(id, "--raft-advertise", "h:1", "--join", "h:1"), "", "", []string{"--join h:1 is this node itself"}},
		{"join nobody", append(id, "--join", ""), "", "", []string{"--join: the value is empty"}},
		{"empty data dir", append(id, "--data-dir="), "", "", []string{"--data-dir: the value is empty"}},
		{"empty config", append(id, "--config", ""), "", "", []string{"--config: the value is empty"}},
		{"level", append(id, "--log-level", "loud"), "", "", []string{"--log-level", "warn"}},
		{"protected", append(id, "--protected-mode", "maybe"), "", "", []string{"--protected-mode", "yes"}},
		{"number", append(id, "--maxclients", "many"), "", "", []string{"--maxclients", "many"}},
		{"number with exponent", append(id, "--maxclients", "1e4"), "", "", []string{`--maxclients: "1e4" is no whole number`}},
		{"negative number", append(id, "--maxclients", "-1"), "", "", []string{"--maxclients must be between 1"}},
		{"slowlog", append(id, "--slowlog-log-slower-than", "-2"), "", "", []string{"--slowlog-log-slower-than must be between -1"}},
		{"slowlog's length", append(id, "--slowlog-max-len", "-1"), "", "", []string{"--slowlog-max-len must be between 0"}},
		{"no unit", append(id, "--leader-wait", "3"), "", "", []string{`--leader-wait: "3" is no duration: write a number and its unit`}},
		{"negative duration", append(id, "--leader-wait", "-3s"), "", "", []string{"--leader-wait must be between 0s"}},
		{"range", append(id, "--maxclients", "0"), "", "", []string{"--maxclients", "between 1"}},
		{"bulk", append(id, "--proto-max-bulk-len", "512k"), "", "", []string{"--proto-max-bulk-len", "1048576"}},
		{"query buffer", append(id, "--client-query-buffer-limit", "1000kb"), "", "", []string{"--client-query-buffer-limit", "1048576"}},
		{"memory", append(id, "--maxmemory", "50%"), "", "", []string{"--maxmemory", "50%"}},
		{"bulk's unit", append(id, "--proto-max-bulk-len", "1tb"), "", "", []string{"--proto-max-bulk-len", "1tb"}},
		{"wait", append(id, "--leader-wait", "2h"), "", "", []string{"--leader-wait"}},
		{"no such network", append(id, "--network", "moon"), "", "", []string{"--network must be one of"}},
		{"log store", append(id, "--log-store", "bbolt"), "", "", []string{"--log-store must be bolt or segments", "bbolt"}},
		{"too many audits", append(id, "--audit-interval", "10ms"), "", "", []string{"--audit-interval must be 0s, for never, or at least 1s"}},
		{"environment", id, "", "RAFTKV_TIMEOUT=soon", []string{"RAFTKV_TIMEOUT in the environment", "soon"}},
		{"unknown variable", id, "", "RAFTKV_RESP_ADR=x", []string{"RAFTKV_RESP_ADR in the environment is no setting: did you mean RAFTKV_RESP_ADDR?"}},
		{"variable in lower case", id, "", "RAFTKV_node_id=x", []string{"RAFTKV_node_id", "did you mean RAFTKV_NODE_ID?"}},
		{"strange variable", id, "", "RAFTKV_QUUX_OF_NOTHING=x", []string{"RAFTKV_QUUX_OF_NOTHING", "--help", "unset it"}},
		{"variable of a flag that is none", id, "", "RAFTKV_HELP=1", []string{"RAFTKV_HELP in the environment is no setting"}},
		{"a port that is no service's", id, "", "RAFTKV_PORT=7000", []string{"RAFTKV_PORT in the environment is no setting"}},
		{"file typo", id, "\nnode_id: n", "", []string{"line 2", `"node_id"`, `did you mean "node-id"`}},
		{"file stranger", id, "quux-of-nothing: n", "", []string{"line 1", "--help"}},
		{"file value", id, "a: 1\n", "", []string{"line 1", `"a"`}},
		{"file type", id, "\n\ntimeout: soon", "", []string{"line 3", "timeout", "soon"}},
		{"file nested", id, "join: {a: b}", "", []string{"line 1", "join", "plain value"}},
		{"file list of lists", id, "join: [[a]]", "", []string{"line 1", "list of plain"}},
		{"file empty value", id, "timeout:", "", []string{"line 1", "missing"}},
		{"file empty string", id, "timeout: 1\njoin: \"\"", "", []string{"line 2", "join: the value is empty"}},
		{"file twice", id, "timeout: 1\ntimeout: 2", "", []string{"timeout", "already"}},
		{"file no mapping", id, "- a", "", []string{"a line for each setting"}},
		{"file broken", id, "timeout: 1\njoin: [a", "", []string{"raftkv.yml, line 2: it is no YAML: write a line for each setting, for example node-id: node1"}},
		{"file tab", id, "timeout: 1\n\tjoin: a", "", []string{"raftkv.yml, line 2"}},
		{"file binary", id, "\x00\x01", "", []string{"raftkv.yml"}},
		{"file two documents", id, "timeout: 1\n---\ntimeout: 2", "", []string{"one YAML document"}},
		{"file names a file", id, "config: x", "", []string{`"config"`}},
		{"directory for a file", append(id, "--config", os.TempDir()), "", "", []string{"--config " + os.TempDir(), "name a YAML file"}},
		{"no file", append(id, "--config", "/nonexistent/x.yml"), "", "", []string{"--config", "/nonexistent/x.yml"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := tt.args
			if tt.file != "" {
				args = append(args[:len(args):len(args)], "--config", yamlFile(t, tt.file))
			}
			_, done, err := Parse(args, environ(tt.env), nil)
			if err == nil || done || !errors.Is(err, ErrUsage) {
				t.Fatalf("done %v, error %v; want a usage error", done, err)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not mention %q", err, want)
				}
			}
		})
	}
}

func TestAccepted(t *testing.T) {
	for _, args := range [][]string{
		{"--raft-addr", "localhost:8000"},
		{"--resp-addr", "[::1]:6379"},
		{"--resp-addr", "127.9.9.9:6379"},
		{"--resp-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"},
		{"--resp-addr", ":6379", "--resp-advertise", "db-1.example.com:6379", "--requirepass", "x"},
		{"--resp-addr", "10.1.2.3:6379", "--protected-mode", "no"},
		{"--join", "n2.svc.cluster.local:8000, 10.0.0.3:8000"},
		{"--join", "127.0.0.1:8000,127.0.0.1:8001"}, // one list for all nodes
		{"--requirepass", ""},                       // Redis's word for none
		{"--requirepass=-n"},
		{"--log-store", "segments"},
		{"--log-store", "bolt"},
	} {
		if _, _, err := Parse(append([]string{"--node-id", "n"}, args...), environ(), nil); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// TestSlowlog: Redis's settings of the slow log are taken from all three sources.
func TestSlowlog(t *testing.T) {
	file := yamlFile(t, "slowlog-log-slower-than: -1\nslowlog-max-len: 7\n")
	for _, tt := range []struct {
		args, env   []string
		slower, len int64
	}{
		{[]string{"--slowlog-log-slower-than", "-1", "--slowlog-max-len", "0"}, nil, -1, 0},
		{nil, []string{"RAFTKV_SLOWLOG_LOG_SLOWER_THAN=0", "RAFTKV_SLOWLOG_MAX_LEN=1"}, 0, 1},
		{[]string{"--config", file}, nil, -1, 7},
		{[]string{"--config", file, "--slowlog-max-len=3"}, []string{"RAFTKV_SLOWLOG_LOG_SLOWER_THAN=5"}, 5, 3},
	} {
		got, _, err := Parse(append([]string{"--node-id", "n"}, tt.args...), tt.env, nil)
		if err != nil || got.SlowlogSlower != tt.slower || got.SlowlogLen != tt.len {
			t.Errorf("%v %v: got %+v, %v; want %d and %d", tt.args, tt.env, got, err, tt.slower, tt.len)
		}
	}
}

// TestVariablesOfOthers: what Kubernetes says of a service named raftkv, or of
// raftkv-http, keeps no node from starting; nor do empty variables.
func TestVariablesOfOthers(t *testing.T) {
	env := environ(
		"RAFTKV_SERVICE_HOST=10.0.0.1", "RAFTKV_SERVICE_PORT=6379", "RAFTKV_SERVICE_PORT_RESP=6379", "RAFTKV_PORT=tcp://10.0.0.1:6379",
		"RAFTKV_PORT_6379_TCP=tcp://10.0.0.1:6379", "RAFTKV_PORT_6379_TCP_PROTO=tcp", "RAFTKV_PORT_6379_TCP_PORT=6379",
		"RAFTKV_PORT_6379_TCP_ADDR=10.0.0.1", "RAFTKV_HTTP_SERVICE_HOST=10.0.0.2", "RAFTKV_HTTP_PORT=tcp://10.0.0.2:8080",
		"RAFTKV_SOMETHING=", "RAFTKV=1", "XRAFTKV_A=1", "PATH=/bin",
	)
	if _, _, err := Parse([]string{"--node-id", "n"}, env, nil); err != nil {
		t.Error(err)
	}
	if _, _, err := Parse([]string{"--node-id", "n"}, environ("RAFTKV_FAULT=drop-tail"), nil); (err == nil) != faultVariables {
		t.Errorf("a variable of planted faults: %v", err)
	}
}

// FuzzYAML: whatever the file holds, reading it ends with settings that there are
// or with one line that names the file.
func FuzzYAML(f *testing.F) {
	for _, seed := range []string{
		"node-id: n\njoin: [a:1, b:2]\n", "# x\n---\ntimeout: 1\n", "a: &x [*x]", "? [", "<<: {a: b}", "join: !!binary x", "join:\n- |\n  a\n",
		"{timeout: 1, timeout: 2}", "\x00", "- a\n-", "timeout: 1\n---\n", "*a : b", "timeout: >\n\n", "'a", "!!map", "join: [a", "? a\n: b", "join: {}",
	} {
		f.Add([]byte(seed))
	}
	known := []string{"node-id", "join", "timeout", "requirepass"}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := parseYAML("x.yml", data, known)
		if err != nil {
			if text := err.Error(); strings.ContainsAny(text, "\r\n") || !strings.HasPrefix(text, "x.yml") || !errors.Is(err, ErrUsage) {
				t.Errorf("%q: %q", data, text)
			}
			return
		}
		for name := range got {
			if !slices.Contains(known, name) {
				t.Errorf("%q: took the setting %q", data, name)
			}
		}
	})
}

func TestEmptyFile(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n"} {
		if _, _, err := Parse([]string{"--node-id", "n", "--config", yamlFile(t, text)}, environ(), nil); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestHelp: help names every flag with its group, and wins over mistakes beside it.
func TestHelp(t *testing.T) {
	var out bytes.Buffer
	_, done, err := Parse([]string{"--nonsense", "--help"}, environ(), &out)
	if err != nil || !done {
		t.Fatalf("done %v, error %v", done, err)
	}
	for _, want := range []string{
		"--node-id", "--raft-addr", "--resp-addr", "--http-addr", "--data-dir", "--join", "--raft-advertise",
		"--resp-advertise", "--http-advertise", "--config", "--leader-wait", "--requirepass", "--log-level",
		"--log-format", "--network", "--version", "Addresses:", "Clients:", "RAFTKV_RESP_ADDR", "127.0.0.1:6379", "run-local",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("help does not mention %q", want)
		}
	}
}

func TestVersion(t *testing.T) {
	var out bytes.Buffer
	if _, done, err := Parse([]string{"--version"}, environ(), &out); err != nil || !done {
		t.Fatalf("done %v, error %v", done, err)
	}
	for _, want := range []string{"raftkv ", "commit ", "go1."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q does not mention %q", out.String(), want)
		}
	}
}

func TestSecretHides(t *testing.T) {
	if got := Secret("hunter2").String() + Secret("hunter2").LogValue().String(); strings.Contains(got, "hunter2") {
		t.Errorf("got %q", got)
	}
}

func TestBytes(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Bytes
		bad  bool
	}{
		{text: "0"}, {text: "1048576", want: 1 << 20}, {text: "5b", want: 5}, {text: "2k", want: 2000}, {text: "2KB", want: 2048},
		{text: "3m", want: 3_000_000}, {text: "3mb", want: 3 << 20}, {text: "1g", want: 1_000_000_000}, {text: "1Gb", want: 1 << 30},
		{text: "", bad: true}, {text: "mb", bad: true}, {text: "-1", bad: true}, {text: "1.5mb", bad: true}, {text: "9223372036854775807kb", bad: true},
	} {
		var got Bytes
		if err := got.UnmarshalText([]byte(tt.text)); (err != nil) != tt.bad || got != tt.want {
			t.Errorf("%q: got %d, %v", tt.text, got, err)
		}
	}
}
