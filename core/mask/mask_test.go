package mask

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

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

func masked(m *Masker, parts ...[]byte) string {
	s := Stream{masker: m}
	var out []byte
	for _, part := range parts {
		out = s.Append(out, part, false)
	}
	return string(s.Append(out, nil, true))
}

func TestMask(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		secrets  []string
		in, want string
	}{
		"nothing secret":     {nil, "secret", "secret"},
		"value":              {[]string{"hunter2"}, "the hunter2.", "the ••••••."},
		"at both ends":       {[]string{"hunter2"}, "hunter2 hunter2", "•••••• ••••••"},
		"side by side":       {[]string{"hunter2"}, "hunter2hunter2", "••••••••••••"},
		"too short":          {[]string{"abc", " abc\n", "é"}, "abc é", "abc é"},
		"just long enough":   {[]string{"abcd"}, "abcd", "••••••"},
		"only its start":     {[]string{"hunter2"}, "hunter", "hunter"},
		"longest":            {[]string{"hunter", "hunter2"}, "hunter2!", "••••••!"},
		"one inside another": {[]string{"unte", "hunter2"}, "hunter2 unter", "•••••• ••••••r"},
		"overlap":            {[]string{"abcdef", "defghi"}, "xabcdefghiy", "x••••••y"},
		"overlap at the end": {[]string{"abcdef", "defghi"}, "xabcdefgh", "x••••••gh"},
		"repeats":            {[]string{"aaaa"}, "aaaaaaa b", "•••••• b"},
		"blanks around":      {[]string{" hunter2\n"}, "[hunter2]", "[••••••]"},
		"several lines":      {[]string{"one\ntwo"}, "a one\ntwo b one\r\ntwo", "a •••••• b ••••••"},
		"a line of several":  {[]string{"-----BEGIN KEY-----\r\nMIIEvgIBADANBgkq\nabc\n"}, "x MIIEvgIBADANBgkq abc", "x •••••• abc"},
		"in another case":    {[]string{"Hunter-2-K", "Word"}, "HUNTER-2-K hunter-2-k word", "•••••• •••••• word"},
		"in JSON":            {[]string{"a\"b\\c\n"}, `{"x":"a\"b\\c"}`, `{"x":"••••••"}`},
		"in JSON, HTML":      {[]string{"<a&b>"}, `"\u003ca\u0026b\u003e"`, `"••••••"`},
		"in JSON, ASCII":     {[]string{"pässwörd😀"}, `"p\u00e4ssw\u00f6rd\ud83d\ude00"`, `"••••••"`},
		"in a URL":           {[]string{"a/b c&d"}, "?x=a%2Fb+c%26d&y=a%2fb%20c%26d", "?x=••••••&y=••••••"},
		"base64":             {[]string{"hunter2!"}, "aHVudGVyMiE=", "••••••"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := New(test.secrets)
			require.Equal(t, test.want, m.String(test.in))
			var bytewise [][]byte
			for i := range len(test.in) {
				bytewise = append(bytewise, []byte(test.in[i:i+1]))
			}
			require.Equal(t, test.want, masked(m, bytewise...))
		})
	}
	require.Equal(t, "x", (*Masker)(nil).String("x"))
}

// TestMaskOfManySecrets finds each of thousands of secrets, and nothing that only begins or ends as one does.
func TestMaskOfManySecrets(t *testing.T) {
	t.Parallel()
	values := make([]string, 2000)
	for i := range values {
		values[i] = fmt.Sprintf("%d-secret", 7919*i%2000+1000)
	}
	m := New(values)
	for _, value := range values {
		require.Equal(t, "a "+Mark+" z", m.String("a "+value+" z"))
		other := strings.TrimSuffix(value, "t")
		require.Equal(t, other, m.String(other))
		require.Equal(t, "x"+value[1:], m.String("x"+value[1:]))
	}
}

// TestMaskBase64Anywhere hides a secret inside of other text at every alignment.
func TestMaskBase64Anywhere(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t?>~value"
	m := New([]string{secret})
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 7 {
			for after := range 4 {
				text := encoding.EncodeToString([]byte(strings.Repeat("b", before) + secret + strings.Repeat("a", after)))
				got := m.String(text)
				require.Contains(t, got, Mark, text)
				for piece := range strings.SplitSeq(got, Mark) {
					decoded, _ := base64.RawStdEncoding.DecodeString(strings.Trim(piece, "="))
					require.NotContains(t, string(decoded), secret[3:6])
				}
			}
		}
	}
}

// FuzzMask checks that no form of a secret survives, however the stream is cut.
func FuzzMask(f *testing.F) {
	f.Add("hunter2", "abcdef", "x hunter2 abcdefhunter2hunter", uint64(1))
	f.Add("aaaa", "aaab", "aaaaaaabaaaa", uint64(2))
	f.Add("a\"b\n<c>", "ä😀öü", "a\"b\\n<c> aGVsbG8=", uint64(3))
	f.Fuzz(func(t *testing.T, one, two, text string, seed uint64) {
		if strings.Contains(one+two, "\u2022") || strings.Contains(text, "\u2022") || !utf8Valid(one, two, text) {
			return // the mark itself
		}
		quoted, err := json.Marshal(two)
		require.NoError(t, err)
		text += one + url.QueryEscape(one) + text + string(quoted) + base64.StdEncoding.EncodeToString([]byte(text+two))
		m := New([]string{one, two})
		whole := m.String(text)
		require.Equal(t, whole, masked(m, chunks([]byte(text), seed)...))
		for _, pattern := range m.patterns {
			if !slices.ContainsFunc(pattern, func(b byte) bool { return strings.IndexByte("•", b) >= 0 }) { // no part of the mark
				require.NotContains(t, whole, string(pattern))
			}
		}
		if len(m.patterns) == 0 {
			require.Equal(t, text, whole)
		}
	})
}

func utf8Valid(texts ...string) bool {
	for _, text := range texts {
		if strings.ToValidUTF8(text, "") != text {
			return false
		}
	}
	return true
}

func BenchmarkMask(b *testing.B) {
	line := strings.Repeat("the quick brown fox jumps over the lazy dog 0123456789 ", 2) + "\n"
	data := []byte(strings.Repeat(line, 600))
	m := New([]string{"hunter2hunter2", "0123456789abcdef", "a-long-token/with+signs=and more", "postgres://u:p@h/db", "the quick red fox"})
	b.SetBytes(int64(len(data)))
	s := Stream{masker: m}
	var out []byte
	for b.Loop() {
		out = s.Append(out[:0], data, false)
	}
	require.NotEmpty(b, out)
}

func BenchmarkNew(b *testing.B) {
	values := []string{"hunter2hunter2", "0123456789abcdef", "a-long-token/with+signs=and more", "postgres://u:p@h/db", "the quick red fox"}
	for b.Loop() {
		require.False(b, New(values).Empty())
	}
}
