package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/engine"
	"github.com/stroem/stroem/core/httpapi"
	"github.com/stroem/stroem/core/postgres"
)

// deaf is a store that takes no audit entries.
type deaf struct{ *postgres.Store }

func (deaf) RecordAudit(context.Context, ...core.AuditEntry) error { return errors.New("disk full") }

func TestARequestGoesOnWithoutItsAuditEntry(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	server := httpapi.New(httpapi.Config{
		Engine: engine.New(b.store, b.workspaces, slog.New(slog.DiscardHandler), engine.Config{WorkerTokens: workerTokens}), Store: deaf{b.store},
		Workspaces: b.workspaces, Logger: logger,
	})
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	other := b.of(t)
	other.url = "http://" + listener.Addr().String()
	a := other.do(call{method: "POST", path: "/worker/register", token: workerToken, body: `{"name":"w\n1","tags":["shell"],"protocol":1}`})
	require.NotEmpty(t, into[api.Registered](t, a).Token)
	http.DefaultClient.CloseIdleConnections()
	require.NoError(t, server.Shutdown(context.WithoutCancel(t.Context())))
	require.NoError(t, <-served)
	require.Equal(t, 1, strings.Count(log.String(), "\n"), "logged once: %s", log.String())
	for _, text := range []string{
		`"level":"ERROR"`, `"an entry is missing in the audit log"`, `"disk full"`, `"worker.register"`, `"w�1"`, a.header.Get("X-Request-Id"),
	} {
		require.Contains(t, log.String(), text)
	}
	require.NotContains(t, log.String(), into[api.Registered](t, a).Token)
	require.Empty(t, b.audited(""))
}
