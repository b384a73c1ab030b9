package joblog

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stroem/stroem/core"
)

const (
	maxEncodedLine = 6*(MaxLine+len(splitMark)) + 4096 // every byte may need an escape
	maxTime        = 64
)

// record is one line of a log, still encoded: parts of the line it was parsed from.
type record struct {
	header []byte // up to the stream: what tells attempts of steps apart
	stream []byte
	ts     []byte
	line   []byte // the inside of a JSON string
}

// parse takes a line in storage format, without its newline, apart. It does not check the JSON strings.
func parse(line []byte) (r record, ok bool) {
	if !bytes.HasPrefix(line, []byte(stepKey)) {
		return r, false
	}
	// A quote inside of the step's name is escaped, so this key is found nowhere before itself.
	at := bytes.Index(line, []byte(streamKey))
	if at < 0 {
		return r, false
	}
	r.header, line = line[:at], line[at+len(streamKey):]
	if r.stream, line, ok = bytes.Cut(line, []byte(tsKey)); !ok {
		return r, false
	}
	at = bytes.Index(line[:min(len(line), maxTime+len(beforeLine))], []byte(beforeLine))
	if at < 0 {
		return r, false
	}
	r.ts = line[:at]
	r.line, ok = bytes.CutSuffix(line[at+len(beforeLine):], []byte(`"}`))
	return r, ok
}

// verify checks that ndjson holds nothing but lines in storage format with the given header, and counts them.
func verify(ndjson, header []byte) (lines int64, err error) {
	for rest := ndjson; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			return 0, invalidLine(lines, "has no newline at its end")
		}
		if reason := verifyLine(rest[:end], header); reason != "" {
			return 0, invalidLine(lines, reason)
		}
		lines++
		rest = rest[end+1:]
	}
	if !utf8.Valid(ndjson) {
		return 0, core.Errorf(core.CodeInvalid, "log_invalid", "log batch is not valid UTF-8")
	}
	return lines, nil
}

func invalidLine(before int64, reason string) error {
	return core.Errorf(core.CodeInvalid, "log_invalid",
		`line %d of the log batch %s; a line is {"step":…,"stream":…,"ts":…,"line":…} of the leased step, without blanks`, before+1, reason)
}

func verifyLine(line, header []byte) (reason string) {
	if len(line) > maxEncodedLine {
		return "is too long"
	}
	if !bytes.HasPrefix(line, header) {
		return "does not start with the step"
	}
	r, ok := parse(line)
	switch {
	case !ok || len(r.header) != len(header):
		return "is not in the storage format"
	case string(r.stream) != Stdout && string(r.stream) != Stderr:
		return "has another stream than stdout and stderr"
	}
	for _, c := range r.ts {
		if c != '-' && c != ':' && c != '.' && c != '+' && c != 'T' && c != 'Z' && (c < '0' || c > '9') {
			return "has a time that is not RFC 3339"
		}
	}
	if !validString(r.line) {
		return "is not valid JSON"
	}
	return ""
}

// validString tells whether s, valid UTF-8, can stand between the quotes of a JSON string.
func validString(s []byte) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if plain[c] || c == 0xE2 {
			continue
		}
		if c != '\\' || i+1 == len(s) {
			return false
		}
		i++
		switch s[i] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		case 'u':
			if i+4 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) || !isHex(s[i+3]) || !isHex(s[i+4]) {
				return false
			}
			i += 4
		default:
			return false
		}
	}
	return true
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' }

// decodeString is the text of the inside of a JSON string.
func decodeString(inside []byte) string {
	if bytes.IndexByte(inside, '\\') < 0 {
		return string(inside)
	}
	return string(appendUnescaped(nil, inside))
}

// appendUnescaped appends the text of the inside of a JSON string that is valid.
func appendUnescaped(dst, inside []byte) []byte {
	for {
		at := bytes.IndexByte(inside, '\\')
		if at < 0 || at+1 == len(inside) {
			return append(dst, inside...)
		}
		dst = append(dst, inside[:at]...)
		c := inside[at+1]
		inside = inside[at+2:]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r := hexRune(inside)
			inside = inside[min(4, len(inside)):]
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if bytes.HasPrefix(inside, []byte(`\u`)) {
					low = hexRune(inside[2:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					inside = inside[6:]
				}
			}
			dst = utf8.AppendRune(dst, r)
			continue
		}
		dst = append(dst, c)
	}
}

// hexRune is what the four digits at the start of s stand for.
func hexRune(s []byte) rune {
	n, err := strconv.ParseUint(string(s[:min(4, len(s))]), 16, 16)
	if err != nil {
		return utf8.RuneError
	}
	return rune(n)
}
