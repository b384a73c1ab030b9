package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/tests/s3server"
)

// hostLimit is how long a host waits for a health check.
const hostLimit = 3 * time.Second

func requireHealth(t *testing.T, s *store, want pluginapi.HealthState, parts ...string) {
	t.Helper()
	begin := time.Now()
	health, err := s.CheckHealth(t.Context())
	require.NoError(t, err)
	require.Less(t, time.Since(begin), hostLimit)
	require.Equal(t, want, health.State, health.Message)
	for _, part := range parts {
		require.Contains(t, health.Message, part)
	}
}

// requireAll makes each call once, on an object that is there if anything is, and checks that all fail alike.
func requireAll(t *testing.T, s *store, code pluginapi.Code, parts ...string) {
	t.Helper()
	requireCode(t, code, put(t.Context(), s, "k", "new"), parts...)
	requireCode(t, code, s.Put(t.Context(), &pluginapi.PutRequest{Key: "k", Size: -1}, &stream{left: minPart + 1, err: io.EOF}), parts...)
	_, err := s.Get(t.Context(), &pluginapi.GetRequest{Key: "k"})
	requireCode(t, code, err, parts...)
	_, err = s.Get(t.Context(), &pluginapi.GetRequest{Key: "k", Offset: 1, Length: 1})
	requireCode(t, code, err, parts...)
	_, err = s.Stat(t.Context(), &pluginapi.StatRequest{Key: "k"})
	requireCode(t, code, err, parts...)
	requireCode(t, code, s.Delete(t.Context(), &pluginapi.DeleteRequest{Key: "k"}), parts...)
}

// TestServerGoesAndComesBack needs no new configuration for that.
func TestServerGoesAndComesBack(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t, s3server.Options{})
	s := open(t, server, owner, nil)
	requireHealth(t, s, pluginapi.Healthy)
	require.NoError(t, put(t.Context(), s, "k", "old"))
	server.Stop()
	requireHealth(t, s, pluginapi.Unhealthy, "bucket logs: ", "connection refused")
	requireAll(t, s, pluginapi.CodeUnavailable, "connection refused")
	late := open(t, server, owner, nil) // which waits for nobody
	requireHealth(t, late, pluginapi.Unhealthy)
	server.Again()
	for _, s := range []*store{s, late} {
		requireHealth(t, s, pluginapi.Healthy)
		require.Equal(t, "old", string(content(t, s, "k")))
		require.NoError(t, put(t.Context(), s, "k2", "new"))
	}
}

// TestServerGoesWhileAnObjectIsStored kills it between two parts. What it has of the upload stays there: nobody can tell it.
func TestServerGoesWhileAnObjectIsStored(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t, s3server.Options{})
	s := open(t, server, owner, nil)
	require.NoError(t, put(t.Context(), s, "k", "old"))
	source := &stream{left: 3 * minPart, err: io.EOF, at: func(left int64) {
		if left == minPart {
			server.Stop()
		}
	}}
	err := s.Put(t.Context(), &pluginapi.PutRequest{Key: "k", Size: -1}, source)
	requireCode(t, pluginapi.CodeUnavailable, err)
	server.Again()
	require.Equal(t, "old", string(content(t, s, "k")))
	require.NoError(t, s.Put(t.Context(), &pluginapi.PutRequest{Key: "k", Size: -1}, &stream{left: 3 * minPart, err: io.EOF}))
	require.Len(t, content(t, s, "k"), 3*minPart)
}

// TestServerGoesWhileAnObjectIsRead cuts a reader off.
func TestServerGoesWhileAnObjectIsRead(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t, s3server.Options{})
	s := open(t, server, owner, nil)
	const size = 64 << 20 // more than any buffer on the way
	require.NoError(t, s.Put(t.Context(), &pluginapi.PutRequest{Key: "k", Size: size}, &stream{left: size, err: io.EOF}))
	r, err := s.Get(t.Context(), &pluginapi.GetRequest{Key: "k"})
	require.NoError(t, err)
	_, err = io.ReadFull(r, make([]byte, 1000))
	require.NoError(t, err)
	server.Stop()
	_, err = io.Copy(io.Discard, r)
	requireCode(t, pluginapi.CodeUnavailable, err, "bucket logs: ")
	require.NoError(t, r.Close())
}

// TestServerThatDoesNotAnswer accepts connections and says nothing.
func TestServerThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	s := open(t, &s3server.Server{Endpoint: "http://" + listener.Addr().String()}, owner, nil)
	requireHealth(t, s, pluginapi.Unhealthy, "bucket logs: it does not answer")

	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, nil)
	defer cancel()
	_, err = s.Stat(ctx, &pluginapi.StatRequest{Key: "k"})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = s.Get(ctx, &pluginapi.GetRequest{Key: "k"})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, put(ctx, s, "k", "text"), context.DeadlineExceeded)
}

// TestServerThatFails answers that it cannot, in ways that pass.
func TestServerThatFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"without a word": {http.StatusServiceUnavailable, ""},
		"busy":           {http.StatusServiceUnavailable, "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"},
		"broken":         {http.StatusInternalServerError, "<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"},
		"a proxy's page": {http.StatusBadGateway, "<html><body>502 Bad Gateway</body></html>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			t.Cleanup(server.Close)
			s := open(t, &s3server.Server{Endpoint: server.URL}, owner, nil)
			_, err := s.Get(t.Context(), &pluginapi.GetRequest{Key: "k"})
			requireCode(t, pluginapi.CodeUnavailable, err, "bucket logs: the service ")
			require.EqualValues(t, attempts, asked.Load(), "it is asked again, and not for ever")
			requireCode(t, pluginapi.CodeUnavailable, put(t.Context(), s, "k", "text"), "the service ")
			_, err = s.Stat(t.Context(), &pluginapi.StatRequest{Key: "k"})
			requireCode(t, pluginapi.CodeUnavailable, err, "the service ")
			requireHealth(t, s, pluginapi.Unhealthy, "the service ")
		})
	}
}
