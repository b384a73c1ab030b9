package main

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/stroem/stroem/pluginapi"
)

// verdict is what a pod's status means for the step. One of result and err is set when it is over.
type verdict struct {
	started bool // the step's container runs or has run
	active  bool // something runs: an init container, or the step
	waiting string
	problem problem
	result  *pluginapi.Result
	err     error
}

func (v *verdict) over() bool { return v.result != nil || v.err != nil }

// problem says whether what a pod waits for will come.
type problem int

const (
	mayMend   problem = iota // such as an image that cannot be pulled now
	seldom                   // such as a ConfigMap that is not there
	neverWill                // such as a name that is none
)

// judge reads the status of a pod that this plugin has not deleted itself, unless it says so.
func judge(pod *corev1.Pod, deleting bool) verdict {
	step := containerStatus(pod.Status.ContainerStatuses, stepContainer)
	var v verdict
	t := step.State.Terminated
	unknown := t != nil && t.Reason == "ContainerStatusUnknown" // the kubelet made it up: there is no such container
	if unknown && deleting {
		t = nil
	}
	v.started = t != nil || step.State.Running != nil
	v.active = step.State.Running != nil
	switch {
	case pod.Status.Reason == "DeadlineExceeded" && (t != nil || pod.Status.Phase == corev1.PodFailed):
		v.result = overdue(t)
	case interrupted(pod, deleting) && (t != nil || ended(pod)):
		v.err = lost(pod)
	case unknown && !deleting:
		v.err = pluginapi.Errorf(pluginapi.CodeUnavailable, "the container of the pod %s was lost: %s", pod.Name, t.Message)
	case t != nil:
		v.result = resultOf(t)
	case v.started, deleting && ended(pod): // one that was deleted before its step began has failed for no other reason
	case ended(pod):
		v.err = initFailure(pod)
	default:
		v.wait(pod, step)
	}
	return v
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
}

// nothingRuns tells that all containers of a pod have ended. Its phase may be behind that.
func nothingRuns(pod *corev1.Pod) bool {
	if ended(pod) {
		return true
	}
	statuses := slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)
	return len(statuses) == len(pod.Spec.InitContainers)+len(pod.Spec.Containers) &&
		!slices.ContainsFunc(statuses, func(c corev1.ContainerStatus) bool { return c.State.Terminated == nil })
}

// interrupted tells of a pod that somebody else put an end to: evicted, preempted, deleted, its node shut down.
func interrupted(pod *corev1.Pod, deleting bool) bool {
	return pod.Status.Reason != "" || pod.DeletionTimestamp != nil && !deleting
}

// lost says why a pod was ended by others. The step has no result then, whatever exit code its end brought along.
func lost(pod *corev1.Pod) error {
	why := "it was deleted by somebody else"
	if pod.Status.Reason != "" {
		why = strings.TrimSuffix(pod.Status.Reason+": "+pod.Status.Message, ": ")
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
			why += " (" + strings.TrimSuffix(c.Reason+": "+c.Message, ": ") + ")"
		}
	}
	return pluginapi.Errorf(pluginapi.CodeUnavailable, "the pod %s was ended from outside: %s", pod.Name, why)
}

// initFailure says why a pod ended before the step began.
func initFailure(pod *corev1.Pod) error {
	for _, c := range pod.Status.InitContainerStatuses {
		t := c.State.Terminated
		if t == nil || t.ExitCode == 0 {
			continue
		}
		what := fmt.Sprintf("the init container %s ended with exit code %d", c.Name, t.ExitCode)
		if t.Reason != "Error" && t.Reason != "" {
			what += " (" + t.Reason + ")"
		}
		if c.Name == initContainer {
			what = "Failed to download workspace: " + what
		}
		return pluginapi.Errorf(pluginapi.CodeInternal, "%s", strings.TrimSpace(what+": "+t.Message))
	}
	return pluginapi.Errorf(pluginapi.CodeInternal, "the pod %s ended before the step had begun: %s", pod.Name,
		strings.TrimSpace(string(pod.Status.Phase)+" "+pod.Status.Reason+" "+pod.Status.Message))
}

// wait finds out what the pod waits for.
func (v *verdict) wait(pod *corev1.Pod, step corev1.ContainerStatus) {
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, []corev1.ContainerStatus{step}) {
		switch {
		case c.State.Running != nil:
			v.active = v.active || !isSideCar(pod, c.Name)
		case c.State.Waiting != nil:
			w := c.State.Waiting
			if w.Reason == "PodInitializing" || w.Reason == "ContainerCreating" || w.Reason == "" {
				if v.waiting == "" {
					v.waiting = w.Reason
				}
				continue
			}
			v.waiting = fmt.Sprintf("container %s: %s: %s", c.Name, w.Reason, w.Message)
			v.problem = problemOf(w.Reason)
			return
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			v.waiting = c.Reason + ": " + c.Message
		}
	}
}

// isSideCar tells of an init container that runs beside the step: nobody waits for its end.
func isSideCar(pod *corev1.Pod, name string) bool {
	return slices.ContainsFunc(pod.Spec.InitContainers, func(c corev1.Container) bool {
		return c.Name == name && c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
	})
}

func problemOf(reason string) problem {
	switch reason {
	case "InvalidImageName", "ErrImageNeverPull":
		return neverWill
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreStartHookError", "PostStartHookError":
		return seldom
	default:
		return mayMend
	}
}

func containerStatus(statuses []corev1.ContainerStatus, name string) corev1.ContainerStatus {
	for _, c := range statuses {
		if c.Name == name {
			return c
		}
	}
	return corev1.ContainerStatus{Name: name}
}
