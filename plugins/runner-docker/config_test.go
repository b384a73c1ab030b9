package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
)

// TestSchemas: the server has the schemas too, to check workflows before any worker is there.
func TestSchemas(t *testing.T) {
	t.Parallel()
	for file, schema := range map[string][]byte{"docker.json": dockerSchema, "shell-docker.json": shellSchema} {
		want, err := os.ReadFile(filepath.Join("..", "..", "core", "workflow", "schema", file))
		require.NoError(t, err)
		require.Equal(t, string(want), string(schema), "%s and that of core/workflow are to be the same", file)
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]string{
		`{"pull_polcy": "never"}`:                                       `unknown field "pull_polcy"`,
		`{"pull_policy": "never "}`:                                     "/pull_policy: pull_policy has to be",
		`{"workspace": "nfs"}`:                                          "/workspace: workspace has to be",
		`{"tls": {"cert_file": "/x"}}`:                                  "tls.cert_file and tls.key_file go together",
		`{"host": "tcp://127.0.0.1:1", "tls": {"ca_file": "/no/such"}}`: "(host, tls)",
		`{"host": "ssh://me@there"}`:                                    "ssh is not supported",
		`{"host": "nonsense"}`:                                          "(host, tls)",
		`{"registries": {"https://ghcr.io": {"username": "a", "password": "b"}}}`:                      "has to be the registry's host",
		`{"registries": {"ghcr.io": {"username": "a"}}}`:                                               "/registries/ghcr.io: either password or password_file",
		`{"registries": {"ghcr.io": {"password": "b"}}}`:                                               "username is missing",
		`{"mounts": [{"source": "/x", "target": "/x"}, {"source": "/x", "target": "/workspace/sub"}]}`: "/mounts/1: target /workspace/sub is a place",
		`{"mounts": [{"source": "/x", "target": "/etc"}]}`:                                             "/mounts/0: target /etc is a place",
		`{"mounts": [{"source": "/x", "target": "relative"}]}`:                                         "/mounts/0: target has to be an absolute path",
		`{"mounts": [{"source": "./x", "target": "/x"}]}`:                                              "/mounts/0: source ./x has to be an absolute path",
		`{"runner_image": "Not An Image"}`:                                                             "runner_image is no reference",
	} {
		err := newTestRunner().Configure(t.Context(), &pluginapi.Config{Settings: json.RawMessage(settings)})
		require.ErrorContains(t, err, want)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	engine(t)
	for host, want := range map[string]string{
		"unix:///no/such.sock": "the Docker engine at unix:///no/such.sock does not answer",
		"tcp://127.0.0.1:1":    "the Docker engine at tcp://127.0.0.1:1 does not answer",
	} {
		r := newTestRunner()
		require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{Settings: settings(t, doc{"host": host})}))
		begin := time.Now()
		h, err := r.CheckHealth(t.Context())
		require.NoError(t, err)
		require.Less(t, time.Since(begin), 3*time.Second)
		require.Equal(t, pluginapi.Unavailable, h.State)
		require.Contains(t, h.Message, want)
		require.Contains(t, h.Message, "set host in the plugin's config")

		err = r.Remove(t.Context(), &pluginapi.RemoveRequest{RunID: "x"})
		require.Equal(t, pluginapi.CodeUnavailable, pluginapi.CodeOf(err), "%v", err)
		require.NoError(t, r.Close())
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	r := newTestRunner()
	r.cfg = &config{RunnerImage: "runner:1"}
	for spec, want := range map[string]string{
		`{"cmd": "x", "script": "y"}`:                   "/script: script has no effect beside cmd",
		`{"cmd": "x", "command": ["y"]}`:                "/command: command has no effect",
		`{"cmd": "x", "image": "{{ input.image }}"}`:    "/image: image has no effect",
		`{"cmd": "x", "workdir": "a/../.."}`:            "/workdir: workdir has to be a path inside",
		`{"cmd": "x", "resources": {"cpu": "1 core"}}`:  `/resources: resources.cpu "1 core"`,
		`{"cmd": "x", "resources": {"cpu": "9m"}}`:      `/resources: resources.cpu "9m" is less than`,
		`{"cmd": "x", "resources": {"memory": "1Mi"}}`:  "/resources: resources.memory \"1Mi\" is less than",
		`{"cmd": "x", "resources": {"cpu": "{{ x }}"}}`: "",
	} {
		problems, err := r.Validate(t.Context(), &pluginapi.ValidateRequest{Type: typeShell, Runner: "docker", Spec: json.RawMessage(spec)})
		require.NoError(t, err)
		require.Equal(t, want != "", len(problems) > 0, "%s: %v", spec, problems)
		require.Contains(t, problems.Error(), want)
	}
	problems, err := r.Validate(t.Context(), &pluginapi.ValidateRequest{Type: typeDocker, Spec: json.RawMessage(`{"image": "x", "cmd": "a", "command": ["b"]}`)})
	require.NoError(t, err)
	require.NoError(t, problems.Err(), "a warning")
	require.Equal(t, "/cmd", problems[0].Path)
}

func TestQuantities(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"0.5": 500_000_000, "500m": 500_000_000, "2": 2_000_000_000, "1.25": 1_250_000_000} {
		limits, err := (&resources{CPU: text}).limits()
		require.NoError(t, err)
		require.Equal(t, want, limits.NanoCPUs, text)
	}
	for text, want := range map[string]int64{"512Mi": 512 << 20, "2Gi": 2 << 30, "512M": 512_000_000, "10000000": 10_000_000, "0.5Gi": 512 << 20} {
		limits, err := (&resources{Memory: text}).limits()
		require.NoError(t, err)
		require.Equal(t, want, limits.Memory, text)
		require.Equal(t, want, limits.MemorySwap, text)
	}
	for _, text := range []string{"x", "-1", "1 Gi", "1gb", "0", "1e3", "NaN", "99999999999Ti"} {
		_, err := (&resources{Memory: text}).limits()
		require.Error(t, err, text)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	step := func(step string) map[string]string { return map[string]string{"job_id": "0B62ffee-1234", "step": step} }
	require.Regexp(t, `^stroem-0b62ffee-build-it-[0-9a-f]{12}$`, name("r", step("Build it!")))
	require.NotEqual(t, name("a", step("x")), name("b", step("x")))
	for _, labels := range []map[string]string{nil, step(""), step("---"), step("日本"), step(strings.Repeat("long ", 100)), step("../x")} {
		got := name("run", labels)
		require.Regexp(t, `^stroem(-[a-z0-9]+)+$`, strings.ReplaceAll(got, "--", "-"))
		require.LessOrEqual(t, len(got), 63)
	}
	for _, id := range []string{"", "a b", "a=b", "a,b", strings.Repeat("x", 129), "日"} {
		require.Equal(t, pluginapi.CodeInvalid, pluginapi.CodeOf(checkRunID(id)), id)
	}
}
