package joblog_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/core/mask"
)

const ts = "2026-01-02T03:04:05.678901Z"

func open(t *testing.T, dir string) *joblog.Store {
	t.Helper()
	s, err := joblog.Open(dir, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func lines(step string, attempt, from, to int) (ndjson []byte) {
	for i := from; i <= to; i++ {
		ndjson = joblog.AppendLine(ndjson, step, attempt, joblog.Stdout, ts, fmt.Sprintf("%s %d", step, i))
	}
	return ndjson
}

func read(t *testing.T, s *joblog.Store, job uuid.UUID, q joblog.Query) (joblog.Page, []string) {
	t.Helper()
	page, err := s.Read(t.Context(), job, q)
	require.NoError(t, err)
	return page, texts(t, string(page.Logs))
}

func TestAppendIsIdempotent(t *testing.T) {
	t.Parallel()
	dir, job, ctx := t.TempDir(), uuid.New(), t.Context()
	s := open(t, dir)
	require.NoError(t, s.Append(ctx, job, "a", 1, 1, lines("a", 1, 1, 3)))
	require.NoError(t, s.Append(ctx, job, "a", 1, 1, lines("a", 1, 1, 3)), "a repeat")
	require.NoError(t, s.Append(ctx, job, "b", 1, 1, lines("b", 1, 1, 1)), "another step counts for itself")
	require.NoError(t, s.Append(ctx, job, "a", 2, 1, lines("a", 2, 1, 2)), "and so does another attempt")
	require.NoError(t, s.Close())

	s = open(t, dir)
	require.NoError(t, s.Append(ctx, job, "a", 1, 2, lines("a", 1, 2, 5)), "half of it is there, from before the restart")
	require.NoError(t, s.Append(ctx, job, "a", 2, 1, lines("a", 2, 1, 2)))
	require.NoError(t, s.Append(ctx, job, "b", 1, 0, lines("b", 1, 1, 1)), "lines without a number are always new")
	require.NoError(t, s.Append(ctx, job, "b", 1, 0, nil), "nothing is nothing")
	page, got := read(t, s, job, joblog.Query{})
	require.Equal(t, []string{
		"stdout: a 1", "stdout: a 2", "stdout: a 3", "stdout: b 1", "stdout: a 1", "stdout: a 2",
		"stdout: a 4", "stdout: a 5", "stdout: b 1",
	}, got)
	require.EqualValues(t, 9, page.Total)

	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, job.String()+".jsonl", entries[0].Name())
}

func TestMissingLinesAreTold(t *testing.T) {
	t.Parallel()
	dir, job, ctx := t.TempDir(), uuid.New(), t.Context()
	s := open(t, dir)
	require.NoError(t, s.Append(ctx, job, "a", 1, 4, lines("a", 1, 4, 5)))
	for range 2 {
		require.NoError(t, s.Append(ctx, job, "a", 1, 4, lines("a", 1, 4, 6)))
		_, got := read(t, s, job, joblog.Query{})
		require.Equal(t, []string{
			`stderr: [logs] Lost lines 1 to 3 of attempt 1 of step "a"`, "stdout: a 4", "stdout: a 5", "stdout: a 6",
		}, got)
		require.NoError(t, s.Close())
		s = open(t, dir) // the numbers survive a restart
	}
}

func TestTornLineIsRepaired(t *testing.T) {
	t.Parallel()
	dir, job, ctx := t.TempDir(), uuid.New(), t.Context()
	content := lines("a", 1, 1, 3)
	require.NoError(t, os.WriteFile(filepath.Join(dir, job.String()+".jsonl"), content[:len(content)-7], 0o600))
	s := open(t, dir)
	page, got := read(t, s, job, joblog.Query{})
	require.Equal(t, []string{"stdout: a 1", "stdout: a 2"}, got)
	require.EqualValues(t, 2, page.Total)
	require.NoError(t, s.Append(ctx, job, "a", 1, 1, content))
	_, got = read(t, s, job, joblog.Query{})
	require.Equal(t, []string{"stdout: a 1", "stdout: a 2", "stdout: a 3"}, got)
}

func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	s, job := open(t, t.TempDir()), uuid.New()
	good := string(lines("a", 1, 1, 1))
	for name, test := range map[string]struct {
		step    string
		attempt int
		ndjson  string
		want    string
	}{
		"other step":     {"b", 1, good, "line 1 of the log batch does not start with the step"},
		"prefix of name": {"a", 1, string(lines("ab", 1, 1, 1)), "does not start with the step"},
		"other attempt":  {"a", 2, good, "does not start with the step"},
		"hidden attempt": {"a", 1, string(lines("a", 2, 1, 1)), "not in the storage format"},
		"server":         {"_server", 1, string(lines("_server", 1, 1, 1)), "not a step"},
		"no step":        {"", 1, good, "not a step"},
		"second line":    {"a", 1, good + "x\n", "line 2"},
		"blank line":     {"a", 1, good + "\n", "line 2"},
		"no newline":     {"a", 1, strings.TrimSpace(good), "has no newline"},
		"stream":         {"a", 1, strings.Replace(good, "stdout", "stdlog", 1), "another stream"},
		"time":           {"a", 1, strings.Replace(good, ts, "now", 1), "not RFC 3339"},
		"long time":      {"a", 1, strings.Replace(good, ts, strings.Repeat("1", 99), 1), "not in the storage format"},
		"bad escape":     {"a", 1, strings.Replace(good, "a 1", `\x`, 1), "not valid JSON"},
		"more keys":      {"a", 1, strings.Replace(good, "a 1", `a","x":"y`, 1), "not valid JSON"},
		"control":        {"a", 1, strings.Replace(good, "a 1", "\x01", 1), "not valid JSON"},
		"UTF-8":          {"a", 1, strings.Replace(good, "a 1", "\xff", 1), "not valid UTF-8"},
		"too long":       {"a", 1, strings.Replace(good, "a 1", strings.Repeat("x", 500_000), 1), "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := s.Append(t.Context(), job, test.step, test.attempt, 1, []byte(test.ndjson))
			require.Equal(t, core.CodeInvalid, core.ErrorCode(err))
			require.ErrorContains(t, err, test.want)
		})
	}
	page, _ := read(t, s, job, joblog.Query{})
	require.Zero(t, page.Total)
}

func TestEvents(t *testing.T) {
	t.Parallel()
	s, job := open(t, t.TempDir()), uuid.New()
	require.NoError(t, s.Event(t.Context(), job, "[hooks] Failed to\nfire \xff"))
	page, got := read(t, s, job, joblog.Query{Step: joblog.ServerStep})
	require.Equal(t, []string{"stderr: [hooks] Failed to\nfire \uFFFD"}, got)
	require.EqualValues(t, 2, page.Next)
}

func TestServerMasks(t *testing.T) {
	t.Parallel()
	masker := mask.New([]string{"hunter2", "st\"ep", "stdout"})
	s, err := joblog.Open(t.TempDir(), func(context.Context, uuid.UUID) (*mask.Masker, error) { return masker, nil })
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	job := uuid.New()
	line := joblog.AppendLine(nil, "stdout", 1, joblog.Stdout, ts, `a hunter2 st"ep`)
	require.NoError(t, s.Append(t.Context(), job, "stdout", 1, 1, line))
	require.NoError(t, s.Event(t.Context(), job, "no hunter2"))
	escaped := `{"step":"stdout","stream":"stdout","ts":"` + ts + `","line":"\u0068unter2 {\"x\":\"st\\\"ep\"}"}` + "\n"
	require.NoError(t, s.Append(t.Context(), job, "stdout", 1, 2, []byte(escaped+string(line))))
	_, got := read(t, s, job, joblog.Query{})
	require.Equal(t, []string{
		"stdout: a •••••• ••••••", "stderr: no ••••••", `stdout: •••••• {"x":"••••••"}`, "stdout: a •••••• ••••••",
	}, got)
	_, got = read(t, s, job, joblog.Query{Step: "stdout"})
	require.Len(t, got, 3, "only the text is masked")
}

func TestManyJobs(t *testing.T) {
	t.Parallel()
	s, ctx := open(t, t.TempDir()), t.Context()
	jobs := make([]uuid.UUID, 600) // more than are kept open
	for i := range jobs {
		jobs[i] = uuid.New()
	}
	for round := 1; round <= 2; round++ {
		for _, job := range jobs {
			require.NoError(t, s.Append(ctx, job, "a", 1, int64(round), lines("a", 1, round, round)))
		}
	}
	for _, job := range jobs {
		_, got := read(t, s, job, joblog.Query{})
		require.Equal(t, []string{"stdout: a 1", "stdout: a 2"}, got)
	}
	require.NoError(t, s.Remove(ctx, jobs[0]))
	require.NoError(t, s.Remove(ctx, jobs[0]))
	page, _ := read(t, s, jobs[0], joblog.Query{})
	require.Zero(t, page.Total)
}

func TestWait(t *testing.T) {
	t.Parallel()
	s, job := open(t, t.TempDir()), uuid.New()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Wait(ctx, job, 0), context.Canceled)

	const steps, each = 4, 200
	var group sync.WaitGroup
	for step := range steps {
		group.Go(func() {
			name := fmt.Sprintf("step%d", step)
			for i := 1; i <= each; i++ {
				if err := s.Append(t.Context(), job, name, 1, int64(i), lines(name, 1, i, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 3 { // viewers see every line once, in order
		group.Go(func() {
			seen := map[string]int{}
			for next := int64(1); next <= steps*each; {
				if err := s.Wait(t.Context(), job, next-1); err != nil {
					t.Error(err)
					return
				}
				page, err := s.Read(t.Context(), job, joblog.Query{From: next, Limit: 50})
				if err != nil || page.From != next || page.Next <= next {
					t.Errorf("page from %d to %d: %v", page.From, page.Next, err)
					return
				}
				next = page.Next
				for line := range strings.Lines(string(page.Logs)) {
					var name string
					var number int
					text := line[strings.Index(line, `"line":"`)+8:]
					if _, err := fmt.Sscanf(text, "%s %d", &name, &number); err != nil || number != seen[name]+1 {
						t.Errorf("after %d of %s: %s", seen[name], name, line)
					}
					seen[name] = number
				}
			}
		})
	}
	group.Wait()

	ended := make(chan error, 1)
	go func() { ended <- s.Wait(t.Context(), job, steps*each) }()
	require.NoError(t, s.Close())
	require.ErrorIs(t, <-ended, joblog.ErrClosed)
	require.ErrorIs(t, s.Append(t.Context(), job, "a", 1, 1, lines("a", 1, 1, 1)), joblog.ErrClosed)
}
