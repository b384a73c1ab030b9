package joblog

import (
	"io"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/stroem/stroem/core/mask"
)

// stream is the way of the bytes of stdout or stderr into the recorder's batch: made valid, searched for outputs,
// masked, cut into lines.
type stream struct {
	recorder *Recorder
	name     string

	mu       sync.Mutex // held for a whole Write, which may wait for room
	sanitize sanitizer
	mask     mask.Stream
	masked   []byte
	split    splitter

	known  int64     // lines to come that are stored already
	at     time.Time // when the bytes at hand came
	prefix []byte    // of every line, up to the time
	stamp  []byte    // at, in a line
	line   []byte    // the encoded line at hand
}

func newStream(r *Recorder, name string, known int64) *stream {
	return &stream{
		recorder: r, name: name, known: known, mask: mask.NewStream(r.options.Masker),
		prefix: appendStream(appendHeader(nil, r.options.Step, r.options.Attempt), name),
	}
}

// Write records p as coming now. It waits while sending is behind and never fails before the record is closed.
func (s *stream) Write(p []byte) (int, error) { return s.WriteTimed(p, time.Now()) }

// WriteTimed implements [pluginapi.TimedWriter]: every line has the time of the bytes with which it ended.
func (s *stream) WriteTimed(p []byte, at time.Time) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.recorder
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return 0, io.ErrClosedPipe
	}
	// The end of a line that was held back, for it may be inside of a secret, keeps the time at which it came; and so
	// have all lines that come with it, or their number at one time would depend on what is secret.
	if !s.mask.HoldsLine() {
		s.setTime(at)
	}
	s.take(s.sanitize.clean(p), false)
	return len(p), nil
}

func (s *stream) setTime(at time.Time) {
	s.at = at
	s.stamp = appendTime(s.stamp[:0], at)
}

// flush records what was held back.
func (s *stream) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	s.take(s.sanitize.flush(), true)
	s.split.flush(s.emit)
}

func (s *stream) take(clean []byte, final bool) {
	if s.name == Stdout {
		s.recorder.output.feed(clean)
	}
	s.masked = s.mask.Append(s.masked[:0], clean, final)
	if s.name == Stderr {
		s.recorder.tail.write(s.masked)
	}
	s.split.feed(s.masked, s.emit)
}

func (s *stream) emit(line []byte, cut bool) {
	if s.known > 0 {
		if !s.at.After(s.recorder.options.Known.Until.Add(knownSlack)) {
			s.known--
			return
		}
		s.known = 0 // the runner has not repeated what was asked for
	}
	s.recorder.add(s, line, cut)
}

// knownSlack is how much later than the last stored line one that is stored may seem to have come, because it comes in
// other company now. What comes later than that is new, whatever was to come before it.
const knownSlack = time.Second

// tail keeps the last tailSize bytes of a stream.
type tail struct{ data []byte }

func (t *tail) write(p []byte) {
	if len(p) >= tailSize {
		t.data, p = t.data[:0], p[len(p)-tailSize:]
	}
	t.data = append(t.data, p...)
	if len(t.data) > 2*tailSize {
		t.data = append(t.data[:0], t.data[len(t.data)-tailSize:]...)
	}
}

// String is what was kept, from the start of a character.
func (t *tail) String() string {
	data := t.data[max(len(t.data)-tailSize, 0):]
	for len(data) > 0 && !utf8.RuneStart(data[0]) {
		data = data[1:]
	}
	return string(data)
}
