package server

import (
	"bytes"
	"strconv"
)

// arrayHeader reads "*<n>\r\n" at the beginning of a reply and returns what
// follows. ok is false where the reply is no array, or a null one.
func arrayHeader(reply []byte) (n int, rest []byte, ok bool) {
	line, rest, found := bytes.Cut(reply, []byte("\r\n"))
	if !found || len(line) < 2 || line[0] != '*' {
		return 0, nil, false
	}
	n, err := strconv.Atoi(string(line[1:]))
	return n, rest, err == nil && n >= 0
}

// valueLen returns the length of the first value of a reply that this server's
// own Writer has made, with all that is nested in it.
func valueLen(b []byte) int {
	pos := 0
	for left := 1; left > 0; left-- {
		end := pos + bytes.IndexByte(b[pos:], '\n') + 1
		kind := b[pos]
		switch kind {
		case '$', '=', '!', '*', '~', '>', '%', '|':
		default: // all of it is in the line
			pos = end
			continue
		}
		n, _ := strconv.Atoi(string(b[pos+1 : end-2]))
		pos = end
		switch {
		case n < 0: // a null of RESP2
		case kind == '$' || kind == '=' || kind == '!':
			pos += n + 2
		case kind == '%':
			left += 2 * n
		case kind == '|': // attributes come before the value that they belong to
			left += 2*n + 1
		default:
			left += n
		}
	}
	return pos
}
