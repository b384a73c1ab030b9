package httpapi_test

import (
	"context"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/auth"
	"github.com/stroem/stroem/core/httpapi"
	"github.com/stroem/stroem/core/ratelimit"
)

var jwtKey = []byte("0123456789abcdef0123456789abcdef")

const password = "correct horse"

// secured has users: one of each role, by whose name they are called; all have the same password.
func secured(b *bundle, c *httpapi.Config) {
	c.Auth, c.Passwords = auth.New(auth.Options{Store: b.store, Key: jwtKey, Logger: c.Logger}), true
	for _, role := range []core.Role{core.RoleViewer, core.RoleOperator, core.RoleAdmin} {
		b.newUser(string(role), role)
	}
}

// hashed is the password's hash, which takes its time to make.
var hashed = sync.OnceValues(func() (*string, error) { return auth.NewPassword(context.Background(), password) })

func (b *bundle) newUser(name string, role core.Role) {
	b.t.Helper()
	hash, err := hashed()
	require.NoError(b.t, err)
	require.NoError(b.t, b.store.CreateUser(b.t.Context(), core.User{ID: uuid.New(), Email: name + "@example.org", Role: role, PasswordHash: *hash}))
}

// login returns the tokens of a new session.
func (b *bundle) login(name string) api.Tokens {
	b.t.Helper()
	return into[api.Tokens](b.t, b.do(call{method: "POST", path: "/api/auth/login", body: `{"email":"` + name + `@example.org","password":"` + password + `"}`}))
}

// as makes calls as somebody.
func (b *bundle) as(name string) *bundle {
	b.t.Helper()
	u, err := b.store.UserByEmail(b.t.Context(), name+"@example.org")
	require.NoError(b.t, err)
	pair, err := b.auth.Start(b.t.Context(), u)
	require.NoError(b.t, err)
	other := *b
	other.token = pair.Access
	return &other
}

func TestSessions(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secured)
	require.Equal(t, api.Config{AuthRequired: true, HasInternalAuth: true, OIDCProviders: []api.OIDCProvider{}}, into[api.Config](t, b.get("/api/config")))
	tokens := b.login("operator")
	require.Equal(t, 900, tokens.ExpiresIn)
	me := into[api.Me](t, b.do(call{method: "GET", path: "/api/auth/me", token: tokens.AccessToken}))
	require.Equal(t, "operator@example.org", me.Email)
	require.Equal(t, "operator", me.Role)
	for _, body := range []string{
		`{"email":"operator@example.org","password":"wrong"}`, `{"email":"nobody@example.org","password":"` + password + `"}`, `{}`,
	} {
		requireError(t, b.do(call{method: "POST", path: "/api/auth/login", body: body}), 401, "Invalid email or password")
	}
	refresh := func(token string) answer {
		return b.do(call{method: "POST", path: "/api/auth/refresh", body: `{"refresh_token":"` + token + `"}`})
	}
	next := into[api.Tokens](t, refresh(tokens.RefreshToken))
	requireError(t, refresh(tokens.RefreshToken), 401, "used before")
	requireError(t, refresh(next.RefreshToken), 401, "Invalid refresh token")
	requireError(t, refresh(""), 401, "Invalid refresh token")
	next = b.login("operator")
	out := call{method: "POST", path: "/api/auth/logout", body: `{"refresh_token":"` + next.RefreshToken + `"}`}
	require.Equal(t, "ok", into[api.Status](t, b.do(out)).Status)
	require.Equal(t, "ok", into[api.Status](t, b.do(out)).Status)
	require.Equal(t, "ok", into[api.Status](t, b.do(call{method: "POST", path: "/api/auth/logout"})).Status)
	requireError(t, refresh(next.RefreshToken), 401, "Invalid refresh token")
}

func TestWithoutUsers(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	require.Equal(t, api.Config{OIDCProviders: []api.OIDCProvider{}}, into[api.Config](t, b.get("/api/config")))
	requireError(t, b.do(call{method: "POST", path: "/api/auth/login", body: `{"email":"a@b.c","password":"x"}`}), 404, "Authentication not configured")
	requireError(t, b.do(call{method: "POST", path: "/api/auth/refresh", body: `{"refresh_token":"x"}`}), 404, "Authentication not configured")
	requireError(t, b.get("/api/auth/me"), 401, "Authentication not configured")
	requireError(t, b.get("/api/auth/api-keys"), 401, "Authentication not configured")
	requireError(t, b.get("/api/auth/oidc/corp"), 404, "no such provider")
	requireError(t, b.do(call{method: "POST", path: "/api/users", body: `{"email":"a@b.c"}`}), 404, "Authentication not configured")
	require.Equal(t, "ok", into[api.Status](t, b.do(call{method: "POST", path: "/api/auth/logout", body: `{"refresh_token":"x"}`})).Status)
	require.Empty(t, into[[]api.User](t, b.get("/api/users")))
}

func TestWhoStartedAJob(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secured)
	job := into[api.JobDetail](t, b.as("operator").get("/api/jobs/"+b.as("operator").execute()))
	require.Equal(t, "user", job.SourceType)
	require.Equal(t, "operator@example.org", *job.SourceID)
	key := into[api.CreatedAPIKey](t, b.as("operator").do(call{method: "POST", path: "/api/auth/api-keys", body: `{"name":"ci"}`}))
	byKey := *b
	byKey.token = key.Key
	job = into[api.JobDetail](t, byKey.get("/api/jobs/"+byKey.execute()))
	require.Equal(t, "user", job.SourceType)
	require.Equal(t, "operator@example.org", *job.SourceID)
}

func TestAPIKeyRoutes(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secured)
	session := b.as("operator")
	create := func(body string) answer {
		return session.do(call{method: "POST", path: "/api/auth/api-keys", body: body})
	}
	require.JSONEq(t, `[]`, string(session.get("/api/auth/api-keys").body))
	key := into[api.CreatedAPIKey](t, create(`{"name":"ci","expires_in_days":3}`))
	require.Len(t, key.Key, 37)
	require.Equal(t, key.Key[:12], key.Prefix)
	require.NotNil(t, key.ExpiresAt)
	list := session.get("/api/auth/api-keys")
	require.NotContains(t, string(list.body), key.Key)
	require.Equal(t, "ci", into[[]api.UserAPIKey](t, list)[0].Name)
	require.Empty(t, into[[]api.UserAPIKey](t, b.as("admin").get("/api/auth/api-keys")), "one's own alone")
	requireError(t, create(`{"name":" "}`), 400, "Name is required")
	for _, days := range []string{"0", "-1"} {
		requireError(t, create(`{"name":"x","expires_in_days":`+days+`}`), 400, "expires_in_days must be positive")
	}
	by := func(method, path, body string) answer {
		return b.do(call{method: method, path: path, token: key.Key, body: body})
	}
	require.Equal(t, "operator@example.org", into[api.Me](t, by("GET", "/api/auth/me", "")).Email)
	const refused = "API key management requires JWT authentication"
	requireError(t, by("GET", "/api/auth/api-keys", ""), 403, refused)
	requireError(t, by("POST", "/api/auth/api-keys", `{"name":"more"}`), 403, refused)
	requireError(t, by("DELETE", "/api/auth/api-keys/"+key.Prefix, ""), 403, refused)
	requireError(t, b.as("admin").do(call{method: "DELETE", path: "/api/auth/api-keys/" + key.Prefix}), 404, "API key not found")
	into[api.Status](t, session.do(call{method: "DELETE", path: "/api/auth/api-keys/" + key.Prefix}))
	requireError(t, by("GET", "/api/auth/me", ""), 401, "Invalid API key")
	requireError(t, session.do(call{method: "DELETE", path: "/api/auth/api-keys/" + key.Prefix}), 404, "API key not found")
}

func TestUserRoutes(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secured)
	admin := b.as("admin")
	users := into[[]api.User](t, b.as("viewer").get("/api/users?limit=2"))
	require.Equal(t, "admin@example.org", users[0].Email, "newest first")
	require.Len(t, users, 2)
	require.Equal(t, []string{"password"}, users[0].AuthMethods)
	create := func(body string) answer { return admin.do(call{method: "POST", path: "/api/users", body: body}) }
	grace := into[api.User](t, create(`{"email":"Grace@example.org","name":"Grace","password":"`+password+`","role":"viewer"}`))
	require.Equal(t, "operator", into[api.User](t, create(`{"email":"linus@example.org"}`)).Role)
	requireError(t, create(`{"email":"grace@EXAMPLE.org"}`), 409, "already")
	requireError(t, create(`{"email":"nonsense"}`), 400, "not an e-mail address")
	requireError(t, create(`{"email":"x@example.org","role":"root"}`), 400, "viewer, operator or admin")
	requireError(t, create(`{"email":"x@example.org","password":"short"}`), 400, "at least 8 characters")
	requireError(t, create(`{"email":"x@example.org","passwort":"x"}`), 400, `did you mean "password"?`)

	session := b.as("grace")
	change := func(id, body string) answer {
		return admin.do(call{method: "PATCH", path: "/api/users/" + id, body: body})
	}
	require.Equal(t, "operator", into[api.User](t, change(grace.UserID, `{"role":"operator","name":"G. H."}`)).Role)
	requireError(t, session.get("/api/auth/me"), 401, "Invalid or expired token")
	session = b.as("grace")
	into[api.User](t, change(grace.UserID, `{"disabled":true}`))
	requireError(t, session.get("/api/auth/me"), 401, "Invalid or expired token")
	requireError(t, b.do(call{method: "POST", path: "/api/auth/login", body: `{"email":"grace@example.org","password":"` + password + `"}`}), 401)
	into[api.User](t, change(grace.UserID, `{"disabled":false,"password":"another horse"}`))
	requireError(t, b.do(call{method: "POST", path: "/api/auth/login", body: `{"email":"grace@example.org","password":"` + password + `"}`}), 401)
	requireError(t, change(users[0].UserID, `{"role":"viewer"}`), 409, "only admin")
	requireError(t, change("00000000-0000-4000-8000-000000000000", `{}`), 404, "User not found")
}

func TestChangeOfOnesPassword(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secured)
	old, other := b.as("viewer"), b.as("viewer")
	change := func(current, next string) answer {
		return old.do(call{method: "POST", path: "/api/auth/password", body: `{"current_password":"` + current + `","new_password":"` + next + `"}`})
	}
	requireError(t, change("wrong horse", "another horse"), 403, "current password")
	requireError(t, change(password, "short"), 400, "at least 8")
	tokens := into[api.Tokens](t, change(password, "another horse"))
	for _, session := range []*bundle{old, other} {
		requireError(t, session.get("/api/auth/me"), 401)
	}
	require.Equal(t, "viewer@example.org", into[api.Me](t, b.do(call{method: "GET", path: "/api/auth/me", token: tokens.AccessToken})).Email)
}

func TestFailedLoginsAreLimited(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secured, func(_ *bundle, c *httpapi.Config) { c.Logins = ratelimit.NewLogins(3) })
	try := func(email, password string) answer {
		return b.do(call{method: "POST", path: "/api/auth/login", body: `{"email":"` + email + `","password":"` + password + `"}`})
	}
	for _, email := range []string{"viewer@example.org", "nobody@example.org"} { // whether there is such a user makes no difference
		for range 3 {
			requireError(t, try(email, "wrong horse"), 401)
		}
		refused := try(email, password)
		requireError(t, refused, 429, "try again in")
		require.NotEmpty(t, refused.header.Get("Retry-After"))
	}
	into[api.Tokens](t, try("operator@example.org", password))
	entries := into[[]api.AuditEntry](t, b.as("admin").get("/api/audit?action=auth.login&target=viewer@example.org"))
	require.Len(t, entries, 4)
	require.Equal(t, "denied", entries[0].Result)
	require.Equal(t, "127.0.0.1", *entries[0].RemoteAddress)
}

// An account is one account, however its address is written.
func TestSpellingsOfAnAddressAreLimitedAsOne(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secured, func(_ *bundle, c *httpapi.Config) { c.Logins = ratelimit.NewLogins(3) })
	statuses := map[int]int{}
	for _, email := range []string{"viewer@example.org", " viewer@example.org", "viewer@example.org\u00a0", "\u2003Viewer@Example.org\\n", "VIEWER@example.org"} {
		a := b.do(call{method: "POST", path: "/api/auth/login", body: `{"email":"` + email + `","password":"wrong horse"}`})
		statuses[a.status]++
	}
	require.Equal(t, map[int]int{401: 3, 429: 2}, statuses)
}

// Whoever only asks whether the server is ready is not told what its plugins complain of.
func TestReadinessOfASecuredServer(t *testing.T) {
	t.Parallel()
	plugins := func(_ *bundle, c *httpapi.Config) {
		c.Plugins = func() []api.Plugin {
			return []api.Plugin{{Name: "source-git", State: "backoff", LastError: "/secret/path"}}
		}
	}
	for _, b := range []*bundle{newBundle(t, plugins), newBundle(t, secured, plugins)} {
		health := into[api.Health](t, b.get("/readyz"))
		require.Equal(t, "1 of 1 not ready", health.Components["plugins"])
		require.Equal(t, b.auth == nil, len(health.Plugins) == 1)
	}
}
