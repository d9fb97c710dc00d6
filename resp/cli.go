package resp

import "strconv"

// FormatCLI renders a reply as redis-cli shows it on a terminal (or with
// --no-raw), without the newline at the end. The script corpus compares these
// texts. Source: redis/src/redis-cli.c:cliFormatReplyTTY (7.0).
func FormatCLI(v Value) string { return string(appendCLI(nil, v, "")) }

func appendCLI(b []byte, v Value, prefix string) []byte {
	switch v.Kind {
	case KindError, KindBulkError:
		return append(append(b, "(error) "...), v.Str...)
	case KindInt:
		return strconv.AppendInt(append(b, "(integer) "...), v.Int, 10)
	case KindDouble:
		return append(append(b, "(double) "...), v.Str...)
	case KindBulk:
		return AppendQuoted(b, v.Str)
	case KindNull:
		return append(b, "(nil)"...)
	case KindBool:
		if v.Int != 0 {
			return append(b, "(true)"...)
		}
		return append(b, "(false)"...)
	case KindArray, KindMap, KindSet, KindPush:
		return appendAggregate(b, v, prefix)
	}
	return append(b, v.Str...) // simple and verbatim strings, big numbers
}

// emptyCLI is what redis-cli shows for an aggregate without elements.
var emptyCLI = map[Kind]string{
	KindArray: "(empty array)", KindMap: "(empty hash)", KindSet: "(empty set)", KindPush: "(empty push)",
}

// appendAggregate numbers the elements, right-aligned; nested ones are indented
// by the width of the number before them. The first element continues the line
// that the parent began, but a map's value of several elements begins its own.
func appendAggregate(b []byte, v Value, prefix string) []byte {
	if len(v.Elems) == 0 {
		return append(b, emptyCLI[v.Kind]...)
	}
	n, stride, mark := len(v.Elems), 1, ") "
	switch v.Kind {
	case KindMap:
		n, stride, mark = n/2, 2, "# "
	case KindSet:
		mark = "~ "
	}
	width := len(strconv.Itoa(n))
	inner := prefix + spaces(width+2)
	for i := 0; i < len(v.Elems); i += stride {
		if i > 0 {
			b = append(append(b, '\n'), prefix...)
		}
		number := strconv.Itoa(i/stride + 1)
		b = append(b, spaces(width-len(number))...)
		b = append(append(b, number...), mark...)
		b = appendCLI(b, v.Elems[i], inner)
		if stride == 2 && i+1 < len(v.Elems) {
			b = append(b, " => "...)
			if len(v.Elems[i+1].Elems) > 1 {
				b = append(append(b, '\n'), inner...)
			}
			b = appendCLI(b, v.Elems[i+1], inner)
		}
	}
	return b
}

func spaces(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = ' '
	}
	return string(b)
}

// AppendQuoted appends s in double quotes with Redis's escapes (sdscatrepr), as
// redis-cli shows bulk strings and MONITOR shows arguments.
func AppendQuoted(b, s []byte) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, c := range s {
		switch c {
		case '\\', '"':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		case '\a':
			b = append(b, '\\', 'a')
		case '\b':
			b = append(b, '\\', 'b')
		default:
			if c >= ' ' && c <= '~' {
				b = append(b, c)
			} else {
				b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
			}
		}
	}
	return append(b, '"')
}
