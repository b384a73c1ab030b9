package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stroem/stroem/pluginapi"
)

// TestPodsThatOthersEnd has a pod deleted and evicted by others, and by its kubelet for what it has written.
func TestPodsThatOthersEnd(t *testing.T) {
	t.Parallel()
	r, c := newTestRunner(t, nil)
	const runs = "echo ready; sleep 600"
	for name, step := range map[string]struct {
		spec map[string]any
		end  func(pod *corev1.Pod) error // nil: it brings its end about itself
		want string
	}{
		"deleted": {map[string]any{"cmd": runs}, func(pod *corev1.Pod) error {
			return c.core.Pods(c.namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{})
		}, "it was deleted by somebody else"},
		"deleted by force": {map[string]any{"cmd": runs}, func(pod *corev1.Pod) error {
			return c.deletePod(t.Context(), c.namespace, pod.Name, pod.UID, 0)
		}, "it was deleted by somebody else"},
		"does not mind": {map[string]any{"cmd": "trap '' TERM; " + runs}, func(pod *corev1.Pod) error {
			return c.deletePod(t.Context(), c.namespace, pod.Name, pod.UID, 1)
		}, "it was deleted by somebody else"},
		"deleted before it has begun": {
			map[string]any{"cmd": runs, "manifest": map[string]any{"spec": map[string]any{"initContainers": []any{
				map[string]any{"name": "first", "image": busybox, "command": []string{"sleep", "600"}},
			}}}}, func(pod *corev1.Pod) error {
				return c.deletePod(t.Context(), c.namespace, pod.Name, pod.UID, 1)
			}, "it was deleted by somebody else",
		},
		"evicted": {map[string]any{"cmd": runs}, func(pod *corev1.Pod) error {
			return c.core.Pods(c.namespace).EvictV1(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name}})
		}, "EvictionByEvictionAPI"},
		"too much in a directory": {map[string]any{
			"cmd": "echo ready; head -c 20000000 /dev/zero >/more/file; sleep 600", "manifest": map[string]any{"spec": map[string]any{
				"containers": []any{map[string]any{"name": "step", "volumeMounts": []any{map[string]any{"name": "more", "mountPath": "/more"}}}},
				"volumes":    []any{map[string]any{"name": "more", "emptyDir": map[string]any{"sizeLimit": "1Mi"}}},
			}},
		}, nil, `Evicted: Usage of EmptyDir volume "more" exceeds the limit "1Mi"`},
		"too much on the disk": {map[string]any{
			"cmd": "echo ready; head -c 20000000 /dev/zero >/file; sleep 600", "manifest": map[string]any{"spec": map[string]any{
				"containers": []any{map[string]any{"name": "step", "resources": map[string]any{"limits": map[string]any{"ephemeral-storage": "1Mi"}}}},
			}},
		}, nil, "Evicted: Pod ephemeral local storage usage exceeds the total limit of containers 1Mi"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := request(t, step.spec, nil)
			u := r.start(t, req)
			output := "ready\n"
			if step.spec["manifest"] != nil && step.end != nil {
				output = ""
				c.podOf(t, req, func(pod *corev1.Pod) bool { return judge(pod, false).active })
			} else {
				soon(t, "output", u.out.HasOutput())
			}
			if step.end != nil {
				require.NoError(t, step.end(c.podOf(t, req, func(*corev1.Pod) bool { return true })))
			}
			soon(t, "the end", u.ended)
			require.ErrorContains(t, u.err, "was ended from outside: ")
			require.ErrorContains(t, u.err, step.want)
			require.Equal(t, pluginapi.CodeUnavailable, pluginapi.CodeOf(u.err))
			require.Equal(t, output, stdout(u.out))
		})
	}
}
