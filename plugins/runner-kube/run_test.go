package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// request is a step of a pod or, where it has a workspace, of a shell.
func request(t testing.TB, spec map[string]any, workspace *files) *pluginapi.RunRequest {
	t.Helper()
	req := &pluginapi.RunRequest{
		RunID: hash(t.Name()+t.TempDir(), 32), Type: typePod, StopGrace: 2 * time.Second, ScratchDir: t.TempDir(),
		Env:    map[string]string{"GREETING": "hello $(HOME) $$"},
		Labels: map[string]string{"job_id": "0a1b2c3d", "step": "My Step"},
	}
	if spec["image"] == nil {
		spec["image"] = busybox
	}
	if workspace != nil {
		req.Type, req.Runner = typeShell, "pod"
		req.Workspace = workspace.workspace()
	}
	var err error
	req.Spec, err = json.Marshal(spec)
	require.NoError(t, err)
	return req
}

// run runs a step to its end.
func run(t testing.TB, r *runner, req *pluginapi.RunRequest) (*pluginapi.Result, *plugintest.Recorder, error) {
	t.Helper()
	out := plugintest.NewRecorder()
	result, err := r.Run(t.Context(), req, out)
	return result, out, err
}

// stdout is what the step has written.
func stdout(out *plugintest.Recorder) string {
	text, _, _ := out.Text()
	return text
}

// text is that, and what the runner has said besides.
func text(out *plugintest.Recorder) string {
	_, _, both := out.Text()
	return both
}

func TestCommands(t *testing.T) {
	t.Parallel()
	r, _ := newTestRunner(t, nil)
	for name, c := range map[string]struct {
		spec map[string]any
		want string
	}{
		"cmd":                    {map[string]any{"cmd": `echo "$GREETING $0 $#"`}, "hello $(HOME) $$ /stroem/cmd 0\n"},
		"command":                {map[string]any{"command": []string{"echo", "$(GREETING)", "$$", "a b"}}, "$(GREETING) $$ a b\n"},
		"entrypoint":             {map[string]any{"entrypoint": []string{"echo", "x"}}, "x\n"},
		"entrypoint and command": {map[string]any{"entrypoint": []string{"echo", "x"}, "command": []string{"y", "$HOME"}}, "x y $HOME\n"},
		"entrypoint and cmd":     {map[string]any{"entrypoint": []string{"sh", "-c"}, "cmd": "echo $((1+2)) $# $GREETING"}, "3 0 hello $(HOME) $$\n"},
		"all":                    {map[string]any{"entrypoint": []string{"echo"}, "command": []string{"y"}, "cmd": "z"}, "y\n"},
		"command wins":           {map[string]any{"command": []string{"echo", "y"}, "cmd": "z"}, "y\n"},
		"workdir":                {map[string]any{"cmd": "pwd", "workdir": "/tmp"}, "/tmp\n"},
		"scratch":                {map[string]any{"cmd": "echo $TMPDIR $STROEM_SCRATCH ${STROEM_INPUT-none}; echo x >$TMPDIR/x"}, "/stroem/scratch /stroem/scratch none\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, out, err := run(t, r, request(t, c.spec, nil))
			require.NoError(t, err)
			require.Equal(t, &pluginapi.Result{}, result)
			require.Equal(t, c.want, stdout(out))
		})
	}
}

func TestShellSteps(t *testing.T) {
	t.Parallel()
	r, c := newTestRunner(t, map[string]any{"runner_startup_configmap": "scripts", "runner_image": ""})
	_, err := c.core.ConfigMaps(c.namespace).Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "scripts"},
		Data:       map[string]string{"10-a.sh": "export ORDER=a", "20-b.sh": "export ORDER=${ORDER}b", "30-c.txt": "exit 1"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	workspace := serveFiles(t, map[string]string{
		"file": "content\n", "it's/here": "sub\n", "run.sh": "#!/bin/sh\necho executed $0\n", "plain": "echo read $0\n",
	})
	for name, step := range map[string]struct {
		spec     map[string]any
		writable bool
		want     string
		code     int
	}{
		"workspace":     {map[string]any{"cmd": "pwd; cat file; echo $ORDER"}, false, "/workspace\ncontent\nab\n", 0},
		"workdir":       {map[string]any{"cmd": "cat here", "workdir": "it's"}, false, "sub\n", 0},
		"executable":    {map[string]any{"script": "run.sh"}, false, "executed /workspace/run.sh\n", 0},
		"not":           {map[string]any{"script": "plain"}, false, "read /workspace/plain\n", 0},
		"no script":     {map[string]any{"script": "nope"}, false, "script nope does not exist in the workspace\n", 127},
		"read-only":     {map[string]any{"cmd": "echo x >file"}, false, "/stroem/cmd: line 1: can't create file: Read-only file system\n", 1},
		"writable":      {map[string]any{"cmd": "echo x >file; cat file"}, true, "x\n", 0},
		"input":         {map[string]any{"cmd": "cat $STROEM_INPUT"}, false, `{"a": 1}`, 0},
		"not process 1": {map[string]any{"cmd": "[ $$ != 1 ] && echo ok"}, false, "ok\n", 0},
		"another user": {map[string]any{
			"cmd": "id -u; cat file; echo x >file && cat file; touch $TMPDIR/x", "manifest": map[string]any{"spec": map[string]any{
				"containers": []any{map[string]any{"name": "step", "securityContext": map[string]any{"runAsUser": 1000}}},
			}},
		}, true, "1000\ncontent\nx\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := request(t, step.spec, &workspace)
			req.Workspace.Writable = step.writable
			if name == "input" {
				require.NoError(t, os.WriteFile(filepath.Join(req.ScratchDir, "input.json"), []byte(`{"a": 1}`), 0o600))
			}
			result, out, err := run(t, r, req)
			require.NoError(t, err)
			require.Equal(t, step.want, stdout(out))
			require.Equal(t, step.code, result.ExitCode, result.Message)
			if step.code != 0 {
				require.Equal(t, strings.TrimSpace(step.want), result.Message)
			}
		})
	}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	r, _ := newTestRunner(t, nil)
	for name, c := range map[string]struct{ cmd, want string }{
		"no newline": {"printf 'a\\nb'", "a\nb"},
		"empty":      {":", ""},
		"both":       {"echo a; sleep 0.1; echo b >&2; sleep 0.1; echo c", "a\nb\nc\n"},
		"long line":  {"head -c 300000 /dev/zero | tr '\\0' x; echo; echo end", strings.Repeat("x", 300000) + "\nend\n"},
		"binary":     {"printf '\\000\\001\\377\\376\\r.\\n\\n'", "\x00\x01\xff\xfe\r.\n\n"},
		"10 MB":      {"n=0; while [ $n -lt 160 ]; do head -c 65535 /dev/zero | tr '\\0' y; echo; n=$((n+1)); done", strings.Repeat(strings.Repeat("y", 65535)+"\n", 160)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, out, err := run(t, r, request(t, map[string]any{"cmd": c.cmd}, nil))
			require.NoError(t, err)
			require.Zero(t, result.ExitCode)
			if got := stdout(out); got != c.want {
				require.Failf(t, "other output", "%d bytes instead of %d: %.100q", len(got), len(c.want), got)
			}
		})
	}
}
