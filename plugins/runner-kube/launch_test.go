package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/stroem/stroem/pluginapi"
)

func TestSchemasAreThoseOfTheLoader(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"shell-pod.json", "pod.json"} {
		ours, err := os.ReadFile(filepath.Join("schema", name))
		require.NoError(t, err)
		theirs, err := os.ReadFile(filepath.Join("../../core/workflow/schema", name))
		require.NoError(t, err)
		require.Equal(t, string(ours), string(theirs), "%s differs from the copy with which workspaces are loaded", name)
	}
}

func TestNamesAreValidAndUnique(t *testing.T) {
	t.Parallel()
	labels := []map[string]string{
		nil,
		{"step": "Build it!"},
		{"step": "build-it-"},
		{"step": "ümläut"},
		{"job_id": "0a1b2c3d-4e5f", "step": strings.Repeat("x", 100)},
		{"job_id": "-------", "step": "---"},
	}
	for _, l := range labels {
		names := map[string]bool{}
		for _, run := range []string{"a", "a.1.1", "A", strings.Repeat("r", 128), "-"} {
			name := podName(run, l)
			require.Empty(t, validation.IsDNS1123Label(name), name)
			require.False(t, names[name], name)
			names[name] = true
			require.Empty(t, validation.IsDNS1123Label(secretName(run)))
			require.Empty(t, validation.IsValidLabelValue(runLabel(run)))
			marked, annotations := marks(run, l)
			require.Equal(t, run, annotations[labelRun])
			for key, value := range marked {
				require.Empty(t, validation.IsValidLabelValue(value), key)
			}
		}
	}
	require.Equal(t, "stroem-0a1b2c3d-build-it-"+hash("r", 10), podName("r", map[string]string{"job_id": "0a1b2c3d-4e5f", "step": "Build it!"}))
	_, annotations := marks("r", map[string]string{"task": "deploy/all"})
	require.Equal(t, "deploy/all", annotations[labelTask], "what is no label value is an annotation")
}

func TestNothingSecretIsInThePod(t *testing.T) {
	t.Parallel()
	base, _, err := shellPod(t, plainRunner(), "")
	require.NoError(t, err)
	text := base.String()
	require.NotContains(t, text, "hunter")
	require.Equal(t, int64(2), *base.Spec.TerminationGracePeriodSeconds)
	require.False(t, *base.Spec.AutomountServiceAccountToken)
	for _, m := range base.Spec.Containers[0].VolumeMounts {
		require.NotEqual(t, volumeInit, m.Name, "the token is for the init container alone")
	}
}

func TestWhatUsersWroteIsNotExpanded(t *testing.T) {
	t.Parallel()
	s := &spec{Entrypoint: []string{"sh", "-c"}, Command: []string{"echo $(HOME) $$ $HOME"}}
	var c corev1.Container
	s.launch(typePod, &c)
	require.Equal(t, []string{"echo $$(HOME) $$$$ $$HOME"}, c.Args)
}

func TestBadSpecs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`null`: "null", `{"cmd": 1}`: "object of the type's schema", `{}`: "neither cmd nor script",
		`{"script": "../x"}`: "inside the workspace", `{"cmd": ":", "workdir": "/etc"}`: "inside the workspace",
	} {
		_, err := parseSpec(typeShell, []byte(text))
		require.Equal(t, pluginapi.CodeInvalid, pluginapi.CodeOf(err))
		require.ErrorContains(t, err, want)
	}
	_, err := parseSpec(typePod, []byte(`{"cmd": ":"}`))
	require.ErrorContains(t, err, "image is not set")
	for _, r := range []resources{{CPU: "lots"}, {Memory: "-1"}, {Memory: "0"}} {
		_, err := r.requirements()
		require.ErrorContains(t, err, "is no quantity")
	}
}

func TestTooMuchForASecret(t *testing.T) {
	t.Parallel()
	req := &pluginapi.RunRequest{RunID: "r", Type: typePod, Env: map[string]string{"BIG": strings.Repeat("x", corev1.MaxSecretSize+1)}}
	_, err := plainRunner().gather(req, &spec{Image: "x"})
	require.Equal(t, pluginapi.CodeInvalid, pluginapi.CodeOf(err))
	require.ErrorContains(t, err, "1048577 bytes together; a pod can be given 1048576")
}

func TestWhatSettingsAreMissing(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	r := newRunner(pluginapi.NewLogger())
	require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{Settings: []byte("{}")}))
	health, err := r.CheckHealth(t.Context())
	require.NoError(t, err)
	require.Equal(t, pluginapi.Unavailable, health.State)
	require.Contains(t, health.Message, "set kubeconfig")
	_, err = r.Run(t.Context(), &pluginapi.RunRequest{RunID: "r", Type: typePod, Spec: []byte(`{"image": "x"}`)}, nil)
	require.Equal(t, pluginapi.CodeUnavailable, pluginapi.CodeOf(err))

	// An API server that does not answer is told with its address; a context without a namespace is no reason to use "default".
	file := filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.WriteFile(file, []byte(`{"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:1"}}],
		"contexts": [{"name": "c", "context": {"cluster": "k", "user": ""}}]}`), 0o600))
	for settings, want := range map[string]string{
		`{"kubeconfig": "` + file + `"}`:                      "no namespace: set namespace",
		`{"kubeconfig": "` + file + `", "namespace": "x"}`:    "https://127.0.0.1:1 does not answer",
		`{"kubeconfig": "` + file + `", "context": "nobody"}`: `context "nobody" does not exist`,
		`{"kubeconfig": "` + file + `-"}`:                     "no such file",
	} {
		r := newRunner(pluginapi.NewLogger())
		begin := time.Now()
		require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{Settings: []byte(settings)}))
		health, err := r.CheckHealth(t.Context())
		require.NoError(t, err)
		require.Less(t, time.Since(begin), 6*time.Second)
		require.Equal(t, pluginapi.Unavailable, health.State)
		require.Contains(t, health.Message, want)
	}
}
