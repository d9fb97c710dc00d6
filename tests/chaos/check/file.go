package check

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// record is one line of a history's file; exactly one field is set.
type record struct {
	Meta  *Meta      `json:"meta,omitempty"`
	Op    *Op        `json:"op,omitempty"`
	Fault *Fault     `json:"fault,omitempty"`
	Final *finalLine `json:"final,omitempty"`
}

type finalLine struct {
	Node  string `json:"node"`
	State Final  `json:"state"`
}

// WriteFile writes the history as JSON lines: the meta first, then the operations,
// the faults and the final states. An existing file is replaced.
func (h *History) WriteFile(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(h.write(f), f.Close())
}

func (h *History) write(w io.Writer) error {
	buf := bufio.NewWriterSize(w, 1<<16)
	lines := json.NewEncoder(buf)
	meta := h.Meta()
	if err := lines.Encode(record{Meta: &meta}); err != nil {
		return err
	}
	for _, op := range h.Ops() {
		if err := lines.Encode(record{Op: &op}); err != nil {
			return err
		}
	}
	for _, f := range h.Faults() {
		if err := lines.Encode(record{Fault: &f}); err != nil {
			return err
		}
	}
	finals := h.Finals()
	for _, node := range sortedKeys(finals) {
		if err := lines.Encode(record{Final: &finalLine{node, finals[node]}}); err != nil {
			return err
		}
	}
	return buf.Flush()
}

// ReadFile reads what WriteFile wrote. Nothing can be recorded in step with it: its
// Now goes on from the reading.
func ReadFile(path string) (*History, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h, err := read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return h, nil
}

func read(r io.Reader) (*History, error) {
	h := NewHistory(Meta{})
	lines := json.NewDecoder(bufio.NewReaderSize(r, 1<<16))
	for n := 1; ; n++ {
		var line record
		err := lines.Decode(&line)
		if err == io.EOF {
			return h, nil
		}
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", n, err)
		}
		switch {
		case line.Meta != nil:
			h.meta = *line.Meta
		case line.Op != nil:
			h.Record(*line.Op)
		case line.Fault != nil:
			h.AddFault(*line.Fault)
		case line.Final != nil:
			h.SetFinal(line.Final.Node, line.Final.State)
		default:
			return nil, fmt.Errorf("record %d: neither meta, op, fault nor final", n)
		}
	}
}

func sortedKeys[K ~string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
