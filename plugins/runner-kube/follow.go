package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stroem/stroem/pluginapi"
)

// follower follows one pod to its end. Its own loop is one goroutine; watch, events and log are others, for which it waits.
type follower struct {
	cluster   *cluster
	log       *slog.Logger
	namespace string
	name      string
	uid       types.UID
	secret    string
	grace     time.Duration
	limit     time.Duration // for a pod that waits
	since     time.Time     // of Attach: what was before is known
	out       pluginapi.Output

	warning  atomic.Pointer[string] // what Kubernetes complained about last
	deleting atomic.Bool            // this plugin has deleted the pod

	// Of the loop alone.
	pod      *corev1.Pod // as it was seen last
	updates  chan update
	gone     bool
	logs     *logReader // nil: the step has not begun
	patience patience
}

func (r *runner) follower(pod *corev1.Pod, secret string, grace time.Duration, out pluginapi.Output) *follower {
	return &follower{
		cluster: r.cluster, log: r.log, namespace: pod.Namespace, name: pod.Name, uid: pod.UID, secret: secret, grace: grace,
		limit: r.config.pendingLimit(), out: out, pod: pod, updates: make(chan update),
	}
}

// How long a log stream that brings nothing is waited for. The log of a pod that is being deleted cannot be read again; and if
// it is long, Kubernetes may have begun a new file since, and only the stream still has the old one.
const (
	logIdle         = 50 * time.Millisecond
	logIdleGone     = 1500 * time.Millisecond
	logIdleBehind   = 5 * time.Second
	logLimitStopped = 2 * time.Second
	tooOld          = 300 * time.Millisecond // for a line of a stream that keeps up
)

// follow returns when the step has ended, its output was written and the pod is gone; with ErrHostGone it leaves the pod as it
// is. What is done to the Secret until owned is closed must not come after its removal.
func (f *follower) follow(ctx context.Context, owned <-chan struct{}) (*pluginapi.Result, error) {
	streams, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() { f.cluster.watchPod(streams, f.pod, f.updates) })
	group.Go(func() { f.tellEvents(streams) })
	v, err := f.await(ctx, streams)
	if err == nil {
		err = f.finishLogs(ctx, streams, &v)
	}
	if cause := context.Cause(ctx); errors.Is(cause, pluginapi.ErrHostGone) {
		cancel()
		f.abandonLogs()
		return nil, cause
	}
	if owned != nil {
		<-owned
	}
	if removeErr := f.remove(streams, f.graceNow(&v)); removeErr != nil {
		f.log.WarnContext(ctx, "the pod of a step could not be removed", "pod", f.name, "error", removeErr)
	}
	cancel()
	f.abandonLogs()
	switch {
	case err != nil:
		return nil, err
	case v.over():
		return v.result, v.err
	default:
		return nil, context.Cause(ctx)
	}
}

// lostLimit is how long a pod that somebody else deletes may take to go beyond its grace.
const lostLimit = 30 * time.Second

// await waits until the step is over, or stopped as well as it can be. An error ends it before that.
func (f *follower) await(ctx, streams context.Context) (verdict, error) {
	v := judge(f.pod, false)
	f.patience = newPatience(f.limit)
	defer f.patience.stop()
	stopped := ctx.Done()
	var force <-chan time.Time
	for !f.gone && (!v.over() || f.deleting.Load() && !nothingRuns(f.pod)) {
		if err := f.react(streams, &v); err != nil {
			return v, err
		}
		if grace := f.pod.DeletionGracePeriodSeconds; grace != nil && force == nil {
			force = time.After(time.Duration(*grace)*time.Second + lostLimit)
		}
		select {
		case u := <-f.updates:
			f.take(u)
			if next := judge(f.pod, f.deleting.Load()); next.over() || !v.over() {
				next.started = next.started || v.started
				v = next
			}
		case <-f.patience.timer.C:
			if err := f.impatient(&v); err != nil {
				return v, err
			}
		case <-stopped:
			if errors.Is(context.Cause(ctx), pluginapi.ErrHostGone) {
				return v, context.Cause(ctx)
			}
			stopped = nil
			f.patience.stop()
			grace := f.graceNow(&v)
			f.deleting.Store(true)
			if err := f.delete(streams, grace); err != nil {
				return v, err
			}
			force = time.After(time.Duration(grace)*time.Second + goneLimit)
		case <-force: // its node does not answer
			f.gone = true
			if err := f.cluster.deletePod(streams, f.namespace, f.name, f.uid, 0); err != nil {
				return v, f.cluster.explain(streams, "delete the pod "+f.name, err)
			}
		}
	}
	if !v.over() && !f.deleting.Load() {
		v.err = lost(f.pod)
	}
	return v, nil
}

// take remembers an update.
func (f *follower) take(u update) {
	f.gone = u.gone
	if u.pod != nil {
		f.pod = u.pod
	}
}

// react does what the status of the pod calls for: reads the log of a step that has begun, and counts the time of one that waits.
func (f *follower) react(streams context.Context, v *verdict) error {
	switch {
	case v.started:
		f.patience.stop()
		if f.logs == nil && !v.over() {
			f.logs = f.startLogs(streams, false)
		}
		return nil
	case f.deleting.Load():
		return nil
	default:
		return f.patience.consider(f, v)
	}
}

// finishLogs reads the rest of what the step has written. When nobody takes it any more, the run's context tells why.
func (f *follower) finishLogs(ctx, streams context.Context, v *verdict) error {
	if !v.started {
		return nil
	}
	idle := logIdle
	if f.gone || f.pod.DeletionTimestamp != nil {
		idle = logIdleGone
	}
	if f.logs == nil {
		f.logs = f.startLogs(streams, true)
	}
	err := f.logs.finish(ctx, idle)
	if err == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(retryDelay):
		return err
	}
}

// abandonLogs waits for a reader whose context has ended.
func (f *follower) abandonLogs() {
	if f.logs != nil {
		f.logs.cut()
		<-f.logs.done
	}
}

// graceNow is the grace in seconds: none to speak of where the step has not begun.
func (f *follower) graceNow(v *verdict) int64 {
	if !v.started {
		return 1
	}
	return graceSeconds(f.grace)
}

func (f *follower) delete(ctx context.Context, grace int64) error {
	err := insist(ctx, func(ctx context.Context) error {
		return f.cluster.deletePod(ctx, f.namespace, f.name, f.uid, grace)
	})
	if err == nil {
		return nil
	}
	return f.cluster.explain(ctx, "delete the pod "+f.name, err)
}

// remove deletes pod and Secret, and waits until nothing of the pod runs any more.
func (f *follower) remove(ctx context.Context, grace int64) error {
	secret := make(chan error, 1)
	go func() {
		secret <- insist(ctx, func(ctx context.Context) error { return f.cluster.deleteSecret(ctx, f.namespace, f.secret) })
	}()
	err := f.removePod(ctx, grace)
	return errors.Join(err, <-secret)
}

func (f *follower) removePod(ctx context.Context, grace int64) error {
	if f.gone {
		return nil
	}
	if nothingRuns(f.pod) { // the kubelet has nothing to end, and would take another second or two to say so
		return f.delete(ctx, 0)
	}
	if !f.deleting.Swap(true) {
		if err := f.delete(ctx, grace); err != nil {
			return err
		}
	}
	limit := time.NewTimer(time.Duration(grace)*time.Second + goneLimit)
	defer limit.Stop()
	for !f.gone {
		select {
		case u := <-f.updates:
			f.take(u)
		case <-limit.C:
			return f.cluster.deletePod(ctx, f.namespace, f.name, f.uid, 0)
		}
	}
	return nil
}
