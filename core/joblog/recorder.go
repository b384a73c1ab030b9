package joblog

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/stroem/stroem/core/mask"
)

const (
	// MaxBatch is the greatest size in bytes of what a [Recorder] hands on at once.
	MaxBatch = 512 << 10
	// flushAfter is how long a line waits for others before it is handed on.
	flushAfter = 200 * time.Millisecond
	// tailSize is how much of stderr is kept for the error message of a step.
	tailSize = 64 << 10
)

// SendFunc hands on lines in storage format; first is the number of the first one within the attempt. Calls do not
// overlap, and ndjson is the receiver's until it returns. It should try again on its own as long as that makes sense:
// after an error it is not called again.
type SendFunc func(ctx context.Context, first int64, ndjson []byte) error

// RecorderOptions describe the attempt of a step whose output is recorded.
type RecorderOptions struct {
	Step     string
	Attempt  int
	First    int64        // number of the first line; 0 is 1. Above that when an attempt is taken up again
	Known    Known        // lines with which its output then begins and that are stored already: they are not sent again
	Masker   *mask.Masker // nil: nothing is secret
	MaxBytes int64        // of text kept; what comes after it is counted and dropped. 0: no limit
	Send     SendFunc
}

// Recorder turns the output of one attempt of a step into batches of log lines. One batch is with Send while the next
// one fills; when that is full too, writers wait. A step that ends within 200 ms sends nothing: all of its lines are in
// the [Recording], to travel with the completion.
type Recorder struct {
	options        RecorderOptions
	stdout, stderr *stream
	output         outputParser
	tail           tail

	cancel context.CancelFunc
	due    *time.Timer   // fires when the oldest line in batch has waited long enough
	full   chan struct{} // holds a token when batch is to be sent at once
	closed chan struct{}
	done   chan struct{} // closed by the sender when it has ended

	mu      sync.Mutex
	room    sync.Cond
	batch   []byte
	spare   []byte // the buffer that is not batch, while nothing is sent
	first   int64  // number of the first line in batch
	next    int64  // number of the next line
	unsent  []byte // what Send failed on; nothing is sent after that
	sendErr error
	muted   bool // MaxBytes is reached
	ended   bool
	counts  Counts
}

// Counts tell how much a step wrote.
type Counts struct {
	Lines   int64 // kept
	Bytes   int64 // of text in kept lines, newlines included
	Dropped int64 // lines beyond MaxBytes, or that could not be sent
}

// Recording is what is left when a step has ended.
type Recording struct {
	First       int64  // number of the first line in Tail
	Tail        []byte // lines not sent yet, in storage format; at most two batches
	Output      json.RawMessage
	OutputError string // the output was not usable: the step fails with this text
	Stderr      string // its last 64 KiB, masked
	Counts      Counts
	Err         error // from Send; Tail then starts with the lines that it failed on
}

// NewRecorder starts to record. Send gets a context that ends with ctx; [Recorder.Close] must be called in any case.
func NewRecorder(ctx context.Context, options RecorderOptions) *Recorder {
	ctx, cancel := context.WithCancel(ctx)
	r := &Recorder{
		options: options, cancel: cancel, due: time.NewTimer(flushAfter),
		full: make(chan struct{}, 1), closed: make(chan struct{}), done: make(chan struct{}),
	}
	r.room.L = &r.mu
	r.due.Stop()
	r.first = max(options.First, 1)
	r.next = r.first
	r.stdout, r.stderr = newStream(r, Stdout, options.Known.Stdout), newStream(r, Stderr, options.Known.Stderr)
	go r.send(ctx)
	return r
}

// Stdout takes what the step writes to its standard output.
func (r *Recorder) Stdout() io.Writer { return r.stdout }

// Stderr takes what the step writes to its standard error.
func (r *Recorder) Stderr() io.Writer { return r.stderr }

// Close ends the record: it waits for a batch on its way and returns all that is left. If ctx ends first, the batch is
// given up and part of what is left. Nothing may be written afterwards; a second Close is a programming error.
func (r *Recorder) Close(ctx context.Context) Recording {
	stop := context.AfterFunc(ctx, r.cancel)
	r.stdout.flush()
	r.stderr.flush()
	close(r.closed)
	<-r.done
	stop()
	r.cancel()
	r.due.Stop()

	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.output.flush()
	left := Recording{
		First: r.first, Tail: r.batch, Output: r.output.value, Stderr: r.tail.String(), Counts: r.counts, Err: r.sendErr,
	}
	if r.unsent != nil {
		left.Tail = append(r.unsent, r.batch...)
	}
	if r.output.tooLong {
		left.Output, left.OutputError = nil, fmt.Sprintf("Output is larger than %d MiB", MaxOutput>>20)
	}
	return left
}

// send hands batches on until the record is closed or sending fails.
func (r *Recorder) send(ctx context.Context) {
	defer close(r.done)
	for {
		select {
		case <-r.due.C:
		case <-r.full:
		case <-r.closed:
			return
		}
		batch, first := r.take()
		if len(batch) == 0 {
			continue
		}
		err := r.options.Send(ctx, first, batch)
		r.mu.Lock()
		if err != nil {
			r.unsent, r.first, r.sendErr = batch, first, fmt.Errorf("send log: %w", err)
			r.room.Broadcast()
			r.mu.Unlock()
			return
		}
		r.spare = batch[:0]
		r.mu.Unlock()
	}
}

// take empties the batch, so that writers go on while it is sent.
func (r *Recorder) take() (batch []byte, first int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.due.Stop()
	select { // a token that came meanwhile is about these lines
	case <-r.full:
	default:
	}
	if len(r.batch) > 0 {
		batch, first = r.batch, r.first
		r.batch, r.spare, r.first = r.spare[:0], nil, r.next
		r.room.Broadcast()
	}
	return batch, first
}

// add appends a line to the batch, waiting for room; r.mu is held.
func (r *Recorder) add(s *stream, line []byte, cut bool) {
	if r.muted {
		r.counts.Dropped++
		return
	}
	size := int64(len(line) + 1)
	if limit := r.options.MaxBytes; limit > 0 && r.counts.Bytes+size > limit {
		r.muted = true
		r.counts.Dropped++
		line, cut, size = fmt.Appendf(nil, "[the step wrote more than %d bytes; the rest of its output is not kept]", limit), false, 0
	}
	s.line = append(append(s.line[:0], s.prefix...), s.stamp...)
	s.line = append(s.line, beforeLine...)
	s.line = appendEscaped(s.line, line)
	if cut {
		s.line = append(s.line, splitMark...)
	}
	s.line = append(s.line, lineEnd...)
	for len(r.batch)+len(s.line) > MaxBatch {
		if r.sendErr != nil {
			r.counts.Dropped++
			return
		}
		select {
		case r.full <- struct{}{}:
		default:
		}
		r.room.Wait()
	}
	if len(r.batch) == 0 && r.sendErr == nil {
		r.due.Reset(flushAfter)
	}
	r.batch = append(r.batch, s.line...)
	r.next++
	r.counts.Lines++
	r.counts.Bytes += size
}
