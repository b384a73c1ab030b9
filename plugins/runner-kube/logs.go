package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
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
	done   chan struct{} // closed when everything has been read
	active atomic.Int64  // when a stream last brought something; 0 while the host takes it
	behind atomic.Bool   // the stream has not kept up with the step
	err    error         // nobody listens any more; valid when done
	cut    context.CancelFunc
}

// position is how far a log was copied: up to a time, so many lines of that time, so many bytes of the next one.
type position struct {
	time  time.Time
	lines int
	bytes int
}

// errNotTaken wraps the failure of a writer, to tell it from that of the log.
type errNotTaken struct{ error }

func (e errNotTaken) Unwrap() error { return e.error }

// startLogs copies the log from since on, in the background, until finish.
func (f *follower) startLogs(ctx context.Context) *logReader {
	ctx, cancel := context.WithCancel(ctx)
	l := &logReader{f: f, pos: position{time: f.since}, ended: make(chan struct{}), done: make(chan struct{}), cut: cancel}
	go func() {
		defer close(l.done)
		l.run(ctx)
	}()
	return l
}

// finish waits for the rest, now that the container has ended. A stream that follows it may be idle for so long before it is
// given up for a look at what is there. Kubernetes takes whatever a step writes, however slowly it is read; of one that was
// stopped the rest is read for so long and no longer, unless limit is 0.
func (l *logReader) finish(idle, limit time.Duration) error {
	defer l.cut()
	l.idle = idle
	close(l.ended)
	var late <-chan time.Time
	if limit > 0 {
		late = time.After(limit)
	}
	select {
	case <-l.done:
	case <-late:
		l.cut()
		<-l.done
		if l.err == nil {
			l.f.tell("the step was stopped: the end of its output, which is long, was not read")
		}
	}
	return l.err
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
	const attempts = 5
	for attempt := 1; ; attempt++ {
		err := l.read(ctx, false)
		if err == nil || l.isOver(ctx, err) {
			return
		}
		if attempt == attempts || apierrors.IsNotFound(err) || apierrors.IsBadRequest(err) {
			if !l.f.deleting.Load() {
				l.f.tell("the end of the output may be missing: " + err.Error())
			}
			return
		}
		pause(ctx, time.Duration(attempt)*retryDelay/2)
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
			if at := l.active.Load(); at != 0 && now.Sub(time.Unix(0, at)) > idle {
				cancel()
				return
			}
		}
	}
}

// read copies one answer of the API server.
func (l *logReader) read(ctx context.Context, follow bool) error {
	options := &corev1.PodLogOptions{Container: stepContainer, Follow: follow, Timestamps: true}
	if !l.pos.time.IsZero() {
		since := metav1.NewTime(l.pos.time) // of which Kubernetes takes the whole seconds
		options.SinceTime = &since
	}
	stream, err := l.f.cluster.core.Pods(l.f.namespace).GetLogs(l.f.name, options).Stream(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }() // only read from
	return l.copy(stream)
}

const pieceSize = 64 << 10

// copy copies lines, which begin with their times. A long one goes in pieces.
func (l *logReader) copy(stream io.Reader) error {
	lines := bufio.NewReaderSize(stream, pieceSize)
	known := l.pos
	seen := 0 // lines of the time of known
	var at time.Time
	fresh, skip := true, 0 // skip: bytes of the line that were copied before; -1 is all
	for {
		piece, err := lines.ReadSlice('\n')
		l.active.Store(0)
		if fresh && len(piece) > 0 {
			var ok bool
			if at, piece, ok = stamp(piece); !ok {
				l.f.tell("the log: " + string(bytes.TrimSpace(piece))) // of the kubelet, such as that the file is gone
				skip = -1
			} else {
				skip = l.begin(known, at, &seen)
			}
		}
		if failure := l.write(piece, at, &skip); failure != nil {
			return errNotTaken{failure}
		}
		l.active.Store(time.Now().UnixNano())
		fresh = bytes.HasSuffix(piece, []byte{'\n'})
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

// stamp cuts the time off a line.
func stamp(line []byte) (at time.Time, rest []byte, ok bool) {
	text, rest, found := bytes.Cut(line, []byte{' '})
	if !found || len(text) > len(time.RFC3339Nano) {
		return at, line, false
	}
	at, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return at, line, false
	}
	return at, rest, true
}

// begin returns how much of the line that begins was copied before this stream; -1 is all of it.
func (l *logReader) begin(known position, at time.Time, seen *int) (skip int) {
	switch {
	case at.Before(known.time):
		return -1
	case at.Equal(known.time):
		*seen++
		if *seen <= known.lines {
			return -1
		}
		if *seen == known.lines+1 {
			return known.bytes
		}
	}
	if at.After(l.pos.time) {
		l.pos = position{time: at}
		l.behind.Store(time.Since(at) > tooOld)
	}
	return 0
}

// write writes what of a piece is new, and moves the position. Lines of both streams may be out of order by a little; the
// position never goes back.
func (l *logReader) write(piece []byte, at time.Time, skip *int) error {
	if len(piece) == 0 || *skip < 0 {
		return nil
	}
	known := min(*skip, len(piece))
	*skip -= known
	if len(piece) > known {
		if _, err := pluginapi.WriteTimed(l.f.out.Stdout(), piece[known:], at); err != nil {
			return err
		}
		if at.Equal(l.pos.time) {
			l.pos.bytes += len(piece) - known
		}
	}
	if at.Equal(l.pos.time) && piece[len(piece)-1] == '\n' {
		l.pos.lines++
		l.pos.bytes = 0
	}
	return nil
}
