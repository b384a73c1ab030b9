package main

import (
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// BenchmarkRun compares the shortest step with a pod that is made, watched and deleted with client-go alone.
func BenchmarkRun(b *testing.B) {
	namespace, c := testNamespace(b)
	path, err := buildBinary()
	require.NoError(b, err)
	r := hostapi.NewRunner(plugintest.Binary(path)(b), "runner(kube)")
	require.NoError(b, r.Configure(b.Context(), &pluginapi.Config{Settings: settings(b, namespace, nil)}))
	for _, name := range []string{"bare", "plugin"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				// A kubelet looks at its containers once a second: without a pause, each pod would begin at the same moment of that
				// second, and the time be a multiple of it.
				b.StopTimer()
				pause(b.Context(), rand.N(time.Second))
				b.StartTimer()
				if name == "bare" {
					c.bare(b)
					continue
				}
				req := request(b, map[string]any{"command": []string{"true"}}, nil)
				result, err := r.Run(b.Context(), req, plugintest.NewRecorder())
				require.NoError(b, err)
				require.Zero(b, result.ExitCode)
			}
		})
	}
}

// bare runs a pod.
func (c *cluster) bare(b *testing.B) {
	b.Helper()
	pod, err := c.core.Pods(c.namespace).Create(b.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "bare-"},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers:    []corev1.Container{{Name: "step", Image: busybox, Command: []string{"true"}}},
		},
	}, metav1.CreateOptions{})
	require.NoError(b, err)
	w, err := c.core.Pods(c.namespace).Watch(b.Context(), metav1.ListOptions{
		FieldSelector: "metadata.name=" + pod.Name, ResourceVersion: pod.ResourceVersion,
	})
	require.NoError(b, err)
	defer w.Stop()
	for event := range w.ResultChan() {
		if pod, ok := event.Object.(*corev1.Pod); ok && ended(pod) {
			require.NoError(b, c.deletePod(b.Context(), c.namespace, pod.Name, pod.UID, 1))
			return
		}
	}
	b.Fatal("the pod did not end")
}

// counter counts calls of the API server.
type counter struct {
	http.RoundTripper
	calls atomic.Int64
}

func (c *counter) RoundTrip(req *http.Request) (*http.Response, error) {
	c.calls.Add(1)
	return c.RoundTripper.RoundTrip(req)
}

// TestStepsCostFewCalls counts what a short step asks of the API server: make and delete Secret and pod, hand the one to the
// other, watch, read the log.
func TestStepsCostFewCalls(t *testing.T) {
	t.Parallel()
	r, c := newTestRunner(t, nil)
	calls := &counter{}
	r.cluster = c.through(t, kubeconfig(t), func(next http.RoundTripper) http.RoundTripper {
		calls.RoundTripper = next
		return calls
	})
	_, _, err := run(t, r, request(t, map[string]any{"cmd": "echo x"}, nil))
	require.NoError(t, err)
	const most = 9 // 7; one more to follow the log and one to watch events, if the machine is slow
	require.LessOrEqual(t, calls.calls.Load(), int64(most))
	require.GreaterOrEqual(t, calls.calls.Load(), int64(7))
}
