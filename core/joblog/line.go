package joblog

import (
	"bytes"
	"strconv"
)

// Line is a line of a log, taken apart.
type Line struct {
	Step    string // "": the line is in a form that tells of none
	Attempt int    // from 1
	Stream  string
	TS      string // RFC 3339, as it was sent
	Text    string // as it was printed, made valid UTF-8
}

// ParseLine takes a line of a log apart, whatever its form; the newline at its end is not part of it.
func ParseLine(line []byte) Line {
	line = bytes.TrimSuffix(line, []byte("\n"))
	r, ok := parse(line)
	if !ok {
		return parseForeign(line)
	}
	header := string(r.header)
	return Line{
		Step: stepOf(header), Attempt: attemptOf(header), Stream: string(r.stream),
		TS: string(r.ts), Text: string(bytes.ToValidUTF8([]byte(decodeString(r.line)), []byte("\uFFFD"))),
	}
}

// attemptOf returns the attempt in a header.
func attemptOf(header string) int {
	digits := []byte(header)
	digits = bytes.TrimSuffix(digits, []byte(","))
	n, err := strconv.Atoi(string(digits[bytes.LastIndexByte(digits, ':')+1:]))
	if err != nil || n < 1 {
		return 1
	}
	return n
}
