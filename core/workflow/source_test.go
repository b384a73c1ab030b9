package workflow_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/workflow"
)

func TestTaskSource(t *testing.T) {
	t.Parallel()
	fsys := tree(map[string]string{
		".workflows/a.yaml": action,
		".workflows/b.yaml": "# first\ntasks:\n  one:\n    flow:\n      # why\n      a: {action: ok}\n\n  # about two\n  two: {flow: {a: {action: ok}}}\n\ntriggers:\n",
		".workflows/c.yaml": "tasks: {three: {flow: {a: {action: ok}}}}",
		".workflows/d.yaml": "tasks: [",
	})
	for name, want := range map[string]workflow.Source{
		"one":   {File: ".workflows/b.yaml", Line: 3, YAML: "  one:\n    flow:\n      # why\n      a: {action: ok}\n"},
		"two":   {File: ".workflows/b.yaml", Line: 9, YAML: "  two: {flow: {a: {action: ok}}}\n"},
		"three": {File: ".workflows/c.yaml", Line: 1, YAML: "tasks: {three: {flow: {a: {action: ok}}}}\n"},
	} {
		got, err := workflow.TaskSource(fsys, name)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := workflow.TaskSource(fsys, "four")
	require.Equal(t, core.CodeNotFound, core.ErrorCode(err))
}
