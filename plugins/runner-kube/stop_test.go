package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// underWay is a run in the background.
type underWay struct {
	cancel context.CancelCauseFunc
	out    *plugintest.Recorder
	ended  chan struct{}
	result *pluginapi.Result
	err    error
}

func inBackground(t testing.TB, call func(ctx context.Context, out pluginapi.Output) (*pluginapi.Result, error)) *underWay {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	u := &underWay{cancel: cancel, out: plugintest.NewRecorder(), ended: make(chan struct{})}
	go func() {
		defer close(u.ended)
		u.result, u.err = call(ctx, u.out)
	}()
	t.Cleanup(func() {
		cancel(nil)
		<-u.ended
	})
	return u
}

func (r *runner) start(t testing.TB, req *pluginapi.RunRequest) *underWay {
	t.Helper()
	return inBackground(t, func(ctx context.Context, out pluginapi.Output) (*pluginapi.Result, error) {
		return r.Run(ctx, req, out)
	})
}

// soon waits for something that should happen soon.
func soon(t testing.TB, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(3 * time.Minute):
		t.Fatalf("%s did not happen", what)
	}
}

// podOf waits for the pod of a run to be as it is wanted.
func (c *cluster) podOf(t testing.TB, req *pluginapi.RunRequest, wanted func(*corev1.Pod) bool) *corev1.Pod {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	w, err := c.core.Pods(c.namespace).Watch(ctx, metav1.ListOptions{LabelSelector: labelRun + "=" + runLabel(req.RunID)})
	require.NoError(t, err)
	defer w.Stop()
	for event := range w.ResultChan() {
		if pod, ok := event.Object.(*corev1.Pod); ok && event.Type != watch.Deleted && wanted(pod) {
			return pod
		}
	}
	t.Fatal("the pod did not get there")
	return nil
}

func TestStop(t *testing.T) {
	t.Parallel()
	r, c := newTestRunner(t, nil)
	waiting := func(reason string) func(*corev1.Pod) bool {
		return func(pod *corev1.Pod) bool { return strings.Contains(judge(pod, false).waiting, reason) }
	}
	for name, step := range map[string]struct {
		spec   map[string]any
		when   func(*corev1.Pod) bool // nil: at the first output
		signal string                 // "": there is no result
	}{
		"polite":        {map[string]any{"cmd": "echo ready; sleep 100"}, nil, "SIGTERM"},
		"ignores it":    {map[string]any{"cmd": "trap '' TERM; echo ready; sleep 100"}, nil, "SIGKILL"},
		"pulling":       {map[string]any{"image": "k8stest.local/missing:1"}, waiting("Pull"), ""},
		"unschedulable": {map[string]any{"cmd": ":", "resources": map[string]any{"memory": "1Pi"}}, waiting("Unschedulable"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := request(t, step.spec, nil)
			u := r.start(t, req)
			if step.when == nil {
				soon(t, "output", u.out.HasOutput())
			} else {
				c.podOf(t, req, step.when)
			}
			u.cancel(pluginapi.ErrTimedOut)
			soon(t, "the end", u.ended)
			if step.signal == "" {
				require.ErrorIs(t, u.err, pluginapi.ErrTimedOut)
				return
			}
			require.NoError(t, u.err)
			require.Equal(t, step.signal, u.result.Signal)
			require.Equal(t, "ready\n", stdout(u.out))
		})
	}
}

// said is the output without what a shell may say: that its sleep was stopped as well.
func said(out *plugintest.Recorder) string {
	return strings.ReplaceAll(stdout(out), "Terminated\n", "")
}

// TestWhatStepsSayAtTheEndIsRead has a step speak after it was told to stop.
func TestWhatStepsSayAtTheEndIsRead(t *testing.T) {
	t.Parallel()
	r, _ := newTestRunner(t, nil)
	u := r.start(t, request(t, map[string]any{"cmd": "trap 'echo bye; exit 9' TERM; echo ready; while :; do sleep 0.1; done"}, nil))
	soon(t, "output", u.out.HasOutput())
	u.cancel(pluginapi.ErrStopped)
	soon(t, "the end", u.ended)
	require.NoError(t, u.err)
	require.Equal(t, 9, u.result.ExitCode)
	require.Equal(t, "ready\nbye\n", said(u.out))
}

// TestAttach lets go of a run as a worker does that dies, at different moments of the step, and takes it up again.
func TestAttach(t *testing.T) {
	t.Parallel()
	r, c := newTestRunner(t, nil)
	for name, ended := range map[string]bool{"runs": false, "has ended": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := "echo one; sleep 5; echo two; exit 3"
			if ended {
				cmd = "echo one; echo two; exit 3"
			}
			req := request(t, map[string]any{"cmd": cmd}, nil)
			first := r.start(t, req)
			if ended {
				soon(t, "the start", first.out.HasStarted())
			} else {
				soon(t, "output", first.out.HasOutput())
			}
			first.cancel(pluginapi.ErrHostGone)
			soon(t, "the end", first.ended)
			require.ErrorIs(t, first.err, pluginapi.ErrHostGone)
			if ended {
				c.podOf(t, req, func(pod *corev1.Pod) bool { return pod.Status.Phase == corev1.PodFailed })
			}
			attach := &pluginapi.AttachRequest{RunID: req.RunID, Type: req.Type, State: first.out.State(), StopGrace: req.StopGrace}
			out := plugintest.NewRecorder()
			result, err := r.Attach(t.Context(), attach, out)
			require.NoError(t, err)
			require.Equal(t, 3, result.ExitCode)
			require.Equal(t, "one\ntwo\n", stdout(out))
			require.Equal(t, first.out.State(), out.State())
			_, err = r.Attach(t.Context(), attach, plugintest.NewRecorder())
			require.Equal(t, pluginapi.CodeNotFound, pluginapi.CodeOf(err))
		})
	}
}

// abandoned starts a step and lets go of it, as a worker does that dies.
func (r *runner) abandoned(t *testing.T, c *cluster) (*pluginapi.RunRequest, *corev1.Pod) {
	t.Helper()
	req := request(t, map[string]any{"cmd": "sleep 100"}, nil)
	u := r.start(t, req)
	soon(t, "the start", u.out.HasStarted())
	u.cancel(pluginapi.ErrHostGone)
	soon(t, "the end", u.ended)
	return req, c.podOf(t, req, func(*corev1.Pod) bool { return true })
}

// TestStopTellsWhatRuns has a program clean up that the shell of a step waits for: the shell is not all that is told to stop.
func TestStopTellsWhatRuns(t *testing.T) {
	t.Parallel()
	r, _ := newTestRunner(t, nil)
	const tidy = `sh -c 'trap "sleep 0.3; echo tidied up; exit" TERM; echo ready; while :; do sleep 0.05; done'; :`
	workspace := serveFiles(t, map[string]string{"script": "#!/bin/sh\n" + tidy + "\n"})
	for name, step := range map[string]struct {
		spec      map[string]any
		workspace *files
	}{
		"cmd":    {map[string]any{"cmd": tidy}, &workspace},
		"script": {map[string]any{"script": "script"}, &workspace},
		"pod":    {map[string]any{"cmd": tidy}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := request(t, step.spec, step.workspace)
			req.StopGrace = 30 * time.Second
			u := r.start(t, req)
			soon(t, "output", u.out.HasOutput())
			u.cancel(pluginapi.ErrStopped)
			soon(t, "the end", u.ended)
			require.NoError(t, u.err)
			require.Equal(t, "ready\ntidied up\n", said(u.out))
			require.Equal(t, "SIGTERM", u.result.Signal, "as the shell ended")
		})
	}
}

// TestImagesThatAskForAnotherSignal has the first process be told in other ways, by which the step itself is told as ever.
func TestImagesThatAskForAnotherSignal(t *testing.T) {
	t.Parallel()
	r, _ := newTestRunner(t, nil)
	for _, signal := range []string{"QUIT", "WINCH"} {
		t.Run(signal, func(t *testing.T) {
			t.Parallel()
			result, out, err := run(t, r, request(t, map[string]any{
				"cmd": "trap 'echo told; exit 0' TERM; kill -" + signal + " 1; while :; do sleep 0.05; done",
			}, nil))
			require.NoError(t, err)
			require.Equal(t, "told\n", said(out))
			require.Equal(t, "SIGTERM", result.Signal, "it has not succeeded")
		})
	}
}

// TestRemoveFindsWhatHasNoState removes a run of which the host heard nothing: by the label of its pod, and the Secret by its name.
func TestRemoveFindsWhatHasNoState(t *testing.T) {
	t.Parallel()
	r, c := newTestRunner(t, nil)
	req, _ := r.abandoned(t, c)
	for range 2 {
		require.NoError(t, r.Remove(t.Context(), &pluginapi.RemoveRequest{RunID: req.RunID, Type: req.Type}))
		c.nothingLeft(t)
	}
}

// TestRemoveFindsASecretWithoutAPod removes what a plugin leaves that dies between the one and the other.
func TestRemoveFindsASecretWithoutAPod(t *testing.T) {
	t.Parallel()
	r, c := newTestRunner(t, nil)
	req := request(t, map[string]any{"cmd": "echo"}, nil)
	content, err := r.gather(req, &spec{Cmd: "echo"})
	require.NoError(t, err)
	_, err = c.core.Secrets(c.namespace).Create(t.Context(), content.secret(req), metav1.CreateOptions{})
	require.NoError(t, err)
	require.NoError(t, r.Remove(t.Context(), &pluginapi.RemoveRequest{RunID: req.RunID, Type: req.Type}))
	c.nothingLeft(t)
}

// TestSecretsGoWithTheirPods deletes the pod behind the back of a runner that has died.
func TestSecretsGoWithTheirPods(t *testing.T) {
	t.Parallel()
	r, c := newTestRunner(t, nil)
	req, pod := r.abandoned(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	w, err := c.core.Secrets(c.namespace).Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + secretName(req.RunID)})
	require.NoError(t, err)
	defer w.Stop()
	require.NoError(t, c.deletePod(ctx, c.namespace, pod.Name, pod.UID, 1))
	for event := range w.ResultChan() {
		if event.Type == watch.Deleted {
			return
		}
	}
	t.Fatal("the Secret is still there")
}
