package server

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/tests/scripts/golden"
)

// commandExceptions are where COMMAND INFO differs from Redis 7.0.15 on purpose: the table
// in DESIGN.md, of which each row has names, and the reason.
func commandExceptions(t *testing.T) golden.Exceptions {
	t.Helper()
	design, err := os.ReadFile("DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(design), "| COMMAND INFO of | differs from Redis 7.0.15, for |\n|---|---|\n")
	if !ok {
		t.Fatal("DESIGN.md has no table of COMMAND INFO")
	}
	table, _, _ = strings.Cut(strings.TrimSpace(table), "\n\n")
	all := golden.Exceptions{}
	for row := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(row, " | ")
		if len(cells) != 2 {
			t.Fatalf("row %q", row)
		}
		for name := range strings.FieldsSeq(strings.NewReplacer("`", "", ",", "").Replace(strings.TrimPrefix(cells[0], "| "))) {
			all[strings.ReplaceAll(name, "/", "|")] = strings.TrimSuffix(cells[1], " |")
		}
	}
	return all
}

// TestCommandInfoIsRedis compares every command with what a real Redis says of it.
func TestCommandInfoIsRedis(t *testing.T) {
	want, err := golden.Commands()
	if err != nil {
		t.Fatal(err)
	}
	s := newTestServer(t)
	reply, err := resp.Parse([]byte(localDo(t, s, "COMMAND")))
	if err != nil {
		t.Fatal(err)
	}
	got, err := golden.FromReply(reply)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) < 100 {
		t.Errorf("%d commands only", len(got))
	}
	for _, line := range golden.Compare(got, want, commandExceptions(t)) {
		t.Error(line)
	}
}

func TestCommand(t *testing.T) {
	s := newTestServer(t)
	for _, tt := range []struct{ in, want string }{
		{"COMMAND INFO nosuch", "*1\r\n$-1\r\n"},
		{"COMMAND INFO client|nosuch get|x", "*2\r\n$-1\r\n$-1\r\n"},
		{"COMMAND DOCS nosuch", "*0\r\n"},
		{"COMMAND COUNT x", "-ERR wrong number of arguments for 'command|count' command\r\n"},
		{"COMMAND NOSUCH", "-ERR unknown subcommand 'NOSUCH'. Try COMMAND HELP.\r\n"},
		{"COMMAND LIST FILTERBY MODULE m", "*0\r\n"},
		{"COMMAND LIST FILTERBY ACLCAT nosuch", "*0\r\n"},
		{"COMMAND LIST FILTERBY PATTERN GETR*", "*1\r\n$8\r\ngetrange\r\n"},
		{"COMMAND LIST FILTERBY PATTERN config|g*", "*1\r\n$10\r\nconfig|get\r\n"},
		{"COMMAND LIST FILTERBY NONE x", "-ERR syntax error\r\n"},
		{"COMMAND LIST FILTERBY", "-ERR syntax error\r\n"},
		{"COMMAND GETKEYS mset a 1 b 2", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"},
		{"COMMAND GETKEYS object encoding k", "*1\r\n$1\r\nk\r\n"},
		{"COMMAND GETKEYS ping x", "-" + string(errNoKeyArguments) + "\r\n"},
		{"COMMAND GETKEYS get k x", "-" + string(errCommandArity) + "\r\n"},
		{"COMMAND GETKEYS nosuch x", "-" + string(errNoSuchCommand) + "\r\n"},
		{"COMMAND GETKEYSANDFLAGS get k", "*1\r\n*2\r\n$1\r\nk\r\n*2\r\n+RO\r\n+access\r\n"},
	} {
		if got := localDo(t, s, strings.Fields(tt.in)...); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.in, got, tt.want)
		}
	}
	s.dial().roundTrip("HELLO 3\r\nCOMMAND INFO nosuch\r\n", hello3+"*1\r\n_\r\n")
	docs := localDo(t, s, "COMMAND", "DOCS")
	if _, err := resp.Parse([]byte(docs)); err != nil {
		t.Error(err)
	}
	if help := localDo(t, s, "COMMAND", "HELP"); !strings.Contains(help, "GETKEYS") {
		t.Error(help)
	}
}

// TestWholeReplies: what is kept is what was asked for, in either protocol.
func TestWholeReplies(t *testing.T) {
	s := newTestServer(t)
	session := newSession(s.Server, nil)
	defer session.cancel()
	for _, tt := range []struct {
		run  func(*Session, [][]byte, *resp.Writer) error
		args []string
	}{{cmdCommandInfo, []string{"COMMAND"}}, {cmdCommandDocs, []string{"COMMAND", "DOCS"}}} {
		var args, each [][]byte
		for _, a := range tt.args {
			args = append(args, []byte(a))
		}
		each = append(each, []byte("COMMAND"), []byte("x"))
		for i := range s.catalog.all {
			each = append(each, []byte(s.catalog.all[i].Name))
		}
		for _, proto := range []int{3, 2, 3, 2} {
			got, want := resp.NewWriter(proto, nil), resp.NewWriter(proto, nil)
			if err := errors.Join(tt.run(session, args, got), tt.run(session, each, want)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want.Bytes()) {
				t.Errorf("%v in RESP%d: %d bytes, one by one %d", tt.args, proto, len(got.Bytes()), len(want.Bytes()))
			}
		}
	}
}
