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
