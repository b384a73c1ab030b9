package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stroem/stroem/pluginapi"
)

// goneLimit is how long a pod may take to go beyond its grace, before it is forgotten by force.
const goneLimit = 10 * time.Second

// awayLimit is how long an API server may be away when something is to be removed: what is forgotten then stays for ever.
const awayLimit = time.Minute

// insist calls until that works or is refused, or awayLimit is over.
func insist(ctx context.Context, call func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, awayLimit)
	defer cancel()
	for {
		err := call(limited)
		if err == nil || apierrors.IsForbidden(err) || !pause(limited, retryDelay) {
			return err
		}
	}
}

// deletePod deletes one pod and no other of its name. One that is gone is fine. A grace of 0 has the API server forget it,
// whatever it does.
func (c *cluster) deletePod(ctx context.Context, namespace, name string, uid types.UID, grace int64) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	err := c.core.Pods(namespace).Delete(ctx, name, metav1.DeleteOptions{
		GracePeriodSeconds: &grace, Preconditions: &metav1.Preconditions{UID: &uid},
	})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

func (c *cluster) deleteSecret(ctx context.Context, namespace, name string) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	err := c.core.Secrets(namespace).Delete(ctx, name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// forget deletes a Secret that nobody is going to use, also when the run is being stopped.
func (c *cluster) forget(ctx context.Context, secret string, log *slog.Logger) {
	if err := c.deleteSecret(context.WithoutCancel(ctx), c.namespace, secret); err != nil {
		log.WarnContext(ctx, "a Secret could not be removed", "secret", secret, "error", err)
	}
}

// removeRun deletes everything of a run and waits until its pods are gone.
func (c *cluster) removeRun(ctx context.Context, namespace, runID string) error {
	if err := c.deleteSecret(ctx, namespace, secretName(runID)); err != nil {
		return pluginapi.Errorf(pluginapi.CodeUnavailable, "remove the Secret of the run: %w", err)
	}
	selector := labelRun + "=" + runLabel(runID)
	limited, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	pods, err := c.core.Pods(namespace).List(limited, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return pluginapi.Errorf(pluginapi.CodeUnavailable, "look for the pods of the run: %w", err)
	}
	var errs []error
	for i := range pods.Items {
		pods.Items[i].ResourceVersion = pods.ResourceVersion // its own may be too old to watch from
		errs = append(errs, c.deletePod(ctx, namespace, pods.Items[i].Name, pods.Items[i].UID, 1))
	}
	if err := errors.Join(errs...); err != nil {
		return pluginapi.Errorf(pluginapi.CodeUnavailable, "delete the pods of the run: %w", err)
	}
	if c.areGone(ctx, pods.Items) {
		return nil
	}
	for i := range pods.Items { // their node does not answer
		errs = append(errs, c.deletePod(ctx, namespace, pods.Items[i].Name, pods.Items[i].UID, 0))
	}
	return errors.Join(errs...)
}

// areGone waits until the pods are gone; false if that takes too long.
func (c *cluster) areGone(ctx context.Context, pods []corev1.Pod) bool {
	ctx, cancel := context.WithTimeout(ctx, goneLimit)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	updates := make(chan update)
	for i := range pods {
		group.Go(func() { c.watchPod(ctx, &pods[i], updates) })
	}
	for left := len(pods); left > 0; {
		select {
		case u := <-updates:
			if u.gone {
				left--
			}
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (c *cluster) get(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	return c.core.Pods(namespace).Get(ctx, name, metav1.GetOptions{})
}

// find returns the pod of a state, or an error with CodeNotFound.
func (c *cluster) find(ctx context.Context, s state) (*corev1.Pod, error) {
	pod, err := c.get(ctx, s.Namespace, s.Pod)
	switch {
	case apierrors.IsNotFound(err), err == nil && string(pod.UID) != s.UID:
		return nil, pluginapi.Errorf(pluginapi.CodeNotFound, "the pod %s is gone", s.Pod)
	case err != nil:
		return nil, c.explain(ctx, "look for the pod "+s.Pod, err)
	}
	return pod, nil
}
