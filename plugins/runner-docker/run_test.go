package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
)

func exit(code int) pluginapi.Result { return pluginapi.Result{ExitCode: code} }

func signal(name string) pluginapi.Result { return pluginapi.Result{ExitCode: -1, Signal: name} }

func TestShell(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"here.txt": "a file", "sub/inner.txt": "another", "sub/it's": "quoted",
		"bin/tool": "#!/bin/cat\nexecuted\n", "plain.sh": "echo from $0\n",
	}
	for name, test := range map[string]struct {
		spec doc
		want outcome
	}{
		"cmd":                  {doc{"cmd": "echo out; echo err >&2"}, outcome{stdout: "out\n", stderr: "err\n"}},
		"exit code":            {doc{"cmd": "exit 3"}, outcome{result: exit(3)}},
		"last command decides": {doc{"cmd": "true; false"}, outcome{result: exit(1)}},
		"signal":               {doc{"cmd": "kill -TERM $$"}, outcome{result: signal("SIGTERM")}},
		"kill":                 {doc{"cmd": "kill -KILL $$"}, outcome{result: signal("SIGKILL")}},
		"several lines":        {doc{"cmd": "for i in 1 2; do\n  echo $i\ndone\n"}, outcome{stdout: "1\n2\n"}},
		"here document":        {doc{"cmd": "cat <<EOF\n$GREETING\nEOF"}, outcome{stdout: "hello\n"}},
		"no arguments":         {doc{"cmd": "echo $#"}, outcome{stdout: "0\n"}},
		"workspace is cwd":     {doc{"cmd": "pwd; cat here.txt"}, outcome{stdout: "/workspace\na file"}},
		"workdir":              {doc{"cmd": `cat inner.txt it\'s`, "workdir": "sub"}, outcome{stdout: "anotherquoted"}},
		"stdin is empty":       {doc{"cmd": "cat; echo end"}, outcome{stdout: "end\n"}},
		"environment":          {doc{"cmd": `echo "$GREETING ${PLUGIN_CLIENT_CERT-none} ${DOCKER_HOST-none}"`}, outcome{stdout: "hello none none\n"}},
		"script executed":      {doc{"script": "bin/tool"}, outcome{stdout: "#!/bin/cat\nexecuted\n"}},
		"script read by sh":    {doc{"script": "plain.sh"}, outcome{stdout: "from /workspace/plain.sh\n"}},
		"cmd wins":             {doc{"cmd": "echo cmd", "script": "plain.sh"}, outcome{stdout: "cmd\n"}},
		"no command":           {doc{"cmd": "nosuch"}, outcome{result: exit(127)}},
		"unwritable workspace": {doc{"cmd": "touch x 2>/dev/null || echo refused"}, outcome{stdout: "refused\n"}},
		"background":           {doc{"cmd": "sleep 120 & echo done"}, outcome{stdout: "done\n"}},
		"scratch": {
			doc{"cmd": `[ "$TMPDIR" = "$STROEM_SCRATCH" ] && cd "$TMPDIR" && pwd && stat -c %a . && touch x`},
			outcome{stdout: "/stroem/scratch\n1777\n"},
		},
		"memory": {
			doc{"cmd": "tail /dev/zero 2>/dev/null; exit $?", "resources": doc{"memory": "16Mi", "cpu": "500m"}},
			outcome{result: pluginapi.Result{ExitCode: -1, Signal: "SIGKILL", OOMKilled: true}, message: "limit of 16 MiB"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			setup(t, typeShell, test.spec, nil).files(t, files).want(t, test.want)
		})
	}
}

// TestShellIgnoresTheImage: whatever an image is made to run, a shell step runs its own command.
func TestShellIgnoresTheImage(t *testing.T) {
	t.Parallel()
	image := testImage(t, `ENTRYPOINT ["sh", "-c"]`, `CMD ["echo the image"]`, "WORKDIR /elsewhere", "USER nobody")
	f := setup(t, typeShell, doc{"cmd": "pwd; id -u; touch $TMPDIR/x && cat /stroem/cmd", "image": image}, nil)
	f.want(t, outcome{stdout: "/workspace\n65534\npwd; id -u; touch $TMPDIR/x && cat /stroem/cmd"})
}

func TestDockerCommands(t *testing.T) {
	t.Parallel()
	plain, bare := testImage(t, `ENTRYPOINT ["echo", "entrypoint"]`, `CMD ["default"]`), testImage(t)
	type list = []string
	for name, test := range map[string]struct {
		image string
		spec  doc
		want  outcome
	}{
		"nothing":                    {plain, doc{}, outcome{stdout: "entrypoint default\n"}},
		"command":                    {plain, doc{"command": list{"a", "b c"}}, outcome{stdout: "entrypoint a b c\n"}},
		"entrypoint":                 {plain, doc{"entrypoint": list{"echo", "other"}}, outcome{stdout: "other\n"}},
		"entrypoint and command":     {plain, doc{"entrypoint": list{"echo", "other"}, "command": list{"x"}}, outcome{stdout: "other x\n"}},
		"cmd":                        {plain, doc{"cmd": "echo from $0 $#"}, outcome{stdout: "from /stroem/cmd 0\n"}},
		"cmd without entrypoint":     {bare, doc{"cmd": "exit 3"}, outcome{result: exit(3)}},
		"entrypoint and cmd":         {plain, doc{"entrypoint": list{"sh", "-c"}, "cmd": "echo $0; exit 4"}, outcome{stdout: "sh\n", result: exit(4)}},
		"command wins":               {plain, doc{"command": list{"x"}, "cmd": "echo cmd"}, outcome{stdout: "entrypoint x\n"}},
		"all three":                  {plain, doc{"entrypoint": list{"echo"}, "command": list{"x"}, "cmd": "echo cmd"}, outcome{stdout: "x\n"}},
		"command without entrypoint": {bare, doc{"command": list{"echo", "x"}}, outcome{stdout: "x\n"}},
		"workdir":                    {bare, doc{"command": list{"pwd"}, "workdir": "/some/where"}, outcome{stdout: "/some/where\n"}},
		"no workspace":               {bare, doc{"command": list{"ls", "/stroem"}}, outcome{stdout: "scratch\n"}},
		"signal":                     {bare, doc{"command": list{"sh", "-c", "kill -SEGV $$"}}, outcome{result: signal("SIGSEGV")}},
		"bad command": {
			bare,
			doc{"command": list{"nosuch", "x"}},
			outcome{result: exit(127), message: "the command does not exist in the image: nosuch"},
		},
		"not executable": {
			bare,
			doc{"command": list{"/etc/passwd"}},
			outcome{result: exit(126), message: "the command may not be executed: /etc/passwd"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.spec["image"] = test.image
			setup(t, typeDocker, test.spec, nil).want(t, test.want)
		})
	}
}

// TestWithoutInit: then the engine itself finds out that there is no such command, when the container is to start.
func TestWithoutInit(t *testing.T) {
	t.Parallel()
	without := doc{"init": false}
	setup(t, typeDocker, doc{"command": []string{"nosuch"}}, without).want(t,
		outcome{result: exit(127), message: "the command does not exist in the image"})
	setup(t, typeDocker, doc{"command": []string{"/etc/passwd"}}, without).want(t,
		outcome{result: exit(126), message: "the command may not be executed"})
	setup(t, typeShell, doc{"cmd": "echo works; exit 5"}, without).want(t, outcome{stdout: "works\n", result: exit(5)})
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	f := setup(t, typeDocker, doc{"cmd": `printf '%s|%s|%s|' "$LINES_" "$UNICODE" "$EMPTY"; cat "$STROEM_INPUT"`}, nil)
	f.req.Env = map[string]string{
		"LINES_": "one\ntwo = 'three'\n", "UNICODE": "Strøm 日本", "EMPTY": "", "STROEM_INPUT": "/of/the/worker", "TMPDIR": "/of/the/worker",
	}
	require.NoError(t, os.WriteFile(inputFile(f.req), []byte(`{"x": 1}`), 0o600))
	f.want(t, outcome{stdout: "one\ntwo = 'three'\n|Strøm 日本||{\"x\": 1}"})

	for variable, value := range map[string]string{"A=B": "x", "": "x", "NUL": "a\x00b"} {
		f := setup(t, typeDocker, doc{"cmd": "true"}, nil)
		f.req.Env = map[string]string{variable: value}
		_, err := f.runner.Run(t.Context(), f.req, f.out)
		require.Equal(t, pluginapi.CodeInvalid, pluginapi.CodeOf(err), "%v", err)
	}
}

func TestStartupScripts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	write("20-second.sh", `export ORDER="$ORDER second"; cd /tmp`)
	write("10-first.sh", `export ORDER="first"`)
	write("readme", "exit 9")
	startup := doc{"startup_dir": dir}
	setup(t, typeShell, doc{"cmd": "echo $ORDER; pwd"}, startup).want(t, outcome{stdout: "first second\n/workspace\n"})
	setup(t, typeDocker, doc{"cmd": "echo $ORDER"}, startup).want(t, outcome{stdout: "\n"})

	write("15-fails.sh", "echo trouble >&2\nfalse\necho unreachable")
	setup(t, typeShell, doc{"cmd": "echo unreachable"}, startup).want(t, outcome{stderr: "trouble\n", result: exit(1)})
	setup(t, typeShell, doc{"cmd": "echo fine"}, doc{"startup_dir": dir + "/none"}).want(t, outcome{stdout: "fine\n"})
}

func TestSettingsOfTheOperator(t *testing.T) {
	t.Parallel()
	shared := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(shared, "file"), []byte("shared\n"), 0o644))
	settings := doc{
		"user": "65534:65534", "networks": []string{"none"}, "runner_image": testImage(t),
		"mounts": []doc{{"source": shared, "target": "/mnt/shared"}, {"source": shared, "target": "/mnt/rw", "read_only": false}},
	}
	setup(t, typeShell, doc{
		"image": "no/such:image",
		"cmd":   "id -u; id -g; cat /mnt/shared/file; touch /mnt/shared/x 2>&1 | grep -c Read-only; ls /sys/class/net",
	}, settings).want(t, outcome{stdout: "65534\n65534\nshared\n1\nlo\n"})
}
