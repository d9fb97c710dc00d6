package security

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

const (
	inOutputs = "secrets"
	// secret is in every password and token of this test, and in nothing else.
	secret = "hush"
)

// TestPasswordsAreNowhere sends passwords in every way there is, right and wrong, to a
// cluster that logs all it can, and looks for them in all that can be read afterwards.
func TestPasswordsAreNowhere(t *testing.T) {
	t.Parallel()
	c := guarded(t, append(slices.Clone(patient), "--enable-debug-command", "yes", "--log-level", "debug", "--slowlog-log-slower-than", "0", "--slowlog-max-len", "100000")...)
	w := before(t, c)
	var told []string // what the clients were answered
	for _, n := range c.Nodes {
		told = append(told, sendSecrets(t, n))
	}
	join := token(t, w.leader)
	for _, n := range c.Nodes {
		n.MustDo("RAFT.SNAPSHOT")
	}
	if !strings.HasPrefix(join, "raftkv-join-") {
		t.Fatalf("the token is %q", join)
	}
	places := map[string]func(*proc.Node) string{
		"the answers to those who sent them": func(n *proc.Node) string { return told[slices.Index(c.Nodes, n)] },
		"the log, level debug":               func(n *proc.Node) string { return read(t, n.LogPath) },
		"/metrics": func(n *proc.Node) string {
			code, body := ask(t, n, "GET", "/metrics", "", "default", password)
			if code != 200 {
				t.Errorf("/metrics: %d", code)
			}
			return body
		},
		"/status": func(n *proc.Node) string {
			_, body := ask(t, n, "GET", "/status", "", "default", password)
			return body
		},
		"/proc/PID/cmdline":         func(n *proc.Node) string { return read(t, fmt.Sprintf("/proc/%d/cmdline", n.PID())) },
		"the files of the data dir": func(n *proc.Node) string { return files(t, n.Dir) },
	}
	for _, words := range []string{
		"INFO everything", "CONFIG GET *", "CONFIG GET requirepass", "SLOWLOG GET -1", "MONITOR", "ACL LOG 10000", "ACL LIST", "ACL GETUSER bob", "ACL GETUSER default", "CLIENT LIST", "CLIENT INFO", "COMMAND DOCS",
		"RAFT.STATUS", "RAFT.TOKEN LIST", "CLUSTER NODES", "ROLE", "MEMORY DOCTOR", "DEBUG JMAP", "LATENCY DOCTOR",
	} {
		places[words] = func(n *proc.Node) string {
			c := dialAs(t, n, "default", password)
			return c.say(line(strings.Fields(words)...))
		}
	}
	forms := secretForms(join)
	for _, name := range sorted(places) {
		w.attack(t, inOutputs, name, func(t *testing.T) (string, string) {
			size := 0
			for _, n := range c.Nodes {
				text := places[name](n)
				size += len(text)
				for _, f := range forms {
					if at := strings.Index(text, f); at >= 0 {
						t.Errorf("%s: …%.300q…", n.ID, text[max(0, at-200):])
						break
					}
				}
			}
			return fmt.Sprintf("%d bytes of three nodes, for %d forms of the secrets", size, len(forms)), "none" + shows(t, name, places[name](c.Nodes[0]))
		})
	}
	w.left()
	alone(t, inOutputs, "/proc/PID/cmdline, password in a file", func(t *testing.T) (string, string) {
		n := proc.NewNode(t, "node1")
		passwordFile(t, n, 0o600)
		cmdline := fmt.Sprintf("/proc/%d/cmdline", n.Start().WaitReady(patience).PID())
		if got := read(t, cmdline); !strings.Contains(got, "--config") || strings.Contains(got, secret) {
			t.Errorf("%q", got)
		}
		// By a flag everybody could read it, so this is where to look.
		n.Kill()
		n.Flags = []string{"--requirepass", password}
		if got := read(t, fmt.Sprintf("/proc/%d/cmdline", n.Start().WaitReady(patience).PID())); !strings.Contains(got, secret) {
			t.Errorf("%q", got)
		}
		return "--config FILE with requirepass", "none; by the flag it is there, as --help says"
	})
	alone(t, inOutputs, "raftkv check", func(t *testing.T) (string, string) {
		n := c.Nodes[0]
		n.Kill()
		out, err := exec.Command(proc.Build(t), "check", "--data-dir", n.Dir).CombinedOutput()
		if err != nil || !strings.Contains(string(out), n.ID) {
			t.Errorf("%v: %s", err, out)
		}
		for _, f := range forms {
			if strings.Contains(string(out), f) {
				t.Errorf("%s", out)
			}
		}
		return "of a node after kill -9", "none"
	})
	if code := mistakes(t); code > 0 {
		t.Errorf("%d errors of the configuration tell a password", code)
	}
}

// shows says what has to be found in a place, so that one knows it was the right one.
func shows(t *testing.T, name, text string) string {
	t.Helper()
	hash := sha256.Sum256([]byte("hush-bob"))
	want, what := "", ""
	switch name {
	case "ACL LIST", "ACL GETUSER bob":
		want, what = hex.EncodeToString(hash[:]), "; only the SHA-256"
	case "SLOWLOG GET -1":
		want, what = "(redacted)", "; (redacted) in its place"
	case "ACL LOG 10000":
		want, what = "AUTH", "; names the command and the user"
	case "CONFIG GET requirepass":
		want, what = "(hidden)", "; (hidden)"
	case "CONFIG GET *":
		want = "maxclients"
	case "DEBUG JMAP":
		want, what = "all objects: ", "; numbers only"
	case "MONITOR", "LATENCY DOCTOR":
		want, what = "-ERR unknown command", "; there is no such command"
	case "the log, level debug":
		want = "level=DEBUG"
	case "the files of the data dir":
		want = "value1"
	case "/proc/PID/cmdline":
		want, what = "--data-dir", "; it came by the environment"
	}
	if !strings.Contains(text, want) || text == "" {
		t.Errorf("%s has no %q in it: %.300q", name, want, text)
	}
	return what
}

func sorted(m map[string]func(*proc.Node) string) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// secretForms are the bytes to look for: the word that all passwords have, and a token,
// as they are, and as the encodings at hand would show them. Base64 shows a word in one
// of three ways, by where it stands.
func secretForms(join string) []string {
	forms := []string{}
	for _, s := range []string{secret + "-", join[len("raftkv-join-"):]} {
		forms = append(forms, s, hex.EncodeToString([]byte(s)), strings.ToUpper(hex.EncodeToString([]byte(s))))
		for shift := range 3 {
			b := base64.RawStdEncoding.EncodeToString([]byte("xxx"[:shift] + s))
			forms = append(forms, b[(shift*8+5)/6:len(b)-1])
		}
	}
	return forms
}

// sendSecrets sends passwords in all ways, and returns what was answered. The user bob is
// made with the password hush-bob.
func sendSecrets(t *testing.T, n *proc.Node) string {
	t.Helper()
	var told strings.Builder
	s := dialStranger(t, n)
	s.ask, s.end = line("PING"), noAuth
	for _, words := range [][]string{
		{"AUTH", "hush-wrong"}, {"AUTH", "default", "hush-wrong"}, {"AUTH", "a", "hush-b", "c"}, {"HELLO", "3", "AUTH", "bob", "hush-wrong"}, {"HELLO", "3", "SETNAME", "x", "AUTH", "bob", "hush-wrong"},
		{"HELLO", "9", "AUTH", "default", "hush-wrong"}, {"auth", "hush-lower"}, {"HELLO", "3", "AUTH", "hush-alone"},
	} {
		told.WriteString(s.say(line(words...)))
	}
	c := dialAs(t, n, "default", password)
	for _, words := range [][]string{
		{"ACL", "SETUSER", "bob", "on", ">hush-bob", "+@all", "~*"}, {"ACL", "SETUSER", "bob", "<hush-none"}, {"ACL", "SETUSER", "bob", "#hush-hash"}, {"ACL", "SETUSER", "bob", "!hush-hash"},
		{"ACL", "SETUSER", "bob", "(+get >hush-in)"}, {"ACL", "SETUSER", "bob", "(>hush-open"}, {"acl", "setuser", "bob", ">hush-second"}, {"ACL", "DRYRUN", "bob", "AUTH", "hush-dry"},
		{"ACL", "DRYRUN", "bob", "CONFIG", "SET", "requirepass", "hush-dry"}, {"CONFIG", "SET", "nosuch", "1", "requirepass", "hush-set"}, {"CONFIG", "SET", "timeout", "x", "requirepass", "hush-set"},
		{"config", "set", "requirepass", password}, {"CONFIG", "SET", "requirepass", "hush-a", "requirepass", "hush-b"}, {"CONFIG", "SET", "masterauth", "hush-master"},
		{"CONFIG", "SET", "tls-key-file-pass", "hush-key"},
		{"MIGRATE", "h", "1", "k", "0", "1", "AUTH", "hush-migrate"}, {"MIGRATE", "h", "1", "", "0", "1", "AUTH2", "u", "hush-migrate", "KEYS", "k"},
		{"AUTH", "bob", "hush-bob"}, {"AUTH", "default", password}, {"HELLO", "2", "AUTH", "default", password, "SETNAME", "x"},
		{"COMMAND", "GETKEYS", "MIGRATE", "h", "1", "k", "0", "1", "AUTH", "hush-keys"}, {"COMMAND", "GETKEYSANDFLAGS", "AUTH", "hush-keys"}, {"COMMAND", "GETKEYS", "ACL", "SETUSER", "bob", ">hush-keys"},
	} {
		for _, raw := range []string{line(words...), inline(words...), line("MULTI") + line(words...) + line("EXEC")} {
			told.WriteString(c.say(raw))
		}
	}
	for _, p := range [][2]string{{"bob", "hush-bob"}, {"bob", "hush-wrong"}, {"nobody", "hush-wrong"}, {"default", password}} {
		_, body := ask(t, n, "GET", "/key/key1", "", p[0], p[1])
		told.WriteString(body)
		_, body = ask(t, n, "GET", "/nosuch?password=hush-query", "", p[0], p[1])
		told.WriteString(body)
	}
	told.WriteString(speak(t, n.HTTP, "GET /key/key1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer hush-wrong\r\nAuthorization hush-broken\r\n\r\n"))
	told.WriteString(speak(t, n.RESP, "*2\r\n$4\r\nAUTH\r\n$10\r\nhush-broken-framing\r\n"))
	told.WriteString(speak(t, n.RESP, "AUTH \"hush-unbalanced\r\n"))
	return told.String()
}

// read is a file, of which the system may say that it has no size.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// files is what stands in all files below a directory.
func files(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			text, err := os.ReadFile(path)
			if os.IsNotExist(err) {
				return nil // replaced meanwhile
			}
			all.Write(text)
			return err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// mistakes has raftkv refuse to start over settings that are wrong at or near a password,
// and counts how often the error tells it.
func mistakes(t *testing.T) (told int) {
	t.Helper()
	alone(t, inOutputs, "errors of the configuration", func(t *testing.T) (string, string) {
		tries := 0
		start := func(env []string, args ...string) {
			tries++
			late, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			cmd := exec.CommandContext(late, proc.Build(t), append([]string{"--node-id", "node1", "--data-dir", filepath.Join(t.TempDir(), "data")}, args...)...)
			cmd.Env = append(proc.Environ(), env...)
			out, err := cmd.CombinedOutput()
			if err == nil || late.Err() != nil {
				t.Fatalf("%v %v: it started", env, args)
			}
			if strings.Contains(string(out), secret) {
				told++
				t.Errorf("%v %v: %s", env, args, out)
			}
		}
		for _, yaml := range []string{
			"requirepass: \"hush-open\n", "requirepass: [hush-a\n", "requirepass: {hush: a}\n", "requirepass: hush-a\nrequirepass: hush-b\n", "requirepas: hush-a\n", "requirepass hush-a\n", "requirepass: hush-a: b\n",
			"\trequirepass: hush-a\n", "requirepass: @hush-a\n", "requirepass: *hush\n", "requirepass: 'hush-a\nport: 1\n", "requirepass: hush-a\nmaxclients: x\n", "join-token: hush-token\n", "requirepass: !!int hush-a\n", "- hush-a\n", "hush-a\n", "requirepass: [[hush-a]]\n",
		} {
			path := filepath.Join(t.TempDir(), "raftkv.yml")
			if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			start(nil, "--config", path)
		}
		for _, env := range []string{"RAFTKV_REQUIREPAS=hush-a", "RAFTKV_JOIN_TOKEN=hush-a", "RAFTKV_PASSWORD=hush-a"} {
			start([]string{env})
		}
		start([]string{"RAFTKV_REQUIREPASS=hush-a"}, "--maxclients", "x")
		start([]string{"RAFTKV_REQUIREPASS=hush-a"}, "--raft-addr", "0.0.0.0:1")
		return fmt.Sprintf("%d files and environments with a mistake at or near the password", tries), "none: the error names the place"
	})
	return told
}
