package joblog_test

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stroem/stroem/core/joblog"
)

// TestAStepIsReadAlone reads one step of a long log without the blocks that hold none of its lines.
func TestAStepIsReadAlone(t *testing.T) {
	t.Parallel()
	s, job := open(t, t.TempDir()), uuid.New()
	for _, step := range []string{"a", "b", "c", "b"} {
		require.NoError(t, s.Append(t.Context(), job, step, 1, 0, lines(step, 1, 1, 20_000)))
	}
	v, err := s.View(t.Context(), job)
	require.NoError(t, err)
	defer func() { require.NoError(t, v.Close()) }()
	counted := &countedReader{ReaderAt: v.Bytes}
	v.Bytes = counted
	page, err := v.Read(t.Context(), joblog.Query{Step: "c"})
	require.NoError(t, err)
	require.Equal(t, string(lines("c", 1, 1, 20_000)), string(page.Logs))
	require.Equal(t, []int64{40_001, 80_001, 80_000}, []int64{page.From, page.Next, page.Total})
	require.Less(t, counted.bytes.Load(), v.Index.Size/3)
	counted.bytes.Store(0)
	page, err = v.Read(t.Context(), joblog.Query{Step: "a", Tail: 1})
	require.NoError(t, err)
	require.Equal(t, string(lines("a", 1, 20_000, 20_000)), string(page.Logs))
	require.Less(t, counted.bytes.Load(), int64(1<<20))
}

type countedReader struct {
	io.ReaderAt
	bytes, reads atomic.Int64
}

func (r *countedReader) ReadAt(p []byte, at int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(p, at)
	r.bytes.Add(int64(n))
	r.reads.Add(1)
	return n, err
}

// TestManySteps has more steps in a block than the index knows.
func TestManySteps(t *testing.T) {
	t.Parallel()
	s, job := open(t, t.TempDir()), uuid.New()
	for round := range 3 {
		for i := range 1000 {
			step := fmt.Sprint("step-", i)
			require.NoError(t, s.Append(t.Context(), job, step, 1, int64(round+1), lines(step, 1, round+1, round+1)))
		}
	}
	for _, step := range []string{"step-0", "step-63", "step-64", "step-999"} {
		_, got := read(t, s, job, joblog.Query{Step: step})
		require.Equal(t, []string{"stdout: " + step + " 1", "stdout: " + step + " 2", "stdout: " + step + " 3"}, got)
		_, got = read(t, s, job, joblog.Query{Step: step, Tail: 2})
		require.Equal(t, []string{"stdout: " + step + " 2", "stdout: " + step + " 3"}, got)
	}
}

func TestIndexAsJSON(t *testing.T) {
	t.Parallel()
	s, job := open(t, t.TempDir()), uuid.New()
	for _, step := range []string{"a", "b"} {
		require.NoError(t, s.Append(t.Context(), job, step, 1, 0, lines(step, 1, 1, 3000)))
	}
	v, err := s.View(t.Context(), job)
	require.NoError(t, err)
	defer func() { require.NoError(t, v.Close()) }()
	data, err := json.Marshal(v.Index)
	require.NoError(t, err)
	var got joblog.Index
	require.NoError(t, json.Unmarshal(data, &got))
	require.Equal(t, v.Index, got)
	for _, bad := range []string{
		`{"lines":1}`, `{"lines":-1,"size":3}`, `{"lines":1,"size":0,"blocks":[{"line":1,"offset":0}]}`,
		`{"lines":2,"size":9,"blocks":[{"line":2,"offset":0}]}`, `{"lines":2,"size":9,"blocks":[{"line":1,"offset":0,"steps":[0]}]}`,
		`{"lines":2,"size":9,"blocks":[{"line":1,"offset":0},{"line":1,"offset":4}]}`,
	} {
		require.Error(t, json.Unmarshal([]byte(bad), &got), bad)
	}
}

// TestJoinedViews holds views of several logs, read as one, against the log that has all of their lines.
func TestJoinedViews(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	rapid.Check(t, func(t *rapid.T) {
		whole := uuid.New()
		var parts []uuid.UUID
		for range rapid.IntRange(1, 5).Draw(t, "parts") {
			part := uuid.New()
			parts = append(parts, part)
			for range rapid.IntRange(0, 3).Draw(t, "batches") {
				step := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "step")
				batch := lines(step, 1, 1, rapid.IntRange(1, 1500).Draw(t, "lines"))
				require.NoError(t, s.Append(t.Context(), part, step, 1, 0, batch))
				require.NoError(t, s.Append(t.Context(), whole, step, 1, 0, batch))
			}
		}
		var views []*joblog.View
		for _, part := range parts {
			v, err := s.View(t.Context(), part)
			require.NoError(t, err)
			views = append(views, v)
		}
		joined := joblog.Join(views...)
		defer func() { require.NoError(t, joined.Close()) }()
		for range 10 {
			q := joblog.Query{
				Step: rapid.SampledFrom([]string{"", "a", "b", "c", "d"}).Draw(t, "of"), From: rapid.Int64Range(0, 3000).Draw(t, "from"),
				Limit: rapid.Int64Range(0, 3000).Draw(t, "limit"), Q: rapid.SampledFrom([]string{"", "7"}).Draw(t, "q"),
			}
			if rapid.Bool().Draw(t, "tail") {
				q.Tail = rapid.Int64Range(1, 2000).Draw(t, "length")
			}
			want, err := s.Read(t.Context(), whole, q)
			require.NoError(t, err)
			got, err := joined.Read(t.Context(), q)
			require.NoError(t, err)
			require.Equal(t, [3]int64{want.From, want.Next, want.Total}, [3]int64{got.From, got.Next, got.Total}, "%+v", q)
			require.Equal(t, strings.Split(string(want.Logs), "\n"), strings.Split(string(got.Logs), "\n"))
		}
	})
}
