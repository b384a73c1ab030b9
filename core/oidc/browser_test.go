package oidc_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/oidc"
	"github.com/stroem/stroem/tests/browser"
	"github.com/stroem/stroem/tests/openid"
)

// TestInABrowser signs in on the provider's page, with redirects, cookies and all. Provider and server are two sites: one is
// called 127.0.0.1, the other localhost.
func TestInABrowser(t *testing.T) {
	t.Parallel()
	provider := openid.Start(t)
	provider.SetUser("ada", ada)
	var s *oidc.SignIn
	const cookie = "stroem_oidc_state"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/auth/oidc/{provider}", func(w http.ResponseWriter, r *http.Request) {
		redirect, value, err := s.Begin(r.Context(), r.PathValue("provider"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		http.SetCookie(w, &http.Cookie{
			Name: cookie, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: int(oidc.Lifetime.Seconds()),
		})
		http.Redirect(w, r, redirect, http.StatusSeeOther)
	})
	mux.HandleFunc("GET /api/auth/oidc/{provider}/callback", func(w http.ResponseWriter, r *http.Request) {
		value := ""
		if c, err := r.Cookie(cookie); err == nil {
			value = c.Value
		}
		http.SetCookie(w, &http.Cookie{Name: cookie, Path: "/", MaxAge: -1})
		identity, err := s.Finish(r.Context(), r.PathValue("provider"), r.URL.Query(), value)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		_, _ = fmt.Fprintf(w, "Hello %s <%s>", identity.Name, identity.Email)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	home := "http://localhost:" + port
	provider.AddRedirect(home + "/api/auth/oidc/corp/callback")
	s, err = oidc.New(oidc.Options{
		Providers: map[string]oidc.Provider{"corp": {
			Issuer: provider.Issuer, ClientID: openid.ClientID, ClientSecret: openid.ClientSecret,
		}},
		CallbackBase: home, Key: key,
	})
	require.NoError(t, err)
	run(t, s) // closes its connections

	b := browser.Start(t)
	at := b.SignIn(home+"/api/auth/oidc/corp", "ada", "pw")
	require.Equal(t, "/api/auth/oidc/corp/callback", at.Path)
	require.Equal(t, "Hello Ada Lovelace <Ada@Example.com>", b.Text())

	// The address with the code is in the history; the cookie is gone.
	b.Do(chromedp.Reload())
	require.Contains(t, b.Text(), "was not started in this browser")
}
