package server_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/coretest"
)

func TestLimitsOfWebhooksBehindAProxy(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"flows.yaml": hello + "triggers: {push: {type: webhook, name: push, task: hello}}\n"})
	api, _ := start(t, load(t, coretest.Postgres(t), "workspaces: {default: {type: folder, path: "+dir+"}}\n"+
		"trusted_proxies: [127.0.0.1, 10.0.0.0/8]\nlimits: {webhook_per_minute: 1}"))
	ready(t, api)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	post := func(forwardedFor string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api.Address+"/hooks/push", http.NoBody)
		require.NoError(t, err)
		request.Header.Set("X-Forwarded-For", forwardedFor)
		response, err := (&http.Client{Transport: transport}).Do(request)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	require.Equal(t, http.StatusOK, post("192.0.2.1, 10.0.0.1"))
	require.Equal(t, http.StatusOK, post("192.0.2.2, 10.0.0.1"))
	require.Equal(t, http.StatusTooManyRequests, post("192.0.2.3, 192.0.2.2"))
}
