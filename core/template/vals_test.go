//go:build unix

package template_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/template"
)

// installVals puts a program named vals on PATH that answers as script does.
func installVals(t *testing.T, script string) {
	t.Helper()
	coretest.Programs(t, map[string]string{"vals": script})
}

// Not parallel: PATH belongs to the process.
func TestVals(t *testing.T) {
	vars := template.Context{"secret": map[string]any{"db": "ref+echo://pass"}}
	for _, tc := range []struct{ name, script, source, want, wantErr string }{
		{"reference", `test "$*" = "eval -f - -o json" && in=$(cat) && test "$in" = '{"_v":"ref+echo://pass"}' && echo '{"_v": "value"}'`, "{{ secret.db|vals|upper }}", "VALUE", ""},
		{"number", `cat >/dev/null; echo '{"_v": 12345678901234567}'`, "{{ secret.db|vals }}", "12345678901234567", ""},
		{"no reference", `exit 1`, `{{ "x ref+"|vals }}`, "x ref+", ""},
		{"failure", `echo "no such   secret" >&2; exit 3`, "{{ secret.db|vals }}", "", `the filter "vals" failed: exit status 3 (no such secret)`},
		{"bad JSON", `cat >/dev/null; echo value`, "{{ secret.db|vals }}", "", "no JSON object"},
		{"no value", `cat >/dev/null; echo '{}'`, "{{ secret.db|vals }}", "", `without "_v"`},
		{"too many", `cat >/dev/null; echo '{"_v": 1}'`, `{% for a in l %}{{ "ref+x"|vals }}{% endfor %}`, "", "is used more than 32 times"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			installVals(t, tc.script)
			vars["l"] = make([]any, 33)
			got, err := template.RenderString(t.Context(), tc.source, vars)
			if tc.wantErr != "" {
				require.ErrorContains(t, err, tc.wantErr)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
}

func TestValsEndsWithTheContext(t *testing.T) {
	started := filepath.Join(t.TempDir(), "started")
	require.NoError(t, syscall.Mkfifo(started, 0o600))
	installVals(t, "echo >"+started+"; exec sleep 60")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := os.ReadFile(started) // until vals runs
		cancel()
		done <- err
	}()
	_, err := template.RenderString(ctx, `{{ "ref+x"|vals }}`, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "got no answer from the program vals")
	require.NoError(t, <-done)
}

func TestValsIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := template.RenderString(t.Context(), `{{ "ref+x"|vals }}`, nil)
	require.ErrorContains(t, err, `the filter "vals" needs the program "vals" on PATH`)
}
