package webhook_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/webhook"
)

// workspaces is a set that the test changes.
type workspaces struct {
	loaded  map[string]*core.Workspace
	changed chan struct{}
}

func (w *workspaces) Names() []string { return slices.Sorted(maps.Keys(w.loaded)) }

func (w *workspaces) Changed() <-chan struct{} { return w.changed }

func (w *workspaces) Workspace(name string) (*core.Workspace, string, error) {
	if w.loaded[name] == nil {
		return nil, "", core.Errorf(core.CodeUnavailable, "", "it is being loaded")
	}
	return w.loaded[name], "r", nil
}

func (w *workspaces) load(name string, triggers map[string]*core.Trigger) {
	w.loaded[name] = &core.Workspace{Triggers: triggers, Secrets: map[string]any{"empty": "", "key": "k"}}
	close(w.changed)
	w.changed = make(chan struct{})
}

func hook(name string, enabled bool) *core.Trigger {
	return &core.Trigger{Type: "webhook", Name: name, Task: "t", Enabled: enabled}
}

func seesAll(string, string) bool { return true }

func TestFind(t *testing.T) {
	t.Parallel()
	w := &workspaces{loaded: map[string]*core.Workspace{"a": nil}, changed: make(chan struct{})}
	index := webhook.NewIndex(w)
	require.Nil(t, index.Find(t.Context(), "push"))
	w.load("b", map[string]*core.Trigger{"on-push": hook("push", true), "time": {Type: "scheduler", Cron: "* * * * *"}})
	found := index.Find(t.Context(), "push")
	require.NotNil(t, found, "a change is noticed at once")
	require.Equal(t, "b", found.Workspace)
	require.Equal(t, "on-push", found.Name)
	require.Empty(t, index.Warnings(t.Context(), "b", seesAll))
	require.Same(t, found, index.Find(t.Context(), "push"), "nothing is made anew without a change")
	w.load("a", map[string]*core.Trigger{"x": hook("push", false)})
	require.Equal(t, "b", index.Find(t.Context(), "push").Workspace, "one that is disabled gives way")
	w.load("a", map[string]*core.Trigger{"x": hook("push", true)})
	require.Equal(t, "a", index.Find(t.Context(), "push").Workspace, "the first by name")
	for _, workspace := range []string{"a", "b"} {
		require.Equal(t, []string{"the webhook name 'push' is used in the workspaces a, b: requests go to a"}, index.Warnings(t.Context(), workspace, seesAll))
	}
	require.Nil(t, index.Find(t.Context(), ""))
}

func TestSecretsFromTheWorkspace(t *testing.T) {
	t.Parallel()
	w := &workspaces{loaded: map[string]*core.Workspace{}, changed: make(chan struct{})}
	index := webhook.NewIndex(w)
	for secret, want := range map[string]core.Code{
		"":                     "",
		"plain":                core.CodeUnauthenticated,
		"{{ secret.key }}":     "",
		"{{ secret.nothing }}": core.CodeUnavailable,
		"{{ secret.empty }}":   core.CodeUnavailable, // and not open to all
	} {
		trigger := hook("push", true)
		trigger.Secret = secret
		w.load("a", map[string]*core.Trigger{"x": trigger})
		err := index.Find(t.Context(), "push").Check(&webhook.Request{Query: map[string][]string{"secret": {"k"}}})
		if want == "" {
			require.NoError(t, err, secret)
		} else {
			require.Equal(t, want, core.ErrorCode(err), secret)
		}
	}
}
