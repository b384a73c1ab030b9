package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
)

const runWorkspace = `
secrets:
  token: "{{ env.RUN_TOKEN }}"
actions:
  greet: {type: shell, cmd: 'echo "hello $INPUT_NAME $INPUT_TIMES"; echo "OUTPUT: {\"times\": $INPUT_TIMES}"'}
  fail: {type: shell, cmd: "echo no >&2; exit 5"}
  polite: {type: shell, cmd: "trap 'echo bye; exit 1' TERM; echo started; sleep 1000 & wait"}
  stubborn: {type: shell, cmd: "trap '' TERM; echo started; while :; do sleep 1; done"}
  endless: {type: shell, cmd: "while :; do echo more; sleep 0.01; done"}
  show: {type: shell, cmd: 'echo "$T" | rev', env: {T: "{{ secret.token }}"}}
tasks:
  greet:
    input: {name: {type: string, required: true}, times: {type: integer, required: true, description: How often}}
    flow: {say-it: {action: greet, input: {name: "{{ input.name }}", times: "{{ input.times }}"}}}
  fail: {flow: {ok: {action: show}, bad: {action: fail, depends_on: [ok]}, never: {action: show, depends_on: [bad]}}}
  polite: {flow: {s: {action: polite}}}
  stubborn: {flow: {s: {action: stubborn}}}
  endless: {flow: {s: {action: endless}}}
  show: {flow: {s: {action: show}}}
`

func TestRun(t *testing.T) {
	t.Parallel()
	dir := workspace(t, runWorkspace)["default"]
	input := filepath.Join(t.TempDir(), "input.json")
	require.NoError(t, os.WriteFile(input, []byte(`{"name": "file", "times": 2}`), 0o600))

	for name, tc := range map[string]struct {
		args           []string
		code           int
		stdout, stderr string // regular expressions
	}{
		"fields": {
			[]string{"greet", "-i", "name=you", "-f", "times=3"},
			0,
			`^say-it \| hello you 3\nsay-it \| OUTPUT: .*\n\nSteps:\nSTEP +STATUS +ACTION +DURATION\nsay-it +completed +greet +\d+m?s\n\n` +
				`Output:\n\{\n  "say-it": \{\n    "times": 3\n  \}\n\}\n\ngreet completed after \d+(\.\d+)?m?s\n$`, `^(Preparing a database …\n)?$`,
		},
		"a file":    {[]string{"greet", "--input", input}, 0, `hello file 2`, ``},
		"JSON text": {[]string{"greet", "--input", `{"name":"text","times":1}`, "-i", "times=9"}, 0, `hello text 9`, ``},
		"a step fails": {
			[]string{"fail"},
			1,
			`(?s)^ok    \| secret-password\nbad   \| no\n.*bad +failed +fail .*never +skipped +show +-\n\nbad ERROR:\n  Exit code: 5\n.*\nfail failed after `, ``,
		},
		"too long":       {[]string{"polite", "--timeout", "1s"}, 3, `(?s)s \| bye.*polite cancelled after`, `Error: the job had not ended after 1s, and was cancelled`},
		"inputs missing": {[]string{"greet"}, 1, `^$`, `Error: Invalid input: name is required; times is required \(How often\)\n$`},
		"a wrong type":   {[]string{"greet", "-i", "times=many"}, 2, `^$`, `--field times: has to be an integer`},
		"no such task":   {[]string{"gret"}, 1, `^$`, `Error: Task 'gret' not found; did you mean 'greet'\?; there are: endless, fail, greet, `},
		"no task":        {[]string{}, 2, `^$`, `Error: name a task; there are: endless, fail, greet, `},
		"two tasks":      {[]string{"a", "b"}, 2, `^$`, `Usage: stroem run`},
		"no variable":    {[]string{"show", "--env", "NOPE_NOPE"}, 2, `^$`, `--env NOPE_NOPE: there is no such variable`},
		"a value":        {[]string{"show", "--env", "RUN_TOKEN=abc"}, 2, `^$`, `give the name alone`},
		"no directory":   {[]string{"show", "--dir", input}, 2, `^$`, `is not a directory`},
		"no plugins":     {[]string{"show", "--plugins", filepath.Dir(input) + "/nope"}, 1, `^$`, `nope: no such file or directory`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t, temporary(t), dir, append([]string{"--env", "RUN_TOKEN"}, tc.args...)...).start()
			got := r.wait()
			require.Equal(t, tc.code, got.code, "%s%s", got.stdout, got.stderr)
			require.Regexp(t, tc.stdout, got.stdout)
			require.Regexp(t, tc.stderr, got.stderr)
			require.NotContains(t, got.stdout+got.stderr, "drowssap", "a secret")
			r.leavesNothing()
		})
	}

	t.Run("JSON", func(t *testing.T) {
		t.Parallel()
		r := newRun(t, temporary(t), dir, "greet", "--env", "RUN_TOKEN", "--input", "-", "-o", "json")
		r.cmd.Stdin = strings.NewReader(`{"name": "json", "times": 1}`)
		got := r.start().wait()
		require.Zero(t, got.code, got.stderr)
		var job api.JobDetail
		require.NoError(t, json.Unmarshal([]byte(got.stdout), &job), got.stdout)
		require.Equal(t, "completed", job.Status)
		require.Equal(t, map[string]any{"say-it": map[string]any{"times": 1.0}}, job.Output)
		require.Contains(t, got.stderr, "say-it | hello json 1\n")
	})

	t.Run("secrets", func(t *testing.T) {
		t.Parallel()
		got := newRun(t, temporary(t), dir, "show", "--env", "RUN_TOKEN").start().wait()
		require.Contains(t, got.stdout, "s | secret-password\n", "the variable reached the step")
		r := newRun(t, temporary(t), dir, "show").start()
		got = r.wait()
		require.Equal(t, 1, got.code)
		require.Regexp(t, `\.workflows/test\.yaml:3:10: error: the secret cannot be rendered: .*; take it from your environment with --env RUN_TOKEN\n`, got.stderr)
		require.Contains(t, got.stderr, "the workspace has 1 error: nothing was run")
		r.leavesNothing()
	})
}

func TestRunOfABadWorkspace(t *testing.T) {
	t.Parallel()
	dir := workspace(t, "actions:\n  a: {type: shel}\n  b: {type: shell, cmd: 'echo {{ input.x }}'}\ntasks: {t: {flow: {s: {action: bb}}}}\n")["default"]
	r := newRun(t, temporary(t), ".", "t", "-o", "json")
	r.cmd.Dir = dir
	got := r.start().wait()
	require.Equal(t, 1, got.code)
	require.Empty(t, got.stdout)
	require.Regexp(t, `^\.workflows/test\.yaml:2:13: error: .*\n\.workflows/test\.yaml:3:\d+: warning: .*\n\.workflows/test\.yaml:4:\d+: error: .*did you mean 'b'\?\n`+
		`Error: the workspace has 2 errors: nothing was run\n$`, got.stderr)
	r.leavesNothing()
}

// TestRunIsInterrupted sends signals one after the other, each when the one before has been noticed.
func TestRunIsInterrupted(t *testing.T) {
	t.Parallel()
	dir := workspace(t, runWorkspace)["default"]
	first, second := "Cancelling; once more kills what runs", "Killing what runs"
	for name, tc := range map[string]struct {
		task    string
		signals []syscall.Signal
		stdout  string
	}{
		"interrupted":         {"polite", []syscall.Signal{syscall.SIGINT}, "s | bye\n"},
		"terminated":          {"polite", []syscall.Signal{syscall.SIGTERM}, "s | bye\n"},
		"the terminal closed": {"polite", []syscall.Signal{syscall.SIGHUP}, "s | bye\n"},
		"twice":               {"stubborn", []syscall.Signal{syscall.SIGINT, syscall.SIGINT}, "\nstubborn "},
		"two kinds":           {"stubborn", []syscall.Signal{syscall.SIGTERM, syscall.SIGINT}, "\nstubborn "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t, temporary(t), dir, tc.task, "--env", "RUN_TOKEN").start()
			r.shows(r.out, "s | started\n")
			for i, s := range tc.signals {
				r.signal(s)
				if i+1 < len(tc.signals) {
					r.shows(r.log, []string{first, second}[i])
				}
			}
			begin := time.Now()
			got := r.wait()
			require.Equal(t, 4, got.code, "%s%s", got.stdout, got.stderr)
			require.Less(t, time.Since(begin), 9*time.Second, "a step has a grace of ten")
			require.Contains(t, got.stdout, tc.stdout)
			require.Contains(t, got.stderr, first)
			r.leavesNothing()
		})
	}
	t.Run("before the job", func(t *testing.T) {
		t.Parallel()
		r := newRun(t, temporary(t), dir, "greet", "--env", "RUN_TOKEN", "-i", "name=a", "-i", "times=1")
		r.cmd.Env = append(r.cmd.Env, "HOME="+t.TempDir()) // without what saves time
		r.start().shows(r.log, "Preparing a database")
		r.signal(syscall.SIGINT)
		got := r.wait()
		require.Equal(t, 4, got.code, "%s%s", got.stdout, got.stderr)
		require.Contains(t, got.stderr, "Error: interrupted before the job was created")
		r.leavesNothing()
	})
}

func TestRunIntoAPipeThatCloses(t *testing.T) {
	t.Parallel()
	r := newRun(t, temporary(t), workspace(t, runWorkspace)["default"], "endless", "--env", "RUN_TOKEN")
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	r.cmd.Stdout = writer
	r.start()
	require.NoError(t, writer.Close())
	line := make([]byte, len("s | more\n"))
	if _, err := io.ReadFull(reader, line); err != nil {
		r.wait() // skips without PostgreSQL
		require.NoError(t, err, r.log)
	}
	require.Equal(t, "s | more\n", string(line))
	require.NoError(t, reader.Close())
	require.Equal(t, 1, r.wait().code)
	r.leavesNothing()
}

// TestRunAfterOneThatWasKilled finds that a run whose process was killed leaves no process, and that the next run removes
// its directory but not that of a run that goes on.
func TestRunAfterOneThatWasKilled(t *testing.T) {
	t.Parallel()
	dir, tmp := workspace(t, runWorkspace)["default"], temporary(t)
	killed := newRun(t, tmp, dir, "polite", "--env", "RUN_TOKEN").start()
	killed.shows(killed.out, "s | started\n")
	other := newRun(t, tmp, dir, "polite", "--env", "RUN_TOKEN").start()
	other.shows(other.out, "s | started\n")
	directories := func() []string {
		found, err := filepath.Glob(filepath.Join(tmp, "stroem-run-*"))
		require.NoError(t, err)
		return found
	}
	both := directories()
	require.Len(t, both, 2)
	killed.kill()
	require.Len(t, directories(), 2)
	require.Zero(t, newRun(t, tmp, dir, "show", "--env", "RUN_TOKEN").start().wait().code)
	left := directories()
	require.Len(t, left, 1)
	other.signal(syscall.SIGINT)
	require.Equal(t, 4, other.wait().code)
	require.True(t, poll(t.Context(), func(context.Context) bool { return len(processesOf(t, tmp)) == 0 }), "%v", processesOf(t, tmp))
	other.leavesNothing()
}

func TestRunKeepsTheDirectoryOfAFailure(t *testing.T) {
	t.Parallel()
	dir, tmp := workspace(t, runWorkspace)["default"], temporary(t)
	require.Zero(t, newRun(t, tmp, dir, "show", "--env", "RUN_TOKEN", "--keep").start().wait().code)
	entries, err := os.ReadDir(tmp)
	require.NoError(t, err)
	require.Empty(t, entries, "nothing has failed")

	got := newRun(t, tmp, dir, "fail", "--env", "RUN_TOKEN", "--keep").start().wait()
	require.Equal(t, 1, got.code)
	kept, err := filepath.Glob(filepath.Join(tmp, "kept-stroem-run-*"))
	require.NoError(t, err)
	require.Len(t, kept, 1)
	require.Contains(t, got.stderr, "Kept: "+kept[0]+"\n")
	log, err := os.ReadFile(filepath.Join(kept[0], "stroem.log"))
	require.NoError(t, err)
	require.Contains(t, string(log), "worker registered")
	require.NoError(t, os.Chmod(kept[0], 0o711))

	// It is what `stroem dev` opens.
	listen := freeAddress(t)
	dev := newRun(t, tmp, dir)
	dev.cmd.Args = []string{"stroem", "dev", "--data-dir", kept[0], "--listen", listen, "--env", "RUN_TOKEN", dir}
	dev.start().shows(dev.out, "Strøm runs at http://"+listen)
	require.Regexp(t, `(?m) fail +default +failed `, (&system{t: t, listen: listen}).stroem("jobs").stdout)
	dev.signal(syscall.SIGINT)
	require.Zero(t, dev.wait().code)
}

// TestRunWithPlugins runs an action type of a third party's plugin.
func TestRunWithPlugins(t *testing.T) {
	t.Parallel()
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "served") }))
	t.Cleanup(served.Close)
	dir := workspace(t, fmt.Sprintf(`
actions:
  get: {type: example.http_request, url: %q}
  tagged: {type: shell, cmd: echo tagged, tags: [gpu, shell]}
tasks:
  get: {flow: {s: {action: get}}}
  tagged: {flow: {s: {action: tagged}}}
  library: {flow: {s: {action: lib/it}}}
`, served.URL))["default"]
	path := exampleGo.path(t)
	plugins := t.TempDir()
	for _, file := range []string{filepath.Join(bin, "plugins", "runner-shell"), filepath.Join(bin, "plugins", "source-folder"), path} {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(plugins, filepath.Base(file)), data, 0o755))
	}
	other := filepath.Join(t.TempDir(), "any-name")
	require.NoError(t, os.Link(filepath.Join(plugins, filepath.Base(path)), other))
	for name, args := range map[string][]string{
		"named": {"--plugin", path}, "under any name": {"--plugin", other}, "in a directory": {"--plugins-dir", plugins},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t, temporary(t), dir, append(args, "get")...).start()
			got := r.wait()
			require.Zero(t, got.code, "%s%s", got.stdout, got.stderr)
			require.Contains(t, got.stdout, `"status": 200`)
			require.NotContains(t, got.stderr, "no plugin that is known")
			r.leavesNothing()
		})
	}
	for task, want := range map[string]struct {
		code int
		text string
	}{
		"get":     {1, "Error: no plugin here runs step 's', which needs one with the tag example.http_request: "},
		"library": {1, "Error: Step 's' uses the action 'lib/it', which is not found"},
		"tagged":  {0, "s | tagged\n"}, // the one worker has the labels of all
	} {
		t.Run(task, func(t *testing.T) {
			t.Parallel()
			r := newRun(t, temporary(t), dir, task).start()
			got := r.wait()
			require.Equal(t, want.code, got.code, "%s%s", got.stdout, got.stderr)
			require.Contains(t, got.stdout+got.stderr, want.text)
			require.NotContains(t, got.stderr, "level=")
			r.leavesNothing()
		})
	}
}
