package httpapi_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/httpapi"
)

// cookieOf returns the cookie that an answer sets.
func cookieOf(t testing.TB, a answer, name string) *http.Cookie {
	t.Helper()
	for _, cookie := range (&http.Response{Header: a.header}).Cookies() {
		if cookie.Name == name {
			return cookie
		}
	}
	require.Fail(t, "no cookie", "%s: %v", name, a.header)
	return nil
}

func (b *bundle) cookieLogin() *http.Cookie {
	b.t.Helper()
	a := b.do(call{method: "POST", path: "/api/auth/login", body: `{"email":"viewer@example.org","password":"` + password + `","cookie":true}`})
	tokens := into[api.Tokens](b.t, a)
	require.Empty(b.t, tokens.RefreshToken, "pages do not see it")
	require.NotEmpty(b.t, tokens.AccessToken)
	return cookieOf(b.t, a, "stroem_refresh")
}

func TestRefreshCookie(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secured)
	cookie := b.cookieLogin()
	require.Equal(t, "/api/auth", cookie.Path)
	require.True(t, cookie.HttpOnly)
	require.False(t, cookie.Secure, "the server speaks plain HTTP")
	require.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	post := func(path, origin string) answer {
		header := map[string]string{"Cookie": cookie.Name + "=" + cookie.Value}
		if origin != "" {
			header["Origin"] = origin
		}
		return b.do(call{method: "POST", path: path, header: header})
	}
	host := b.url
	for _, origin := range []string{"", "null", "https://evil.example", host + ".evil.example", "http://evil.example/" + host, "nonsense"} {
		requireError(t, post("/api/auth/refresh", origin), 403, "Origin")
		requireError(t, post("/api/auth/logout", origin), 403, "Origin")
	}
	next := post("/api/auth/refresh", host)
	require.Empty(t, into[api.Tokens](t, next).RefreshToken)
	spent := *cookie
	cookie = cookieOf(t, next, "stroem_refresh")
	require.NotEqual(t, spent.Value, cookie.Value)
	out := post("/api/auth/logout", host)
	into[api.Status](t, out)
	removed := cookieOf(t, out, "stroem_refresh")
	require.Empty(t, removed.Value)
	require.True(t, removed.Expires.Before(time.Now()))
	gone := post("/api/auth/refresh", host)
	requireError(t, gone, 401, "Invalid refresh token")
	require.Empty(t, cookieOf(t, gone, "stroem_refresh").Value)
}

// Another site's page must not sign its visitor in as somebody else.
func TestLoginFromAnotherSite(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secured)
	body := `{"email":"viewer@example.org","password":"` + password + `","cookie":true}`
	requireError(t, b.do(call{method: "POST", path: "/api/auth/login", body: body, header: map[string]string{"Origin": "https://evil.example"}}), 403, "Origin")
	requireError(t, b.do(call{method: "POST", path: "/api/auth/login", body: body, contentType: "text/plain"}), 400, "application/json")
}

// Without users there is no credential that the page of another site lacks.
func TestPagesOfOtherSitesAgainstAnOpenServer(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(_ *bundle, c *httpapi.Config) { c.Origins = []string{"https://friend.example.org"} })
	execute := func(origin string) answer {
		return b.do(call{method: "POST", path: "/api/workspaces/default/tasks/task/execute", header: map[string]string{"Origin": origin}})
	}
	for _, origin := range []string{"https://evil.example", "null", "http://127.0.0.1:1"} {
		requireError(t, execute(origin), 403, "Origin")
	}
	b.requireNoJobs()
	for _, origin := range []string{b.url, "https://friend.example.org"} {
		require.Equal(t, 200, execute(origin).status)
	}
}

// A page whose name was made to lead to this machine is of the same origin as the server, for the browser.
func TestRebindingOfNames(t *testing.T) {
	t.Parallel()
	local := func(_ *bundle, c *httpapi.Config) {
		c.Local = true
		c.PublicURL, _ = url.Parse("http://flows.example.org:8080")
	}
	b := newBundle(t, local)
	for host, status := range map[string]int{
		"": 200, "localhost": 200, "LOCALHOST:8080": 200, "127.0.0.1": 200, "127.9.9.9:1": 200, "[::1]:8080": 200, "flows.example.org": 200,
		"evil.example": 403, "evil.example:8080": 403, "localhost.evil.example": 403, "10.0.0.1:8080": 403, "127.0.0.1.evil.example": 403,
	} {
		require.Equal(t, status, b.do(call{method: "GET", path: "/api/jobs", header: map[string]string{"Host": host}}).status, host)
	}
	other := newBundle(t, secured, local).as("viewer")
	require.Equal(t, 200, other.do(call{method: "GET", path: "/api/jobs", header: map[string]string{"Host": "any.example"}}).status, "it has a token")
}

func TestCookiesUnderHTTPS(t *testing.T) {
	t.Parallel()
	for name, option := range map[string]func(*httpapi.Config){
		"own certificate": func(c *httpapi.Config) { c.Secure = true },
		"public URL":      func(c *httpapi.Config) { c.PublicURL, _ = url.Parse("https://flows.example.org") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, secured, func(_ *bundle, c *httpapi.Config) { option(c) })
			cookie := b.cookieLogin()
			require.True(t, cookie.Secure)
			if name == "public URL" {
				a := b.do(call{method: "POST", path: "/api/auth/refresh", header: map[string]string{
					"Cookie": cookie.Name + "=" + cookie.Value, "Origin": "https://flows.example.org",
				}})
				require.NotEmpty(t, into[api.Tokens](t, a).AccessToken)
			}
		})
	}
}
