package httpapi_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/httpapi"
)

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(_ *bundle, c *httpapi.Config) { c.PublicURL, _ = url.Parse("https://flows.example.org") })
	for _, path := range []string{"/api/config", "/api/nothing", "/livez"} {
		header := b.get(path).header
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
		require.Equal(t, "DENY", header.Get("X-Frame-Options"))
		require.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'")
		require.Equal(t, "no-store", header.Get("Cache-Control"))
		require.NotEmpty(t, header.Get("Strict-Transport-Security"))
		require.NotEmpty(t, header.Get("X-Request-Id"))
	}
	require.Empty(t, newBundle(t).get("/api/config").header.Get("Strict-Transport-Security"), "not over plain HTTP")
}

func TestOtherOrigins(t *testing.T) {
	t.Parallel()
	const mine, evil = "https://portal.example.org", "https://evil.example"
	b := newBundle(t, secured, func(_ *bundle, c *httpapi.Config) { c.Origins = []string{mine} })
	ask := func(b *bundle, method, origin string) answer {
		return b.do(call{method: method, path: "/api/jobs", header: map[string]string{"Origin": origin, "Access-Control-Request-Method": "GET"}})
	}
	allowed := ask(b, "OPTIONS", mine)
	require.Equal(t, 204, allowed.status)
	require.Equal(t, mine, allowed.header.Get("Access-Control-Allow-Origin"))
	require.Empty(t, allowed.header.Get("Access-Control-Allow-Credentials"))
	require.Equal(t, mine, ask(b.as("viewer"), "GET", mine).header.Get("Access-Control-Allow-Origin"))
	require.Empty(t, ask(b, "OPTIONS", evil).header.Get("Access-Control-Allow-Origin"))
	require.Empty(t, ask(b.as("viewer"), "GET", evil).header.Get("Access-Control-Allow-Origin"))
	require.Empty(t, ask(newBundle(t), "GET", mine).header.Get("Access-Control-Allow-Origin"), "unless it is configured")
}
