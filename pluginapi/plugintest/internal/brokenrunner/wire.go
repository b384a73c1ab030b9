//go:build unix

package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
	"github.com/stroem/stroem/pluginapi/internal/wire"
)

// rewriter sends something else than the event of a run. There is one for each run; it is called for one event at a time.
type rewriter func(event *pluginv1.RunEvent, send sender) error

type sender func(m any) error

// call answers a call in place of the plugin, or has it answered by next.
type call func(req any, next func() (any, error)) (any, error)

func (f *faults) interceptors() []grpc.ServerOption {
	var opts []grpc.ServerOption
	for _, rewrite := range f.events {
		opts = append(opts, grpc.ChainStreamInterceptor(
			func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
				return next(srv, &rewritten{stream, rewrite()})
			}))
	}
	opts = append(opts, grpc.ChainStreamInterceptor(f.streams...))
	for _, answer := range f.calls {
		opts = append(opts, grpc.ChainUnaryInterceptor(
			func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
				return answer(req, func() (any, error) { return next(ctx, req) })
			}))
	}
	return opts
}

type rewritten struct {
	grpc.ServerStream
	rewrite rewriter
}

func (r *rewritten) SendMsg(m any) error {
	event, ok := m.(*pluginv1.RunEvent)
	if !ok {
		return r.ServerStream.SendMsg(m)
	}
	return r.rewrite(proto.CloneOf(event), r.ServerStream.SendMsg)
}

func exitCodeAsError() rewriter {
	return func(event *pluginv1.RunEvent, send sender) error {
		if code := event.GetFinished().GetExitCode(); code > 0 {
			return status.Errorf(codes.Internal, "exit status %d", code)
		}
		return send(event)
	}
}

func finishedMissing() rewriter {
	return func(event *pluginv1.RunEvent, send sender) error {
		if event.GetFinished() != nil {
			return nil
		}
		return send(event)
	}
}

func finishedTwice() rewriter {
	return func(event *pluginv1.RunEvent, send sender) error {
		if event.GetFinished() != nil {
			if err := send(event); err != nil {
				return err
			}
		}
		return send(event)
	}
}

// lateOutput says something after the end.
func lateOutput() rewriter {
	return func(event *pluginv1.RunEvent, send sender) error {
		if err := send(event); err != nil || event.GetFinished() == nil {
			return err
		}
		return send(&pluginv1.RunEvent{Event: &pluginv1.RunEvent_Output{Output: &pluginv1.OutputChunk{Data: []byte("late")}}})
	}
}

// startedLate sends started after the first output.
func startedLate() rewriter {
	var started *pluginv1.RunEvent
	return func(event *pluginv1.RunEvent, send sender) error {
		if event.GetStarted() != nil && event.GetStarted().GetState() == nil { // steps with a state need not write
			started = event
			return nil
		}
		first := started
		started = nil
		if first != nil && event.GetFinished() != nil {
			event, first = first, event
		}
		err := send(event)
		if err == nil && first != nil {
			err = send(first)
		}
		return err
	}
}

// held gathers full chunks until two are there, and gives them to send.
func held(two func(first, second *pluginv1.RunEvent, send sender) error) rewriter {
	var first *pluginv1.RunEvent
	return func(event *pluginv1.RunEvent, send sender) error {
		full := len(event.GetOutput().GetData()) == wire.MaxOutput
		switch {
		case first == nil && full:
			first = event
			return nil
		case first != nil && full:
			before := first
			first = nil
			return two(before, event, send)
		case first != nil:
			before := first
			first = nil
			return errors.Join(send(before), send(event))
		default:
			return send(event)
		}
	}
}

func wrongOrder() rewriter {
	return held(func(first, second *pluginv1.RunEvent, send sender) error {
		return errors.Join(send(second), send(first))
	})
}

func largeChunks() rewriter {
	return held(func(first, second *pluginv1.RunEvent, send sender) error {
		first.GetOutput().Data = append(first.GetOutput().GetData(), second.GetOutput().GetData()...)
		return send(first)
	})
}

// slowFlush holds back what does not fill a chunk.
func slowFlush() rewriter {
	return func(event *pluginv1.RunEvent, send sender) error {
		if output := event.GetOutput(); output != nil && len(output.GetData()) < wire.MaxOutput {
			<-time.After(700 * time.Millisecond)
		}
		return send(event)
	}
}

// newlineAdded ends each run's output with a newline.
func newlineAdded() rewriter {
	return func(event *pluginv1.RunEvent, send sender) error {
		if data := event.GetOutput().GetData(); string(data) == "no newline" {
			event.GetOutput().Data = append(data, '\n')
		}
		return send(event)
	}
}

func signalAsCode() rewriter {
	return func(event *pluginv1.RunEvent, send sender) error {
		if finished := event.GetFinished(); finished.GetSignal() != "" {
			finished.ExitCode, finished.Signal = 137, ""
		}
		return send(event)
	}
}

// maxQueue keeps what is wrong in bounds: 100 MiB of chunks.
const maxQueue = 1600

// gathersOutput takes everything at once, and sends it when the host reads.
func gathersOutput() rewriter {
	q := &queue{done: make(chan struct{})}
	q.more.L = &q.mu
	var once sync.Once
	return func(event *pluginv1.RunEvent, send sender) error {
		once.Do(func() { go q.drain(send) })
		q.add(event)
		if event.GetFinished() != nil {
			<-q.done
			return q.err
		}
		return nil
	}
}

type queue struct {
	mu     sync.Mutex
	more   sync.Cond
	events []*pluginv1.RunEvent
	done   chan struct{}
	err    error // of the first event that could not be sent
}

func (q *queue) add(event *pluginv1.RunEvent) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.events) >= maxQueue && q.err == nil {
		q.more.Wait()
	}
	q.events = append(q.events, event)
	q.more.Broadcast()
}

// drain sends what comes, up to finished.
func (q *queue) drain(send sender) {
	defer close(q.done)
	for {
		q.mu.Lock()
		for len(q.events) == 0 {
			q.more.Wait()
		}
		event := q.events[0]
		q.events = q.events[1:]
		q.more.Broadcast()
		q.mu.Unlock()
		if err := send(event); err != nil || event.GetFinished() != nil {
			q.mu.Lock()
			q.err = err
			q.more.Broadcast()
			q.mu.Unlock()
			return
		}
	}
}

func ignoresStop(req any, next func() (any, error)) (any, error) {
	if _, isStop := req.(*pluginv1.StopRequest); isStop {
		return &pluginv1.StopResponse{}, nil
	}
	return next()
}

func removeDoesNothing(req any, next func() (any, error)) (any, error) {
	if remove, isRemove := req.(*pluginv1.RemoveRequest); isRemove && remove.GetState() == nil {
		return &pluginv1.RemoveResponse{}, nil
	}
	return next()
}

var stops atomic.Int32

func stopOnlyOnce(req any, next func() (any, error)) (any, error) {
	resp, err := next()
	if _, isStop := req.(*pluginv1.StopRequest); isStop && status.Code(err) != codes.NotFound && stops.Add(1) > 1 {
		return nil, status.Error(codes.Internal, "stopped already")
	}
	return resp, err
}

func smallMessages(req any, next func() (any, error)) (any, error) {
	const limit = 4 << 20
	if m, ok := req.(proto.Message); ok && proto.Size(m) > limit {
		return nil, status.Error(codes.ResourceExhausted, "the message is too large")
	}
	return next()
}

func configuredAgain(req any, next func() (any, error)) (any, error) {
	resp, err := next()
	if _, isConfigure := req.(*pluginv1.ConfigureRequest); isConfigure && status.Code(err) == codes.FailedPrecondition {
		return &pluginv1.ConfigureResponse{}, nil
	}
	return resp, err
}

func worksUnconfigured(req any, next func() (any, error)) (any, error) {
	resp, err := next()
	if _, isHealth := req.(*pluginv1.CheckHealthRequest); isHealth && status.Code(err) == codes.FailedPrecondition {
		return &pluginv1.CheckHealthResponse{State: pluginv1.HealthState_HEALTH_STATE_HEALTHY}, nil
	}
	return resp, err
}

func unhealthyInSilence(req any, next func() (any, error)) (any, error) {
	resp, err := next()
	if _, isHealth := req.(*pluginv1.CheckHealthRequest); isHealth && err == nil {
		return &pluginv1.CheckHealthResponse{State: pluginv1.HealthState_HEALTH_STATE_UNHEALTHY}, nil
	}
	return resp, err
}

func acceptsAnyConfig(req any, next func() (any, error)) (any, error) {
	resp, err := next()
	if _, isConfigure := req.(*pluginv1.ConfigureRequest); isConfigure && status.Code(err) == codes.InvalidArgument {
		return &pluginv1.ConfigureResponse{}, nil
	}
	return resp, err
}

func schemaIsAList(_ any, next func() (any, error)) (any, error) {
	resp, err := next()
	if description, ok := resp.(*pluginv1.DescribeResponse); ok {
		description.ConfigSchema = []byte("[]")
	}
	return resp, err
}

func typeWithoutSchema(_ any, next func() (any, error)) (any, error) {
	resp, err := next()
	if description, ok := resp.(*pluginv1.DescribeResponse); ok {
		description.ActionTypes[0].SpecSchema = nil
	}
	return resp, err
}
