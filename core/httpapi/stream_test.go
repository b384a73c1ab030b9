package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/httpapi"
	"github.com/stroem/stroem/core/joblog"
)

// socket is a viewer's end of a log stream.
type socket struct {
	*websocket.Conn

	t testing.TB
}

// open asks for a log stream, and returns the answer if it is none.
func (b *bundle) open(job, query string, header map[string]string) (socket, answer) {
	b.t.Helper()
	h := http.Header{}
	if b.token != "" {
		h.Set("Authorization", "Bearer "+b.token)
	}
	for key, value := range header {
		h.Set(key, value)
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, b.url+"/api/jobs/"+job+"/logs/stream"+query, &websocket.DialOptions{HTTPHeader: h, Host: h.Get("Host")})
	if err != nil {
		require.NotNil(b.t, response, "%v", err)
		body, readErr := io.ReadAll(response.Body)
		require.NoError(b.t, readErr)
		return socket{}, answer{response.StatusCode, response.Header, body}
	}
	conn.SetReadLimit(1 << 20)
	b.t.Cleanup(func() { _ = conn.CloseNow() })
	return socket{conn, b.t}, answer{status: response.StatusCode}
}

// watch opens a log stream.
func (b *bundle) watch(job, query string) socket {
	b.t.Helper()
	s, refused := b.open(job, query, nil)
	require.Equal(b.t, http.StatusSwitchingProtocols, refused.status, "%s", refused.body)
	return s
}

// frame is what comes next; code is that of the close frame, 0 if it is not one.
func (s socket) frame() (lines []string, code websocket.StatusCode) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	kind, data, err := s.Read(ctx)
	if err != nil {
		code = websocket.CloseStatus(err)
		require.NotEqual(s.t, websocket.StatusCode(-1), code, "%v", err)
		return nil, code
	}
	require.Equal(s.t, websocket.MessageText, kind)
	return splitLines(s.t, string(data)), 0
}

func splitLines(t testing.TB, text string) (lines []string) {
	t.Helper()
	require.True(t, strings.HasSuffix(text, "\n"), "whole lines")
	for line := range strings.Lines(text) {
		var l struct{ Line string }
		require.NoError(t, json.Unmarshal([]byte(line), &l))
		lines = append(lines, l.Line)
	}
	return lines
}

// lines are the next n lines.
func (s socket) lines(n int) (lines []string) {
	s.t.Helper()
	for len(lines) < n {
		some, code := s.frame()
		require.Zero(s.t, code)
		lines = append(lines, some...)
	}
	require.Len(s.t, lines, n)
	return lines
}

// rest are the lines until the stream is closed, and how it was.
func (s socket) rest() (lines []string, code websocket.StatusCode) {
	s.t.Helper()
	for {
		some, code := s.frame()
		if code != 0 {
			return lines, code
		}
		lines = append(lines, some...)
	}
}

// write appends lines of a step to the log of a job.
func (b *bundle) write(job, step string, lines ...string) {
	b.t.Helper()
	var ndjson []byte
	for _, line := range lines {
		ndjson = joblog.AppendLine(ndjson, step, 1, joblog.Stdout, "2026-01-02T03:04:05Z", line)
	}
	require.NoError(b.t, b.logs.Append(b.t.Context(), uuid.MustParse(job), step, 1, 0, ndjson))
}

func (b *bundle) cancel(job string) {
	b.t.Helper()
	into[api.CancelResponse](b.t, b.do(call{method: "POST", path: "/api/jobs/" + job + "/cancel"}))
}

func TestStream(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	job := b.execute()
	b.write(job, "a", "one", "two")
	all, later, step := b.watch(job, ""), b.watch(job, "?from=2"), b.watch(job, "?step=b")
	require.Equal(t, []string{"one", "two"}, all.lines(2))
	require.Equal(t, []string{"two"}, later.lines(1))
	b.write(job, "b", "three", "hunter22")
	require.Equal(t, []string{"three", "••••••"}, all.lines(2), "masked")
	require.Equal(t, []string{"three", "••••••"}, later.lines(2))
	require.Equal(t, []string{"three", "••••••"}, step.lines(2))
	require.NoError(t, all.Write(t.Context(), websocket.MessageText, []byte("is ignored")))
	b.write(job, "a", "four")
	b.cancel(job)
	for _, s := range []socket{all, later} {
		lines, code := s.rest()
		require.Equal(t, "four", lines[0])
		require.Equal(t, websocket.StatusNormalClosure, code)
	}
	_, code := step.rest()
	require.Equal(t, websocket.StatusNormalClosure, code)
	lines, code := b.watch(job, "").rest()
	require.Equal(t, websocket.StatusNormalClosure, code, "it has ended already")
	require.Equal(t, splitLines(t, into[api.Logs](t, b.get("/api/jobs/"+job+"/logs")).Logs), lines)
	lines, code = b.watch(job, "?from=1000").rest()
	require.Empty(t, lines)
	require.Equal(t, websocket.StatusNormalClosure, code)
}

func TestRefusedStreams(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	job := b.execute()
	plain := b.get("/api/jobs/" + job + "/logs/stream")
	requireError(t, plain, http.StatusUpgradeRequired, "WebSocket")
	require.Equal(t, "websocket", plain.header.Get("Upgrade"))
	for query, status := range map[string]int{"?from=0": 400, "?from=x": 400, "?step=%00": 400} {
		_, refused := b.open(job, query, nil)
		requireError(t, refused, status)
	}
	_, refused := b.open("nonsense", "", nil)
	requireError(t, refused, 400, "Invalid job ID")
	_, refused = b.open(uuid.NewString(), "", nil)
	requireError(t, refused, 404, "Job not found")
	upgrade := map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "8"}
	old := b.do(call{method: "GET", path: "/api/jobs/" + job + "/logs/stream", header: upgrade})
	requireError(t, old, 400, "version")
	require.Equal(t, "13", old.header.Get("Sec-WebSocket-Version"))
}

// The page of another site must not read logs through a browser that reaches the server: cross-site hijacking, DNS rebinding.
func TestOriginsOfStreams(t *testing.T) {
	t.Parallel()
	public := func(_ *bundle, c *httpapi.Config) { c.PublicURL, _ = url.Parse("https://flows.example.org") }
	configured := func(_ *bundle, c *httpapi.Config) { c.Origins = []string{"https://portal.example.org"} }
	servers := map[string]*bundle{
		"open": newBundle(t), "open, public": newBundle(t, public), "open, configured": newBundle(t, configured),
		"users": newBundle(t, secured), "users, public": newBundle(t, secured, public),
	}
	for _, tc := range []struct {
		server, origin, host string // "self": the server's address
		want                 int
	}{
		{"open", "", "", 101},
		{"open", "self", "", 101},
		{"open", "http://localhost:8080", "localhost:8080", 101},
		{"open", "https://evil.example", "", 403},
		{"open", "null", "", 403},
		{"open", "http://rebound.evil.example", "rebound.evil.example", 403},
		{"open", "http://127.0.0.1.evil.example", "127.0.0.1.evil.example", 403},
		{"open", "https://portal.example.org", "", 403},
		{"open, configured", "https://portal.example.org", "", 101},
		{"open, configured", "https://portal.example.org.evil.example", "", 403},
		{"open, public", "https://flows.example.org", "", 101},
		{"open, public", "https://flows.example.org", "flows.example.org", 101},
		{"open, public", "http://rebound.evil.example", "rebound.evil.example", 403},
		{"users", "self", "", 101},
		{"users", "http://flows.internal", "flows.internal", 101},
		{"users", "https://evil.example", "", 403},
		{"users, public", "https://flows.example.org", "", 101},
		{"users, public", "https://evil.example", "", 403},
	} {
		b := servers[tc.server]
		if b.auth != nil {
			b = b.as("operator")
		}
		header := map[string]string{}
		if tc.origin == "self" {
			tc.origin = b.url
		}
		if tc.origin != "" {
			header["Origin"] = tc.origin
		}
		if tc.host != "" {
			header["Host"] = tc.host
		}
		_, got := b.open(b.execute(), "", header)
		require.Equal(t, tc.want, got.status, "%+v: %s", tc, got.body)
		if tc.want == 403 {
			requireError(t, got, 403)
		}
	}
}

// A viewer that takes nothing is cut; it holds up nobody, and can go on from where it was.
func TestSlowViewer(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(_ *bundle, c *httpapi.Config) { c.Streams = httpapi.Streams{Max: 1, Stall: 200 * time.Millisecond} })
	job := b.execute()
	line := strings.Repeat("x", joblog.MaxLine-100)
	slow := b.watch(job, "")
	b.write(job, "a", "first")
	slow.lines(1) // it is counted now
	_, refused := b.open(job, "", nil)
	requireError(t, refused, 503, "log streams are open")
	const n = 1024 // 64 MiB, more than the kernel takes
	for i := range n {
		b.write(job, "a", fmt.Sprint(i)+line)
	}
	var next socket
	require.Eventually(t, func() bool {
		next, refused = b.open(job, "?from=1002", nil)
		return refused.status == http.StatusSwitchingProtocols
	}, time.Minute, 20*time.Millisecond, "the slow viewer is cut")
	lines := next.lines(n - 1000)
	require.Equal(t, "1000"+line, lines[0])
	require.Equal(t, fmt.Sprint(n-1)+line, lines[len(lines)-1])
	got := 0
	for {
		_, data, err := slow.Read(t.Context())
		if err != nil {
			require.Equal(t, websocket.StatusCode(-1), websocket.CloseStatus(err), "cut, not closed: %v", err)
			break
		}
		got += len(splitLines(t, string(data)))
	}
	require.Less(t, got, n)
}

// A viewer that answers no ping is gone, and one that sends a lot too.
func TestGoneViewers(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(_ *bundle, c *httpapi.Config) { c.Streams = httpapi.Streams{Max: 1, Ping: 50 * time.Millisecond} })
	job := b.execute()
	b.watch(job, "") // reads nothing, and so answers no ping
	var s socket
	require.Eventually(t, func() bool {
		var refused answer
		s, refused = b.open(job, "", nil)
		return refused.status == http.StatusSwitchingProtocols
	}, time.Minute, 20*time.Millisecond)
	lines := make(chan []string, 1)
	go func() {
		got, code := s.frame()
		if code == 0 {
			lines <- got
		}
		close(lines)
	}()
	time.AfterFunc(500*time.Millisecond, func() { b.write(job, "a", "still there") })
	require.Equal(t, []string{"still there"}, <-lines, "one that answers pings stays")
	require.NoError(t, s.Write(t.Context(), websocket.MessageText, make([]byte, 5000)))
	_, code := s.frame()
	require.Equal(t, websocket.StatusMessageTooBig, code)
}

func TestShutdownEndsStreams(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	long := b.execute()
	full := b.watch(long, "") // which reads nothing of 32 MiB
	line := strings.Repeat("x", joblog.MaxLine-100)
	for range 512 {
		b.write(long, "a", line)
	}
	job := b.execute()
	b.write(job, "a", "one")
	reading, stuck := b.watch(job, ""), b.watch(job, "")
	require.Equal(t, []string{"one"}, reading.lines(1))
	closed := make(chan websocket.StatusCode, 1)
	go func() {
		_, code := reading.rest()
		closed <- code
	}()
	began := time.Now()
	require.NoError(t, b.api.Shutdown(t.Context()))
	require.Less(t, time.Since(began), 10*time.Second)
	require.Equal(t, websocket.StatusGoingAway, <-closed)
	lines, code := stuck.rest()
	require.Equal(t, []string{"one"}, lines)
	require.Equal(t, websocket.StatusGoingAway, code)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for err := error(nil); err == nil; {
		_, _, err = full.Read(ctx)
	}
	require.NoError(t, ctx.Err(), "cut")
}
