package pluginapi

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
	"github.com/stroem/stroem/pluginapi/internal/wire"
)

// output gathers what a run writes into chunks and sends them. Everything happens under one lock, so the events keep
// their order, and a Send that blocks blocks the writer: flow control reaches the step. Send encodes the message before
// it returns, so a buffer can be used again right away.
type output struct {
	send func(*pluginv1.RunEvent) error

	mu      sync.Mutex
	pending []byte // of one stream
	stream  pluginv1.Stream
	since   time.Time // when the first byte of pending came
	flusher *time.Timer
	started bool
	err     error // the first failure; sticky
}

var errFinished = errors.New("the run has finished")

func newOutput(send func(*pluginv1.RunEvent) error) *output {
	return &output{send: send, stream: pluginv1.Stream_STREAM_STDOUT}
}

func (o *output) Stdout() io.Writer { return streamWriter{o, pluginv1.Stream_STREAM_STDOUT} }
func (o *output) Stderr() io.Writer { return streamWriter{o, pluginv1.Stream_STREAM_STDERR} }

type streamWriter struct {
	out    *output
	stream pluginv1.Stream
}

func (w streamWriter) Write(p []byte) (int, error) { return w.out.write(w.stream, p, time.Now()) }

// WriteTimed implements [TimedWriter].
func (w streamWriter) WriteTimed(p []byte, at time.Time) (int, error) {
	return w.out.write(w.stream, p, at)
}

func (o *output) Started(state []byte) error {
	if len(state) > MaxState {
		return Errorf(CodeInvalid, "runner state has %d bytes, at most %d are allowed", len(state), MaxState)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.started {
		return Errorf(CodePrecondition, "a run starts only once, and before its first output")
	}
	o.begin(state)
	return o.err
}

// begin sends the started event. Where a runner has no state, and so never calls Started, it goes before the first
// output.
func (o *output) begin(state []byte) {
	if !o.started {
		o.started = true
		o.emit(&pluginv1.RunEvent{Event: &pluginv1.RunEvent_Started{Started: &pluginv1.Started{State: state}}})
	}
}

func (o *output) emit(event *pluginv1.RunEvent) {
	if o.err == nil {
		o.err = o.send(event)
	}
}

func (o *output) write(stream pluginv1.Stream, p []byte, at time.Time) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	note := stream == pluginv1.Stream_STREAM_STDERR && bytes.HasPrefix(p, []byte(NotePrefix)) // travels alone
	if apart := at.Sub(o.since); note || stream != o.stream || apart < 0 || apart > wire.FlushInterval {
		o.flush()
		o.stream = stream
	}
	total := len(p)
	for len(p) > 0 && o.err == nil {
		n := min(len(p), wire.MaxOutput-len(o.pending))
		if n == wire.MaxOutput { // nothing pending and a full chunk at hand: no copy
			o.chunk(p[:n], at)
		} else {
			o.gather(p[:n], at)
		}
		p = p[n:]
	}
	if note {
		o.flush()
	}
	if o.err != nil {
		return total - len(p), o.err
	}
	return total, nil
}

func (o *output) gather(p []byte, at time.Time) {
	if len(o.pending) == 0 {
		o.since = at
		if o.flusher == nil {
			o.flusher = time.AfterFunc(wire.FlushInterval, o.flushLate)
		} else {
			o.flusher.Reset(wire.FlushInterval)
		}
	}
	o.pending = append(o.pending, p...)
	if len(o.pending) == wire.MaxOutput {
		o.flush()
	}
}

// flushLate is called by the timer, and then holds the lock as any writer does: after close it finds nothing to do.
func (o *output) flushLate() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flush()
}

func (o *output) flush() {
	if len(o.pending) == 0 {
		return
	}
	o.flusher.Stop()
	o.chunk(o.pending, o.since)
	o.pending = o.pending[:0]
}

func (o *output) chunk(data []byte, at time.Time) {
	o.begin(nil)
	o.emit(&pluginv1.RunEvent{Event: &pluginv1.RunEvent_Output{
		Output: &pluginv1.OutputChunk{Stream: o.stream, Data: data, Time: timestamppb.New(at)},
	}})
}

// close sends what is pending and then, unless it is nil, the end. Later writes fail.
func (o *output) close(end *pluginv1.Finished) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flush()
	if end != nil {
		o.begin(nil)
		o.emit(&pluginv1.RunEvent{Event: &pluginv1.RunEvent_Finished{Finished: end}})
	}
	err := o.err
	o.err = errors.Join(errFinished, err)
	return err
}
