//go:build unix

package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// fixture is a configured runner behind a connection, and a request to it.
type fixture struct {
	runner *hostapi.Runner
	req    *pluginapi.RunRequest
	out    *plugintest.Recorder
}

func setup(t *testing.T, s spec, files map[string]string) *fixture {
	t.Helper()
	r := hostapi.NewRunner(plugintest.InProcess(newTestRunner)(t), "runner(shell)")
	require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{}))
	data, err := json.Marshal(map[string]string{"cmd": s.Cmd, "script": s.Script, "workdir": s.Workdir})
	require.NoError(t, err)
	return &fixture{runner: r, out: plugintest.NewRecorder(), req: &pluginapi.RunRequest{
		RunID: "run", Type: "shell", Runner: "local", Spec: data, Env: map[string]string{"GREETING": "hello"},
		Workspace: pluginapi.Workspace{Dir: workspace(t, files)}, ScratchDir: t.TempDir(), StopGrace: 5 * time.Second,
	}}
}

func (f *fixture) run(t *testing.T) *pluginapi.Result {
	t.Helper()
	result, err := f.runner.Run(t.Context(), f.req, f.out)
	require.NoError(t, err)
	return result
}

func TestRun(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"here.txt": "a file", "sub/inner.txt": "another",
		"bin/tool": "#!/bin/cat\nexecuted\n", "plain.sh": "echo from $0\n", "noshebang.sh": "echo unused",
	}
	for name, test := range map[string]struct {
		spec           spec
		stdout, stderr string
		code           int
		signal         string
	}{
		"cmd":                  {spec: spec{Cmd: "echo out; echo err >&2"}, stdout: "out\n", stderr: "err\n"},
		"exit code":            {spec: spec{Cmd: "exit 42"}, code: 42},
		"last command decides": {spec: spec{Cmd: "true; false"}, code: 1},
		"signal":               {spec: spec{Cmd: "kill -TERM $$"}, code: -1, signal: "SIGTERM"},
		"several lines":        {spec: spec{Cmd: "for i in 1 2; do\n  echo $i\ndone\n"}, stdout: "1\n2\n"},
		"comment first":        {spec: spec{Cmd: "#!/bin/sh\n# comment\necho x"}, stdout: "x\n"},
		"here document":        {spec: spec{Cmd: "cat <<EOF\n$GREETING\nEOF"}, stdout: "hello\n"},
		"no arguments":         {spec: spec{Cmd: "echo $#"}, stdout: "0\n"},
		"workspace is cwd":     {spec: spec{Cmd: "cat here.txt"}, stdout: "a file"},
		"workdir":              {spec: spec{Cmd: "cat inner.txt", Workdir: "sub"}, stdout: "another"},
		"stdin is empty":       {spec: spec{Cmd: "cat; echo end"}, stdout: "end\n"},
		"environment":          {spec: spec{Cmd: `echo "$GREETING ${STROEM_PLUGIN-none} ${PLUGIN_CLIENT_CERT-none}"`}, stdout: "hello none none\n"},
		"scratch":              {spec: spec{Cmd: `[ "$TMPDIR" = "$STROEM_SCRATCH" ] && cd "$TMPDIR" && stat -c %a cmd`}, stdout: "600\n"},
		"own group":            {spec: spec{Cmd: `[ "$(ps -o pgid= -p $$ | tr -d ' ')" = $$ ] && echo leader`}, stdout: "leader\n"},
		"no spare descriptors": {spec: spec{Cmd: "for fd in 3 4 5 6 7 8 9; do (: >&$fd) 2>/dev/null && echo open; done; true"}},
		"script executed":      {spec: spec{Script: "bin/tool"}, stdout: "#!/bin/cat\nexecuted\n"},
		"script read by sh":    {spec: spec{Script: "plain.sh"}, stdout: "from WORKSPACE/plain.sh\n"},
		"cmd before script":    {spec: spec{Cmd: "echo cmd", Script: "plain.sh"}, stdout: "cmd\n"},
		"script with dots":     {spec: spec{Script: "./sub/../bin/tool"}, stdout: "#!/bin/cat\nexecuted\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, test.spec, files)
			result := f.run(t)
			require.Equal(t, &pluginapi.Result{ExitCode: test.code, Signal: test.signal}, result)
			stdout, stderr, _ := f.out.Text()
			require.Equal(t, strings.ReplaceAll(test.stdout, "WORKSPACE", f.req.Workspace.Dir), stdout)
			require.Equal(t, test.stderr, stderr)
		})
	}
}

func TestRunFromShebangWithoutExecuteBit(t *testing.T) {
	t.Parallel()
	f := setup(t, spec{Script: "run.sh"}, map[string]string{"run.sh": "#!/bin/nothing\necho ran"})
	require.NoError(t, os.Chmod(filepath.Join(f.req.Workspace.Dir, "run.sh"), 0o600))
	require.Equal(t, 0, f.run(t).ExitCode)
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spec spec
		want string
	}{
		"nothing":          {spec{}, "runner(shell): neither cmd nor script is set"},
		"missing script":   {spec{Script: "no.sh"}, `script "no.sh" does not exist in the workspace`},
		"script outside":   {spec{Script: "../x.sh"}, `script "../x.sh" has to be a path inside the workspace`},
		"absolute script":  {spec{Script: "/bin/true"}, `script "/bin/true" has to be a path inside the workspace`},
		"link outside":     {spec{Script: "link"}, `script "link" has to be a path inside the workspace`},
		"script directory": {spec{Script: "dir"}, `script "dir" is not a file`},
		"workdir outside":  {spec{Cmd: "true", Workdir: ".."}, `workdir ".." has to be a path inside the workspace`},
		"workdir file":     {spec{Cmd: "true", Workdir: "dir/file"}, `workdir "dir/file" is not a directory`},
		"missing workdir":  {spec{Cmd: "true", Workdir: "gone"}, `workdir "gone" does not exist in the workspace`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, test.spec, map[string]string{"dir/file": ""})
			require.NoError(t, os.Symlink("/bin/true", filepath.Join(f.req.Workspace.Dir, "link")))
			_, err := f.runner.Run(t.Context(), f.req, f.out)
			require.ErrorContains(t, err, test.want)
			require.Equal(t, pluginapi.CodeInvalid, pluginapi.CodeOf(err))
		})
	}
}

func TestInterleavingAndLiveOutput(t *testing.T) {
	t.Parallel()
	f := setup(t, spec{Cmd: `for i in 1 2 3; do echo out $i; sleep 0.1; echo err $i >&2; sleep 0.1; done; read -r x <"$GATE"`}, nil)
	gate := filepath.Join(f.req.ScratchDir, "gate")
	require.NoError(t, syscall.Mkfifo(gate, 0o600))
	f.req.Env["GATE"] = gate
	done := make(chan error, 1)
	go func() {
		_, err := f.runner.Run(t.Context(), f.req, f.out)
		done <- err
	}()
	require.Eventually(t, func() bool {
		_, _, both := f.out.Text()
		return both == "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n"
	}, 10*time.Second, 10*time.Millisecond, "the output has to come while the step runs, in order of arrival")
	require.NoError(t, os.WriteFile(gate, []byte("go\n"), 0o600))
	require.NoError(t, <-done)
}

func TestWhatAStepLeavesBehind(t *testing.T) {
	t.Parallel()
	for name, cmd := range map[string]string{
		"holds the pipes": `exec 9>"$HELD"; sleep 120 & echo done`,
		"is quiet":        `exec 9>"$HELD"; sleep 120 >/dev/null 2>&1 & echo done`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, spec{Cmd: cmd}, nil)
			path, pipe := namedPipe(t, f.req.ScratchDir)
			f.req.Env["HELD"] = path
			require.Equal(t, 0, f.run(t).ExitCode)
			requireAllGone(t, pipe)
			stdout, _, _ := f.out.Text()
			require.Equal(t, "done\n", stdout)
		})
	}
}

func TestProcessThatLeftItsGroupCannotHoldUpTheStep(t *testing.T) {
	t.Parallel()
	f := setup(t, spec{Cmd: `"$DAEMON" & while [ ! -s "$PIDFILE" ]; do sleep 0.01; done; echo done`}, nil)
	pidFile := filepath.Join(f.req.ScratchDir, "pid")
	f.req.Env["DAEMON"], f.req.Env[actAsDaemon] = os.Args[0], "1"
	f.req.Env["PIDFILE"] = pidFile
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	result, err := f.runner.Run(ctx, f.req, f.out)
	require.NoError(t, err)
	require.Equal(t, 0, result.ExitCode)
	pid := decodePID(t, pidFile)
	require.NoError(t, syscall.Kill(-pid, syscall.SIGKILL))
}

// actAsDaemon is the variable that makes the test's program a process that leaves its group, as daemons do.
const actAsDaemon = "STROEM_TEST_DAEMON"

func daemonMain() {
	if _, err := syscall.Setsid(); err != nil {
		panic(err)
	}
	if err := os.WriteFile(os.Getenv("PIDFILE"), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		panic(err)
	}
	<-time.After(2 * time.Minute) // unless it is killed
}

func decodePID(t *testing.T, path string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var pid int
	require.NoError(t, json.Unmarshal(text, &pid))
	return pid
}

// slowOutput takes its time over the first write, longer than the runner waits for stragglers.
type slowOutput struct {
	*plugintest.Recorder
	gate <-chan time.Time
}

func (o slowOutput) Stdout() io.Writer { return o }

func (o slowOutput) Write(p []byte) (int, error) {
	<-o.gate
	return o.Recorder.Stdout().Write(p)
}

func TestSlowHostLosesNothing(t *testing.T) {
	t.Parallel()
	f := setup(t, spec{Cmd: "seq 1 400000"}, nil)
	opened := make(chan time.Time)
	time.AfterFunc(3*drainDelay, func() { close(opened) })
	result, err := f.runner.Run(t.Context(), f.req, slowOutput{f.out, opened})
	require.NoError(t, err)
	require.Equal(t, 0, result.ExitCode)
	stdout, _, _ := f.out.Text()
	require.True(t, strings.HasSuffix(stdout, "\n399999\n400000\n"))
	require.Equal(t, 400_000, strings.Count(stdout, "\n"))
}

// TestStopLeavesTimeToAll: the shell ends at once when told to, its child takes some time for it.
func TestStopLeavesTimeToAll(t *testing.T) {
	t.Parallel()
	f := setup(t, spec{Cmd: `sh -c 'trap "sleep 0.3; echo tidied up; exit" TERM; echo ready; while :; do sleep 0.05; done'; :`}, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-f.out.HasOutput()
		cancel(pluginapi.ErrStopped)
	}()
	result, err := f.runner.Run(ctx, f.req, f.out)
	require.NoError(t, err)
	require.NotEqual(t, 0, result.ExitCode)
	stdout, _, _ := f.out.Text()
	require.Equal(t, "ready\ntidied up\n", stdout)
}

func TestRemoveKillsALostRun(t *testing.T) {
	t.Parallel()
	f := setup(t, spec{Cmd: "true"}, nil)
	lost := exec.CommandContext(t.Context(), "sleep", "120")
	lost.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, lost.Start())
	group := lost.Process.Pid
	remove := func(s state) error {
		data, err := json.Marshal(s)
		require.NoError(t, err)
		return f.runner.Remove(t.Context(), &pluginapi.RemoveRequest{RunID: "lost", State: data})
	}
	require.NoError(t, remove(state{Group: group, Started: "another time"}))
	require.NoError(t, syscall.Kill(-group, 0), "a group that only has the number was killed")
	require.NoError(t, remove(state{Group: group, Started: startTime(group)}))
	require.Error(t, lost.Wait())
	require.NoError(t, remove(state{Group: group, Started: "gone"}))
	require.Equal(t, pluginapi.CodeInvalid, pluginapi.CodeOf(remove(state{Group: 1, Started: "init"})))
}

func TestWatchdogThatWasKilledIsReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, pipe := namedPipe(t, dir)
	log := pluginapi.NewLogger()
	dog, err := startWatchdog("/bin/sh", log)
	require.NoError(t, err)
	step := exec.CommandContext(t.Context(), "sh", "-c", register+holdOpen)
	step.Env = []string{"HELD=" + path, "PATH=" + os.Getenv("PATH")}
	step.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := step.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, dog.start(step))
	_, err = stdout.Read(make([]byte, 16))
	require.NoError(t, err)

	dog.mu.Lock()
	first := dog.cmd.Process
	dog.mu.Unlock()
	require.NoError(t, first.Kill())
	require.Eventually(t, func() bool {
		dog.mu.Lock()
		defer dog.mu.Unlock()
		return dog.cmd.Process.Pid != first.Pid
	}, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, dog.close()) // as at the death of the plugin, the pipe ends
	requireAllGone(t, pipe)
	require.Error(t, step.Wait())
}

func TestValidateWarnsOfWhatHasNoEffect(t *testing.T) {
	t.Parallel()
	problems, err := validate(json.RawMessage(`{"cmd": "x", "script": "y", "image": "z", "workdir": "w"}`))
	require.NoError(t, err)
	require.NoError(t, problems.Err())
	require.Len(t, problems, 2)
	require.Equal(t, "/script", problems[0].Path)
	require.Equal(t, "/image", problems[1].Path)
}

func TestInheritedEnvironment(t *testing.T) {
	t.Setenv("STROEM_TEST_SECRET", "s3cret")
	t.Setenv("STROEM_TEST_PASSED", "yes")
	t.Setenv("LC_TIME", "C")
	cfg, err := parseConfig(json.RawMessage(`{"pass_env": ["STROEM_TEST_PASSED"]}`))
	require.NoError(t, err)
	env := cfg.inherited()
	require.Contains(t, env, "STROEM_TEST_PASSED=yes")
	require.Contains(t, env, "LC_TIME=C")
	require.NotContains(t, strings.Join(env, "\n"), "s3cret")
}
