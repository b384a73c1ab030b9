package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/httpapi"
	"github.com/stroem/stroem/core/joblog"
)

// hostile are lines that look like what they are stored in, or that something may choke on.
var hostile = []string{
	`{"step":"b","stream":"stderr","ts":"2026-01-02T03:04:05Z","line":"fake"}`, `x","line":"y`, `C:\new\u0041`, `"`, `\`, "\x1b[31mred\x1b[0m \x1b]0;title\a",
	"<script>alert(1)</script>", "\U0001F600 ünïcode \u2028 \u202E", "", strings.Repeat("long ", 10_000), "tab\tand\rreturn", `{"done":true}`,
}

// logged is a new job with these lines of step a, a minute apart, and one of step b.
func (b *bundle) logged(texts ...string) string {
	b.t.Helper()
	job := b.execute()
	var batch []byte
	for i, text := range texts {
		batch = joblog.AppendLine(batch, "a", 1, joblog.Stdout, fmt.Sprintf("2026-01-02T%02d:%02d:00.000000Z", i/60, i%60), text)
	}
	require.NoError(b.t, b.logs.Append(b.t.Context(), uuid.MustParse(job), "a", 1, 1, batch))
	last := joblog.AppendLine(nil, "b", 2, joblog.Stderr, "2026-01-03T00:00:00.000000Z", "the end")
	require.NoError(b.t, b.logs.Append(b.t.Context(), uuid.MustParse(job), "b", 2, 1, last))
	return job
}

// search returns the hits of a search, and its end.
func (b *bundle) search(job string, query url.Values) (hits []api.LogFound, end api.LogFound) {
	b.t.Helper()
	a := b.get("/api/jobs/" + job + "/logs/search?" + query.Encode())
	require.Equal(b.t, http.StatusOK, a.status, "%s", a.body)
	require.Equal(b.t, "application/x-ndjson", a.header.Get("Content-Type"))
	for line := range strings.Lines(string(a.body)) {
		require.False(b.t, end.Done, "nothing comes behind the end")
		var found api.LogFound
		require.NoError(b.t, json.Unmarshal([]byte(line), &found))
		switch {
		case found.Line > 0:
			hits = append(hits, found)
		default:
			end = found
		}
	}
	require.True(b.t, end.Done, "%s", a.body)
	require.Empty(b.t, end.Error)
	return hits, end
}

func TestLogSearch(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	job := b.logged(hostile...)
	for i, text := range hostile {
		if text == "" {
			continue
		}
		hits, end := b.search(job, url.Values{"q": {strings.ToValidUTF8(text[:min(len(text), 300)], "")}})
		require.NotEmpty(t, hits, text)
		require.True(t, *end.Complete)
		n := 0
		for n < len(hits) && hits[n].Line != int64(i+1) {
			n++
		}
		require.Less(t, n, len(hits), text)
		require.Equal(t, text, *hits[n].Text)
		require.Equal(t, 0, hits[n].Matches[0][0])
	}
	hits, end := b.search(job, url.Values{"q": {"THE (end)$"}, "regex": {"true"}, "ignore_case": {"1"}})
	text, whole := "the end", true
	require.Equal(t, []api.LogFound{{
		Line: int64(len(hostile) + 1), Step: "b", Attempt: 2, Stream: "stderr", TS: "2026-01-03T00:00:00.000000Z", Text: &text, Matches: [][2]int{{0, 7}},
	}}, hits)
	require.Equal(t, api.LogFound{Done: true, Next: int64(len(hostile) + 2), Total: int64(len(hostile) + 1), Complete: &whole}, end)

	for name, c := range map[string]struct {
		query string
		lines []int64
	}{
		"time":          {"q=.&regex=true&since=2026-01-02T00:01:00Z&until=2026-01-02T00:03:00Z", []int64{2, 3}},
		"zone":          {"q=.&regex=true&since=2026-01-02T01:01:00%2B01:00&until=2026-01-02T01:03:00%2B01:00", []int64{2, 3}},
		"step":          {"q=e&step=b", []int64{13}},
		"stream":        {"q=e&stream=stderr", []int64{13}},
		"from":          {"q=n&from=10", []int64{10, 11, 12, 13}},
		"not the form":  {"q=%22step%22:%22a", nil},
		"empty match":   {"q=%5E%24&regex=true", []int64{9}},
		"letters alone": {"q=%5C&regex=false", []int64{3, 5}},
	} {
		query, err := url.ParseQuery(c.query)
		require.NoError(t, err)
		hits, _ := b.search(job, query)
		var lines []int64
		for _, h := range hits {
			lines = append(lines, h.Line)
		}
		require.Equal(t, c.lines, lines, name)
	}
	hits, end = b.search(job, url.Values{"q": {"e"}, "limit": {"2"}})
	require.Len(t, hits, 2)
	require.False(t, *end.Complete)
	require.Equal(t, hits[1].Line+1, end.Next)
}

func TestBadSearches(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	job := b.logged("x")
	for query, want := range map[string]string{
		"":                     "q has to be",
		"?q=(&regex=true":      "wrong at character 1: missing closing )",
		"?q=x&regex=yes":       "regex has to be true or false",
		"?q=x&since=yesterday": "since has to be a time",
		"?q=x&limit=10001":     "limit has to be a number from 1 to 10000",
		"?q=x&stream=stdlog":   "stream has to be one or more",
		"?q=" + strings.Repeat("x", 2000) + "&regex=true": "at most 1024",
		"?q=%00": "q is not text",
	} {
		requireError(t, b.get("/api/jobs/"+job+"/logs/search"+query), 400, want)
		if query != "" && !strings.Contains(query, "limit") {
			requireError(t, b.get("/api/jobs/"+job+"/logs"+query), 400, want)
			requireError(t, b.get("/api/jobs/"+job+"/logs/raw"+query), 400, want)
		}
	}
}

func TestFilteredPages(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	job := b.logged("one", "two", "three", "Two")
	for query, want := range map[string]string{
		"?q=t.o&regex=true":                 "two",
		"?q=TWO&ignore_case=true":           "two Two",
		"?q=t&ignore_case=true&tail=2":      "Two the end",
		"?since=2026-01-02T00:03:00Z":       "Two the end",
		"?until=2026-01-02T00:01:00Z":       "one",
		"?stream=stderr":                    "the end",
		"?q=%5Et&regex=true&from=2&limit=1": "two",
		"?since=2026-01-02T00:00:30Z&q=t&tail=1&until=2026-01-02T00:03:00Z": "three",
	} {
		logs := into[api.Logs](t, b.get("/api/jobs/"+job+"/logs"+query))
		var got []string
		for line := range strings.Lines(logs.Logs) {
			got = append(got, joblog.ParseLine([]byte(line)).Text)
		}
		require.Equal(t, want, strings.Join(got, " "), query)
	}
}

// heldLogs are logs that are read as far as a gate is open.
type heldLogs struct {
	httpapi.Logs

	gate   chan struct{} // a token for each read
	failed error         // of reads, once there are no more tokens
	panics bool          // they panic with it
	closed chan struct{} // closed with the first view
	once   sync.Once
}

func (l *heldLogs) View(ctx context.Context, job uuid.UUID) (*joblog.View, error) {
	v, err := l.Logs.View(ctx, job)
	if err != nil || v.Bytes == nil {
		return v, err
	}
	return &joblog.View{Index: v.Index, Bytes: heldBytes{v.Bytes, l}, End: func() error {
		l.once.Do(func() { close(l.closed) })
		return v.Close()
	}}, nil
}

type heldBytes struct {
	io.ReaderAt
	logs *heldLogs
}

func (r heldBytes) ReadAt(p []byte, at int64) (int, error) {
	if _, ok := <-r.logs.gate; !ok && r.logs.failed != nil {
		if r.logs.panics {
			panic(r.logs.failed)
		}
		return 0, r.logs.failed
	}
	return r.ReaderAt.ReadAt(p, at)
}

// newHeld is a server whose log of a job, of more than one read, is held back after the first one.
func newHeld(t *testing.T, failed error, options ...func(*bundle, *httpapi.Config)) (*bundle, *heldLogs, string) {
	t.Helper()
	held := &heldLogs{gate: make(chan struct{}, 1), closed: make(chan struct{}), failed: failed}
	b := newBundle(t, append(options, func(_ *bundle, c *httpapi.Config) {
		held.Logs = c.Logs
		c.Logs = held
	})...)
	texts := make([]string, 1400)
	for i := range texts {
		texts[i] = fmt.Sprintf("%d %0900d", i, i)
	}
	held.gate <- struct{}{}
	return b, held, b.logged(texts...)
}

// begin begins a search, and returns its first line.
func (b *bundle) begin(job string) (response *http.Response, lines *bufio.Reader, first api.LogFound) {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.url+"/api/jobs/"+job+"/logs/search?q=0", nil)
	require.NoError(b.t, err)
	response, err = http.DefaultClient.Do(request)
	require.NoError(b.t, err)
	lines = bufio.NewReader(response.Body)
	line, err := lines.ReadBytes('\n')
	require.NoError(b.t, err)
	require.NoError(b.t, json.Unmarshal(line, &first))
	require.EqualValues(b.t, 1, first.Line)
	return response, lines, first
}

// TestHitsComeAtOnce reads the first hits while the rest of the log cannot be read yet.
func TestHitsComeAtOnce(t *testing.T) {
	t.Parallel()
	b, held, job := newHeld(t, nil, func(_ *bundle, c *httpapi.Config) { c.Streams.Searches = 1 })
	response, lines, _ := b.begin(job)
	defer func() { require.NoError(t, response.Body.Close()) }()
	a := b.get("/api/jobs/" + job + "/logs/search?q=x")
	requireError(t, a, 503, "1 searches")
	require.Equal(t, "5", a.header.Get("Retry-After"))
	requireError(t, b.get("/api/jobs/"+job+"/logs?q=x"), 503, "1 searches")
	close(held.gate)
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.Equal(t, 999, strings.Count(string(rest), `"text":`))
	require.Regexp(t, `\{"done":true,"next":\d+,"total":1401,"complete":false\}\n$`, string(rest))
	<-held.closed
	_, end := b.search(job, url.Values{"q": {"nowhere"}})
	require.True(t, *end.Complete, "there is a place again")
}

func TestSearchEndsWithItsClient(t *testing.T) {
	t.Parallel()
	b, held, job := newHeld(t, nil)
	response, _, _ := b.begin(job)
	require.NoError(t, response.Body.Close())
	close(held.gate)
	select {
	case <-held.closed:
	case <-time.After(30 * time.Second):
		t.Fatal("the search goes on for nobody")
	}
}

func TestSearchEndsWithTheServer(t *testing.T) {
	t.Parallel()
	b, held, job := newHeld(t, nil)
	response, lines, _ := b.begin(job)
	defer func() { _ = response.Body.Close() }()
	stopped := make(chan error, 1)
	go func() { stopped <- b.api.Shutdown(context.WithoutCancel(t.Context())) }()
	requireStopping(t, b)
	close(held.gate)
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.Contains(t, string(rest), `"complete":false,"error":"The server is stopping`)
	require.NoError(t, <-stopped)
}

func TestSearchThatFails(t *testing.T) {
	t.Parallel()
	b, held, job := newHeld(t, errors.New("the disk is gone"))
	response, lines, _ := b.begin(job)
	defer func() { require.NoError(t, response.Body.Close()) }()
	close(held.gate)
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.Regexp(t, `"complete":false,"error":"Internal error \(request [0-9a-f-]+\)"\}\n$`, string(rest))
	require.NotContains(t, string(rest), "disk")
	<-held.closed
}

// requireStopping waits until a server lets nobody in.
func requireStopping(t *testing.T, b *bundle) {
	t.Helper()
	require.Eventually(t, func() bool {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+"/livez", nil)
		require.NoError(t, err)
		response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
		if err == nil {
			_ = response.Body.Close()
		}
		return err != nil
	}, 30*time.Second, 5*time.Millisecond)
}

// TestClientSearches has the command line's client find more than a search brings at once, and download what was printed.
func TestClientSearches(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	texts := slices.Clone(hostile)
	for i := range 25_000 {
		texts = append(texts, fmt.Sprintf("found %d", i))
	}
	job := b.logged(texts...)
	c, err := client.New(client.Options{Server: b.url})
	require.NoError(t, err)
	defer c.Close()
	n := 0
	require.NoError(t, c.SearchLogs(t.Context(), job, client.LogQuery{Q: `^FOUND \d+$`, Regexp: true, IgnoreCase: true, Step: "a"}, func(found api.LogFound) error {
		require.Equal(t, fmt.Sprintf("found %d", n), *found.Text)
		require.EqualValues(t, len(hostile)+n+1, found.Line)
		n++
		return nil
	}))
	require.Equal(t, 25_000, n)
	enough := errors.New("enough")
	require.ErrorIs(t, c.SearchLogs(t.Context(), job, client.LogQuery{Q: "found"}, func(api.LogFound) error { return enough }), enough)
	var printed strings.Builder
	require.NoError(t, c.DownloadLogs(t.Context(), job, client.LogQuery{Stream: "stdout"}, false, &printed))
	require.Equal(t, texts, strings.Split(strings.TrimSuffix(printed.String(), "\n"), "\n"))
}
