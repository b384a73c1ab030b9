package images_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The image on a base without packages: what the wrapper does is not up to these.
func TestRunnerImage(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	base := e.busyboxBase(t)
	image, output, code := e.build(t, "--target=base", "--build-arg=BASE="+base, "--build-arg=VERSION=1.2.3", "--build-arg=REVISION=abc")
	require.Zero(t, code, output)

	t.Run("commands", func(t *testing.T) { testCommands(t, e, image) })
	t.Run("scripts", func(t *testing.T) { testScripts(t, e, image) })
	t.Run("signals", func(t *testing.T) { testSignals(t, e, image) })
	t.Run("labels", func(t *testing.T) {
		t.Parallel()
		var labels map[string]string
		require.NoError(t, json.Unmarshal([]byte(e.do(t, "inspect", "-f", "{{json .Config.Labels}}", image)), &labels))
		require.Equal(t, "1.2.3", labels["org.opencontainers.image.version"])
		require.Equal(t, "abc", labels["org.opencontainers.image.revision"])
		require.Equal(t, "stroem-runner", labels["org.opencontainers.image.title"])
	})
	t.Run("user", func(t *testing.T) {
		t.Parallel()
		image, output, code := e.build(t, "--target=base", "--build-arg=BASE="+base, "--build-arg=USER=65534")
		require.Zero(t, code, output)
		require.Equal(t, "65534\nwritten\n", e.do(t, "run", "--rm", image, "id -u; echo written >file && cat file"))
	})
}

func testCommands(t *testing.T, e engine, image string) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		want string
		code int
	}{
		"none":               {nil, "The Strøm runner is ready.\n", 0},
		"text":               {[]string{"echo hi; echo $((1 + 1))"}, "hi\n2\n", 0},
		"program":            {[]string{"sh", "-c", "echo hi"}, "hi\n", 0},
		"program and code":   {[]string{"sh", "-c", "echo hi; exit 3"}, "hi\n", 3},
		"text and code":      {[]string{"exit 4"}, "", 4},
		"name":               {[]string{"pwd"}, "/workspace\n", 0},
		"blanks and quotes":  {[]string{"printf", "%s|", "a  b", `"c"`, "d'e", "$HOME", "*", "", "f\ng"}, `a  b|"c"|d'e|$HOME|*||` + "f\ng|", 0},
		"first process":      {[]string{"cat", "/proc/1/comm"}, "cat\n", 0},
		"text first process": {[]string{"cat /proc/1/comm"}, "cat\n", 0},
		"program missing":    {[]string{"no-such-program", "x"}, "", 127},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := e.docker(t, append([]string{"run", "--rm", image}, test.args...)...)
			require.Equal(t, test.code, code, stderr)
			require.Equal(t, test.want, stdout)
		})
	}
}

func testScripts(t *testing.T, e engine, image string) {
	t.Parallel()
	for name, test := range map[string]struct {
		scripts map[string]string
		want    string
		code    int
	}{
		"order": {map[string]string{
			"20-second.sh": "echo second; export B=$A-b", "10-first.sh": "echo first; export A=a", "30-third.sh": "echo third",
			"05-other.txt": "echo not a script",
		}, "first\nsecond\nthird\ncommand a-b x  y\n", 0},
		"no script":          {nil, "command  x  y\n", 0},
		"directory":          {map[string]string{"10.sh": "cd /tmp; pwd"}, "/tmp\ncommand  x  y\n", 0},
		"own parameters":     {map[string]string{"10.sh": "echo $#; set -- 1 2 3; echo $3"}, "0\n3\ncommand  x  y\n", 0},
		"failing command":    {map[string]string{"10.sh": "echo before; sh -c 'exit 5'; echo after", "20.sh": "echo next"}, "before\n", 5},
		"exit":               {map[string]string{"10.sh": "exit 6"}, "", 6},
		"failure of no harm": {map[string]string{"10.sh": "false || true"}, "command  x  y\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.Chmod(dir, 0o755))
			for script, text := range test.scripts {
				require.NoError(t, os.WriteFile(filepath.Join(dir, script), []byte(text+"\n"), 0o644))
			}
			stdout, stderr, code := e.docker(t, "run", "--rm", "-v", dir+":/etc/stroem/startup.d:ro", image,
				"sh", "-c", `echo command "$B" "$0"`, "x  y")
			require.Equal(t, test.code, code, stderr)
			require.Equal(t, test.want, stdout)
		})
	}
}

func testSignals(t *testing.T, e engine, image string) {
	t.Parallel()
	const script = `trap "exit 7" TERM; echo up; while true; do sleep 0.05; done`
	for name, args := range map[string][]string{"text": {script}, "program": {"sh", "-c", script}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := strings.TrimSpace(e.do(t, append([]string{"run", "-d", image}, args...)...))
			t.Cleanup(func() { _ = exec.Command("docker", "-H", e.host, "rm", "-f", id).Run() }) //nolint:noctx // the test's has ended
			e.do(t, "exec", id, "sh", "-c", "until grep -q sleep /proc/[0-9]*/comm; do :; done")
			e.do(t, "stop", "-t", "60", id)
			require.Equal(t, "7\n", e.do(t, "wait", id))
		})
	}
}

// All that is in the image as it is released, but that what is downloaded comes from a server of the test's.
func TestRunnerImageTools(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	base := "--build-arg=BASE=" + e.busyboxBase(t)
	testTools(t, e, base)
	// A release that is not what its publisher says, whichever tool it is.
	for _, tool := range []string{"sops", "vals", "yq", "uv", "bun"} {
		_, output, code := e.build(t, base, "--target=tools", "--build-arg=RELEASES="+serveReleases(t, tool))
		require.NotZero(t, code, output)
		require.Contains(t, output, "FAILED", "the checksum of %s", tool)
	}
	_, output, code := e.build(t, base, "--target=tools", "--build-arg=RELEASES="+serveReleases(t, ""), "--build-arg=YQ_VERSION=9")
	require.NotZero(t, code, output)
}

func testTools(t *testing.T, e engine, base string) (image string) {
	t.Helper()
	image, output, code := e.build(t, base, "--build-arg=RELEASES="+serveReleases(t, ""))
	require.Zero(t, code, output)
	require.Equal(t, "sops v3.11.0\nvals v0.43.3\nyq v4.52.4\nuv 0.10.4\nuvx 0.10.4\nbun bun-v1.3.9\n",
		e.do(t, "run", "--rm", image, "sops && vals && yq && uv && uvx && bun"))
	return image
}
