package joblog_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/joblog"
)

func search(t *testing.T, s *joblog.Store, job uuid.UUID, q joblog.Query) (hits []joblog.Hit, found joblog.Found) {
	t.Helper()
	v, err := s.View(t.Context(), job)
	require.NoError(t, err)
	defer func() { require.NoError(t, v.Close()) }()
	found, err = v.Search(t.Context(), q, func(h *joblog.Hit) error {
		hits = append(hits, *h)
		return nil
	}, func(int64) error { return nil })
	require.NoError(t, err)
	require.EqualValues(t, len(hits), found.Hits)
	return hits, found
}

// FuzzSearch holds what is found, and where, against what Go finds in the text as it was printed, in whichever form it is
// stored; and what is printed against that text.
func FuzzSearch(f *testing.F) {
	for _, seed := range []struct{ text, q string }{
		{"hello", "ell"},
		{`say "hi"`, `"`},
		{`C:\new`, `\n`},
		{"a\tb", "\t"},
		{"\x1b[31mred\x1b[0m", "\x1b[0m"},
		{`","line":"`, `line":"`},
		{`{"step":"b","stream":"stdout","ts":"","line":"x"}`, `"line":"x"}`},
		{"Größe", "ö"},
		{"\u2028\u2029", "\u2029"},
		{"\U0001F600", "\U0001F600"},
		{"a/b", "/"},
		{"aaaa", "aa"},
		{"\\u0041", "A"},
		{"A", "\\u0041"},
		{"x=12ms", `\d+ms`},
		{"x=12ms", `^x=(1|2)`},
		{"ab\ncd", `(?m)^c`},
		{"abc", `a.c|z`},
		{"abc", "b*"},
		{"K\u212A", "(?i)k"},
		{"x", "("},
		{"\uFFFD", "\uFFFD"},
		{"", "x"},
		{"İ", "i"},
	} {
		f.Add(seed.text, seed.q)
	}
	f.Fuzz(func(t *testing.T, text, q string) {
		text, q = strings.ToValidUTF8(text, "\uFFFD"), strings.ToValidUTF8(q, "\uFFFD")
		if q == "" || len(text) > 1000 {
			return
		}
		dir, job := t.TempDir(), uuid.New()
		require.NoError(t, os.WriteFile(filepath.Join(dir, job.String()+".jsonl"), inAllForms(t, text), 0o600))
		s := open(t, dir)
		pattern, err := regexp.Compile(q)
		for _, query := range []joblog.Query{{Q: q}, {Q: q, IgnoreCase: true}, {Q: q, Regexp: true}} {
			if query.Regexp && (err != nil || query.Check() != nil) {
				continue
			}
			var want [][2]int
			switch {
			case query.Regexp:
				for _, m := range pattern.FindAllStringIndex(text, 100) {
					want = append(want, [2]int{m[0], m[1]})
				}
			case query.IgnoreCase:
				want = literals(lowerASCII(text), lowerASCII(q))
			default:
				want = literals(text, q)
			}
			hits, found := search(t, s, job, query)
			require.True(t, found.Complete)
			if want == nil {
				require.Empty(t, hits, "%+v", query)
				continue
			}
			require.Len(t, hits, 3, "%+v", query)
			for _, h := range hits {
				require.Equal(t, text, h.Line.Text)
				require.Equal(t, want, h.Matches, "%+v", query)
			}
			page, err := s.Read(t.Context(), job, query)
			require.NoError(t, err)
			require.Equal(t, 3, bytes.Count(page.Logs, []byte("\n")), "what is read is what is found")
		}
		v, err := s.View(t.Context(), job)
		require.NoError(t, err)
		var printed bytes.Buffer
		require.NoError(t, v.Print(t.Context(), &printed, joblog.Query{}, joblog.Printing{}))
		require.Equal(t, strings.Repeat(text+"\n", 3), printed.String())
		require.NoError(t, v.Close())
	})
}

// inAllForms is a text as we write it, with an escape for everything, and as others have written it.
func inAllForms(t *testing.T, text string) []byte {
	t.Helper()
	var escaped strings.Builder
	for _, unit := range utf16.Encode([]rune(text)) {
		fmt.Fprintf(&escaped, `\u%04X`, unit)
	}
	other, err := json.Marshal(map[string]string{"line": text, "step": "a", "stream": "stdout", "ts": ts})
	require.NoError(t, err)
	file := joblog.AppendLine(nil, "a", 1, joblog.Stdout, ts, text)
	file = fmt.Appendf(file, "{\"step\":\"a\",\"stream\":\"stdout\",\"ts\":%q,\"line\":\"%s\"}\n", ts, escaped.String())
	return append(append(file, other...), '\n')
}

func literals(text, q string) (list [][2]int) {
	for at := 0; len(list) < 100; {
		i := strings.Index(text[at:], q)
		if i < 0 {
			break
		}
		list = append(list, [2]int{at + i, at + i + len(q)})
		at += i + len(q)
	}
	return list
}

func lowerASCII(text string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, text)
}

func TestSearchTakesUpWhereItStopped(t *testing.T) {
	t.Parallel()
	s, job := open(t, t.TempDir()), uuid.New()
	require.NoError(t, s.Append(t.Context(), job, "a", 1, 1, lines("a", 1, 1, 30_000)))
	require.NoError(t, s.Append(t.Context(), job, "b", 1, 1, lines("b", 1, 1, 10)))
	var numbers []int64
	q := joblog.Query{Q: "99", Limit: 100}
	for rounds := 0; ; rounds++ {
		require.Less(t, rounds, 10)
		hits, found := search(t, s, job, q)
		for _, h := range hits {
			require.Equal(t, fmt.Sprint("a ", h.Number), h.Line.Text)
			require.Equal(t, [3]string{"a", "stdout", ts}, [3]string{h.Line.Step, h.Line.Stream, h.Line.TS})
			numbers = append(numbers, h.Number)
		}
		require.EqualValues(t, 30_010, found.Total)
		if found.Complete {
			require.EqualValues(t, 30_011, found.Next)
			break
		}
		q.From = found.Next
	}
	var want []int64
	for n := int64(1); n <= 30_000; n++ {
		if strings.Contains(fmt.Sprint(n), "99") {
			want = append(want, n)
		}
	}
	require.Equal(t, want, numbers)

	hits, found := search(t, s, job, joblog.Query{Q: "nowhere", Within: 1})
	require.Empty(t, hits)
	require.False(t, found.Complete, "time is up after a little")
	require.Greater(t, found.Next, int64(1))
	hits, _ = search(t, s, job, joblog.Query{Step: "b", Q: "b 10"})
	require.Equal(t, []joblog.Hit{{Number: 30_010, Line: joblog.Line{Step: "b", Attempt: 1, Stream: "stdout", TS: ts, Text: "b 10"}, Matches: [][2]int{{0, 4}}}}, hits)
}

func TestPagesAreBoundedInTime(t *testing.T) {
	t.Parallel()
	s, job := open(t, t.TempDir()), uuid.New()
	require.NoError(t, s.Append(t.Context(), job, "a", 1, 1, lines("a", 1, 1, 30_000)))
	q, seen := joblog.Query{Q: "a 29999", Within: 1}, 0
	for rounds := 1; ; rounds++ {
		page, got := read(t, s, job, q)
		seen += len(got)
		if page.Next > page.Total {
			require.Greater(t, rounds, 10, "each looks at a little")
			break
		}
		require.Greater(t, page.Next, q.From)
		q.From = page.Next
	}
	require.Equal(t, 1, seen)
	page, got := read(t, s, job, joblog.Query{Q: "a 1", Tail: 20_000, Within: 1})
	require.Empty(t, got, "none of the last lines")
	require.EqualValues(t, 30_001, page.Next)
}

func TestTimes(t *testing.T) {
	t.Parallel()
	dir, job := t.TempDir(), uuid.New()
	start := time.Date(2026, 2, 28, 23, 0, 0, 0, time.UTC)
	s := open(t, dir)
	var batch []byte
	for i := range 7200 {
		at := start.Add(time.Duration(i) * time.Second)
		format := "2006-01-02T15:04:05.000000Z"
		if i%2 == 1 {
			at, format = at.In(time.FixedZone("", 3600)), time.RFC3339Nano
		}
		batch = joblog.AppendLine(batch, "a", 1, joblog.Stdout, at.Format(format), fmt.Sprint(i))
	}
	require.NoError(t, s.Append(t.Context(), job, "a", 1, 1, batch))
	v, err := s.View(t.Context(), job)
	require.NoError(t, err)
	defer func() { require.NoError(t, v.Close()) }()
	for i := range v.Index.Blocks() {
		b := v.Index.Block(i)
		require.Equal(t, start.Add(time.Duration(b.Line-1)*time.Second).UnixMicro(), b.Earliest)
	}
	for _, c := range []struct{ since, until, first, count int }{{0, 7200, 0, 7200}, {3600, 3660, 3600, 60}, {7000, 9000, 7000, 200}, {-9, 1, 0, 1}, {7200, 9000, 0, 0}} {
		_, got := read(t, s, job, joblog.Query{Since: start.Add(time.Duration(c.since) * time.Second), Until: start.Add(time.Duration(c.until) * time.Second)})
		require.Len(t, got, c.count)
		if c.count > 0 {
			require.Equal(t, fmt.Sprint("stdout: ", c.first), got[0])
		}
	}
	_, got := read(t, s, job, joblog.Query{Since: start.Add(time.Hour + 1), Until: start.Add(time.Hour + time.Second + 1)})
	require.Equal(t, []string{"stdout: 3601"}, got, "finer bounds than lines have")
	_, got = read(t, s, job, joblog.Query{Since: start.Add(time.Hour), Q: "7", Tail: 2})
	require.Equal(t, []string{"stdout: 7198", "stdout: 7199"}, got)
	counted := &countedReader{ReaderAt: v.Bytes}
	v.Bytes = counted
	page, err := v.Read(t.Context(), joblog.Query{Since: start.Add(7199 * time.Second)})
	require.NoError(t, err)
	require.EqualValues(t, 7201, page.Next)
	require.Less(t, counted.bytes.Load(), v.Index.Size/4, "blocks outside are passed over")
}

// TestTimesOfOtherForms: what has no time that is known is in no span of time.
func TestTimesOfOtherForms(t *testing.T) {
	t.Parallel()
	dir, job := t.TempDir(), uuid.New()
	file := "not JSON\n" + `{"line":"old","step":"a","stream":"stdout","ts":"2025-01-01T00:00:00+00:00"}` + "\n" + string(lines("a", 1, 1, 1))
	require.NoError(t, os.WriteFile(filepath.Join(dir, job.String()+".jsonl"), []byte(file), 0o600))
	s := open(t, dir)
	_, got := read(t, s, job, joblog.Query{Until: time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)})
	require.Equal(t, []string{"stdout: old"}, got)
	_, got = read(t, s, job, joblog.Query{Since: time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)})
	require.Equal(t, []string{"stdout: a 1"}, got)
}

func TestBadExpressions(t *testing.T) {
	t.Parallel()
	for q, want := range map[string]string{
		"über (x":                        "wrong at character 1: missing closing )",
		"äb[z-a]":                        `wrong at character 4: invalid character class range: "z-a"`,
		"a**":                            `wrong at character 2: invalid nested repetition operator: "**"`,
		"(?<x":                           "wrong at character 1",
		strings.Repeat("x", 1025):        "at most 1024",
		"((a{1000}){1000})":              "wrong at character",
		strings.Repeat(`\pL{1000}`, 100): "repeats too much",
	} {
		query := joblog.Query{Q: q, Regexp: true}
		err := query.Check()
		require.Equal(t, core.CodeInvalid, core.ErrorCode(err), q)
		require.ErrorContains(t, err, want)
		query.Regexp = false
		require.NoError(t, query.Check())
	}
}

// TestSearchReadsInLargePieces: where a log is far away, each read may be a request.
func TestSearchReadsInLargePieces(t *testing.T) {
	t.Parallel()
	s, job := open(t, t.TempDir()), uuid.New()
	writeMuch(t, s, job, 16<<20)
	v, err := s.View(t.Context(), job)
	require.NoError(t, err)
	defer func() { require.NoError(t, v.Close()) }()
	counted := &countedReader{ReaderAt: v.Bytes}
	v.Bytes = counted
	for _, q := range []joblog.Query{{Q: "nowhere"}, {Q: "a"}, {Q: "no(where|body)", Regexp: true}, {}} {
		counted.reads.Store(0)
		counted.bytes.Store(0)
		found, err := v.Search(t.Context(), q, func(*joblog.Hit) error { return nil }, nil)
		require.NoError(t, err)
		require.True(t, found.Complete)
		require.Equal(t, v.Index.Size, counted.bytes.Load(), "each byte once")
		require.Less(t, counted.reads.Load(), v.Index.Size>>20+8)
	}
	counted.bytes.Store(0)
	_, err = v.Read(t.Context(), joblog.Query{From: 100_000, Limit: 10})
	require.NoError(t, err)
	require.LessOrEqual(t, counted.bytes.Load(), int64(512<<10), "a page takes little")
}
