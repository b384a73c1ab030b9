package workflow_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/workflow"
)

// The examples are without problems, also for the JSON Schema.
func TestExamples(t *testing.T) {
	t.Parallel()
	const workspace = "../../examples/workspace"
	ws, diags := workflow.Load(os.DirFS(workspace), fixed)
	require.Empty(t, diags)
	for _, name := range []string{"hello-world", "deploy", "fails-alone", "fails-in-a-chain", "tolerated-failure", "data-pipeline", "report"} {
		require.Contains(t, ws.Tasks, name)
		_, err := workflow.Definition(ws, name)
		require.NoError(t, err)
	}
	schema := editorSchema(t)
	files, err := filepath.Glob(workspace + "/.workflows/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, name := range files {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, "accepts", verdict(schema, data), name)
	}
}
