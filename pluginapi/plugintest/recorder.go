package plugintest

import (
	"bytes"
	"io"
	"sync"
)

// Recorder is a [pluginapi.Output] that remembers. Its zero value is not usable; see [NewRecorder].
type Recorder struct {
	mu      sync.Mutex
	state   []byte
	starts  int
	stdout  bytes.Buffer
	stderr  bytes.Buffer
	both    bytes.Buffer // in order of arrival
	started chan struct{}
	output  chan struct{} // closed at the first output
}

// NewRecorder returns an empty Recorder.
func NewRecorder() *Recorder {
	return &Recorder{started: make(chan struct{}), output: make(chan struct{})}
}

// Started implements [pluginapi.Output].
func (r *Recorder) Started(state []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = bytes.Clone(state)
	if r.starts++; r.starts == 1 {
		close(r.started)
	}
	return nil
}

// Stdout implements [pluginapi.Output].
func (r *Recorder) Stdout() io.Writer { return recorderWriter{r, &r.stdout} }

// Stderr implements [pluginapi.Output].
func (r *Recorder) Stderr() io.Writer { return recorderWriter{r, &r.stderr} }

type recorderWriter struct {
	recorder *Recorder
	buffer   *bytes.Buffer
}

func (w recorderWriter) Write(p []byte) (int, error) {
	r := w.recorder
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.both.Len() == 0 && len(p) > 0 {
		close(r.output)
	}
	r.both.Write(p)
	return w.buffer.Write(p)
}

// HasStarted returns a channel that is closed when the run has started.
func (r *Recorder) HasStarted() <-chan struct{} { return r.started }

// HasOutput returns a channel that is closed at the first byte of output.
func (r *Recorder) HasOutput() <-chan struct{} { return r.output }

// State is what the run said when it started.
func (r *Recorder) State() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.state)
}

// Text returns what came on stdout, on stderr, and on both in order of arrival.
func (r *Recorder) Text() (stdout, stderr, both string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stdout.String(), r.stderr.String(), r.both.String()
}
