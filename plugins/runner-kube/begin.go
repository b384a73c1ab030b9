package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"

	"github.com/stroem/stroem/pluginapi"
)

// begin makes the Secret and the pod, and follows the pod to its end.
func (r *runner) begin(
	ctx context.Context, req *pluginapi.RunRequest, secret *corev1.Secret, pod *corev1.Pod, refused []string, out pluginapi.Output,
) (*pluginapi.Result, error) {
	c := r.cluster
	_, err := create(ctx, func(ctx context.Context) (*corev1.Secret, error) {
		return c.core.Secrets(c.namespace).Create(ctx, secret, metav1.CreateOptions{})
	})
	if err != nil {
		if !apierrors.IsAlreadyExists(err) {
			c.forget(ctx, secret.Name, r.log)
		}
		return nil, c.explain(ctx, "create the step's Secret", err)
	}
	made, err := create(ctx, func(ctx context.Context) (*corev1.Pod, error) {
		return c.core.Pods(c.namespace).Create(ctx, pod, metav1.CreateOptions{})
	})
	if err != nil {
		if !apierrors.IsAlreadyExists(err) {
			_ = c.removeRun(context.WithoutCancel(ctx), c.namespace, req.RunID) // it may have been made, and the answer was lost
		}
		return nil, c.explain(ctx, "create the pod", err)
	}
	f := r.follower(made, secret.Name, req.StopGrace, out)
	owned := make(chan struct{})
	go func() {
		defer close(owned)
		f.own(ctx)
	}()
	defer func() { <-owned }()
	text, err := json.Marshal(state{Namespace: made.Namespace, Pod: made.Name, UID: string(made.UID)})
	if err != nil {
		return nil, err
	}
	if err := out.Started(text); err != nil {
		<-owned
		if errors.Is(context.Cause(ctx), pluginapi.ErrHostGone) {
			return nil, err
		}
		return nil, errors.Join(err, c.removeRun(context.WithoutCancel(ctx), c.namespace, req.RunID))
	}
	for _, name := range refused {
		f.tell(fmt.Sprintf("no variable %q: Kubernetes takes letters, digits, '-', '_' and '.' in names; the whole input is in the file $STROEM_INPUT", name))
	}
	return f.follow(ctx, owned)
}

// own makes the pod the owner of its Secret, so that Kubernetes removes it with the pod if nobody else does.
func (f *follower) own(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callLimit)
	defer cancel()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"ownerReferences": []metav1.OwnerReference{
		{APIVersion: "v1", Kind: "Pod", Name: f.name, UID: f.uid},
	}}})
	if err == nil {
		_, err = f.cluster.core.Secrets(f.namespace).Patch(ctx, f.secret, types.MergePatchType, patch, metav1.PatchOptions{})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		f.log.WarnContext(ctx, "the pod could not be made the owner of its Secret", "pod", f.name, "error", err)
	}
}

// create makes an object, and tries again for awayLimit where the API server has surely done nothing.
func create[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	delay, begin := 100*time.Millisecond, time.Now()
	for {
		limited, cancel := context.WithTimeout(ctx, callLimit)
		object, err := call(limited)
		cancel()
		if !utilnet.IsConnectionRefused(err) && !apierrors.IsTooManyRequests(err) && !apierrors.IsServiceUnavailable(err) ||
			time.Since(begin) > awayLimit || !pause(ctx, delay) {
			return object, err
		}
		delay = min(2*delay, retryDelay)
	}
}

// pause waits; false if ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// explain makes a failure of the API server one that people can use.
func (c *cluster) explain(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	code := pluginapi.CodeUnavailable
	switch {
	case apierrors.IsAlreadyExists(err):
		code = pluginapi.CodeAlreadyExists
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return pluginapi.Errorf(pluginapi.CodeInvalid, "%s: Kubernetes refuses it, also in view of what manifest overrides say: %w", what, err)
	case apierrors.IsForbidden(err):
		code = pluginapi.CodeDenied
		if strings.Contains(err.Error(), "exceeded quota") {
			code = pluginapi.CodeExhausted
		}
	case apierrors.IsNotFound(err):
		code = pluginapi.CodePrecondition
	case apierrors.IsUnauthorized(err):
		code = pluginapi.CodeDenied
	default:
		return pluginapi.Errorf(code, "%s: the API server %s: %w", what, c.address, err)
	}
	return pluginapi.Errorf(code, "%s in the namespace %s: %w", what, c.namespace, err)
}
