package cluster

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

// What the library formats with hclog.Fmt comes out as text.
func TestLoggerExpandsFormats(t *testing.T) {
	var out bytes.Buffer
	var l hclog.Logger = &raftLogger{log: slog.New(slog.NewTextHandler(&out, nil))}
	args := []any{"servers", hclog.Fmt("%+v", []struct{ ID string }{{"n1"}}), "percent-complete", hclog.Fmt("%0.2f%%", 100.0), "n", 1}
	l.With("part", hclog.Fmt("%d of %d", 1, 2)).Info("hello", args...)
	l.Info("plain", "bad", hclog.Format(nil))
	for _, want := range []string{`part="1 of 2"`, `servers=[{ID:n1}]`, `percent-complete=100.00%`, `n=1`, `msg=plain bad=[]`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, out.String())
		}
	}
	if _, ok := args[1].(hclog.Format); !ok {
		t.Error("the caller's arguments were changed")
	}
}
