package joblog_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stroem/stroem/core/joblog"
)

func TestReadPages(t *testing.T) {
	t.Parallel()
	dir, job, ctx := t.TempDir(), uuid.New(), t.Context()
	s := open(t, dir)
	for i := 1; i <= 5000; i += 100 {
		require.NoError(t, s.Append(ctx, job, "a", 1, int64(i), lines("a", 1, i, i+99)))
	}
	require.NoError(t, s.Append(ctx, job, "b", 1, 1, lines("b", 1, 1, 1)))
	for name, test := range map[string]struct {
		q                 joblog.Query
		first, last       string
		count             int
		from, next, total int64
	}{
		"all":           {joblog.Query{}, "a 1", "b 1", 5001, 1, 5002, 5001},
		"first page":    {joblog.Query{Limit: 10}, "a 1", "a 10", 10, 1, 11, 5001},
		"later page":    {joblog.Query{From: 3000, Limit: 10}, "a 3000", "a 3009", 10, 3000, 3010, 5001},
		"block edge":    {joblog.Query{From: 1025, Limit: 1}, "a 1025", "a 1025", 1, 1025, 1026, 5001},
		"last":          {joblog.Query{From: 5001}, "b 1", "b 1", 1, 5001, 5002, 5001},
		"beyond":        {joblog.Query{From: 5002}, "", "", 0, 5002, 5002, 5001},
		"tail":          {joblog.Query{Tail: 2}, "a 5000", "b 1", 2, 5000, 5002, 5001},
		"long tail":     {joblog.Query{Tail: 9999}, "a 1", "b 1", 5001, 1, 5002, 5001},
		"step":          {joblog.Query{Step: "b"}, "b 1", "b 1", 1, 5001, 5002, 5001},
		"step, limited": {joblog.Query{Step: "a", From: 10, Limit: 2}, "a 10", "a 11", 2, 10, 12, 5001},
		"step, tail":    {joblog.Query{Step: "a", Tail: 2000}, "a 3001", "a 5000", 2000, 3001, 5002, 5001},
		"other stream":  {joblog.Query{Stream: "stderr"}, "", "", 0, 5002, 5002, 5001},
		"text":          {joblog.Query{Q: "a 499"}, "a 499", "a 4999", 11, 499, 5002, 5001},
		"text, tail":    {joblog.Query{Q: "a 499", Tail: 11}, "a 499", "a 4999", 11, 499, 5002, 5001},
		"bytes":         {joblog.Query{Bytes: 200}, "a 1", "a 2", 2, 1, 3, 5001},
		"few bytes":     {joblog.Query{Bytes: 1}, "a 1", "a 1", 1, 1, 2, 5001},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page, got := read(t, s, job, test.q)
			require.Len(t, got, test.count)
			if test.count > 0 {
				require.Equal(t, "stdout: "+test.first, got[0])
				require.Equal(t, "stdout: "+test.last, got[len(got)-1])
			}
			require.Equal(t, []int64{test.from, test.next, test.total}, []int64{page.From, page.Next, page.Total})
		})
	}
}

func TestSearchIsExact(t *testing.T) {
	t.Parallel()
	s, job := open(t, t.TempDir()), uuid.New()
	var ndjson []byte
	for _, line := range []string{"a\nb", `a\nb`, "say \"hi\"", "ünïcode", "nothing"} {
		ndjson = joblog.AppendLine(ndjson, "a", 1, joblog.Stderr, ts, line)
	}
	require.NoError(t, s.Append(t.Context(), job, "a", 1, 1, ndjson))
	for q, want := range map[string]int{"n": 3, "\n": 1, `\`: 1, `\n`: 1, `"hi"`: 1, "ïc": 1, "stderr": 0, "a": 3} {
		_, got := read(t, s, job, joblog.Query{Q: q})
		require.Len(t, got, want, "%q in %q", q, got)
	}
}

func TestOtherFormats(t *testing.T) {
	t.Parallel()
	dir, job := t.TempDir(), uuid.New()
	old := `{"line":"from before","step":"a","stream":"stdout","ts":"2025-01-01T00:00:00+00:00"}` + "\n\nnot JSON\n"
	path := filepath.Join(dir, job.String()+".jsonl")
	require.NoError(t, os.WriteFile(path, []byte(old), 0o600))
	s := open(t, dir)
	require.NoError(t, s.Append(t.Context(), job, "a", 1, 1, lines("a", 1, 1, 1)))
	page, err := s.Read(t.Context(), job, joblog.Query{})
	require.NoError(t, err)
	require.EqualValues(t, 4, page.Total)
	require.True(t, strings.HasPrefix(string(page.Logs), old))
	_, got := read(t, s, job, joblog.Query{Step: "a", Stream: "stdout"})
	require.Equal(t, []string{"stdout: from before", "stdout: a 1"}, got, "what is not JSON belongs to no step")
}

func TestLegacyLog(t *testing.T) {
	t.Parallel()
	dir, job := t.TempDir(), uuid.New()
	require.NoError(t, os.WriteFile(filepath.Join(dir, job.String()+".log"), []byte("one\ntwo"), 0o600))
	s := open(t, dir)
	page, err := s.Read(t.Context(), job, joblog.Query{})
	require.NoError(t, err)
	require.Equal(t, "one\ntwo\n", string(page.Logs))
	require.EqualValues(t, 2, page.Total)
	page, err = s.Read(t.Context(), job, joblog.Query{Step: "a"})
	require.NoError(t, err)
	require.Empty(t, page.Logs)

	require.NoError(t, s.Append(t.Context(), job, "a", 1, 1, lines("a", 1, 1, 1)))
	_, got := read(t, s, job, joblog.Query{})
	require.Equal(t, []string{"stdout: a 1"}, got, "the new form comes first")
}

func TestLongForeignLine(t *testing.T) {
	t.Parallel()
	dir, job := t.TempDir(), uuid.New()
	long := fmt.Sprintf(`{"step":"a","stream":"stdout","ts":%q,"line":%q}`, ts, strings.Repeat("x", 300_000)) + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, job.String()+".jsonl"), []byte(long+long), 0o600))
	s := open(t, dir)
	require.NoError(t, s.Append(t.Context(), job, "a", 1, 1, lines("a", 1, 1, 3)), "long lines are counted too")
	page, err := s.Read(t.Context(), job, joblog.Query{})
	require.NoError(t, err)
	require.Equal(t, long+long+string(lines("a", 1, 3, 3)), string(page.Logs))
}

// TestAnyHistory appends at random, with repeats and restarts, and reads at random.
func TestAnyHistory(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir := filepath.Join(root, rand.Text())
		job := uuid.New()
		s, err := joblog.Open(dir, nil)
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		var want []string
		sent := map[string]int{}
		for range rapid.IntRange(1, 30).Draw(t, "appends") {
			step := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "step")
			first := rapid.IntRange(1, sent[step]+1).Draw(t, "first")
			last := rapid.IntRange(first, first+300).Draw(t, "last")
			require.NoError(t, s.Append(t.Context(), job, step, 1, int64(first), lines(step, 1, first, last)))
			for i := sent[step] + 1; i <= last; i++ {
				want = append(want, string(lines(step, 1, i, i)))
			}
			sent[step] = max(sent[step], last)
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				require.NoError(t, s.Close())
				s, err = joblog.Open(dir, nil)
				require.NoError(t, err)
			}
		}
		from := rapid.IntRange(1, len(want)).Draw(t, "from")
		limit := rapid.IntRange(1, len(want)).Draw(t, "limit")
		page, err := s.Read(t.Context(), job, joblog.Query{From: int64(from), Limit: int64(limit)})
		require.NoError(t, err)
		require.Equal(t, strings.Join(want[from-1:min(from-1+limit, len(want))], ""), string(page.Logs))
		require.EqualValues(t, len(want), page.Total)

		var followed []byte // frame by frame
		for q := (joblog.Query{From: int64(from), Bytes: int64(rapid.IntRange(1, 100_000).Draw(t, "frame"))}); q.From <= int64(len(want)); {
			page, err := s.Read(t.Context(), job, q)
			require.NoError(t, err)
			require.NotEmpty(t, page.Logs)
			followed = append(followed, page.Logs...)
			q.From, q.At = page.Next, page.At
		}
		require.Equal(t, strings.Join(want[from-1:], ""), string(followed))

		var ofB []string
		for _, line := range want {
			if strings.Contains(line, `"step":"b"`) {
				ofB = append(ofB, line)
			}
		}
		page, err = s.Read(t.Context(), job, joblog.Query{Step: "b", Tail: int64(limit)})
		require.NoError(t, err)
		require.Equal(t, strings.Join(ofB[max(len(ofB)-limit, 0):], ""), string(page.Logs))
	})
}
