package joblog

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// chunks cuts data at places that depend on seed.
func chunks(data []byte, seed uint64) [][]byte {
	var parts [][]byte
	for len(data) > 0 {
		seed = seed*6364136223846793005 + 1442695040888963407
		n := min(1+int(seed>>60), len(data))
		parts = append(parts, data[:n])
		data = data[n:]
	}
	return parts
}

func sanitized(parts ...[]byte) []byte {
	var s sanitizer
	var out []byte
	for _, part := range parts {
		out = append(out, s.clean(part)...)
	}
	return append(out, s.flush()...)
}

func TestSanitize(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":          "plain",
		"a\x00b\x00":     "ab",
		"\xff\xfeé":      "\uFFFD\uFFFDé",
		"cut \xe2\x82":   "cut \uFFFD\uFFFD",
		"\xe2\x82A":      "\uFFFD\uFFFDA",
		"\xf0\x9f\x98":   "\uFFFD\uFFFD\uFFFD",
		"😀\x00€":         "😀€",
		"\xed\xa0\x80":   "\uFFFD\uFFFD\uFFFD", // half of a surrogate pair
		"\x1b[31mred\r ": "\x1b[31mred\r ",
	} {
		require.Equal(t, want, string(sanitized([]byte(in))), "%q", in)
	}
}

func FuzzSanitize(f *testing.F) {
	f.Add([]byte("a\x00\xe2\x82\xac\xf0\x9f\x98"), uint64(1))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		whole := sanitized(data)
		require.True(t, utf8.Valid(whole))
		require.NotContains(t, string(whole), "\x00")
		require.Equal(t, whole, sanitized(chunks(data, seed)...))
	})
}

type part struct {
	Line string
	Cut  bool
}

func splitted(parts ...[]byte) (lines []part) {
	var s splitter
	emit := func(line []byte, cut bool) { lines = append(lines, part{string(line), cut}) }
	for _, part := range parts {
		s.feed(part, emit)
	}
	s.flush(emit)
	return lines
}

func TestSplit(t *testing.T) {
	t.Parallel()
	full := strings.Repeat("x", MaxLine)
	for name, test := range map[string]struct {
		in   string
		want []part
	}{
		"nothing":         {"", nil},
		"lines":           {"a\nb\n", []part{{"a", false}, {"b", false}}},
		"no newline":      {"a\nb", []part{{"a", false}, {"b", false}}},
		"empty lines":     {"\n\n", []part{{"", false}, {"", false}}},
		"crlf":            {"a\r\nb\rc\r\n", []part{{"a", false}, {"b\rc", false}}},
		"full":            {full + "\n", []part{{full, false}}},
		"full crlf":       {full + "\r\nb\n", []part{{full, false}, {"b", false}}},
		"one more":        {full + "y\n", []part{{full, true}, {"y", false}}},
		"many":            {full + full + "y", []part{{full, true}, {full, true}, {"y", false}}},
		"whole character": {full[1:] + "€\n", []part{{full[1:], true}, {"€", false}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, cmp.Diff(test.want, splitted([]byte(test.in))))
		})
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("a\r\n\nb€", uint16(0), uint64(1))
	f.Add("€\r", uint16(MaxLine-2), uint64(2))
	f.Fuzz(func(t *testing.T, text string, pad uint16, seed uint64) {
		data := []byte(strings.Repeat("p", int(pad)) + strings.Repeat("q", int(pad)/2) + strings.ToValidUTF8(text, "?"))
		want := splitted(data)
		require.Empty(t, cmp.Diff(want, splitted(chunks(data, seed)...)))
		var joined strings.Builder
		for _, line := range want {
			require.LessOrEqual(t, len(line.Line), MaxLine+1)
			require.True(t, utf8.ValidString(line.Line))
			joined.WriteString(line.Line)
			if !line.Cut {
				joined.WriteByte('\n')
			}
		}
		unified := strings.TrimSuffix(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")
		require.Equal(t, unified, strings.TrimSuffix(joined.String(), "\n"))
	})
}

func parsed(parts ...[]byte) (string, bool) {
	var p outputParser
	for _, part := range parts {
		p.feed(part)
	}
	p.flush()
	return string(p.value), p.tooLong
}

func TestOutput(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", MaxOutput-2)
	for name, test := range map[string]struct {
		in, want string
		tooLong  bool
	}{
		"none":             {"hello\n", "", false},
		"blank":            {"a\nOUTPUT: {\"a\":1}\nb\n", `{"a":1}`, false},
		"no blank":         {"OUTPUT:{\"a\":1}\n", `{"a":1}`, false},
		"tab and crlf":     {"OUTPUT:\t[1]\r\n", `[1]`, false},
		"no newline":       {"OUTPUT: true", `true`, false},
		"any type":         {"OUTPUT: \"text\"\n", `"text"`, false},
		"last wins":        {"OUTPUT: 1\nOUTPUT: 2\n", `2`, false},
		"last valid wins":  {"OUTPUT: 1\nOUTPUT: {oops\n", `1`, false},
		"not at the start": {" OUTPUT: 1\nxOUTPUT: 2\nOUTPUT\n", "", false},
		"lower case":       {"output: 1\n", "", false},
		"empty":            {"OUTPUT:\nOUTPUT: \n", "", false},
		"longer than line": {"OUTPUT: \"" + big[:200000] + "\"\n", `"` + big[:200000] + `"`, false},
		"just fits":        {"OUTPUT: \"" + big + "\"\n", `"` + big + `"`, false},
		"one byte more":    {"OUTPUT:\"" + big + "y\"\n", "", true},
		"far too long":     {"OUTPUT: " + big + big + "\nOUTPUT: 1\n", "1", true},
		"several values":   {"OUTPUT: 1 2\n", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, tooLong := parsed([]byte(test.in))
			require.Equal(t, test.tooLong, tooLong)
			require.True(t, test.want == got, "got %.80q", got) //nolint:testifylint // a difference would be a MiB long
		})
	}
}

func FuzzOutput(f *testing.F) {
	f.Add([]byte("OUTPUT: {\"a\":1}\nOUTPUT:2\r\nOUT"), uint64(1))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		want, long := parsed(data)
		got, gotLong := parsed(chunks(data, seed)...)
		require.Equal(t, want, got)
		require.Equal(t, long, gotLong)
		last := ""
		for line := range bytes.SplitSeq(data, []byte("\n")) {
			if text, ok := bytes.CutPrefix(line, []byte("OUTPUT:")); ok && json.Valid(text) {
				last = string(bytes.TrimSpace(text))
			}
		}
		if !long {
			require.Equal(t, want, last)
		}
	})
}

func TestEscapeLikeEncodingJSON(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for r := range rune(0x3000) {
		all.WriteRune(r)
	}
	requireEscaped(t, all.String()+"😀\u2028\u2029\U0010FFFF")
}

func FuzzEscape(f *testing.F) {
	f.Add("\u2028\"\\\x00\x1b[0m\xe2\x80")
	f.Fuzz(func(t *testing.T, text string) { requireEscaped(t, strings.ToValidUTF8(text, "?")) })
}

func requireEscaped(t *testing.T, text string) {
	t.Helper()
	var want bytes.Buffer
	encoder := json.NewEncoder(&want)
	encoder.SetEscapeHTML(false)
	require.NoError(t, encoder.Encode(text))
	got := appendEscaped([]byte{'"'}, []byte(text))
	require.Equal(t, want.String(), string(got)+"\"\n")
	require.True(t, validString(got[1:]))
	require.Equal(t, text, decodeString(got[1:]))
}

// FuzzUnescape reads the insides of JSON strings as encoding/json does.
func FuzzUnescape(f *testing.F) {
	f.Add(`a\u0061\ud83d\ude00\ud83d\n\/\\\udc00\ud800\u0041`)
	f.Fuzz(func(t *testing.T, inside string) {
		var want string
		if !utf8.ValidString(inside) || !validString([]byte(inside)) || json.Unmarshal([]byte(`"`+inside+`"`), &want) != nil {
			return
		}
		require.Equal(t, want, decodeString([]byte(inside)))
	})
}

// FuzzVerify holds what the server accepts against encoding/json.
func FuzzVerify(f *testing.F) {
	f.Add(string(AppendLine(nil, "build", 1, Stdout, "2026-01-02T03:04:05Z", "a\"b\\")))
	f.Add(string(AppendLine(nil, "build", 2, Stderr, "2026-01-02T03:04:05Z", "\u2028")))
	f.Add(`{"step":"build","stream":"stdout","ts":"1","line":"\u00g0"}` + "\n")
	f.Add(`{"step":"build","stream":"stdout","ts":"1","line":"\u00"}` + "\n")
	f.Add(`{"step":"build","stream":"stdout","ts":"1","line":"a","line":"b"}` + "\n")
	header := appendHeader(nil, "build", 1)
	f.Fuzz(func(t *testing.T, text string) {
		n, err := verify([]byte(text), header)
		if err != nil {
			return
		}
		require.EqualValues(t, strings.Count(text, "\n"), n)
		for line := range strings.Lines(text) {
			var fields map[string]string
			require.NoError(t, json.Unmarshal([]byte(line), &fields), "%q", line)
			require.Equal(t, "build", fields["step"])
			require.Len(t, fields, 4)
			r, ok := parse([]byte(strings.TrimSuffix(line, "\n")))
			require.True(t, ok)
			require.Equal(t, fields["line"], decodeString(r.line))
			require.Equal(t, fields["stream"], string(r.stream))
		}
	})
}

func TestTail(t *testing.T) {
	t.Parallel()
	var kept tail
	kept.write([]byte("abc"))
	require.Equal(t, "abc", kept.String())
	for range 10 {
		kept.write([]byte(strings.Repeat("€", 10_000)))
	}
	require.True(t, utf8.ValidString(kept.String()))
	require.InDelta(t, tailSize, len(kept.String()), 3)
	kept.write([]byte(strings.Repeat("y", 3*tailSize)))
	require.Equal(t, strings.Repeat("y", tailSize), kept.String())
}

func TestGapLine(t *testing.T) {
	t.Parallel()
	line := gapLine(batch{step: `st"ep`, attempt: 3, first: 9}, 4)
	r, ok := parse(bytes.TrimSpace(line))
	require.True(t, ok)
	header, next, ok := parseGap(decodeString(r.line))
	require.True(t, ok)
	require.Equal(t, string(appendHeader(nil, `st"ep`, 3)), header)
	require.EqualValues(t, 9, next)
	_, _, ok = parseGap(`[logs] Lost lines 1 to 2 of attempt 1 of step "a" and so on`)
	require.False(t, ok)
}
