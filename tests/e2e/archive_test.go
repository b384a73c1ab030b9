package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/tests/s3server"
)

const archiveWorkspace = `
actions:
  deploy/notify: {type: shell, cmd: echo notified}
  say: {type: shell, cmd: 'seq -f "line %g" 1 3000; echo to stderr >&2'}
  much:
    type: shell
    cmd: |
      awk -v n="$INPUT_LINES" 'BEGIN {
        for (i = 1; i <= n; i++) printf "%d: a line that is about as long as those of a compiler, with numbers that differ: %d %d %d and a path /src/package-%d/file.go\n", i, i * 7919 % 100003, i * 104729 % 1000003, i * 31 % 977, i % 5000
      }'
      echo the needle
tasks:
  deploy: {flow: {say: {action: say}}, on_success: [{action: deploy/notify}]}
  much: {input: {lines: {type: integer, required: true}}, flow: {print: {action: much, input: {lines: "{{ input.lines }}"}}}}
`

// archiveIn is the configuration of an archive in a bucket.
func archiveIn(bucket *s3server.Server) settings {
	return settings{
		"log_storage": settings{"s3": settings{
			"bucket": s3server.Bucket, "region": s3server.Region, "prefix": "logs/", "endpoint": bucket.Endpoint,
		}},
		"plugins": settings{"dir": filepath.Join(bin, "plugins"), "logstore-s3": settings{
			"env": settings{"AWS_ACCESS_KEY_ID": s3server.AccessKey, "AWS_SECRET_ACCESS_KEY": s3server.SecretKey},
		}},
	}
}

// archived is a system whose logs go to a bucket.
type archived struct {
	*system
	bucket   *s3server.Server
	database string
}

func newArchived(t *testing.T) *archived {
	t.Helper()
	a := &archived{bucket: s3server.Start(t, s3server.Options{}), database: coretest.Postgres(t)}
	a.system = newSystemOn(t, a.database, workspace(t, archiveWorkspace), archiveIn(a.bucket))
	a.startWorker("w", nil)
	return a
}

// key is that of the contract.
func (a *archived) key(job api.JobDetail) string {
	created := job.CreatedAt.UTC()
	return fmt.Sprintf("logs/default/%s/%s_%s.jsonl.gz", job.TaskName, created.Format("2006/01/02/2006-01-02T15-04-05"), job.JobID)
}

// object is the log of a job in the bucket, which gets there.
func (a *archived) object(job api.JobDetail) string {
	a.t.Helper()
	key := a.key(job)
	a.eventually("the log of "+job.TaskName+" is archived", func(context.Context) bool {
		objects := a.bucket.Objects()
		return objects[key] > 0 && objects[key+".idx"] > 0
	})
	z, err := gzip.NewReader(bytes.NewReader(a.bucket.Object(key)))
	require.NoError(a.t, err)
	text, err := io.ReadAll(z)
	require.NoError(a.t, err)
	return string(text)
}

// log reads the whole log of a job, page by page.
func (a *archived) log(job string) string {
	a.t.Helper()
	var text strings.Builder
	for from := int64(1); ; {
		page, err := a.Logs(a.t.Context(), job, client.LogQuery{From: from})
		require.NoError(a.t, err)
		text.WriteString(page.Logs)
		if from = page.Next; from > page.Total {
			return text.String()
		}
	}
}

// loseLogs removes the local logs while the server is down.
func (a *archived) loseLogs() {
	a.t.Helper()
	a.server.stop()
	require.NoError(a.t, os.RemoveAll(filepath.Join(a.dir, "server", "logs")))
	a.startServer()
}

// TestLogsAreArchived has jobs end while the bucket is there, while it is away, and while the server dies.
func TestLogsAreArchived(t *testing.T) {
	t.Parallel()
	a := newArchived(t)
	first := a.wait(a.execute("default", "deploy", nil))
	text := a.log(first.JobID)
	require.Equal(t, 3001, strings.Count(text, "\n"))
	require.Equal(t, text, a.object(first))
	require.Len(t, first.HookJobs, 1)
	hook := a.wait(first.HookJobs[0].JobID)
	require.Equal(t, "_hook:deploy/notify", hook.TaskName)
	require.Contains(t, a.object(hook), "notified")

	a.bucket.Stop()
	second := a.wait(a.execute("default", "deploy", nil))
	a.server.kill() // between the end of the job and its upload
	a.startServer()
	waiting := a.log(second.JobID)
	require.Equal(t, 3001, strings.Count(waiting, "\n"), "it is here")
	a.eventually("it is told", func(context.Context) bool { return strings.Contains(a.server.log.String(), "a log cannot be archived") })
	a.bucket.Again()
	require.Equal(t, waiting, a.object(second))
	a.eventually("and that it is over", func(context.Context) bool { return strings.Contains(a.server.log.String(), "logs are archived again") })
	a.eventually("the database knows", func(ctx context.Context) bool { return a.pending(ctx) == 0 })

	a.loseLogs()
	require.Equal(t, text, a.log(first.JobID), "from the archive")
	var followed strings.Builder
	require.NoError(t, a.Follow(t.Context(), first.JobID, client.LogQuery{From: 1000}, func(lines string) error {
		followed.WriteString(lines)
		return nil
	}))
	require.True(t, strings.HasSuffix(text, followed.String()) && strings.Count(followed.String(), "\n") == 2002, "on the WebSocket as well")
	page, err := a.Logs(t.Context(), second.JobID, client.LogQuery{Tail: 2})
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(waiting, page.Logs) && strings.Count(page.Logs, "\n") == 2, page.Logs)
	a.bucket.Stop()
	a.server.stop() // which remembers what it has read
	a.startServer()
	answer, body := a.get("/api/jobs/" + first.JobID + "/logs")
	require.Equal(t, http.StatusServiceUnavailable, answer, body)
	require.Contains(t, body, "log_archive_unavailable")
	a.bucket.Again()
	require.Equal(t, text, a.log(first.JobID))
}

func (a *archived) get(path string) (status int, body string) {
	a.t.Helper()
	request, err := http.NewRequestWithContext(a.t.Context(), http.MethodGet, "http://"+a.listen+path, http.NoBody)
	require.NoError(a.t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(a.t, err)
	defer func() { _ = response.Body.Close() }() // only read from
	text, err := io.ReadAll(response.Body)
	require.NoError(a.t, err)
	return response.StatusCode, string(text)
}

// unarchived counts the logs of jobs that have ended and are not archived.
const unarchived = `select count(*) from log_segment join job using (job_id) where not archived and status in ('completed', 'failed', 'cancelled')`

func (a *archived) pending(ctx context.Context) (n int) {
	a.t.Helper()
	conn, err := pgx.Connect(ctx, a.database)
	require.NoError(a.t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	require.NoError(a.t, conn.QueryRow(ctx, unarchived).Scan(&n))
	return n
}

// TestLargeArchivedLog reads a log of 64 MiB, or of as many as STROEM_TEST_LOG_MIB says, that is in the archive alone. With 1,024 and
// more, it has to be as fast as is promised.
func TestLargeArchivedLog(t *testing.T) {
	t.Parallel()
	mib := 64
	if text := os.Getenv("STROEM_TEST_LOG_MIB"); text != "" {
		var err error
		mib, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	a := newArchived(t)
	const lineSize = 227 // of the step's lines, as they are stored
	lines := mib << 20 / lineSize
	begun := time.Now()
	job := a.waitLong(a.execute("default", "much", map[string]any{"lines": lines}))
	require.Equal(t, "completed", job.Status, describeSteps(job))
	t.Logf("%d lines were written in %s", lines, time.Since(begun))
	begun = time.Now()
	require.True(t, poll(t.Context(), func(ctx context.Context) bool { return a.pending(ctx) == 0 }), "it is archived")
	size := a.bucket.Objects()[a.key(job)]
	t.Logf("archived within %s: %d MiB", time.Since(begun), size>>20)
	a.loseLogs()

	timed := func(what string, limit time.Duration, query string) api.Logs {
		begun := time.Now()
		status, body := a.get("/api/jobs/" + job.JobID + "/logs?" + query)
		took := time.Since(begun)
		require.Equal(t, http.StatusOK, status, body)
		var page api.Logs
		require.NoError(t, json.Unmarshal([]byte(body), &page))
		require.Equal(t, int64(lines+1), page.Total)
		t.Logf("%s: %s", what, took)
		if mib >= 1024 {
			require.Less(t, took, limit, what)
		}
		return page
	}
	require.Contains(t, timed("first page", time.Second, "limit=1000").Logs, `"line":"1: a line`)
	require.Contains(t, timed("a page in the middle", time.Second, fmt.Sprintf("limit=1000&from=%d", lines/2)).Logs,
		fmt.Sprintf(`"line":"%d: a line`, lines/2))
	require.Contains(t, timed("the last lines", time.Second, "tail=100").Logs, "the needle")
	for _, search := range []struct {
		what, query string
		limit       time.Duration
		hits        int
	}{
		{"the first hits", "q=a+line&limit=10", time.Second, 10},
		{"a search through all of it", "q=the+needle", 10 * time.Second, 1},
		{"a regular expression through all of it", "regex=true&q=" + url.QueryEscape(`[a-z]h[a-z] ?n[aeiou]*dle$|\bthe needle`), 40 * time.Second, 1},
		{"a regular expression without a fixed part", "regex=true&q=" + url.QueryEscape(`[m-o]e{2}[d]l[e-f]`), 40 * time.Second, 1},
	} {
		begun := time.Now()
		status, body := a.get("/api/jobs/" + job.JobID + "/logs/search?" + search.query)
		took := time.Since(begun)
		require.Equal(t, http.StatusOK, status, body)
		require.Equal(t, search.hits, strings.Count(body, `"text":`), search.what)
		require.Contains(t, body, `"done":true`)
		if search.hits == 1 {
			require.Contains(t, body, `"complete":true`)
		}
		t.Logf("%s: %s", search.what, took)
		if mib >= 1024 {
			require.Less(t, took, search.limit, search.what)
		}
	}
}

// waitLong is wait for a job that takes longer.
func (s *system) waitLong(id string) (job api.JobDetail) {
	s.t.Helper()
	for range 60 {
		var err error
		job, err = s.Job(s.t.Context(), id, 30*time.Second)
		require.NoError(s.t, err)
		if job.CompletedAt != nil {
			break
		}
	}
	return job
}

// checkArchive has the server come back that has died, and looks for the logs that it keeps in the archive.
func (m *matrix) checkArchive() {
	m.t.Helper()
	m.first.serverEnv = nil
	m.first.startServer()
	a := &archived{system: m.first, bucket: m.bucket, database: m.database}
	m.eventually("all logs are archived", func(ctx context.Context) bool { return a.pending(ctx) == 0 })
	for _, task := range []string{"whole", "broken"} {
		job := a.wait(m.jobs[task])
		require.Equal(m.t, a.log(job.JobID), a.object(job))
	}
}
