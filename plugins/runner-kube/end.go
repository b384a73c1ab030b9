package main

import (
	"context"
	"errors"
	"time"
)

// How long a log stream that brings nothing is waited for. The log of a pod that is being deleted cannot be read again; and if
// it is long, Kubernetes may have begun a new file since, and only the stream still has the old one.
const (
	logIdle         = 50 * time.Millisecond
	logIdleGone     = 1500 * time.Millisecond
	logIdleBehind   = 5 * time.Second
	logLimitStopped = 2 * time.Second
	tooOld          = 300 * time.Millisecond // for a line of a stream that keeps up
)

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
