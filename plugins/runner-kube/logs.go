package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stroem/stroem/pluginapi"
)

// logReader copies the log of the step's container. Kubernetes keeps both streams in one file, each line with its time: all
// of it is written to stdout with that time. A read that breaks off goes on at the position of the last byte.
type logReader struct {
	f   *follower
	pos position

	ended  chan struct{} // closed when the container has ended: what is in its log is all there is
	idle   time.Duration // how long a stream that brings nothing is waited for after that; set before ended is closed
	last   time.Time     // from when on that counts at the earliest; set with idle
	done   chan struct{} // closed when everything has been read
	active atomic.Int64  // when a stream last brought something; 0 while the host takes it
	behind atomic.Bool   // the stream has not kept up with the step
	err    error         // nobody listens any more; valid when done
	cut    context.CancelFunc
}

// errNotTaken wraps the failure of a writer, to tell it from that of the log.
type errNotTaken struct{ error }

func (e errNotTaken) Unwrap() error { return e.error }

// startLogs copies the log from since on, in the background, until finish. The log of a step that is over need not be
// followed.
func (f *follower) startLogs(ctx context.Context, over bool) *logReader {
	ctx, cancel := context.WithCancel(ctx)
	l := &logReader{f: f, pos: position{second: f.since.Truncate(time.Second)}, ended: make(chan struct{}), done: make(chan struct{}), cut: cancel}
	if over {
		close(l.ended)
	}
	go func() {
		defer close(l.done)
		l.run(ctx)
	}()
	return l
}

// finish waits for the rest, now that the container has ended. A stream that follows it may be idle for so long before it is
// given up for a look at what is there. Kubernetes takes whatever a step writes, however slowly it is read: if ctx has ended
// or ends, because the run was stopped, the rest is read for logLimitStopped and no longer.
func (l *logReader) finish(ctx context.Context, idle time.Duration) error {
	defer l.cut()
	if !l.hasEnded() {
		l.idle = idle
		if idle == logIdleGone { // the stream is all there is: what was written last may be on its way
			l.last = time.Now()
		}
		close(l.ended)
	}
	stopped := ctx.Done()
	var late <-chan time.Time
	for {
		select {
		case <-l.done:
			return l.err
		case <-stopped:
			stopped = nil
			limit := logLimitStopped
			if errors.Is(context.Cause(ctx), pluginapi.ErrHostGone) {
				limit = 0
			}
			late = time.After(limit)
		case <-late:
			l.cut()
			<-l.done
			if l.err == nil {
				l.f.tell("the step was stopped: the end of its output, which is long, was not read")
			}
			return l.err
		}
	}
}

func (l *logReader) hasEnded() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

func (l *logReader) run(ctx context.Context) {
	for !l.hasEnded() {
		err := l.follow(ctx)
		if l.isOver(ctx, err) {
			return
		}
		select { // the stream broke off, or the end of the container is not known yet
		case <-l.ended:
		case <-time.After(retryDelay):
		case <-ctx.Done():
			return
		}
	}
	for begin := time.Now(); ; {
		err := l.read(ctx, false)
		if err == nil || l.isOver(ctx, err) {
			return
		}
		if time.Since(begin) > awayLimit || apierrors.IsNotFound(err) || apierrors.IsBadRequest(err) {
			if !l.f.deleting.Load() {
				l.f.tell("the end of the output may be missing: " + err.Error())
			}
			return
		}
		pause(ctx, retryDelay)
	}
}

// isOver tells that there is no use in reading on.
func (l *logReader) isOver(ctx context.Context, err error) bool {
	if notTaken := (errNotTaken{}); errors.As(err, &notTaken) {
		l.err = notTaken.error
		return true
	}
	return ctx.Err() != nil
}

// follow reads while the container runs. The stream would end up to a second later than that.
func (l *logReader) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	watched := make(chan struct{})
	l.active.Store(time.Now().UnixNano())
	go func() {
		defer close(watched)
		l.cancelWhenIdle(ctx, cancel)
	}()
	defer func() {
		cancel()
		<-watched
	}()
	return l.read(ctx, true)
}

func (l *logReader) cancelWhenIdle(ctx context.Context, cancel context.CancelFunc) {
	select {
	case <-l.ended:
	case <-ctx.Done():
		return
	}
	if at := l.active.Load(); at != 0 && time.Since(time.Unix(0, at)) > 2*tooOld {
		l.behind.Store(false) // it had nothing more to bring
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			idle := l.idle
			if l.behind.Load() {
				idle = logIdleBehind
			}
			if at := l.active.Load(); at != 0 && now.Sub(time.Unix(0, at)) > idle && now.Sub(l.last) > idle {
				cancel()
				return
			}
		}
	}
}

// read copies one answer of the API server.
func (l *logReader) read(ctx context.Context, follow bool) error {
	options := &corev1.PodLogOptions{Container: stepContainer, Follow: follow, Timestamps: true}
	if !l.pos.second.IsZero() {
		options.SinceTime = &metav1.Time{Time: l.pos.second}
	}
	stream, err := l.f.cluster.core.Pods(l.f.namespace).GetLogs(l.f.name, options).Stream(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }() // only read from
	return l.copy(ctx, stream)
}
