// Package glob matches Redis's patterns: * ? [a-z] [^x] and \ to escape.
package glob

// maxStars is how many separate stars a pattern may have before its last: Redis
// (7.0.16, CVE-2024-31228) refuses to look deeper and says that nothing matches.
const maxStars = 1000

// Match says whether the whole of s matches pattern, byte by byte, exactly as
// Redis's stringmatchlen does, oddities included: a class that is never closed
// ends with the pattern, a lone backslash at the end stands for itself, ranges
// compare bytes as signed numbers, and no star matches where s is empty (Redis
// treats the pattern "*" apart before it calls, see MatchAll). It takes at most len(pattern) * len(s) steps:
// where the part behind a star doesn't match, only that last star is tried again
// at the next byte, since an earlier one could only reach the same places.
func Match[T ~string | ~[]byte](pattern string, s T) bool {
	if len(s) == 0 {
		return pattern == ""
	}
	p, i, stars := 0, 0, 0
	star, from := -1, 0 // the pattern behind the last star, and where in s it was tried
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			for p < len(pattern) && pattern[p] == '*' {
				p++
			}
			if p == len(pattern) {
				return true
			}
			if stars++; stars > maxStars {
				return false
			}
			star, from = p, i
			continue
		}
		if p < len(pattern) {
			if n, ok := one(pattern[p:], s[i]); ok {
				p, i = p+n, i+1
				continue
			}
		}
		if star < 0 {
			return false
		}
		from++
		p, i = star, from
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// MatchAll is Match for the commands that take "*" for everything: KEYS and SCAN.
func MatchAll[T ~string | ~[]byte](pattern string, s T) bool {
	return pattern == "*" || Match(pattern, s)
}

// one matches a byte against the first element of a pattern that is not a star,
// and returns the element's length.
func one(pattern string, c byte) (n int, ok bool) {
	switch {
	case pattern[0] == '?':
		return 1, true
	case pattern[0] == '[':
		return class(pattern, c)
	case pattern[0] == '\\' && len(pattern) >= 2:
		return 2, pattern[1] == c
	}
	return 1, pattern[0] == c
}

// class matches a byte against a class, whose opening bracket stands at 0.
func class(pattern string, c byte) (n int, ok bool) {
	i := 1
	not := i < len(pattern) && pattern[i] == '^'
	if not {
		i++
	}
	for i < len(pattern) && pattern[i] != ']' {
		rest := pattern[i:]
		switch {
		case rest[0] == '\\' && len(rest) >= 2:
			ok = ok || rest[1] == c
			i += 2
		case len(rest) >= 3 && rest[1] == '-':
			lo, hi := int8(rest[0]), int8(rest[2])
			ok = ok || min(lo, hi) <= int8(c) && int8(c) <= max(lo, hi)
			i += 3
		default:
			ok = ok || rest[0] == c
			i++
		}
	}
	return min(i+1, len(pattern)), ok != not
}
