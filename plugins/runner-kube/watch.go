package main

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// update is a pod as it is now, or as it was last when it is gone.
type update struct {
	pod  *corev1.Pod // nil: gone, and nobody saw it go
	gone bool
}

// retryDelay is how long a broken watch waits.
const retryDelay = time.Second

// watchPod tells every change of a pod from the given one on until it is gone, or ctx ends. It outlives broken connections
// and an API server that is away. Watches that end at once are begun again at a calm rate.
func (c *cluster) watchPod(ctx context.Context, pod *corev1.Pod, updates chan<- update) {
	send := func(u update) bool {
		select {
		case updates <- u:
			return true
		case <-ctx.Done():
			return false
		}
	}
	version := pod.ResourceVersion
	for ctx.Err() == nil {
		calm := time.After(retryDelay)
		next, gone, err := c.watchOnce(ctx, pod.Namespace, pod.Name, pod.UID, version, send)
		if gone {
			return
		}
		version = next
		if err != nil { // the version may be too old, or a change missed: look
			current, err := c.get(ctx, pod.Namespace, pod.Name)
			switch {
			case apierrors.IsNotFound(err), err == nil && current.UID != pod.UID:
				send(update{gone: true})
				return
			case err == nil:
				version = current.ResourceVersion
				if !send(update{pod: current}) {
					return
				}
			}
		}
		select {
		case <-calm:
		case <-ctx.Done():
		}
	}
}

// watchOnce watches until the connection ends. It returns the last version that it saw.
func (c *cluster) watchOnce(
	ctx context.Context, namespace, name string, uid types.UID, version string, send func(update) bool,
) (last string, gone bool, err error) {
	w, err := c.core.Pods(namespace).Watch(ctx, metav1.ListOptions{
		FieldSelector: "metadata.name=" + name, ResourceVersion: version, AllowWatchBookmarks: true,
	})
	if err != nil {
		return version, false, err
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		if event.Type == watch.Error {
			return version, false, apierrors.FromObject(event.Object)
		}
		pod, ok := event.Object.(*corev1.Pod)
		if !ok {
			continue
		}
		version = pod.ResourceVersion
		switch {
		case event.Type == watch.Bookmark:
		case pod.UID != uid: // of the same name, made anew
			send(update{gone: true})
			return version, true, nil
		case event.Type == watch.Deleted:
			send(update{pod: pod, gone: true})
			return version, true, nil
		default:
			if !send(update{pod: pod}) {
				return version, true, nil
			}
		}
	}
	return version, false, nil
}
