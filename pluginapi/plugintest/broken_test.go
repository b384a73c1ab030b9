//go:build unix

package plugintest_test

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stroem/stroem/pluginapi/plugintest"
)

var brokenDir string

func TestMain(m *testing.M) {
	plugintest.Init()
	var err error
	if brokenDir, err = os.MkdirTemp("", "plugintest"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(brokenDir)
		os.Exit(code)
	}))
}

// brokenRunner compiles the broken plugin once.
var brokenRunner = sync.OnceValues(func() (string, error) {
	return plugintest.Build(context.Background(), brokenDir, "./internal/brokenrunner")
})

// check runs the suite on the broken plugin and returns the ids of the rules that it found broken.
func check(t *testing.T, breakages ...string) (rules []string, outcomes []plugintest.Outcome) {
	t.Helper()
	path, err := brokenRunner()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), path, append([]string{"check"}, breakages...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &outcomes))
	broken := map[string]bool{}
	for _, o := range outcomes {
		require.Equal(t, o.Status == plugintest.Failed, len(o.Failures) > 0, "%+v", o)
		for _, f := range o.Failures {
			require.True(t, slices.Contains(plugintest.Rules(), f.Rule), "%+v", f)
			require.NotEmpty(t, f.Message)
			broken[f.Rule.ID] = true
			t.Logf("%s: %s: %s", o.Case, f.Rule.ID, f.Message)
		}
	}
	return slices.Sorted(maps.Keys(broken)), outcomes
}

func TestAGoodRunnerPasses(t *testing.T) {
	t.Parallel()
	for name, habits := range map[string][]string{"at once": nil, "streams end late": {"ends-late"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules, outcomes := check(t, habits...)
			require.Empty(t, rules)
			for _, o := range outcomes {
				if o.Status != plugintest.Passed {
					require.Equal(t, plugintest.NotCovered, o.Status)
					require.Contains(t, o.Needs, "for test.detached", "%+v", o)
				}
			}
		})
	}
}

// TestBreakagesAreFoundAndNamed breaks the plugin and requires that the rules in question are found broken, and no others.
// What is most likely to happen stands alone; of the rest several are broken at once, because a suite takes seconds.
func TestBreakagesAreFoundAndNamed(t *testing.T) {
	t.Parallel()
	for _, test := range []map[string][]string{
		{"lost-tail": {"runner/output-complete"}},
		{"wrong-order": {"runner/output-order"}},
		{"exit-code-as-error": {"runner/exit-code"}},
		{"finished-missing": {"runner/finished-once"}},
		{"started-late": {"runner/started-first"}},
		{"logs-env": {"runner/secrets"}},
		{"ignores-stop": {"runner/stop"}},
		{
			"accepts-any-spec":     {"runner/bad-spec"},
			"configured-again":     {"plugin/configure-once"},
			"describes-anew":       {"plugin/describe"},
			"logs-text":            {"plugin/log-format"},
			"newline-added":        {"runner/output-unterminated"},
			"no-grace":             {"runner/stop-force"},
			"signal-as-code":       {"runner/signal"},
			"small-messages":       {"plugin/message-size"},
			"unhealthy-in-silence": {"plugin/health"},
			"works-unconfigured":   {"plugin/configure-first"},
		},
		{
			"attach-repeats":    {"runner/attach-since"},
			"finished-twice":    {"runner/finished-once"},
			"logs-spec":         {"runner/secrets"},
			"remove-knows-only": {"runner/remove", "runner/remove-lost", "runner/remove-running"},
		},
		{
			"attaches-to-gone": {"runner/attach"},
			"late-output":      {"runner/finished-once"},
			"slow-flush":       {"runner/flush"},
			"state-has-env":    {"runner/secrets"},
			"stop-is-success":  {"runner/stop"},
		},
		{
			"large-chunks":     {"runner/chunk-size"},
			"leaves-processes": {"runner/host-gone", "runner/nothing-left", "runner/remove-lost"},
			"stop-only-once":   {"runner/stop-twice"},
		},
		{
			"accepts-any-config":  {"plugin/bad-config"},
			"id-twice":            {"runner/run-id"},
			"schema-is-a-list":    {"plugin/schemas"},
			"type-without-schema": {"runner/action-type"},
			"wears-out":           {"runner/parallel"},
		},
		{"outlives-stream": {"runner/nothing-left", "runner/stream-cancelled"}},
		{
			"gathers-output":      {"runner/back-pressure"},
			"outlives-host":       {"plugin/host-gone"},
			"remove-does-nothing": {"runner/remove-running"},
		},
	} {
		names := slices.Sorted(maps.Keys(test))
		t.Run(strings.Join(names, ","), func(t *testing.T) {
			t.Parallel()
			want := map[string]bool{}
			for _, rules := range test {
				for _, rule := range rules {
					want[rule] = true
				}
			}
			rules, _ := check(t, names...)
			require.Equal(t, slices.Sorted(maps.Keys(want)), rules)
		})
	}
}
