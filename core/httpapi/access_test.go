package httpapi_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/access"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/httpapi"
)

var update = flag.Bool("update", false, "write testdata/access.txt")

const accessFile = "testdata/access.txt"

// TestAccess takes every route that the router knows times every kind of caller, and holds what comes of it against one table.
// A route that the table lacks fails the test: look at its row before you write it with -update.
func TestAccess(t *testing.T) {
	t.Parallel()
	got := newAccessTable(t).String()
	if *update {
		require.NoError(t, os.WriteFile(accessFile, []byte(got), 0o600))
	}
	want, err := os.ReadFile(accessFile)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// accessTable is a server with one of everything that routes are about. The stranger is an operator from whom workspace default
// is hidden; the API key is the operator's.
type accessTable struct {
	*bundle

	operator *bundle
	callers  []accessCaller
	worker   string    // id, of one that none of the callers is
	user     string    // id
	step     api.Claim // of a job of workspace default, which the first worker has claimed
}

type accessCaller struct {
	name, token string
	leased      bool // it shows the lease of the step
}

func newAccessTable(t *testing.T) *accessTable {
	t.Helper()
	b := newBundle(t, secured, func(b *bundle, c *httpapi.Config) {
		b.newUser("stranger", core.RoleOperator)
		c.Policy = access.New([]access.Rule{{Workspace: "default", Users: []string{"stranger@example.org"}, Allow: access.LevelNone}})
	})
	operator := b.as("operator")
	a := &accessTable{bundle: b, operator: operator}
	token, other := b.register("first"), b.register("second")
	b.register("spare")
	workers := into[[]api.Worker](t, operator.get("/api/workers"))
	a.worker = workers[slices.IndexFunc(workers, func(w api.Worker) bool { return w.Name == "spare" })].WorkerID
	viewer, err := b.store.UserByEmail(t.Context(), "viewer@example.org")
	require.NoError(t, err)
	a.user = viewer.ID.String()
	key := into[api.CreatedAPIKey](t, operator.do(call{method: "POST", path: "/api/auth/api-keys", body: `{"name":"x"}`}))
	a.callers = []accessCaller{
		{"no token", "", false},
		{"garbage", "garbage", false},
		{"expired", a.forge(jwt.SigningMethodHS256, jwtKey, -time.Hour), false},
		{"alg none", a.forge(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, time.Hour), false},
		{"wrong key", a.forge(jwt.SigningMethodHS256, []byte("another key, which is long enough"), time.Hour), false},
		{"viewer", b.as("viewer").token, false},
		{"stranger", b.as("stranger").token, false},
		{"operator", operator.token, false},
		{"admin", b.as("admin").token, false},
		{"API key", key.Key, false},
		{"worker token", workerToken, false},
		{"worker", token, false},
		{"worker with its lease", token, true},
		{"worker with another's lease", other, true},
	}
	return a
}

// forge makes an access token of the viewer.
func (a *accessTable) forge(method jwt.SigningMethod, key any, life time.Duration) string {
	a.t.Helper()
	text, err := jwt.NewWithClaims(method, jwt.MapClaims{
		"iss": "stroem", "aud": "stroem-api", "sub": a.user, "iat": time.Now().Add(-2 * time.Hour).Unix(), "exp": time.Now().Add(life).Unix(), "epoch": 0,
	}).SignedString(key)
	require.NoError(a.t, err)
	return text
}

func (a *accessTable) String() string {
	a.t.Helper()
	routes := a.api.Routes()
	slices.SortFunc(routes, func(x, y httpapi.Route) int {
		return strings.Compare(x.Path+" "+x.Method, y.Path+" "+y.Method)
	})
	var table strings.Builder
	table.WriteString("What each route answers to whom: TestAccess. HEAD is left out where it is answered as GET.\n")
	gets := map[string]string{} // by path
	for _, route := range routes {
		row, statuses := a.row(route)
		switch {
		case route.Method == http.MethodGet:
			gets[route.Path] = statuses
		case route.Method == http.MethodHead && gets[route.Path] == statuses:
			continue
		}
		fmt.Fprintf(&table, "\n%s %s\n%s", route.Method, route.Path, row)
	}
	return table.String()
}

// row is a line for each answer, with those who get it; statuses tells what HEAD has to be answered.
func (a *accessTable) row(route httpapi.Route) (row, statuses string) {
	a.t.Helper()
	a.operator.execute()
	a.step = a.claim(a.callers[len(a.callers)-2].token)
	got := map[string][]string{}
	for _, caller := range a.callers {
		result := a.try(route, caller)
		got[result] = append(got[result], caller.name)
		statuses += " " + result[:3]
	}
	for _, result := range slices.Sorted(maps.Keys(got)) {
		row += fmt.Sprintf("  %-28s %s\n", result, strings.Join(got[result], ", "))
	}
	return row, statuses
}

func (a *accessTable) leaseOf(caller accessCaller) string {
	if caller.leased {
		return a.step.Lease
	}
	return ""
}

// body is what a route needs to come to its own checks.
func (a *accessTable) body(route httpapi.Route, caller accessCaller) string {
	lease := fmt.Sprintf(`{"step_id":%d,"lease":%q}`, a.step.StepID, a.leaseOf(caller))
	switch route.Path {
	case "/worker/register":
		return `{"name":"third","tags":["none"],"protocol":1}`
	case "/worker/jobs/claim":
		return `{"max_steps":0,"wait_secs":0}`
	case "/worker/steps/start", "/worker/steps/state":
		return `{"steps":[` + lease + `]}`
	case "/worker/steps/complete":
		return `{"completions":[` + lease + `]}`
	case "/worker/steps/workspace_token":
		return fmt.Sprintf(`{"step_id":%d}`, a.step.StepID)
	case "/api/auth/ws-ticket":
		return fmt.Sprintf(`{"job_id":%q}`, a.step.JobID)
	case "/worker/jobs/{id}/logs":
		return fmt.Sprintf(`{"step_name":%q,"lines":[]}`, a.step.StepName)
	}
	if route.Method == http.MethodGet || route.Method == http.MethodHead || route.Method == http.MethodDelete {
		return ""
	}
	return "{}"
}

func (a *accessTable) try(route httpapi.Route, caller accessCaller) string {
	a.t.Helper()
	id := a.step.JobID
	switch {
	case strings.HasPrefix(route.Path, "/api/workers/"):
		id = a.worker
	case strings.HasPrefix(route.Path, "/api/users/"):
		id = a.user
	}
	name := "task"
	switch {
	case strings.Contains(route.Path, "/triggers/") && strings.HasSuffix(route.Path, "deliveries"):
		name = "push"
	case strings.Contains(route.Path, "/triggers/"):
		name = "nightly"
	case strings.HasPrefix(route.Path, "/hooks/"):
		name = "push"
	}
	workspace := "default"
	if strings.HasPrefix(route.Path, "/worker/workspace/") {
		workspace = fmt.Sprintf("default.tar.gz?step_id=%d", a.step.StepID)
	}
	path := strings.NewReplacer("{id}", id, "{ws}", workspace, "{name}", name, "{step}", a.step.StepName, "{n}", "1", "{prefix}", "strm_0000000", "{provider}", "corp").Replace(route.Path)
	c := call{method: route.Method, path: path, token: caller.token, body: a.body(route, caller)}
	if caller.leased {
		c.header = map[string]string{"X-Stroem-Lease": a.step.Lease}
	}
	return describe(a.t, a.do(c))
}

// describe is the status of an answer, and why, or what became of the step that it is about.
func describe(t *testing.T, a answer) string {
	t.Helper()
	var body struct {
		Code    string `json:"code"`
		Results []api.StepResult
	}
	if json.Unmarshal(a.body, &body) == nil {
		if body.Code != "" {
			return fmt.Sprintf("%d %s", a.status, body.Code)
		}
		if len(body.Results) == 1 {
			return fmt.Sprintf("%d %s", a.status, body.Results[0].Status)
		}
	}
	return fmt.Sprint(a.status)
}
