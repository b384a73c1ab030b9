package worker_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/worker"
	"github.com/stroem/stroem/pluginapi"
)

// vals is a program that resolves ref+echo://x to x in one call, and fails for what holds "broken". It notes its calls.
const vals = `test "$*" = "eval -f - -o json" || exit 2
echo call >>"$(dirname "$0")/calls"
in=$(cat)
case $in in *broken*) echo "no such secret" >&2; exit 1;; esac
printf '%s' "$in" | sed 's/ref+echo:\/\///g'
`

// TestReferencesInEnv is not parallel: PATH belongs to the process.
func TestReferencesInEnv(t *testing.T) {
	dir := coretest.Programs(t, map[string]string{"vals": vals})
	tell := func(_ context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
		if err := out.Started([]byte("state")); err != nil {
			return nil, err
		}
		_, err := out.Stdout().Write([]byte("got " + req.Env["ONE"] + " and " + req.Env["TWO"] + "\nOUTPUT: {\"two\": \"" + req.Env["TWO"] + "\"}\n"))
		return &pluginapi.Result{}, err
	}
	s, runner := newServer(t), newScripted(map[string]behaviour{"print": tell})
	good := s.add("print", func(st *step) {
		st.ActionSpec = json.RawMessage(`{"type":"shell","cmd":"true","env":{"ONE":"ref+echo://first value","TWO":"ref+echo://second value","THREE":"no ref+"}}`)
	})
	bad := s.add("never", func(st *step) {
		st.ActionSpec = json.RawMessage(`{"type":"shell","cmd":"true","env":{"ONE":"ref+echo://broken"}}`)
	})
	startWorker(t, s, runner, func(o *worker.Options) { o.Slots = 1 })
	result := s.result(good)
	require.Equal(t, []string{"first value", "second value"}, result.Mask)
	require.JSONEq(t, `{"two":"second value"}`, string(result.Output), "the server masks it, and keeps it")
	s.do(func() {
		require.Contains(t, good.log, "got •••••• and ••••••")
		require.NotContains(t, good.log, "value")
		require.Equal(t, []string{"first value", "second value"}, good.mask, "it is told before the step does anything")
	})
	require.Equal(t, "resolve the references in env with vals: it failed: exit status 1 (no such secret)", s.result(bad).Error)
	require.Zero(t, runner.ran("never"))
	calls, err := os.ReadFile(filepath.Join(dir, "calls"))
	require.NoError(t, err)
	require.Equal(t, "call\ncall\n", string(calls), "one for each step")
}
