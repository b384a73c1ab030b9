package joblog_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/core/mask"
)

// sink takes batches and keeps their lines.
type sink struct {
	t     *testing.T
	mu    sync.Mutex
	next  int64
	calls int
	text  strings.Builder
}

func (s *sink) send(_ context.Context, first int64, ndjson []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.next > 0 {
		require.Equal(s.t, s.next, first, "lines are numbered without gaps")
	}
	require.LessOrEqual(s.t, len(ndjson), joblog.MaxBatch)
	s.next = first + int64(strings.Count(string(ndjson), "\n"))
	s.text.Write(ndjson)
	return nil
}

func (s *sink) taken() (calls int, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls, s.text.String()
}

func texts(t *testing.T, ndjson string) (lines []string) {
	t.Helper()
	for line := range strings.Lines(ndjson) {
		var l struct{ Step, Stream, TS, Line string }
		require.NoError(t, json.Unmarshal([]byte(line), &l), "%q", line)
		_, err := time.Parse(time.RFC3339Nano, l.TS)
		require.NoError(t, err)
		lines = append(lines, l.Stream+": "+l.Line)
	}
	return lines
}

func write(t *testing.T, w io.Writer, format string, args ...any) {
	t.Helper()
	_, err := fmt.Fprintf(w, format, args...)
	require.NoError(t, err)
}

func TestShortStepSendsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sink{t: t}
		r := joblog.NewRecorder(t.Context(), joblog.RecorderOptions{
			Step: "build", Attempt: 2, Masker: mask.New([]string{"hunter2"}), Send: s.send,
		})
		write(t, r.Stdout(), "one\npass hun")
		write(t, r.Stderr(), "warning: hunter2\n")
		write(t, r.Stdout(), "ter2\nOUTPUT: {\"token\": \"hunter2\"}\nlast")
		got := r.Close(t.Context())
		calls, _ := s.taken()
		require.Zero(t, calls)
		require.EqualValues(t, 1, got.First)
		require.Equal(t, []string{
			"stdout: one", "stderr: warning: ••••••", "stdout: pass ••••••", `stdout: OUTPUT: {"token": "••••••"}`, "stdout: last",
		}, texts(t, string(got.Tail)))
		require.True(t, strings.HasPrefix(string(got.Tail), `{"step":"build","attempt":2,"stream":"stdout","ts":"2000-01-01T00:00:00.000000Z","line":"one"}`+"\n"))
		require.JSONEq(t, `{"token":"hunter2"}`, string(got.Output), "the server needs the real output")
		require.Equal(t, "warning: ••••••\n", got.Stderr)
		require.EqualValues(t, 5, got.Counts.Lines)
		require.NoError(t, got.Err)
		_, err := r.Stdout().Write([]byte("late"))
		require.ErrorIs(t, err, io.ErrClosedPipe)
	})
}

func TestLinesAreSentInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sink{t: t}
		r := joblog.NewRecorder(t.Context(), joblog.RecorderOptions{Step: "build", First: 11, Send: s.send})
		write(t, r.Stdout(), "a\n")
		<-time.After(100 * time.Millisecond) // of the bubble
		write(t, r.Stdout(), "b\nhalf a li")
		synctest.Wait()
		calls, _ := s.taken()
		require.Zero(t, calls)
		<-time.After(100 * time.Millisecond) // of the bubble
		synctest.Wait()
		calls, text := s.taken()
		require.Equal(t, 1, calls)
		require.Equal(t, []string{"stdout: a", "stdout: b"}, texts(t, text))
		<-time.After(time.Hour) // of the bubble
		synctest.Wait()
		calls, _ = s.taken()
		require.Equal(t, 1, calls, "nothing new, nothing sent")
		got := r.Close(t.Context())
		require.EqualValues(t, 13, got.First)
		require.Equal(t, []string{"stdout: half a li"}, texts(t, string(got.Tail)))
	})
}

func TestWriterWaitsForSender(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sink{t: t}
		release := make(chan struct{})
		r := joblog.NewRecorder(t.Context(), joblog.RecorderOptions{Step: "build", Send: func(ctx context.Context, first int64, b []byte) error {
			<-release
			return s.send(ctx, first, b)
		}})
		done := make(chan struct{})
		line := strings.Repeat("x", 1000) + "\n"
		go func() {
			defer close(done)
			for range 3000 {
				if _, err := io.WriteString(r.Stdout(), line); err != nil {
					t.Error(err)
					return
				}
			}
		}()
		synctest.Wait()
		select {
		case <-done:
			require.Fail(t, "3 MB fit nowhere: the writer must wait")
		default:
		}
		write(t, r.Stderr(), "short") // a held-back part needs no room
		close(release)
		<-done
		got := r.Close(t.Context())
		_, text := s.taken()
		require.Len(t, texts(t, text+string(got.Tail)), 3001)
		require.EqualValues(t, 3001, got.Counts.Lines)
		require.Zero(t, got.Counts.Dropped)
	})
}

func TestSendFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("lease is stale")
		calls := 0
		r := joblog.NewRecorder(t.Context(), joblog.RecorderOptions{Step: "build", Send: func(context.Context, int64, []byte) error {
			calls++
			return broken
		}})
		write(t, r.Stdout(), "first\n")
		<-time.After(time.Second) // of the bubble
		synctest.Wait()
		for range 2000 {
			write(t, r.Stdout(), "%s\n", strings.Repeat("x", 1000))
		}
		got := r.Close(t.Context())
		require.Equal(t, 1, calls)
		require.ErrorIs(t, got.Err, broken)
		require.EqualValues(t, 1, got.First, "what failed is part of the tail")
		lines := texts(t, string(got.Tail))
		require.Equal(t, "stdout: first", lines[0])
		require.EqualValues(t, 2001, int64(len(lines))+got.Counts.Dropped)
		require.Positive(t, got.Counts.Dropped)
	})
}

func TestCloseGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := joblog.NewRecorder(t.Context(), joblog.RecorderOptions{Step: "build", Send: func(ctx context.Context, _ int64, _ []byte) error {
			<-ctx.Done()
			return ctx.Err()
		}})
		write(t, r.Stdout(), "first\n")
		<-time.After(time.Second) // of the bubble
		write(t, r.Stdout(), "second\n")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		got := r.Close(ctx)
		require.ErrorIs(t, got.Err, context.Canceled)
		require.Equal(t, []string{"stdout: first", "stdout: second"}, texts(t, string(got.Tail)))
	})
}

func TestMaxBytes(t *testing.T) {
	t.Parallel()
	r := joblog.NewRecorder(t.Context(), joblog.RecorderOptions{Step: "build", MaxBytes: 20})
	write(t, r.Stdout(), "0123456789\n")
	write(t, r.Stderr(), "too much of it\n")
	write(t, r.Stdout(), "more\nOUTPUT: 1\n")
	got := r.Close(t.Context())
	require.Equal(t, []string{
		"stdout: 0123456789", "stderr: [the step wrote more than 20 bytes; the rest of its output is not kept]",
	}, texts(t, string(got.Tail)))
	require.EqualValues(t, 11, got.Counts.Bytes)
	require.EqualValues(t, 3, got.Counts.Dropped)
	require.Equal(t, "1", string(got.Output), "the output still counts")
	require.Equal(t, "too much of it\n", got.Stderr, "and so does the error")
}

func TestOutputTooLarge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := joblog.NewRecorder(t.Context(), joblog.RecorderOptions{Step: "build", Send: (&sink{t: t}).send})
		write(t, r.Stdout(), "OUTPUT: 1\nOUTPUT: \"%s\"\n", strings.Repeat("x", 1<<20))
		got := r.Close(t.Context())
		require.Nil(t, got.Output)
		require.Equal(t, "Output is larger than 1 MiB", got.OutputError)
	})
}

func TestLongLineIsCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sink{t: t}
		r := joblog.NewRecorder(t.Context(), joblog.RecorderOptions{Step: "build", Send: s.send})
		for range 30 { // 3 MB without a newline, every byte of which is escaped
			write(t, r.Stdout(), "%s", strings.Repeat("\x01", 100_000))
		}
		got := r.Close(t.Context())
		_, text := s.taken()
		lines := texts(t, text+string(got.Tail))
		total := 0
		for i, line := range lines {
			body := strings.TrimPrefix(line, "stdout: ")
			if i < len(lines)-1 {
				require.True(t, strings.HasSuffix(body, "continues below]"))
			}
			total += strings.Count(body, "\x01")
		}
		require.Equal(t, 3_000_000, total)
	})
}
