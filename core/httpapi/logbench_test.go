package httpapi_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/joblog"
)

// BenchmarkLargeLog asks over HTTP for a log of STROEM_BENCH_LOG_MIB MiB (64).
func BenchmarkLargeLog(b *testing.B) {
	mib, err := strconv.Atoi(os.Getenv("STROEM_BENCH_LOG_MIB"))
	if err != nil {
		mib = 64
	}
	s := newBundle(b)
	job := s.execute()
	for size, n := 0, int64(1); size < mib<<20; {
		var batch bytes.Buffer
		first := n
		for ; batch.Len() < joblog.MaxBatch-4096; n++ {
			batch.Write(joblog.AppendLine(nil, "a", 1, joblog.Stdout, time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"), fmt.Sprintf("line %d of many that say \"nothing\" of what is looked for", n)))
		}
		size += batch.Len()
		require.NoError(b, s.logs.Append(b.Context(), uuid.MustParse(job), "a", 1, first, batch.Bytes()))
	}
	for name, path := range map[string]string{
		"page":                "?from=5000&limit=500",
		"tail":                "?tail=500",
		"search, nothing":     "/search?q=nowhere",
		"search, first":       "/search?q=line+1000+of",
		"search, many":        "/search?q=00+of",
		"regexp":              "/search?regex=true&q=no(where|body)%5Cd",
		"regexp, no literal":  "/search?regex=true&q=%5Cd%5Cd-%5Cd",
		"download":            "/raw",
		"download, as stored": "/raw?format=jsonl",
	} {
		b.Run(name, func(b *testing.B) {
			var first time.Duration
			var most uint64
			for b.Loop() {
				begun := time.Now()
				request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, s.url+"/api/jobs/"+job+"/logs"+path, nil)
				require.NoError(b, err)
				request.Header.Set("Accept-Encoding", "identity")
				response, err := http.DefaultClient.Do(request)
				require.NoError(b, err)
				require.Equal(b, http.StatusOK, response.StatusCode)
				body := bufio.NewReader(response.Body)
				_, err = body.Peek(1)
				require.NoError(b, err)
				first = max(first, time.Since(begun))
				size, err := io.Copy(io.Discard, body)
				require.NoError(b, err)
				b.SetBytes(size)
				require.NoError(b, response.Body.Close())
				var memory runtime.MemStats
				runtime.ReadMemStats(&memory)
				most = max(most, memory.HeapInuse)
			}
			b.ReportMetric(float64(first.Milliseconds()), "ms-to-first")
			b.ReportMetric(float64(most>>20), "MiB-heap")
		})
	}
}
