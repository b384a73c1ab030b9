package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stroem/stroem/pluginapi"
)

// TestSecretsAreNowhere runs a step with values that nobody else has, and looks for them wherever people can look: while the
// workspace is downloaded, and while the step runs.
func TestSecretsAreNowhere(t *testing.T) {
	t.Parallel()
	r, c := newTestRunner(t, nil)
	asked, goOn := make(chan struct{}), make(chan struct{})
	workspace := serveFilesBy(t, map[string]string{"f": "x"}, func(w http.ResponseWriter, archive []byte) {
		asked <- struct{}{}
		<-goOn
		_, _ = w.Write(archive)
	})
	download := sync.OnceFunc(func() { close(goOn) })
	t.Cleanup(download)
	secret := "secret-value-" + hash(t.TempDir(), 16)
	req := request(t, map[string]any{"cmd": "token=" + secret + "; echo ready; sleep 600"}, &workspace)
	req.Env["PASSWORD"] = secret
	u := r.start(t, req)
	soon(t, "the download", asked)
	processes := commandLines(t)
	require.Contains(t, processes, "curl\x00--config\x00/stroem-init/curl\x00", "those of the node are seen")
	download()
	soon(t, "output", u.out.HasOutput())
	processes += commandLines(t)
	require.Contains(t, processes, "sh\x00/stroem/cmd\x00")

	pod := c.podOf(t, req, func(*corev1.Pod) bool { return true })
	events, err := c.core.Events(c.namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	seen := []string{processes, pod.String(), events.String(), string(u.out.State())}
	for _, container := range []string{stepContainer, initContainer} {
		log, err := c.core.Pods(c.namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: container}).DoRaw(t.Context())
		require.NoError(t, err)
		seen = append(seen, string(log))
	}
	u.cancel(pluginapi.ErrStopped)
	soon(t, "the end", u.ended)
	for _, text := range append(seen, text(u.out), fmt.Sprint(u.result, u.err)) {
		require.NotContains(t, text, secret)
		require.NotContains(t, text, workspace.Token)
	}
}

// commandLines are those of all processes of this machine.
func commandLines(t *testing.T) string {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	var all strings.Builder
	for _, name := range names {
		content, _ := os.ReadFile(name) // processes end
		all.Write(append(content, '\n'))
	}
	return all.String()
}

// TestConfiguredPods looks at what the configuration changes in a pod.
func TestConfiguredPods(t *testing.T) {
	t.Parallel()
	r, c := newTestRunner(t, map[string]any{
		"pod_labels": map[string]string{"team": "a", labelApp: "no"}, "pod_annotations": map[string]string{"a/b": "c"},
		"tolerations": []any{map[string]any{"key": "ci", "operator": "Exists"}}, "image_pull_policy": "IfNotPresent",
		"image_pull_secrets": []string{"registry"}, "node_selector": map[string]string{"kubernetes.io/os": "linux"},
	})
	req := request(t, map[string]any{"cmd": "ls /var/run/secrets 2>&1; env | grep -c SERVICE_HOST; sleep 1", "resources": map[string]any{"cpu": "100m", "memory": "32Mi"}}, nil)
	u := r.start(t, req)
	pod := c.podOf(t, req, func(*corev1.Pod) bool { return true })
	soon(t, "the end", u.ended)
	require.NoError(t, u.err)
	require.Equal(t, "ls: /var/run/secrets: No such file or directory\n1\n", stdout(u.out), "there is no token, and no service but the API server")
	require.Equal(t, appValue, pod.Labels[labelApp])
	require.Equal(t, "a", pod.Labels["team"])
	require.Equal(t, "my-step", strings.TrimSuffix(strings.TrimPrefix(pod.Name, "stroem-0a1b2c3d-"), "-"+hash(req.RunID, 10)))
	require.Equal(t, "My Step", pod.Annotations[labelStep])
	require.Equal(t, corev1.PodQOSGuaranteed, pod.Status.QOSClass)
	require.Equal(t, "ci", pod.Spec.Tolerations[0].Key)
	require.Equal(t, corev1.PullIfNotPresent, pod.Spec.Containers[0].ImagePullPolicy)
	require.Equal(t, "registry", pod.Spec.ImagePullSecrets[0].Name)
}
