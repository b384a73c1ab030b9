package workflow_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/workflow"
)

// Whatever the text, parsing ends without a panic, points into the file, and a workspace without errors can be stored
// and its tasks be put in order.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(f, err)
	for _, name := range files {
		data, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ws, diags := workflow.Parse("a.yaml", data, fixed)
		lines := strings.Split(string(data), "\n")
		for _, d := range diags {
			require.NotEmpty(t, d.Message)
			require.Equal(t, "a.yaml", d.File, d)
			require.True(t, 1 <= d.Line && d.Line <= len(lines), "%s in %d lines", d, len(lines))
			require.True(t, 1 <= d.Column && d.Column <= utf8.RuneCountInString(lines[d.Line-1])+1, "%s", d)
		}
		if ws == nil {
			require.Error(t, diags.Err())
			return
		}
		_, err := json.Marshal(ws)
		require.NoError(t, err)
		for name := range ws.Tasks {
			definition, err := workflow.Definition(ws, name)
			if err == nil {
				require.Len(t, workflow.Hash(definition), 32)
			}
			_, err = workflow.Order(ws.Tasks[name].Flow)
			require.NoError(t, err)
		}
	})
}
