package joblog_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stroem/stroem/core/joblog"
)

// writeMuch adds lines to a job until its log has so many bytes, and returns how many lines of step a there are.
func writeMuch(t *testing.T, s *joblog.Store, job uuid.UUID, size int) (next int) {
	t.Helper()
	for next = 1; size > 0; next += 3000 {
		batch := lines("a", 1, next, next+2999)
		size -= len(batch)
		require.NoError(t, s.Append(t.Context(), job, "a", 1, int64(next), batch))
	}
	return next
}

// TestLongLogsAreOpenedByTheirIndex scribbles over what an index makes it needless to read: a log that is opened does not notice.
func TestLongLogsAreOpenedByTheirIndex(t *testing.T) {
	t.Parallel()
	dir, job := t.TempDir(), uuid.New()
	log, index := filepath.Join(dir, job.String()+".jsonl"), filepath.Join(dir, job.String()+".idx")
	s := open(t, dir)
	next := writeMuch(t, s, job, 5<<20)
	require.NoFileExists(t, index, "it is written when the log is closed, or much longer")
	want, _ := read(t, s, job, joblog.Query{Tail: 1})
	require.NoError(t, s.Close())
	require.FileExists(t, index)

	file, err := os.OpenFile(log, os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = file.WriteAt(bytes.Repeat([]byte("\n"), 1<<20), 0)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	s = open(t, dir)
	got, _ := read(t, s, job, joblog.Query{Tail: 1})
	require.Equal(t, want, got)
	require.NoError(t, s.Append(t.Context(), job, "a", 1, int64(next-1), lines("a", 1, next-1, next)), "half of it is there")
	got, texts := read(t, s, job, joblog.Query{Tail: 2})
	require.Equal(t, want.Total+1, got.Total)
	require.Equal(t, []string{fmt.Sprint("stdout: a ", next-1), fmt.Sprint("stdout: a ", next)}, texts)

	writeLong := time.Now().Add(time.Hour)
	require.NoError(t, os.Chtimes(index, time.Unix(0, 0), time.Unix(0, 0)))
	jobs, err := s.Jobs(writeLong.Add(-2 * time.Hour))
	require.NoError(t, err)
	require.Empty(t, jobs, "the index is old, and the log is not")
	jobs, err = s.Jobs(writeLong)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{job}, jobs, "once")
	require.NoError(t, s.Remove(t.Context(), job))
	require.NoError(t, s.Close())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestIndexIsWrittenAsTheLogGrows(t *testing.T) {
	t.Parallel()
	dir, job := t.TempDir(), uuid.New()
	s := open(t, dir)
	writeMuch(t, s, job, 17<<20)
	require.FileExists(t, filepath.Join(dir, job.String()+".idx"))
	require.NoFileExists(t, filepath.Join(dir, job.String()+".idx.tmp"))
}

// TestEvictedLogsKeepTheirIndex has more long logs than are kept open.
func TestEvictedLogsKeepTheirIndex(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	s.SmallCheckpoints(100, 1<<20)
	jobs := make([]uuid.UUID, 300)
	for i := range jobs {
		jobs[i] = uuid.New()
		require.NoError(t, s.Append(t.Context(), jobs[i], "a", 1, 1, lines("a", 1, 1, 10)))
	}
	require.FileExists(t, filepath.Join(dir, jobs[0].String()+".idx"))
	require.NoFileExists(t, filepath.Join(dir, jobs[299].String()+".idx"))
	for _, job := range jobs {
		require.NoError(t, s.Append(t.Context(), job, "a", 1, 10, lines("a", 1, 10, 11)))
		page, _ := read(t, s, job, joblog.Query{})
		require.EqualValues(t, 11, page.Total)
	}
}

// TestAnyCrash cuts and replaces the files of a log at random between restarts. Whatever becomes of its index, the log is what
// its file holds, and the next lines of its steps are those that are missing.
func TestAnyCrash(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, job := filepath.Join(root, rand.Text()), uuid.New()
		log, index := filepath.Join(dir, job.String()+".jsonl"), filepath.Join(dir, job.String()+".idx")
		start := func() *joblog.Store {
			s, err := joblog.Open(dir, nil)
			require.NoError(t, err)
			s.SmallCheckpoints(rapid.Int64Range(1, 100_000).Draw(t, "first"), rapid.Int64Range(1, 100_000).Draw(t, "every"))
			return s
		}
		s := start()
		defer func() { require.NoError(t, s.Close()) }()
		var older [][]byte // indexes
		for range rapid.IntRange(2, 8).Draw(t, "restarts") {
			for range rapid.IntRange(0, 4).Draw(t, "appends") {
				step := rapid.SampledFrom([]string{"a", "b", `c"\`}).Draw(t, "step")
				attempt := rapid.IntRange(1, 2).Draw(t, "attempt")
				batch := lines(step, attempt, 1, rapid.IntRange(1, 800).Draw(t, "lines"))
				require.NoError(t, s.Append(t.Context(), job, step, attempt, 0, batch))
			}
			if data, err := os.ReadFile(index); err == nil {
				older = append(older, data)
			}
			if rapid.Bool().Draw(t, "closed") {
				require.NoError(t, s.Close())
			} else {
				defer func(s *joblog.Store) { require.NoError(t, s.Close()) }(s) // as if killed: it writes nothing any more
				s.SmallCheckpoints(1<<62, 1<<62)
			}
			data, err := os.ReadFile(log)
			if errors.Is(err, fs.ErrNotExist) {
				s = start()
				continue
			}
			require.NoError(t, err)
			switch rapid.SampledFrom([]string{"nothing", "cut log", "cut index", "old index", "flip", "zeros"}).Draw(t, "damage") {
			case "cut log":
				data = data[:rapid.IntRange(0, len(data)).Draw(t, "at")]
				require.NoError(t, os.WriteFile(log, data, 0o600))
			case "cut index":
				if stored, err := os.ReadFile(index); err == nil {
					require.NoError(t, os.WriteFile(index, stored[:rapid.IntRange(0, len(stored)-1).Draw(t, "at")], 0o600))
				}
			case "old index":
				if len(older) > 0 {
					require.NoError(t, os.WriteFile(index, rapid.SampledFrom(older).Draw(t, "older"), 0o600))
				}
			case "flip":
				if stored, err := os.ReadFile(index); err == nil {
					stored[rapid.IntRange(0, len(stored)-1).Draw(t, "at")] ^= 1
					require.NoError(t, os.WriteFile(index, stored, 0o600))
				}
			case "zeros": // as some file systems leave them behind when the power fails
				n := rapid.IntRange(0, min(len(data), 5000)).Draw(t, "zeros")
				data = append(data[:len(data)-n:len(data)-n], make([]byte, n)...)
				require.NoError(t, os.WriteFile(log, data, 0o600))
			}
			s = start()
			requireSame(t, s, job, data, root)
		}
	})
}

// requireSame compares a log, and what comes next in it, with one that is read from a copy of its file without an index.
func requireSame(t *rapid.T, s *joblog.Store, job uuid.UUID, data []byte, root string) {
	dir := filepath.Join(root, rand.Text())
	require.NoError(t, os.MkdirAll(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, job.String()+".jsonl"), data, 0o600))
	fresh, err := joblog.Open(dir, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, fresh.Close()) }()
	want, got := views(t, fresh, job), views(t, s, job)
	fromIndex, err := json.Marshal(got.Index)
	require.NoError(t, err)
	fromLog, err := json.Marshal(want.Index)
	require.NoError(t, err)
	require.JSONEq(t, string(fromLog), string(fromIndex))
	for _, q := range []joblog.Query{{}, {Step: "a"}, {Step: `c"\`, Tail: 10}, {Q: "7"}} {
		a, err := want.Read(t.Context(), q)
		require.NoError(t, err)
		b, err := got.Read(t.Context(), q)
		require.NoError(t, err)
		require.Equal(t, a.Total, b.Total)
		require.True(t, bytes.Equal(a.Logs, b.Logs))
	}
	for _, step := range []string{"a", "b", `c"\`} {
		for attempt := 1; attempt <= 2; attempt++ {
			a, err := fresh.Position(t.Context(), job, step, attempt)
			require.NoError(t, err)
			b, err := s.Position(t.Context(), job, step, attempt)
			require.NoError(t, err)
			require.Equal(t, a, b)
		}
	}
}

func views(t *rapid.T, s *joblog.Store, job uuid.UUID) *joblog.View {
	v, err := s.View(t.Context(), job)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, v.Close()) })
	return v
}
