package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/httpapi"
	"github.com/stroem/stroem/core/joblog"
)

func TestDownload(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	job := b.logged(hostile...)
	a := b.get("/api/jobs/" + job + "/logs/raw")
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, strings.Join(hostile, "\n")+"\nthe end\n", string(a.body))
	for header, want := range map[string]string{
		"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff", "Vary": "Accept-Encoding",
		"Content-Disposition": `attachment; filename="job-` + job + `.log"`, "Content-Encoding": "",
	} {
		require.Equal(t, want, a.header.Get(header), header)
	}
	require.Equal(t, "the end\n", string(b.get("/api/jobs/"+job+"/steps/b/logs/raw").body))
	require.Equal(t, "2026-01-03T00:00:00.000000Z b | the end\n", string(b.get("/api/jobs/"+job+"/steps/b/logs/raw?timestamps=true&steps=true").body))
	require.Equal(t, hostile[1]+"\n", string(b.get("/api/jobs/"+job+"/logs/raw?since=2026-01-02T00:01:00Z&until=2026-01-02T00:02:00Z").body))
	require.Empty(t, string(b.get("/api/jobs/"+job+"/steps/none/logs/raw").body))

	a = b.get("/api/jobs/" + job + "/logs/raw?format=jsonl")
	require.Equal(t, into[api.Logs](t, b.get("/api/jobs/"+job+"/logs")).Logs, string(a.body))
	require.Equal(t, "application/x-ndjson", a.header.Get("Content-Type"))
	a = b.get("/api/jobs/" + job + "/steps/" + `a%22%0d%0aX-Evil:%20%C3%A9` + "/logs/raw?format=jsonl")
	require.Equal(t, `attachment; filename="job-`+job+`-a___X-Evil___.jsonl"`, a.header.Get("Content-Disposition"))
	require.Empty(t, a.header.Get("X-Evil"))

	a = b.do(call{method: http.MethodHead, path: "/api/jobs/" + job + "/logs/raw"})
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "text/plain; charset=utf-8", a.header.Get("Content-Type"))
	require.Contains(t, a.header.Get("Content-Disposition"), ".log")
	require.NotEqual(t, "0", a.header.Get("Content-Length"))
	requireError(t, b.get("/api/jobs/"+job+"/logs/raw?format=html"), 400, "format has to be")
	requireError(t, b.get("/api/jobs/"+job+"/logs/raw?format=text,jsonl"), 400, "format has to be")
}

func TestCompressedAnswers(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	var want strings.Builder
	var batch []byte
	for i := range 200_000 {
		text := fmt.Sprintf("line %d of a log that is longer than what fits into any buffer on its way", i)
		batch = joblog.AppendLine(batch, "a", 1, joblog.Stdout, "2026-01-02T03:04:05.000000Z", text)
		want.WriteString(text + "\n")
	}
	job := b.execute()
	require.NoError(t, b.logs.Append(t.Context(), uuid.MustParse(job), "a", 1, 1, batch))
	unzip := func(a answer) string {
		require.Equal(t, "gzip", a.header.Get("Content-Encoding"))
		require.Equal(t, "Accept-Encoding", a.header.Get("Vary"))
		r, err := gzip.NewReader(bytes.NewReader(a.body))
		require.NoError(t, err)
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		return string(data)
	}
	ask := func(path, accept string) answer {
		return b.do(call{method: "GET", path: "/api/jobs/" + job + path, header: map[string]string{"Accept-Encoding": accept}})
	}
	for n, pair := range [][2]string{
		{want.String(), unzip(ask("/logs/raw", "br, gzip;q=0.5"))},
		{want.String(), string(ask("/logs/raw", "identity").body)},
		{string(batch), unzip(ask("/logs/raw?format=jsonl", "*"))},
	} {
		if pair[0] != pair[1] { // too long to be shown
			t.Errorf("answer %d has %d bytes, and not the same %d", n, len(pair[1]), len(pair[0]))
		}
	}
	page := ask("/logs", "gzip")
	require.Less(t, len(page.body), len(unzip(page))/5)
	require.Equal(t, string(ask("/logs", "gzip;q=0").body), unzip(page))
	small := ask("/logs?limit=1", "gzip")
	require.Empty(t, small.header.Get("Content-Encoding"))
	require.Equal(t, "Accept-Encoding", small.header.Get("Vary"))
}

// TestDownloadsThatFailAreCutOff: nobody may take a part for the whole.
func TestDownloadsThatFailAreCutOff(t *testing.T) {
	t.Parallel()
	for name, panics := range map[string]bool{"identity": false, "gzip": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, held, job := newHeld(t, errors.New("the disk is gone"))
			held.panics = panics
			close(held.gate)
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+"/api/jobs/"+job+"/logs/raw", nil)
			require.NoError(t, err)
			request.Header.Set("Accept-Encoding", name)
			response, err := http.DefaultClient.Do(request)
			require.NoError(t, err)
			_, err = io.ReadAll(response.Body)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.NoError(t, response.Body.Close())
			<-held.closed
			require.Equal(t, http.StatusOK, b.get("/livez").status)
		})
	}
}

// TestDownloadsThatNobodyTakesAreCutOff has a client that reads nothing of a log that is longer than what is buffered on its way.
func TestDownloadsThatNobodyTakesAreCutOff(t *testing.T) {
	t.Parallel()
	b, held, job := newHeld(t, nil, func(_ *bundle, c *httpapi.Config) { c.Streams.Stall = 100 * time.Millisecond })
	batch := joblog.AppendLine(nil, "b", 2, joblog.Stdout, "2026-01-03T00:00:00Z", strings.Repeat("x", 60<<10))
	for range 500 {
		require.NoError(t, b.logs.Append(t.Context(), uuid.MustParse(job), "b", 2, 0, batch))
	}
	close(held.gate)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(b.url, "http://"))
	require.NoError(t, err)
	_, err = fmt.Fprintf(conn, "GET /api/jobs/%s/logs/raw HTTP/1.1\r\nHost: localhost\r\n\r\n", job)
	require.NoError(t, err)
	select {
	case <-held.closed:
	case <-time.After(30 * time.Second):
		t.Error("it waits for a client that takes nothing")
	}
	require.NoError(t, conn.Close())
}
