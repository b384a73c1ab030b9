package client

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestServerThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"at all": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"to the end of it": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(handler)
			defer server.Close()
			c, err := New(Options{Server: server.URL})
			require.NoError(t, err)
			defer c.Close()
			_, err = c.do(t.Context(), request{method: http.MethodGet, path: "/api/jobs", timeout: 20 * time.Millisecond}, &struct{}{})
			require.ErrorContains(t, err, "did not answer within 20ms")
			require.ErrorIs(t, err, context.DeadlineExceeded)
		})
	}
}

func TestAnswerWithoutEnd(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write([]byte("                ")); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	c, err := New(Options{Server: server.URL})
	require.NoError(t, err)
	defer c.Close()
	c.limit = 1 << 10
	_, err = c.Workspaces(t.Context())
	require.ErrorContains(t, err, "is larger than 1024 bytes")
}

func TestDownloadThatStalls(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("first"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	c, err := New(Options{Server: server.URL})
	require.NoError(t, err)
	defer c.Close()
	c.stall = 20 * time.Millisecond
	body, err := c.Workspace(t.Context(), "/worker/workspace/ws.tar.gz", "lease")
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, body)
	require.ErrorContains(t, err, "nothing came for 20ms")
	require.NoError(t, body.Close())
}
