package httpapi_test

import (
	"crypto/sha256"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/access"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/httpapi"
)

// ticket is a new one for the log stream of a job.
func (b *bundle) ticket(job string) string {
	b.t.Helper()
	made := into[api.Ticket](b.t, b.do(call{method: "POST", path: "/api/auth/ws-ticket", body: `{"job_id":"` + job + `"}`}))
	require.Equal(b.t, 30, made.ExpiresIn)
	return made.Ticket
}

// anonymous makes calls without a token.
func (b *bundle) anonymous() *bundle {
	other := *b
	other.token = ""
	return &other
}

// spend opens a stream with a ticket and returns how that was answered.
func (b *bundle) spend(job, ticket string) answer {
	b.t.Helper()
	_, a := b.anonymous().open(job, "?ticket="+ticket, map[string]string{"Origin": b.url})
	return a
}

func TestTickets(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secured).as("viewer")
	operator := b.as("operator")
	job, other := operator.execute(), operator.execute()
	replica := b.replica()

	ticket := b.ticket(job)
	for _, path := range []string{"/api/jobs", "/api/jobs/" + job, "/api/jobs/" + job + "/logs", "/api/auth/me"} {
		requireError(t, b.anonymous().get(path+"?ticket="+ticket), http.StatusUnauthorized)
	}
	requireError(t, b.anonymous().get("/api/jobs/"+job+"/logs/stream?ticket="+ticket), http.StatusUpgradeRequired)
	_, foreign := b.anonymous().open(job, "?ticket="+ticket, map[string]string{"Origin": "https://evil.example"})
	requireError(t, foreign, http.StatusForbidden)
	require.Equal(t, http.StatusSwitchingProtocols, replica.spend(job, ticket).status, "none of that has spent it, and another replica takes it")
	requireError(t, b.spend(job, ticket), http.StatusUnauthorized, "ticket")
	requireError(t, replica.spend(job, ticket), http.StatusUnauthorized, "ticket")

	ticket = b.ticket(job)
	requireError(t, b.spend(other, ticket), http.StatusUnauthorized, "ticket")
	requireError(t, b.spend(job, ticket), http.StatusUnauthorized, "ticket")
	requireError(t, b.spend(job, "nonsense"), http.StatusUnauthorized, "ticket")
	_, without := b.anonymous().open(job, "", nil)
	requireError(t, without, http.StatusUnauthorized)

	viewer, err := b.store.UserByEmail(t.Context(), "viewer@example.org")
	require.NoError(t, err)
	hash := sha256.Sum256([]byte("an old one"))
	require.NoError(t, b.store.CreateTicket(t.Context(), core.Ticket{Job: uuid.MustParse(job), User: viewer.ID, Epoch: viewer.Epoch}, hash[:], -time.Second))
	requireError(t, b.spend(job, "an old one"), http.StatusUnauthorized, "ticket")

	requireError(t, b.do(call{method: "POST", path: "/api/auth/ws-ticket", body: `{"job_id":"` + uuid.NewString() + `"}`}), http.StatusNotFound, "Job not found")
	requireError(t, b.do(call{method: "POST", path: "/api/auth/ws-ticket", body: `{"job_id":"x"}`}), http.StatusBadRequest, "Invalid job ID")
	requireError(t, b.anonymous().do(call{method: "POST", path: "/api/auth/ws-ticket", body: `{"job_id":"` + job + `"}`}), http.StatusUnauthorized)
}

// Whoever has become somebody else since a ticket was made is not let in with it.
func TestTicketsOfWhoIsNotLetIn(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secured)
	job := b.as("operator").execute()
	for user, change := range map[string]string{"disabled": `{"disabled":true}`, "demoted": `{"role":"viewer"}`, "changed": `{"password":"another correct horse"}`} {
		b.newUser(user, core.RoleOperator)
		u, err := b.store.UserByEmail(t.Context(), user+"@example.org")
		require.NoError(t, err)
		ticket := b.as(user).ticket(job)
		into[api.User](t, b.as("admin").do(call{method: "PATCH", path: "/api/users/" + u.ID.String(), body: change}))
		requireError(t, b.spend(job, ticket), http.StatusUnauthorized)
	}
}

// A key that is deleted takes its tickets and its streams along.
func TestStreamsOfAKey(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secured, shortChecks).as("operator")
	job := b.execute()
	key := into[api.CreatedAPIKey](t, b.do(call{method: "POST", path: "/api/auth/api-keys", body: `{"name":"ci"}`}))
	byKey := *b
	byKey.token = key.Key
	open, ticket := byKey.watch(job, ""), byKey.ticket(job)
	into[api.Status](t, b.do(call{method: "DELETE", path: "/api/auth/api-keys/" + key.Prefix}))
	_, code := open.rest()
	require.Equal(t, websocket.StatusPolicyViolation, code)
	requireError(t, b.spend(job, ticket), http.StatusUnauthorized)
}

func shortChecks(_ *bundle, c *httpapi.Config) {
	c.Streams = httpapi.Streams{Check: 20 * time.Millisecond}
}

// A stream does not outlive the right to see it.
func TestStreamsOfUsersWhoMayNotSeeThemAnyMore(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secured, shortChecks)
	job := b.as("operator").execute()
	viewer, err := b.store.UserByEmail(t.Context(), "viewer@example.org")
	require.NoError(t, err)
	with := b.as("viewer").watch(job, "")
	ticket := b.as("viewer").ticket(job)
	by, opened := b.open(job, "?ticket="+ticket, nil)
	require.Equal(t, http.StatusSwitchingProtocols, opened.status)
	stays := b.as("operator").watch(job, "")
	into[api.User](t, b.as("admin").do(call{method: "PATCH", path: "/api/users/" + viewer.ID.String(), body: `{"disabled":true}`}))
	for _, s := range []socket{with, by} {
		_, code := s.rest()
		require.Equal(t, websocket.StatusPolicyViolation, code)
	}
	b.write(job, "a", "one")
	require.Equal(t, []string{"one"}, stays.lines(1))
}

// What is hidden by the rules of access does not exist, however one asks.
func TestHiddenStreams(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secured, shortChecks, func(_ *bundle, c *httpapi.Config) {
		c.Policy = access.New([]access.Rule{
			{Workspace: "default", Groups: []string{"friends"}, Allow: access.LevelView},
			{Workspace: "default", Users: []string{"viewer@example.org"}, Allow: access.LevelNone},
		})
	})
	job := b.as("operator").execute()
	viewer := b.as("viewer")
	u, err := b.store.UserByEmail(t.Context(), "viewer@example.org")
	require.NoError(t, err)
	hidden := func() {
		t.Helper()
		_, refused := viewer.open(job, "", nil)
		requireError(t, refused, http.StatusNotFound, "Job not found")
		requireError(t, viewer.do(call{method: "POST", path: "/api/auth/ws-ticket", body: `{"job_id":"` + job + `"}`}), http.StatusNotFound, "Job not found")
	}
	groups := func(names ...string) {
		t.Helper()
		_, err := b.auth.Change(t.Context(), u.ID, core.UserChange{Groups: &names})
		require.NoError(t, err)
	}
	hidden()
	groups("friends")
	open, ticket := viewer.watch(job, ""), viewer.ticket(job)
	groups("strangers")
	_, code := open.rest()
	require.Equal(t, websocket.StatusPolicyViolation, code)
	requireError(t, b.spend(job, ticket), http.StatusNotFound, "Job not found")
	hidden()
}
