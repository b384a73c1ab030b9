package joblog_test

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/joblog"
)

// BenchmarkSearch looks for what is not there in a log of STROEM_BENCH_LOG_MIB MiB (64), so that all of it is read.
func BenchmarkSearch(b *testing.B) {
	for name, printed := range map[string]string{
		"plain":   "2026/01/02 03:04:05 worker 17 took %d items from the queue and stored them in 12.5ms; all is well",
		"json":    `{"level":"info","worker":17,"msg":"took %d items","queue":"default","took":"12.5ms","path":"C:\\x"}`,
		"colours": "\x1b[32mINFO\x1b[0m worker \x1b[1m17\x1b[0m took %d items from the queue \x1b[33m(12.5ms)\x1b[0m and went on",
	} {
		s, job := big(b, printed)
		for search, q := range map[string]joblog.Query{
			"literal":     {Q: "connection refused"},
			"step":        {Q: "connection refused", Step: "build", Stream: joblog.Stderr},
			"ignore case": {Q: "Connection REFUSED", IgnoreCase: true},
			"regexp":      {Q: `connection (refused|reset) by \d+`, Regexp: true},
			"slow regexp": {Q: `[0-9]{5,}ms`, Regexp: true},
			"no literal":  {Q: `\d\d\d-\d\d`, Regexp: true},
		} {
			b.Run(name+"/"+search, func(b *testing.B) {
				v, err := s.View(b.Context(), job)
				require.NoError(b, err)
				defer func() { require.NoError(b, v.Close()) }()
				b.SetBytes(v.Index.Size)
				for b.Loop() {
					found, err := v.Search(b.Context(), q, func(*joblog.Hit) error { return nil }, nil)
					require.NoError(b, err)
					require.True(b, found.Complete)
					require.Zero(b, found.Hits)
				}
			})
		}
	}
}

// BenchmarkOpen opens a log after a restart.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s, err := joblog.Open(dir, nil)
	require.NoError(b, err)
	job := uuid.New()
	fill(b, s, job, "a line of %d like many others, of about the length of lines that programs print when they work")
	for b.Loop() {
		require.NoError(b, s.Close())
		s, err = joblog.Open(dir, nil)
		require.NoError(b, err)
		page, err := s.Read(b.Context(), job, joblog.Query{Tail: 10})
		require.NoError(b, err)
		require.Greater(b, page.Total, int64(1000))
	}
	require.NoError(b, s.Close())
}

func big(b *testing.B, printed string) (*joblog.Store, uuid.UUID) {
	b.Helper()
	s, err := joblog.Open(b.TempDir(), nil)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	job := uuid.New()
	fill(b, s, job, printed)
	return s, job
}

func fill(b *testing.B, s *joblog.Store, job uuid.UUID, printed string) {
	b.Helper()
	mib, err := strconv.Atoi(os.Getenv("STROEM_BENCH_LOG_MIB"))
	if err != nil {
		mib = 64
	}
	for size, n := 0, int64(1); size < mib<<20; {
		var batch bytes.Buffer
		first := n
		for batch.Len() < joblog.MaxBatch-4096 {
			batch.Write(joblog.AppendLine(nil, "build", 1, joblog.Stderr, ts, fmt.Sprintf(printed, n)))
			n++
		}
		size += batch.Len()
		require.NoError(b, s.Append(b.Context(), job, "build", 1, first, batch.Bytes()))
	}
}
