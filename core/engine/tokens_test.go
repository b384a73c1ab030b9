package engine_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/engine"
)

// twoTokens are one without limits, and one for workers that are called ci-….
func twoTokens() engine.Config {
	return engine.Config{WorkerTokens: []engine.WorkerToken{
		{Name: engine.DefaultToken, Secret: "the one for all"},
		{Name: "ci", Secret: "the one of ci", Workers: []string{"ci-*", "w"}, Tags: []string{"shell", "ci*"}},
	}}
}

// reason is the code that callers are told.
func reason(t *testing.T, err error) string {
	t.Helper()
	var e *core.Error
	require.ErrorAs(t, err, &e)
	return e.Reason
}

func TestTokensHaveNames(t *testing.T) {
	t.Parallel()
	b := newBundle(t, flow(map[string]core.FlowStep{"a": {}}), twoTokens())
	for secret, want := range map[string]string{"the one for all": "default", "the one of ci": "ci"} {
		name, err := b.AuthenticateToken(secret)
		require.NoError(t, err)
		require.Equal(t, want, name)
	}
	for _, secret := range []string{"", "the one of c", "the one of ci ", "ci", "default"} {
		_, err := b.AuthenticateToken(secret)
		require.Equal(t, core.CodeUnauthenticated, core.ErrorCode(err), secret)
	}
	none := b.run(t, engine.Config{})
	_, err := none.AuthenticateToken("")
	require.Equal(t, core.CodeUnauthenticated, core.ErrorCode(err), "no token is none that is empty")
}

func TestATokenLimitsNamesAndTags(t *testing.T) {
	t.Parallel()
	b := newBundle(t, flow(map[string]core.FlowStep{"a": {}}), twoTokens())
	docker := append(shellPlugin(false), api.Plugin{Name: "docker", State: "failed", ActionTypes: []api.ActionType{
		{Name: "docker", Tag: "shell"}, {Name: "ci.build", Tag: "ci"}, {Name: "acme.noop", Tag: "ci"},
	}})
	for name, test := range map[string]struct {
		token string
		r     api.Register
		want  string // the code
		text  string
	}{
		"without limits": {"default", api.Register{Name: "x", Tags: []string{"gpu"}}, "", ""},
		"within":         {"ci", api.Register{Name: "ci-1", Tags: []string{"shell", "ci"}}, "", ""},
		"no tags":        {"ci", api.Register{Name: "ci-2"}, "", ""},
		"name":           {"ci", api.Register{Name: "prod-1"}, "worker_name_not_allowed", "called ci-*, w, and this one is called \"prod-1\""},
		"prefix":         {"ci", api.Register{Name: "xci-1"}, "worker_name_not_allowed", "worker_tokens.ci.workers"},
		"case":           {"ci", api.Register{Name: "CI-1"}, "worker_name_not_allowed", ""},
		"tags":           {"ci", api.Register{Name: "ci-3", Tags: []string{"shell", "gpu", "docker"}}, "worker_tags_not_allowed", "the tags docker, gpu, only shell, ci*"},
		"capabilities":   {"ci", api.Register{Name: "ci-3", Capabilities: []string{"gpu"}}, "worker_tags_not_allowed", "the tags gpu"},
		"plugins":        {"ci", api.Register{Name: "ci-3", Tags: []string{"shell"}, Plugins: docker}, "", ""},
		"no such token":  {"gone", api.Register{Name: "ci-1"}, "worker_token_changed", ""},
	} {
		registered, err := b.Register(t.Context(), test.token, test.r)
		if test.want == "" {
			require.NoError(t, err, name)
			w, err := b.store.GetWorker(t.Context(), uuid.MustParse(registered.WorkerID))
			require.NoError(t, err)
			require.Equal(t, test.token, w.Token)
			continue
		}
		require.Equal(t, test.want, reason(t, err), name)
		require.ErrorContains(t, err, test.text, name)
	}
	workers, _, err := b.store.ListWorkers(t.Context(), 10, 0)
	require.NoError(t, err)
	require.Len(t, workers, 4, "nothing is stored of those that are refused")
	types, err := b.store.ActionTypes(t.Context())
	require.NoError(t, err)
	var names []string
	for _, described := range types {
		names = append(names, described.Name)
	}
	require.Equal(t, []string{"ci.build", "shell"}, names, "nobody describes what they may not run")
}

// A worker does not get more by asking for it later.
func TestAWorkerCannotGrow(t *testing.T) {
	t.Parallel()
	ws := flow(map[string]core.FlowStep{"a": {Action: "train"}, "b": {}})
	ws.Actions["train"] = &core.Action{Type: "shell", Tags: []string{"gpu"}, Spec: map[string]any{"cmd": "true"}}
	b := newBundle(t, ws, twoTokens())
	b.execute(t, nil)
	registered, err := b.Register(t.Context(), "ci", api.Register{Name: "ci-1", Tags: []string{"shell"}})
	require.NoError(t, err)
	id, err := b.AuthenticateWorker(t.Context(), registered.Token)
	require.NoError(t, err)
	err = b.Heartbeat(t.Context(), id, api.Heartbeat{Tags: []string{"gpu", "shell"}, Plugins: shellPlugin(false)})
	require.Equal(t, "worker_tags_not_allowed", reason(t, err))
	w, err := b.store.GetWorker(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, []string{"shell"}, w.Tags)
	plugins := shellPlugin(false)
	plugins[0].ActionTypes = append(plugins[0].ActionTypes, api.ActionType{Name: "docker", Tag: "shell"})
	require.NoError(t, b.Heartbeat(t.Context(), id, api.Heartbeat{Tags: []string{"ci", "shell"}, Plugins: plugins}))
	types, err := b.store.ActionTypes(t.Context())
	require.NoError(t, err)
	require.Len(t, types, 1)
	response, err := b.Claim(t.Context(), id, api.ClaimRequest{MaxSteps: new(5), WaitSecs: new(0), Tags: []string{"gpu", "shell"}}, alive)
	require.NoError(t, err)
	require.Len(t, response.Steps, 1, "a claim brings what it may run, and nothing else")
	require.Equal(t, "b", response.Steps[0].StepName)
	response, err = b.Claim(t.Context(), uuid.New(), api.ClaimRequest{MaxSteps: new(5), WaitSecs: new(0), Tags: []string{"gpu", "shell"}}, alive)
	require.NoError(t, err)
	require.Empty(t, response.Steps, "nobody knows what it may run")
}

// The limits of names are what decides who takes over from whom.
func TestTakingOverAcrossTokens(t *testing.T) {
	t.Parallel()
	b := newBundle(t, flow(map[string]core.FlowStep{"a": {}}), twoTokens())
	b.execute(t, nil)
	other := b.worker(t, "prod")
	other.held()
	_, err := b.Register(t.Context(), "ci", api.Register{Name: "prod", Tags: []string{"shell"}, Plugins: shellPlugin(true)})
	require.Equal(t, "worker_name_not_allowed", reason(t, err))
	w, err := b.store.GetWorker(t.Context(), other.id)
	require.NoError(t, err)
	require.Equal(t, core.WorkerActive, w.Status, "the older worker does not notice")

	b.execute(t, nil)
	mine := b.worker(t, "w")
	step := mine.held()
	registered, err := b.Register(t.Context(), "ci", api.Register{Name: "w", Tags: []string{"shell"}, Plugins: shellPlugin(true)})
	require.NoError(t, err)
	require.Len(t, registered.Resume, 1, "a token that allows the name takes over from any other")
	require.Equal(t, step.StepID, registered.Resume[0].StepID)
	back, err := b.Register(t.Context(), engine.DefaultToken, api.Register{Name: "w", Tags: []string{"shell"}, Plugins: shellPlugin(true)})
	require.NoError(t, err)
	require.Len(t, back.Resume, 1)
}

// A replica with another configuration is what the server is after a restart.
func TestAWorkerGoesOnUnderAnotherToken(t *testing.T) {
	t.Parallel()
	b := newBundle(t, flow(map[string]core.FlowStep{"a": {}}), twoTokens())
	b.execute(t, nil)
	request := api.Register{Name: "ci-1", Tags: []string{"shell"}, Plugins: shellPlugin(false)}
	registered, err := b.Register(t.Context(), "ci", request)
	require.NoError(t, err)
	w := &worker{t, b.Engine, uuid.MustParse(registered.WorkerID)}
	_, err = b.AuthenticateWorker(t.Context(), registered.Token)
	require.NoError(t, err)
	step := w.claim(1)[0]
	require.Equal(t, []string{api.Accepted}, w.start(step))

	later := b.run(t, engine.Config{WorkerTokens: []engine.WorkerToken{{Name: "build", Secret: "another", Workers: []string{"ci-?"}}}})
	for range 2 {
		_, err = later.AuthenticateWorker(t.Context(), registered.Token)
		require.Equal(t, "worker_token_changed", reason(t, err))
		require.Equal(t, core.CodeUnauthenticated, core.ErrorCode(err))
	}
	for _, wrong := range []string{"nonsense", registered.WorkerID} {
		request.WorkerToken = wrong
		_, err = later.Register(t.Context(), "build", request)
		require.Equal(t, "worker_unknown", reason(t, err))
	}
	request.WorkerToken = registered.Token
	other := request
	other.Name = "ci-2"
	_, err = later.Register(t.Context(), "build", other)
	require.Equal(t, "worker_unknown", reason(t, err), "a token is that of one name")
	other.Name = "other"
	_, err = later.Register(t.Context(), "build", other)
	require.Equal(t, "worker_name_not_allowed", reason(t, err))
	again, err := later.Register(t.Context(), "build", request)
	require.NoError(t, err)
	require.Equal(t, []any{registered.WorkerID, registered.Token}, []any{again.WorkerID, again.Token}, "it stays who it is")
	_, err = later.AuthenticateWorker(t.Context(), registered.Token)
	require.NoError(t, err)
	w.e = later
	require.Equal(t, []string{api.Accepted}, w.report(succeed(step, "")), "what it was running is its own")
	workers, total, err := b.store.ListWorkers(t.Context(), 10, 0)
	require.NoError(t, err)
	require.Equal(t, 1, total)
	require.Equal(t, "build", workers[0].Token)

	newer, err := later.Register(t.Context(), "build", api.Register{Name: "ci-1", Tags: []string{"shell"}})
	require.NoError(t, err)
	require.NotEqual(t, registered.WorkerID, newer.WorkerID)
	_, err = later.Register(t.Context(), "build", request)
	require.Equal(t, "superseded", reason(t, err), "who was replaced does not come back")
}

func TestAWorkerThatExceedsNewLimitsIsRefused(t *testing.T) {
	t.Parallel()
	b := newBundle(t, flow(map[string]core.FlowStep{"a": {}}), twoTokens())
	registered, err := b.Register(t.Context(), "ci", api.Register{Name: "ci-1", Tags: []string{"shell", "ci"}})
	require.NoError(t, err)
	for name, limits := range map[string]engine.WorkerToken{
		"names": {Name: "ci", Workers: []string{"build-*"}},
		"tags":  {Name: "ci", Tags: []string{"shell"}},
	} {
		later := b.run(t, engine.Config{WorkerTokens: []engine.WorkerToken{limits}})
		_, err = later.AuthenticateWorker(t.Context(), registered.Token)
		require.Equal(t, "worker_token_changed", reason(t, err), name)
		_, err = later.Register(t.Context(), "ci", api.Register{Name: "ci-1", Tags: []string{"shell", "ci"}, WorkerToken: registered.Token})
		require.Equal(t, core.CodeForbidden, core.ErrorCode(err), name)
	}
	_, err = b.AuthenticateWorker(t.Context(), registered.Token)
	require.NoError(t, err)
}

// A call that is refused is no sign of life.
func TestAWorkerThatIsNotLetInIsLost(t *testing.T) {
	t.Parallel()
	b := newBundle(t, flow(map[string]core.FlowStep{"a": {}}), twoTokens())
	registered, err := b.Register(t.Context(), "ci", api.Register{Name: "ci-1", Tags: []string{"shell"}})
	require.NoError(t, err)
	id := uuid.MustParse(registered.WorkerID)
	b.exec(t, "update worker set last_heartbeat = now() - interval '1 hour' where worker_id = $1", id)
	later := b.run(t, engine.Config{})
	_, err = later.AuthenticateWorker(t.Context(), registered.Token)
	require.Equal(t, "worker_token_changed", reason(t, err))
	b.stop()
	lost, err := b.store.DeactivateWorkers(t.Context(), time.Minute)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{id}, lost)
}

// What a token does not allow is not handed over with a name either.
func TestATokenIsNotHandedOverWhatItDoesNotAllow(t *testing.T) {
	t.Parallel()
	ws := flow(map[string]core.FlowStep{"a": {}, "b": {Action: "train"}})
	ws.Actions["train"] = &core.Action{Type: "shell", Runner: "docker", Spec: map[string]any{"cmd": "true"}}
	b := newBundle(t, ws, twoTokens())
	b.execute(t, nil)
	plugins := shellPlugin(true)
	plugins[0].ActionTypes = append(plugins[0].ActionTypes, api.ActionType{Name: "shell", Runner: "docker", Tag: "docker", Attachable: true})
	registered, err := b.Register(t.Context(), engine.DefaultToken, api.Register{Name: "w", Tags: []string{"docker", "shell"}, Plugins: plugins})
	require.NoError(t, err)
	_, err = b.AuthenticateWorker(t.Context(), registered.Token)
	require.NoError(t, err)
	older := &worker{t, b.Engine, uuid.MustParse(registered.WorkerID)}
	response, err := b.Claim(t.Context(), older.id, api.ClaimRequest{MaxSteps: new(5), WaitSecs: new(0), Tags: []string{"docker", "shell"}}, alive)
	require.NoError(t, err)
	require.Len(t, response.Steps, 2)
	for _, step := range response.Steps {
		require.Equal(t, []string{api.Accepted}, older.start(step))
		older.saveState(step, "container 7")
	}
	registered, err = b.Register(t.Context(), "ci", api.Register{Name: "w", Tags: []string{"shell"}, Plugins: plugins})
	require.NoError(t, err)
	require.Len(t, registered.Resume, 1, "the token allows shell, and not docker")
	require.Equal(t, "a", registered.Resume[0].StepName)
	require.Empty(t, registered.Remove)
}
