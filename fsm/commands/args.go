package commands

import (
	"math"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
)

// is says whether an argument is an option's word, in any case. Like Redis, which
// compares C strings here, it looks only at what stands before a NUL.
func is(arg []byte, word string) bool {
	for i := range len(word) {
		if i >= len(arg) || upper(arg[i]) != word[i] {
			return false
		}
	}
	return len(arg) == len(word) || arg[len(word)] == 0
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// integer reads an argument that must be an integer.
func integer(arg []byte) (int64, error) {
	n, ok := keyspace.ParseInt(arg)
	if !ok {
		return 0, resp.ErrNotInteger
	}
	return n, nil
}

// database reads a database's number as COPY and MOVE do.
func database(arg []byte) (int, error) {
	n, err := integer(arg)
	switch {
	case err != nil:
		return 0, err
	case n < math.MinInt32 || n > math.MaxInt32:
		return 0, resp.ErrIntRange
	case n < 0 || n >= keyspace.Databases:
		return 0, resp.ErrDBRange
	}
	return int(n), nil
}

// one writes 1 or 0.
func one(w *resp.Writer, yes bool) {
	if yes {
		w.Int(1)
	} else {
		w.Int(0)
	}
}
