package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/auth"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/engine"
	"github.com/stroem/stroem/core/httpapi"
	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/core/logs"
	"github.com/stroem/stroem/core/postgres"
	"github.com/stroem/stroem/core/replica"
	"github.com/stroem/stroem/core/workflow"
	"github.com/stroem/stroem/core/workspace"
	"github.com/stroem/stroem/pluginapi"
)

// What workers register with: a token without limits, and one with.
const (
	workerToken  = "the shared worker token"
	limitedToken = "the token of ci's workers"
)

// replicasKey is what replicas show each other.
var replicasKey = replica.Key("the key of the replicas in tests")

var workerTokens = []engine.WorkerToken{
	{Name: engine.DefaultToken, Secret: workerToken},
	{Name: "ci", Secret: limitedToken, Workers: []string{"ci-*"}, Tags: []string{"shell", "gpu-?"}},
}

// workspaces are fixed, in memory; their tarballs are files of the test, one for each revision and digest.
type workspaces struct {
	loaded map[string]*core.Workspace
	dir    string

	mu        sync.Mutex
	revision  string
	refreshed []string // what Refresh was called for
	refresh   func(ctx context.Context) (problem string, err error)
	problem   string
}

func (w *workspaces) Workspace(name string) (*core.Workspace, string, error) {
	ws := w.loaded[name]
	if ws == nil {
		return nil, "", core.Errorf(core.CodeNotFound, "", "Workspace '%s' not found", name)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return ws, w.revision, nil
}

func (w *workspaces) Status(name string) (workspace.Status, error) {
	if _, _, err := w.Workspace(name); err != nil {
		return workspace.Status{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	s := workspace.Status{
		Name: name, Revision: w.revision, Tasks: 2, Actions: 1, CheckedAt: at,
		Source: pluginapi.Revision{ID: w.revision, Author: "Ada", Message: "made it", Time: at},
	}
	if w.problem != "" {
		s.Error = w.problem
		s.Diagnostics = workflow.Diagnostics{
			{File: "a.yaml", Line: 3, Column: 5, Severity: workflow.SeverityError, Message: w.problem},
			{File: "a.yaml", Line: 1, Column: 1, Severity: workflow.SeverityWarning, Message: "doubtful"},
		}
	}
	return s, nil
}

func (w *workspaces) List() []workspace.Status {
	list := []workspace.Status{}
	for _, name := range slices.Sorted(maps.Keys(w.loaded)) {
		s, _ := w.Status(name)
		list = append(list, s)
	}
	return list
}

func (w *workspaces) Tarball(_ context.Context, name, revision, digest string) (*os.File, error) {
	f, err := os.Open(filepath.Join(w.dir, name+"-"+revision+"-"+digest+".tar.gz"))
	if err != nil {
		return nil, core.Errorf(core.CodeNotFound, "revision_gone", "Workspace '%s' has no revision %q", name, revision)
	}
	return f, nil
}

func (w *workspaces) Refresh(ctx context.Context, name string) error {
	if _, _, err := w.Workspace(name); err != nil {
		return err
	}
	w.mu.Lock()
	refresh := w.refresh
	w.refreshed = append(w.refreshed, name)
	w.mu.Unlock()
	if refresh == nil {
		return nil
	}
	problem, err := refresh(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problem = problem
	return err
}

func (w *workspaces) Ready() bool { return true }

func (w *workspaces) Names() []string { return slices.Sorted(maps.Keys(w.loaded)) }

func (w *workspaces) Changed() <-chan struct{} { return make(chan struct{}) }

// bundle is the API on a real engine and database.
type bundle struct {
	t          *testing.T
	url        string
	api        *httpapi.API
	store      *postgres.Store
	loaded     map[string]*core.Workspace
	workspaces *workspaces
	logs       *logs.Logs
	config     httpapi.Config
	auth       *auth.Authenticator // nil: open to everybody
	token      string              // that calls come with which name none
}

// newBundle is open to everybody, unless options change its configuration.
func newBundle(t *testing.T, options ...func(*bundle, *httpapi.Config)) *bundle {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "default-rev-1-digest1.tar.gz"), []byte("a tarball"), 0o600))
	ws := &workspaces{dir: dir, revision: "rev-1", loaded: map[string]*core.Workspace{"default": {
		Digest:  "digest1",
		Secrets: map[string]any{"password": "hunter22"},
		Actions: map[string]*core.Action{"act": {Type: "shell", Spec: map[string]any{"cmd": "true"}}},
		Tasks: map[string]*core.Task{
			"task":       {Flow: map[string]core.FlowStep{"b": {Action: "act", DependsOn: []string{"a"}}, "a": {Action: "act"}}},
			"needy":      {Input: map[string]core.InputField{"n": {Type: "integer", Required: true}}, Flow: map[string]core.FlowStep{"a": {Action: "act"}}},
			"deep/typed": {Folder: "f", Input: map[string]core.InputField{"n": {Type: "integer", Required: true}}, Flow: map[string]core.FlowStep{"a": {Action: "act"}}},
		},
		Triggers: map[string]*core.Trigger{
			"nightly": {Type: "scheduler", Cron: "0 3 * * *", Task: "task", Enabled: true},
			"off":     {Type: "scheduler", Cron: "0 3 * * *", Task: "deep/typed"},
			"push":    {Type: "webhook", Name: "push", Secret: "{{ secret.password }}", Task: "task", Enabled: true, Input: map[string]any{"extra": 1, "body": "mine"}},
			"open":    {Type: "webhook", Name: "open", Task: "task", Enabled: true},
			"closed":  {Type: "webhook", Name: "closed", Task: "task"},
			"typed":   {Type: "webhook", Name: "typed", Task: "needy", Enabled: true},
			"broken":  {Type: "webhook", Name: "broken", Secret: "{{ secret.nothing }}", Task: "task", Enabled: true},
		},
	}, "vault": {
		Secrets: map[string]any{"password": "hunter22"},
		Actions: map[string]*core.Action{"act": {Type: "shell", Spec: map[string]any{"cmd": "true"}}},
		Tasks: map[string]*core.Task{
			"secretive": {
				Input: map[string]core.InputField{
					"token": {Type: "string", Secret: true, Default: "t0k3n by default"}, "note": {Type: "string", Default: "{{ secret.password }}"},
					"code": {Type: "string", Default: "hunter22, as it is"},
				},
				Flow: map[string]core.FlowStep{"a": {Action: "act", Input: map[string]any{"list": []any{"hunter22", "ref+vault://a#b"}, "n": 5}}},
			},
		},
		Triggers: map[string]*core.Trigger{
			"daily": {Type: "scheduler", Cron: "0 3 * * *", Task: "secretive", Input: map[string]any{"code": "hunter22"}},
		},
	}, "other": {}}}
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	store, _ := coretest.Store(t)
	eng := engine.New(store, ws, logger, engine.Config{WorkerTokens: workerTokens})
	stored, err := joblog.Open(filepath.Join(dir, "logs"), eng.JobMasker)
	require.NoError(t, err)
	all := logs.New(logs.Options{ID: uuid.New(), Local: stored, Registry: store, Life: time.Hour, Logger: logger})
	require.NoError(t, all.Join(t.Context(), ""))
	b := &bundle{t: t, store: store, loaded: ws.loaded, workspaces: ws, logs: all}
	config := httpapi.Config{Engine: eng, Store: store, Logs: all, Segments: all, Workspaces: ws, Logger: logger}
	config.Replicas = replica.Guard{Keys: []replica.Key{replicasKey}, ID: all.ID}
	for _, option := range options {
		option(b, &config)
	}
	b.config = config
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		eng.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ran
		require.NoError(t, stored.Close())
	})
	b.serve()
	return b
}

// serve serves the API on an address of its own.
func (b *bundle) serve() {
	b.t.Helper()
	b.api, b.auth = httpapi.New(b.config), b.config.Auth
	listener, err := new(net.ListenConfig).Listen(b.t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(b.t, err)
	b.url = "http://" + listener.Addr().String()
	served, server := make(chan error, 1), b.api
	go func() { served <- server.Serve(listener) }()
	b.t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		require.NoError(b.t, server.Shutdown(context.WithoutCancel(b.t.Context())))
		require.NoError(b.t, <-served)
	})
}

// replica serves the same jobs, and remembers users on its own.
func (b *bundle) replica() *bundle {
	b.t.Helper()
	other := *b
	if other.config.Auth != nil {
		other.config.Auth = auth.New(auth.Options{Store: b.store, Key: jwtKey, Logger: other.config.Logger})
	}
	other.serve()
	return &other
}

// answer is a response that has been read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

type call struct {
	method, path, body, contentType, token string
	header                                 map[string]string
}

func (b *bundle) do(c call) answer {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), c.method, b.url+c.path, bytes.NewReader([]byte(c.body)))
	require.NoError(b.t, err)
	if c.body != "" && c.contentType == "" {
		c.contentType = "application/json"
	}
	if c.contentType != "" {
		request.Header.Set("Content-Type", c.contentType)
	}
	if c.token == "" {
		c.token = b.token
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	for key, value := range c.header {
		request.Header.Set(key, value)
	}
	request.Host = c.header["Host"] // "" is that of the address
	response, err := http.DefaultClient.Do(request)
	require.NoError(b.t, err, "%s %s", c.method, c.path)
	defer func() { require.NoError(b.t, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	require.NoError(b.t, err)
	return answer{response.StatusCode, response.Header, body}
}

func (b *bundle) get(path string) answer {
	b.t.Helper()
	return b.do(call{method: "GET", path: path})
}

// into decodes an answer that must be good.
func into[T any](t *testing.T, a answer) (value T) {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	require.NoError(t, json.Unmarshal(a.body, &value))
	return value
}

func (b *bundle) execute() string {
	b.t.Helper()
	return into[api.ExecuteResponse](b.t, b.do(call{method: "POST", path: "/api/workspaces/default/tasks/task/execute", body: `{"input":{"x":1}}`})).JobID
}

// register returns the token of a new worker.
func (b *bundle) register(name string) string {
	b.t.Helper()
	return into[api.Registered](b.t, b.do(call{
		method: "POST", path: "/worker/register", token: workerToken, body: `{"name":"` + name + `","tags":["shell"],"protocol":1}`,
	})).Token
}

// claim takes one step.
func (b *bundle) claim(token string) api.Claim {
	b.t.Helper()
	claimed := into[api.ClaimResponse](b.t, b.do(call{method: "POST", path: "/worker/jobs/claim", token: token, body: `{"max_steps":1,"wait_secs":5}`}))
	require.Len(b.t, claimed.Steps, 1)
	return claimed.Steps[0]
}
