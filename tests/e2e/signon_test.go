package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/tests/browser"
	"github.com/stroem/stroem/tests/openid"
)

// Somebody signs in with a provider through a browser. The session is in a cookie that pages cannot read, nothing secret is in
// the address, and the rules of access know the groups that the provider names.
func TestSingleSignOnThroughABrowser(t *testing.T) {
	t.Parallel()
	const root, rootPassword = "root@example.org", "the first one"
	provider := openid.Start(t)
	s := newSystem(t, workspace(t, cliWorkspace), settings{
		"auth": settings{
			"jwt_secret": "a secret of at least thirty-two bytes", "initial_user": settings{"email": root, "password": rootPassword},
		},
	})
	home := "http://" + s.listen
	s.server.stop()
	auth := s.serverConfig["auth"].(settings)
	auth["base_url"] = home
	auth["providers"] = settings{"corp": settings{
		"provider_type": "oidc", "display_name": "Corp", "issuer_url": provider.Issuer, "client_id": openid.ClientID, "client_secret": openid.ClientSecret,
		"role_claim": "roles", "role_map": settings{"boss": "admin", "staff": "operator"},
	}}
	s.serverConfig["acl"] = []settings{{"workspace": "default", "groups": []string{"guests"}, "allow": "view"}}
	provider.AddRedirect(home + "/api/auth/oidc/corp/callback")
	provider.SetUser("ada", openid.User{Subject: "1", Password: "pw", Claims: map[string]any{
		"email": "ada@example.org", "email_verified": true, "name": "Ada", "roles": []string{"staff"}, "groups": []string{"guests"},
	}})
	provider.SetUser("eve", openid.User{Subject: "2", Password: "pw", Claims: map[string]any{"email": root, "email_verified": false}})
	s.startServer()

	b := browser.Start(t)
	at := b.SignIn(home+"/api/auth/oidc/corp", "ada", "pw")
	require.Equal(t, home+"/login/callback", at.String(), "no token in the address")
	session := &network.Cookie{}
	for _, cookie := range b.Cookies(home + "/api/auth/refresh") {
		require.NotEqual(t, "stroem_oidc_state", cookie.Name, "it has done its work")
		if cookie.Name == "stroem_refresh" {
			session = cookie
		}
	}
	require.True(t, session.HTTPOnly)
	require.Equal(t, network.CookieSameSiteStrict, session.SameSite)
	require.Empty(t, b.Cookies(home+"/api/jobs"), "it goes where it is needed alone")

	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, home+"/api/auth/refresh", strings.NewReader(""))
	require.NoError(t, err)
	request.Header.Set("Origin", home)
	request.AddCookie(&http.Cookie{Name: session.Name, Value: session.Value})
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	var tokens api.Tokens
	require.NoError(t, json.NewDecoder(response.Body).Decode(&tokens))
	ada := s.WithToken(tokens.AccessToken)
	me, err := ada.Me(t.Context())
	require.NoError(t, err)
	require.Equal(t, "ada@example.org", me.Email)
	require.Equal(t, "operator", me.Role)
	_, err = ada.Execute(t.Context(), "default", "greet", api.ExecuteRequest{}, "")
	require.ErrorContains(t, err, "let you see this", "she is a guest in this workspace")

	// Somebody else says that the first admin's address is theirs.
	stranger := browser.Start(t)
	at = stranger.SignIn(home+"/api/auth/oidc/corp", "eve", "pw")
	require.Equal(t, "/login/callback", at.Path)
	told, err := url.ParseQuery(at.Fragment)
	require.NoError(t, err)
	require.Contains(t, told.Get("error"), "not verified at Corp")
	require.Empty(t, stranger.Cookies(home+"/api/auth/refresh"))
}
