package main

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stroem/stroem/pluginapi"
)

const (
	eventDelay = time.Second      // what starts at once has nothing to tell
	eventCalm  = 10 * time.Second // between two events of a kind
)

// tellEvents writes what Kubernetes says about the pod to the step's log until ctx ends. Each thing is told once, and those
// of one kind at a calm rate.
func (f *follower) tellEvents(ctx context.Context) {
	if !pause(ctx, eventDelay) {
		return
	}
	told, last := map[string]bool{}, map[string]time.Time{}
	for ctx.Err() == nil {
		w, err := f.cluster.core.Events(f.namespace).Watch(ctx, metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(f.uid)})
		if err != nil {
			pause(ctx, eventCalm)
			continue
		}
		for event := range w.ResultChan() {
			e, ok := event.Object.(*corev1.Event)
			if !ok || !isTold(e) || eventTime(e).Before(f.since) {
				continue
			}
			text := e.Reason + ": " + e.Message
			f.noteWarning(e, text)
			if told[text] || time.Since(last[e.Reason]) < eventCalm {
				continue
			}
			told[text], last[e.Reason] = true, time.Now()
			f.tell(text)
		}
		w.Stop()
		pause(ctx, retryDelay)
	}
}

// isTold picks what people want to know: all that is wrong, and what takes long. What is wrong with the cluster's DNS is told
// about every pod.
func isTold(e *corev1.Event) bool {
	if e.Reason == "MissingClusterDNS" || e.Reason == "DNSConfigForming" {
		return false
	}
	return e.Type == corev1.EventTypeWarning || e.Reason == "Pulling" || e.Reason == "Preempted"
}

func eventTime(e *corev1.Event) time.Time {
	for _, at := range []time.Time{e.LastTimestamp.Time, e.EventTime.Time, e.FirstTimestamp.Time} {
		if !at.IsZero() {
			return at
		}
	}
	return e.CreationTimestamp.Time
}

// noteWarning remembers the last warning, for the error of a pod that does not start. One that gives a code alone, such as
// "Error: ErrImagePull", follows the one that says what is wrong.
func (f *follower) noteWarning(e *corev1.Event, text string) {
	if e.Type == corev1.EventTypeWarning && (f.warning.Load() == nil || !strings.HasPrefix(e.Message, "Error: ")) {
		f.warning.Store(&text)
	}
}

// tell writes a line of the runner's own to the step's log. It does not matter if nobody listens.
func (f *follower) tell(line string) {
	_, _ = pluginapi.WriteTimed(f.out.Stderr(), []byte(pluginapi.NotePrefix+line+"\n"), time.Now())
}
