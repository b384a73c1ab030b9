package joblog_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/core/mask"
	"github.com/stroem/stroem/pluginapi"
)

func stamp(second int) time.Time { return time.Date(2026, 1, 2, 3, 4, second, 0, time.UTC) }

func line(attempt int, stream string, second int, text string) []byte {
	return joblog.AppendLine(nil, "a", attempt, stream, stamp(second).Format(time.RFC3339Nano), text)
}

func TestPosition(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lines [][]byte
		want  joblog.Position
	}{
		"nothing": {},
		"one line": {
			[][]byte{line(1, "stdout", 1, "x")},
			joblog.Position{Last: 1, Known: joblog.Known{Since: stamp(1), Until: stamp(1), Stdout: 1}},
		},
		"lines of the last moment": {
			[][]byte{line(1, "stdout", 1, "x"), line(1, "stdout", 2, "x"), line(1, "stderr", 2, "x"), line(1, "stdout", 2, "x")},
			joblog.Position{Last: 4, Known: joblog.Known{Since: stamp(2), Until: stamp(2), Stdout: 2, Stderr: 1}},
		},
		"from the last output on": {
			[][]byte{
				line(1, "stdout", 1, "OUTPUT: 1"), line(1, "stdout", 2, "x"), line(1, "stdout", 2, "OUTPUT: 2"),
				line(1, "stdout", 3, "x"), line(1, "stderr", 4, "OUTPUT: 3"),
			},
			joblog.Position{Last: 5, Known: joblog.Known{Since: stamp(2), Until: stamp(4), Stdout: 3, Stderr: 1}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, job := t.TempDir(), uuid.New()
			s := open(t, dir)
			for i, l := range c.lines {
				require.NoError(t, s.Append(t.Context(), job, "a", 1, int64(i+1), l))
				require.NoError(t, s.Append(t.Context(), job, "b", 1, int64(i+1), lines("b", 1, 1, 1)), "another step")
			}
			require.NoError(t, s.Append(t.Context(), job, "a", 2, 1, line(2, "stdout", 9, "another attempt")))
			for _, s := range []*joblog.Store{s, open(t, dir)} {
				position, err := s.Position(t.Context(), job, "a", 1)
				require.NoError(t, err)
				require.Equal(t, c.want, position)
			}
		})
	}
}

// record is a piece of output that is kept outside of the plugin, with its time.
type record struct {
	stderr bool
	at     time.Time
	text   string
}

// A step writes whole lines; at any moment its worker dies. Whatever had been stored by then, all lines are there in the
// end, once and in order, and the output is that of all of them.
func TestTakingUpLosesAndDoublesNoLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		var records []record
		want, output := map[bool][]string{}, ""
		now := stamp(1)
		// The end of a line that may be inside of a secret is held back. Then it matters that each piece has a time of its
		// own, and that nothing comes between.
		secrets := rapid.Bool().Draw(rt, "secrets")
		pauses := []int{1, 1500, 30_000, 2_000_000}
		merged := rapid.Bool().Draw(rt, "merged")
		if !secrets && !merged {
			pauses = append(pauses, 0)
		}
		for i := range rapid.IntRange(1, 12).Draw(rt, "records") {
			now = now.Add(time.Duration(rapid.SampledFrom(pauses).Draw(rt, "pause")) * time.Microsecond)
			r := record{stderr: !secrets && rapid.Bool().Draw(rt, "stderr"), at: now}
			for j := range rapid.IntRange(1, 3).Draw(rt, "lines") {
				text := fmt.Sprintf("line %d.%d", i, j)
				switch {
				case rapid.IntRange(0, 5).Draw(rt, "kind") == 0 && !r.stderr:
					output = fmt.Sprintf(`"%d.%d"`, i, j)
					text = "OUTPUT: " + output
				case secrets && rapid.Bool().Draw(rt, "secret"):
					text = "first" // of the two lines of a secret
				}
				r.text += text + "\n"
				want[r.stderr] = append(want[r.stderr], text)
			}
			records = append(records, r)
		}
		job := uuid.New()
		s, err := joblog.Open(dir, nil)
		require.NoError(rt, err)
		defer func() { require.NoError(rt, s.Close()) }()
		ctx := context.Background()
		cut := rapid.IntRange(0, len(records)).Draw(rt, "records before the crash")
		first := play(rt, joblog.RecorderOptions{}, records[:cut], merged)
		stored := slices.Collect(strings.Lines(string(first.Tail)))
		if n := rapid.IntRange(0, len(stored)).Draw(rt, "lines stored"); n > 0 {
			require.NoError(rt, s.Append(ctx, job, "a", 1, 1, []byte(strings.Join(stored[:n], ""))))
		}
		position, err := s.Position(ctx, job, "a", 1)
		require.NoError(rt, err)
		rest := slices.DeleteFunc(slices.Clone(records), func(r record) bool { return r.at.Before(position.Known.Since) })
		second := play(rt, joblog.RecorderOptions{First: position.Last + 1, Known: position.Known}, rest, merged)
		require.Equal(rt, position.Last+1, second.First)
		require.NoError(rt, s.Append(ctx, job, "a", 1, second.First, second.Tail))
		page, err := s.Read(ctx, job, joblog.Query{})
		require.NoError(rt, err)
		got := map[bool][]string{}
		for _, text := range texts(t, string(page.Logs)) {
			stream, text, _ := strings.Cut(text, ": ")
			got[stream == "stderr"] = append(got[stream == "stderr"], text)
		}
		require.Equal(rt, want, got)
		require.Equal(rt, output, string(second.Output))
	})
}

// play records pieces of output: one by one, or merged as on the wire those of one stream within 20 ms.
func play(t require.TestingT, o joblog.RecorderOptions, records []record, merged bool) joblog.Recording {
	o.Step, o.Attempt, o.Masker = "a", 1, mask.New([]string{"first\nsecond"})
	o.Send = func(context.Context, int64, []byte) error { return io.ErrClosedPipe } // all is in the tail
	r := joblog.NewRecorder(context.Background(), o)
	for i := 0; i < len(records); {
		rec := records[i]
		for i++; merged && i < len(records) && records[i].stderr == rec.stderr && records[i].at.Sub(rec.at) <= 20*time.Millisecond; i++ {
			rec.text += records[i].text
		}
		w := r.Stdout()
		if rec.stderr {
			w = r.Stderr()
		}
		_, err := pluginapi.WriteTimed(w, []byte(rec.text), rec.at)
		require.NoError(t, err)
	}
	return r.Close(context.Background())
}

// Lines of the runner's own do not come again, and so are not counted among those that do.
func TestPositionPassesOverNotes(t *testing.T) {
	t.Parallel()
	s, err := joblog.Open(t.TempDir(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	at := time.Unix(1_700_000_000, 0).UTC()
	recording := play(t, joblog.RecorderOptions{}, []record{
		{text: "stroem: Pulling\n", stderr: true, at: at},
		{text: "one\n", stderr: true, at: at.Add(time.Second)},
		{text: "stroem: FailedMount\n", stderr: true, at: at.Add(time.Second)},
		{text: "stroem: Evicted\n", stderr: true, at: at.Add(2 * time.Second)},
	}, false)
	job := uuid.New()
	require.NoError(t, s.Append(t.Context(), job, "a", 1, 1, recording.Tail))
	position, err := s.Position(t.Context(), job, "a", 1)
	require.NoError(t, err)
	require.Equal(t, joblog.Position{Last: 4, Known: joblog.Known{
		Since: at.Add(time.Second), Until: at.Add(time.Second), Stderr: 1,
	}}, position)
}
