package joblog

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// Streams of a step.
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// timeLayout is RFC 3339 with microseconds, in UTC.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// AppendLine appends one line of a log in storage format, with its newline. The texts must be valid UTF-8.
func AppendLine(dst []byte, step string, attempt int, stream, ts, line string) []byte {
	dst = appendHeader(dst, step, attempt)
	dst = appendStream(dst, stream)
	dst = appendEscaped(dst, []byte(ts))
	dst = append(dst, beforeLine...)
	dst = appendEscaped(dst, []byte(line))
	return append(dst, lineEnd...)
}

const (
	stepKey    = `{"step":"`
	streamKey  = `"stream":"`
	tsKey      = `","ts":"`
	beforeLine = `","line":"`
	lineEnd    = "\"}\n"
)

// appendHeader appends what tells an attempt of a step from all others.
func appendHeader(dst []byte, step string, attempt int) []byte {
	dst = append(dst, stepKey...)
	dst = appendEscaped(dst, []byte(step))
	dst = append(dst, `",`...)
	if attempt > 1 {
		dst = append(dst, `"attempt":`...)
		dst = strconv.AppendInt(dst, int64(attempt), 10)
		dst = append(dst, ',')
	}
	return dst
}

func appendStream(dst []byte, stream string) []byte {
	dst = append(dst, streamKey...)
	dst = append(dst, stream...)
	return append(dst, tsKey...)
}

func appendTime(dst []byte, t time.Time) []byte { return t.UTC().AppendFormat(dst, timeLayout) }

// plain marks the bytes that stand for themselves in a JSON string.
var plain = func() (table [256]bool) {
	for c := range table {
		table[c] = c >= ' ' && c != '"' && c != '\\' && c != 0xE2 // which may start U+2028 or U+2029
	}
	return table
}()

const hexDigits = "0123456789abcdef"

// appendEscaped appends valid UTF-8 as the inside of a JSON string, as encoding/json writes it with HTML escaping off.
func appendEscaped(dst, text []byte) []byte {
	start := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if plain[c] {
			continue
		}
		if c == 0xE2 {
			if r, _ := utf8.DecodeRune(text[i:]); r == '\u2028' || r == '\u2029' {
				dst = append(append(dst, text[start:i]...), `\u202`...)
				dst = append(dst, hexDigits[r&0xF])
				i += 2
				start = i + 1
			}
			continue
		}
		dst = append(dst, text[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xF])
		}
	}
	return append(dst, text[start:]...)
}
