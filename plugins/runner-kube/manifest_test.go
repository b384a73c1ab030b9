package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/stroem/stroem/pluginapi"
)

// shellPod returns the pod of a shell step, with a manifest merged into it.
func shellPod(t *testing.T, r *runner, manifest string) (base, pod *corev1.Pod, err error) {
	t.Helper()
	req := &pluginapi.RunRequest{
		RunID: "job.1.1", Type: typeShell, StopGrace: 1500 * time.Millisecond, Env: map[string]string{"A": "hunter2"},
		Workspace: pluginapi.Workspace{URL: "http://server/x.tar.gz", Token: "hunter3"},
		Labels:    map[string]string{"job_id": "0a1b2c3d-4e5f", "step": "Build it!", "task": "a/b", "workspace": "default"},
	}
	s := &spec{Cmd: "echo hunter4", Manifest: json.RawMessage(manifest)}
	c, err := r.gather(req, s)
	require.NoError(t, err)
	base, err = r.basePod(req, s, c)
	require.NoError(t, err)
	pod, err = override(base, s.Manifest)
	if err != nil {
		return base, nil, err
	}
	return base, pod, r.admit(base, pod)
}

func plainRunner() *runner {
	r := newRunner(pluginapi.NewLogger())
	r.config = config{InitImage: "init:1", NodeSelector: map[string]string{"pool": "ci"}, PodLabels: map[string]string{"team": "a"}}
	return r
}

func TestManifestIsMergedByTheRules(t *testing.T) {
	t.Parallel()
	_, pod, err := shellPod(t, plainRunner(), `{
		"metadata": {"annotations": {"karpenter.sh/do-not-disrupt": "true"}},
		"spec": {
			"activeDeadlineSeconds": 60, "enableServiceLinks": null,
			"securityContext": {"runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
			"nodeSelector": {"disk": "ssd"},
			"containers": [
				{"name": "step", "env": [{"name": "B", "value": "2"}, {"name": "TMPDIR", "value": "/tmp"}], "resources": {"limits": {"nvidia.com/gpu": 1}}},
				{"name": "redis", "image": "redis:8"}
			],
			"initContainers": [{"name": "workspace-init", "resources": {"limits": {"memory": "64Mi"}}}, {"name": "more", "image": "x"}],
			"volumes": [{"name": "cache", "emptyDir": {"sizeLimit": "1Gi"}}]
		}
	}`)
	require.NoError(t, err)
	require.EqualValues(t, 60, *pod.Spec.ActiveDeadlineSeconds)
	require.Nil(t, pod.Spec.EnableServiceLinks)
	require.Equal(t, map[string]string{"pool": "ci", "disk": "ssd"}, pod.Spec.NodeSelector)
	require.Len(t, pod.Spec.Containers, 2)
	step := pod.Spec.Containers[0]
	require.Equal(t, []string{"sh", startFile}, step.Command, "what is not overridden stays")
	values := map[string]string{}
	for _, e := range step.Env {
		values[e.Name] = e.Value
	}
	require.Equal(t, map[string]string{"A": "", "B": "2", "TMPDIR": "/tmp", "STROEM_SCRATCH": scratchDir}, values)
	require.Len(t, pod.Spec.InitContainers, 2)
	require.Equal(t, "init:1", pod.Spec.InitContainers[0].Image)
	require.Len(t, pod.Spec.Volumes, 5)
}

func TestWhatIsNoPodIsRefused(t *testing.T) {
	t.Parallel()
	for manifest, want := range map[string]string{
		`{"spec": {"containerz": []}}`:                                     `unknown field "spec.containerz"`,
		`{"spec": {"containers": [{"name": "step", "Image": "x"}]}}`:       `unknown field "spec.containers[0].Image"`,
		`{"spec": {"hostNetwork": "yes"}}`:                                 `cannot unmarshal string`,
		`{"spec": {"containers": null}}`:                                   `spec.containers[step] may not be removed`,
		`{"spec": {"containers": []}}`:                                     `spec.containers[step] may not be removed`,
		`{"spec": {"initContainers": []}}`:                                 `spec.initContainers[workspace-init] may not be removed`,
		`{"spec": {"containers": [{"name": "step", "ports": [{"x":1}]}]}}`: `unknown field "spec.containers[0].ports[0].x"`,
		`[]`: `the manifest has to be an object`,
	} {
		_, _, err := shellPod(t, plainRunner(), manifest)
		require.Error(t, err, manifest)
		require.Contains(t, err.Error(), "manifest overrides: ", manifest)
		require.Contains(t, err.Error(), want, manifest)
	}
}
