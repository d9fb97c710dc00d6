package guard

import (
	"bytes"
	"strconv"
)

// inline frames a command typed as a plain line, and writes it in multibulk form,
// so that the parser behind meets one form only. An empty line is no command.
func (r *Reader) inline(lim Limits) (f Frame, ok bool, err error) {
	rest := r.buf[r.start:]
	end := bytes.IndexByte(rest[:min(len(rest), maxLine+1)], '\n')
	if end < 0 {
		if len(rest) > maxLine {
			return f, false, ErrBigInline
		}
		return f, false, nil
	}
	args, ok := splitArgs(bytes.TrimSuffix(rest[:end], []byte("\r")))
	if !ok {
		return f, false, ErrQuotes
	}
	if len(args) > unauthArgs && lim.Unauthenticated {
		return f, false, ErrUnauthMultibulk
	}
	r.start += end + 1
	r.pos = r.start
	if len(args) > 0 {
		raw := multibulk(args)
		f = Frame{Raw: raw[:len(raw):len(raw)], Argc: len(args)}
	}
	return f, true, nil
}

// multibulk encodes arguments as a client library would.
func multibulk(args [][]byte) []byte {
	size := 16
	for _, a := range args {
		size += len(a) + 16
	}
	b := append(make([]byte, 0, size), '*')
	b = append(strconv.AppendInt(b, int64(len(args)), 10), "\r\n"...)
	for _, a := range args {
		b = append(b, '$')
		b = append(strconv.AppendInt(b, int64(len(a)), 10), "\r\n"...)
		b = append(append(b, a...), "\r\n"...)
	}
	return b
}

// splitArgs splits a line into arguments by Redis's rules (sds.c:sdssplitargs):
// blanks separate; "…" knows \n \r \t \b \a \xHH and \c; '…' knows \' only; a
// closing quote must be followed by a blank or the end. ok is false where quotes
// do not close.
func splitArgs(line []byte) (args [][]byte, ok bool) {
	if i := bytes.IndexByte(line, 0); i >= 0 {
		line = line[:i] // Redis reads the line as a C string
	}
	for {
		for len(line) > 0 && isSpace(line[0]) {
			line = line[1:]
		}
		if len(line) == 0 {
			return args, true
		}
		arg := []byte{}
		if arg, line, ok = splitOne(arg, line); !ok {
			return nil, false
		}
		args = append(args, arg)
	}
}

// splitOne appends the first argument of line to arg and returns what is left.
func splitOne(arg, line []byte) (_, rest []byte, ok bool) {
	for len(line) > 0 && !isSpace(line[0]) {
		switch quote := line[0]; quote {
		case '"', '\'':
			arg, line, ok = quoted(arg, line[1:], quote)
			if !ok || len(line) > 0 && !isSpace(line[0]) {
				return nil, nil, false
			}
			return arg, line, true
		default:
			arg = append(arg, quote)
			line = line[1:]
		}
	}
	return arg, line, true
}

// quoted appends what stands before the closing quote.
func quoted(arg, line []byte, quote byte) (_, rest []byte, ok bool) {
	for len(line) > 0 {
		c := line[0]
		switch {
		case c == quote:
			return arg, line[1:], true
		case c != '\\' || len(line) < 2:
			arg, line = append(arg, c), line[1:]
		case quote == '\'':
			if line[1] == '\'' {
				line = line[1:]
			}
			arg, line = append(arg, line[0]), line[1:]
		default:
			var b byte
			b, line = escaped(line)
			arg = append(arg, b)
		}
	}
	return nil, nil, false
}

// escaped reads one escape sequence of a double-quoted string.
func escaped(line []byte) (c byte, rest []byte) {
	if len(line) >= 4 && line[1] == 'x' {
		if n, err := strconv.ParseUint(string(line[2:4]), 16, 8); err == nil {
			return byte(n), line[4:]
		}
	}
	c = line[1]
	switch c {
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'b':
		c = '\b'
	case 'a':
		c = '\a'
	}
	return c, line[2:]
}

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }
