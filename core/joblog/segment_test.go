package joblog_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stroem/stroem/core/joblog"
)

func TestSegmentsOfAJob(t *testing.T) {
	t.Parallel()
	dir, job, ctx := t.TempDir(), uuid.New(), t.Context()
	s := open(t, dir)
	for n := 1; n <= 3; n++ {
		require.NoError(t, s.Of(joblog.Segment{Job: job, N: n}).Append(ctx, "a", 1, 1, lines("a", 1, 1, n)))
	}
	names := func() (names []string) {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
		return names
	}
	require.ElementsMatch(t, []string{job.String() + ".jsonl", job.String() + ".2.jsonl", job.String() + ".3.jsonl"}, names())
	page, _ := read(t, s, job, joblog.Query{})
	require.EqualValues(t, 1, page.Total, "the first one is what has no number")
	require.NoError(t, s.Close())

	s = open(t, dir)
	jobs, err := s.Jobs(time.Now().Add(time.Minute))
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{job}, jobs)
	attempts, err := s.Of(joblog.Segment{Job: job, N: 3}).Attempts(ctx)
	require.NoError(t, err)
	require.Equal(t, []joblog.Attempt{{Step: "a", Attempt: 1, Next: 4}}, attempts)
	require.NoError(t, s.Remove(ctx, job))
	require.Empty(t, names())
}

// TestIndexGrowsByDeltas has somebody who knows the index of a log hear of nothing but what is new.
func TestIndexGrowsByDeltas(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	rapid.Check(t, func(t *rapid.T) {
		job := uuid.New()
		var known joblog.Index
		for range rapid.IntRange(1, 8).Draw(t, "rounds") {
			for range rapid.IntRange(0, 3).Draw(t, "batches") {
				step := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "step")
				require.NoError(t, s.Append(t.Context(), job, step, 1, 0, lines(step, 1, 1, rapid.IntRange(1, 1500).Draw(t, "lines"))))
			}
			v, err := s.View(t.Context(), job)
			require.NoError(t, err)
			sent, err := json.Marshal(v.Index.Since(known.Blocks(), len(known.Steps)))
			require.NoError(t, err)
			var delta joblog.Delta
			require.NoError(t, json.Unmarshal(sent, &delta))
			known, err = known.With(delta)
			require.NoError(t, err)
			require.LessOrEqual(t, len(delta.Blocks), 6, "no more than has come, and the last one")
			want, err := json.Marshal(v.Index)
			require.NoError(t, err)
			got, err := json.Marshal(known)
			require.NoError(t, err)
			require.JSONEq(t, string(want), string(got))
			require.NoError(t, v.Close())
		}
	})
}

func TestDeltasThatDoNotFit(t *testing.T) {
	t.Parallel()
	for name, delta := range map[string]joblog.Delta{
		"behind what is known": {Lines: 5000, Size: 5000, From: 3, Blocks: []joblog.Block{{Line: 4000, Offset: 4000}}},
		"before the beginning": {Lines: 5, Size: 5, From: -1, Blocks: []joblog.Block{{Line: 1}}},
		"no block":             {Lines: 5, Size: 5},
		"no lines":             {Size: 5, Blocks: []joblog.Block{{Line: 1}}},
		"a step of nobody":     {Lines: 5, Size: 5, Blocks: []joblog.Block{{Line: 1, Steps: []int32{0}}}},
	} {
		_, err := new(joblog.Index).With(delta)
		require.Error(t, err, name)
	}
	index, err := new(joblog.Index).With(joblog.Delta{})
	require.NoError(t, err)
	require.Zero(t, index.Blocks())
}

// TestCut removes the ends of attempts from a log, and goes on with it.
func TestCut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	rapid.Check(t, func(t *rapid.T) {
		job, counts := uuid.New(), map[string]int{"a": 0, "b": 0, "c": 0}
		steps := []string{"a", "b", "c"}
		var all []string // of the steps, in order
		for range rapid.IntRange(1, 12).Draw(t, "batches") {
			step := rapid.SampledFrom(steps).Draw(t, "step")
			n := rapid.IntRange(1, 5).Draw(t, "lines")
			require.NoError(t, s.Append(t.Context(), job, step, 2, int64(counts[step]+1), lines(step, 2, counts[step]+1, counts[step]+n)))
			counts[step] += n
			all = append(all, slices.Repeat([]string{step}, n)...)
		}
		ends, kept := map[string]int{}, map[string]int{}
		var cuts []joblog.Attempt
		for _, step := range steps {
			if ends[step] = counts[step] + 1; rapid.Bool().Draw(t, "cut") {
				ends[step] = rapid.IntRange(1, counts[step]+2).Draw(t, "end")
				cuts = append(cuts, joblog.Attempt{Step: step, Attempt: 2, Next: int64(ends[step])})
			}
		}
		all = slices.DeleteFunc(all, func(step string) bool {
			kept[step]++
			return kept[step] >= ends[step]
		})
		before, err := s.View(t.Context(), job)
		require.NoError(t, err)
		left, err := s.Of(joblog.First(job)).Cut(t.Context(), cuts)
		require.NoError(t, err)
		require.EqualValues(t, len(all), left)
		for range 2 {
			page, err := s.Read(t.Context(), job, joblog.Query{})
			require.NoError(t, err)
			var got []string
			numbers := map[string]int{}
			for line := range strings.Lines(string(page.Logs)) {
				l := joblog.ParseLine([]byte(line))
				numbers[l.Step]++
				got = append(got, l.Step)
				require.Equal(t, string(lines(l.Step, 2, numbers[l.Step], numbers[l.Step])), line)
			}
			require.Equal(t, strings.Join(all, ""), strings.Join(got, ""))
			// what was cut, or more, comes again and is numbered from there
			step := rapid.SampledFrom(steps).Draw(t, "again")
			first := numbers[step] + 1
			require.NoError(t, s.Append(t.Context(), job, step, 2, int64(first), lines(step, 2, first, first)))
			all = append(all, step)
		}
		page, err := before.Read(t.Context(), joblog.Query{})
		require.NoError(t, err)
		require.EqualValues(t, counts["a"]+counts["b"]+counts["c"], page.Total, "who reads sees it as it was")
		require.NoError(t, before.Close())
	})
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		require.False(t, strings.HasPrefix(entry.Name(), "."), "no drafts are left")
	}
}

func TestRepeatedLines(t *testing.T) {
	t.Parallel()
	line := string(lines("x", 1, 1, 1))
	v := joblog.Repeat("x", []byte(line), 5000)
	for name, c := range map[string]struct {
		query      joblog.Query
		from, next int64
		lines      int
	}{
		"all":          {joblog.Query{}, 1, 5001, 5000},
		"a page":       {joblog.Query{From: 3000, Limit: 10}, 3000, 3010, 10},
		"the tail":     {joblog.Query{Tail: 7}, 4994, 5001, 7},
		"the step":     {joblog.Query{Step: "x", From: 4999}, 4999, 5001, 2},
		"another step": {joblog.Query{Step: "y"}, 5001, 5001, 0},
	} {
		page, err := v.Read(t.Context(), c.query)
		require.NoError(t, err, name)
		require.Equal(t, [3]int64{c.from, c.next, 5000}, [3]int64{page.From, page.Next, page.Total}, name)
		require.Equal(t, strings.Repeat(line, c.lines), string(page.Logs), name)
	}
	require.NoError(t, v.Close())
}
