package oidc_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/oidc"
	"github.com/stroem/stroem/tests/openid"
)

// TestPostsAreNotRedirected: a token endpoint that sends its callers elsewhere would have the code and the client's secret go there.
func TestPostsAreNotRedirected(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(elsewhere.Close)
	redirecting := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(redirecting.Close)
	d := newDesk(t, nil)
	d.provider.Lie(openid.Lies{Discovery: func(document map[string]any) { document["token_endpoint"] = redirecting.URL }})
	_, err := d.signIn("ada")
	require.ErrorContains(t, d.refusal(err, oidc.ReasonExchangeFailed), "is not followed")
	require.Zero(t, reached.Load())
}

// TestKeysAreNotTakenUnencrypted, wherever the address that was announced leads.
func TestKeysAreNotTakenUnencrypted(t *testing.T) {
	t.Parallel()
	redirecting := httptest.NewServer(http.RedirectHandler("http://id.example/keys", http.StatusFound))
	t.Cleanup(redirecting.Close)
	d := newDesk(t, nil)
	d.provider.Lie(openid.Lies{Discovery: func(document map[string]any) { document["jwks_uri"] = redirecting.URL }})
	_, err := d.signIn("ada")
	require.ErrorContains(t, d.refusal(err, oidc.ReasonIDTokenInvalid), "must start with https://")
}
