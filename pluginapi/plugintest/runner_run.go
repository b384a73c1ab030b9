package plugintest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
	"github.com/stroem/stroem/pluginapi/internal/wire"
)

// flight is a run under way, as it is seen on the wire: the suite does not leave it to a client to judge the events.
type flight struct {
	rpc    pluginv1.RunnerServiceClient
	id     string
	grace  time.Duration
	cancel context.CancelFunc
	gate   <-chan struct{} // where it is not nil, nothing is read after started until it is closed

	started chan struct{} // closed at started
	output  chan struct{} // closed at the first output
	ended   chan struct{} // closed when the stream has ended

	mu       sync.Mutex
	broken   []Failure // the first one of each rule
	state    []byte
	stdout   bytes.Buffer
	text     bytes.Buffer  // both streams, in order of arrival
	delay    time.Duration // of the first output: between its time and its arrival
	lastTime time.Time
	finished *pluginv1.Finished
	err      error // the status with which the stream ended, if it is not OK
}

type eventStream = grpc.ServerStreamingClient[pluginv1.RunEvent]

// start runs the request.
func (s *runnerSuite) start(t TB, i *Instance, req *pluginv1.RunRequest) *flight {
	t.Helper()
	return s.fly(t, i, req, nil)
}

// fly runs the request, and reads no further than started before the gate is open.
func (s *runnerSuite) fly(t TB, i *Instance, req *pluginv1.RunRequest, gate <-chan struct{}) *flight {
	t.Helper()
	return follow(t, i, req.GetRunId(), req.GetStopGrace().AsDuration(), gate,
		func(ctx context.Context, rpc pluginv1.RunnerServiceClient) (eventStream, error) {
			return rpc.Run(ctx, req)
		})
}

// follow opens a stream of events and reads it in the background. It is cancelled with the test.
func follow(t TB, i *Instance, id string, grace time.Duration, gate <-chan struct{},
	open func(context.Context, pluginv1.RunnerServiceClient) (eventStream, error),
) *flight {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &flight{
		rpc: pluginv1.NewRunnerServiceClient(i), id: id, grace: grace, cancel: cancel, gate: gate,
		started: make(chan struct{}), output: make(chan struct{}), ended: make(chan struct{}),
	}
	stream, err := open(ctx, f.rpc)
	if err != nil {
		cancel()
		t.Fatalf("Run: %v", err)
	}
	go f.read(ctx, stream)
	t.Cleanup(func() {
		cancel()
		<-f.ended
	})
	return f
}

func (f *flight) read(ctx context.Context, stream eventStream) {
	defer close(f.ended)
	for {
		event, err := stream.Recv()
		if err != nil {
			f.end(err, ctx.Err() != nil)
			return
		}
		f.take(event, time.Now())
		if event.GetStarted() != nil && f.gate != nil {
			select {
			case <-f.gate:
			case <-ctx.Done():
			}
		}
	}
}

// breach remembers that a rule was broken, once for each rule.
func (f *flight) breach(rule Rule, format string, args ...any) {
	for _, b := range f.broken {
		if b.Rule == rule {
			return
		}
	}
	f.broken = append(f.broken, Failure{rule, fmt.Sprintf(format, args...)})
}

func (f *flight) take(event *pluginv1.RunEvent, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.finished != nil {
		f.breach(ruleFinished, "an event came after finished: %.100s", event)
		return
	}
	switch e := event.GetEvent().(type) {
	case *pluginv1.RunEvent_Started:
		f.takeStarted(e.Started)
	case *pluginv1.RunEvent_Output:
		f.takeOutput(e.Output, at)
	case *pluginv1.RunEvent_Finished:
		if !isClosed(f.started) {
			f.breach(ruleStarted, "finished came without started")
		}
		f.finished = e.Finished
	}
}

func (f *flight) takeStarted(started *pluginv1.Started) {
	if isClosed(f.started) {
		f.breach(ruleStarted, "started came twice")
		return
	}
	if n := len(started.GetState()); n > pluginapi.MaxState {
		f.breach(ruleStarted, "the state has %d bytes", n)
	}
	f.state = started.GetState()
	close(f.started)
}

func (f *flight) takeOutput(chunk *pluginv1.OutputChunk, at time.Time) {
	data := chunk.GetData()
	if !isClosed(f.started) {
		f.breach(ruleStarted, "output came before started: %.60q", data)
	}
	if len(data) > wire.MaxOutput {
		f.breach(ruleChunks, "a chunk has %d bytes", len(data))
	}
	if chunk.GetTime() == nil {
		f.breach(ruleFlush, "a chunk does not say when it was read")
	}
	f.lastTime = chunk.GetTime().AsTime()
	if !isClosed(f.output) {
		f.delay = at.Sub(f.lastTime)
		close(f.output)
	}
	f.text.Write(data)
	if chunk.GetStream() != pluginv1.Stream_STREAM_STDERR {
		f.stdout.Write(data)
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// end takes in how the stream ended. One that was given up tells nothing about the plugin's end of it.
func (f *flight) end(err error, givenUp bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case givenUp:
		f.err = err
	case !errors.Is(err, io.EOF) && f.finished != nil:
		f.breach(ruleFinished, "the stream did not end with status OK after finished, but with %v", err)
	case !errors.Is(err, io.EOF):
		f.err = err
	case f.finished == nil:
		f.breach(ruleFinished, "the stream ended with status OK, but without finished")
	}
}

// wait waits for the end of the stream, not longer than the limit, and reports what was wrong with the events. The result is
// nil when the run ended without one.
func (f *flight) wait(t TB, limit time.Duration) (*pluginv1.Finished, error) {
	t.Helper()
	wait(t, "the end of the run", f.ended, limit)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.broken {
		under(t, b.Rule).Errorf("%s", b.Message)
	}
	return f.finished, f.err
}

// stop tells the plugin to stop the run until the stream has ended or the plugin knows of it. It does not wait for the end.
func (f *flight) stop(t TB, reason pluginv1.StopReason) {
	t.Helper()
	req := &pluginv1.StopRequest{RunId: f.id, Grace: durationpb.New(f.grace), Reason: reason}
	ok := eventually(t, patience, func() bool {
		_, err := f.rpc.Stop(within(t, patience), req)
		if status.Code(err) != codes.NotFound && err != nil {
			under(t, ruleStop).Fatalf("Stop: %v", err)
		}
		return err == nil || isClosed(f.ended)
	})
	if !ok {
		under(t, ruleStop).Fatalf("Stop knows nothing of a run that is under way")
	}
}

// How long, beyond its grace, a run may take to end: one that the plugin ends itself, and one that an engine ends for it.
const (
	stopSlack       = 5 * time.Second
	engineStopSlack = 20 * time.Second
)

// wantStopped waits for the end of a run that was told to stop: with a result that is not a success, or as cancelled.
func (s *runnerSuite) wantStopped(t TB, f *flight) {
	t.Helper()
	t = under(t, ruleStop)
	slack := stopSlack
	if s.actionType.Attachable {
		slack = engineStopSlack
	}
	select {
	case <-f.ended:
	case <-time.After(f.grace + slack):
		t.Fatalf("the run did not end within its grace of %v and %v more", f.grace, slack)
	}
	finished, err := f.wait(t, patience)
	switch {
	case err != nil && status.Code(err) != codes.Canceled && status.Code(err) != codes.DeadlineExceeded:
		t.Errorf("a run that was stopped ended with the error %v", err)
	case finished != nil && finished.GetExitCode() == 0:
		t.Errorf("a run that was stopped reports success")
	}
}

// end runs the spec to its end, on a fresh instance.
func (s *runnerSuite) end(t TB, spec json.RawMessage) (*pluginv1.Finished, *flight, error) {
	t.Helper()
	f := s.start(t, s.runner(t), s.request(t, spec))
	finished, err := f.wait(t, 2*time.Minute)
	return finished, f, err
}
