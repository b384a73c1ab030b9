package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stroem/stroem/pluginapi"
)

// podWith has one status of the step's container.
func podWith(phase corev1.PodPhase, reason string, step corev1.ContainerState) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p"},
		Status: corev1.PodStatus{
			Phase: phase, Reason: reason, Message: "because", ContainerStatuses: []corev1.ContainerStatus{{Name: stepContainer, State: step}},
		},
	}
}

func terminated(code int32, reason string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: "last line\n"}}
}

// TestInterruptedPodsHaveNoResult has pods end in the ways that a test cannot bring about on a cluster that others use.
func TestInterruptedPodsHaveNoResult(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{"Evicted", "Preempting", "NodeShutdown", "NodeLost", "OutOfcpu", "UnexpectedAdmissionError"} {
		for _, step := range []corev1.ContainerState{{}, terminated(137, "Error"), terminated(0, "Completed")} {
			pod := podWith(corev1.PodFailed, reason, step)
			pod.Status.Conditions = []corev1.PodCondition{{
				Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "TerminationByKubelet", Message: "low on memory",
			}}
			v := judge(pod, false)
			require.Nil(t, v.result)
			require.EqualError(t, v.err, "the pod p was ended from outside: "+reason+": because (TerminationByKubelet: low on memory)")
			require.Equal(t, pluginapi.CodeUnavailable, pluginapi.CodeOf(v.err))
		}
	}
	deleted := podWith(corev1.PodRunning, "", terminated(143, "Error"))
	deleted.DeletionTimestamp = &metav1.Time{}
	require.ErrorContains(t, judge(deleted, false).err, "deleted by somebody else")
	require.Equal(t, "SIGTERM", judge(deleted, true).result.Signal, "what the runner itself has deleted has a result")
	lost := podWith(corev1.PodFailed, "", terminated(137, "ContainerStatusUnknown"))
	require.ErrorContains(t, judge(lost, false).err, "the container of the pod p was lost")
	v := judge(lost, true)
	require.False(t, v.over())
}

// TestSideCarsDoNotCount has a step wait for its image beside an init container that never ends.
func TestSideCarsDoNotCount(t *testing.T) {
	t.Parallel()
	for policy, active := range map[corev1.ContainerRestartPolicy]bool{"": true, corev1.ContainerRestartPolicyAlways: false} {
		pod := podWith(corev1.PodPending, "", corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}})
		pod.Spec.InitContainers = []corev1.Container{{Name: "first", RestartPolicy: &policy}}
		pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{
			Name: "first", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		}}
		v := judge(pod, false)
		require.Equal(t, active, v.active, "restartPolicy %q", policy)
		require.Contains(t, v.waiting, "ImagePullBackOff")
	}
}

func TestResults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code   int32
		reason string
		want   pluginapi.Result
	}{
		{0, "Completed", pluginapi.Result{}},
		{0, "OOMKilled", pluginapi.Result{}}, // a child was killed, and the step did not mind
		{3, "Error", pluginapi.Result{ExitCode: 3, Message: "last line"}},
		{1, "OOMKilled", pluginapi.Result{ExitCode: 1, OOMKilled: true, Message: "the container used more memory than resources.memory allows\nlast line"}},
		{137, "OOMKilled", pluginapi.Result{ExitCode: -1, Signal: "SIGKILL", OOMKilled: true, Message: "the container used more memory than resources.memory allows\nlast line"}},
		{143, "Error", pluginapi.Result{ExitCode: -1, Signal: "SIGTERM", Message: "last line"}},
		{159, "Error", pluginapi.Result{ExitCode: -1, Signal: "SIGSYS", Message: "last line"}},
		{160, "Error", pluginapi.Result{ExitCode: 160, Message: "last line"}},
		{128, "Error", pluginapi.Result{ExitCode: 128, Message: "last line"}},
		{255, "Error", pluginapi.Result{ExitCode: 255, Message: "last line"}},
		{128, "StartError", pluginapi.Result{ExitCode: 127, Message: "last line"}},
	} {
		require.Equal(t, &c.want, judge(podWith(corev1.PodFailed, "", terminated(c.code, c.reason)), false).result)
	}
}
