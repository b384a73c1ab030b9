package worker

import (
	"bytes"
	"io"
	"sync"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

// received knows how far the output of a run has come, for a plugin that takes the run up again and then repeats what was
// written at the time of the last piece. The zero value is for a run that has written nothing.
type received struct {
	mu     sync.Mutex
	at     time.Time // of the last piece, of either stream
	bytes  [2]int64  // that came with this time since the run was taken up, by stream
	upTo   time.Time // at, when the run was taken up
	repeat [2]int64  // bytes that had come before and are still to be passed over, by stream
}

// repeatSlack is how much later than the last piece one that comes again may seem to have come, in other company.
const repeatSlack = time.Second

// since is the time from which output is to be repeated; zero if none has come.
func (r *received) since() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

// resume says that what came with the last time comes again.
func (r *received) resume() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.upTo = r.at
	for stream := range r.bytes {
		r.repeat[stream] += r.bytes[stream]
		r.bytes[stream] = 0
	}
}

// take returns what is new of a piece.
func (r *received) take(stream int, p []byte, at time.Time) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at.After(r.upTo.Add(repeatSlack)) {
		r.repeat[stream] = 0 // the runner has not repeated what was asked for
	}
	if at.After(r.at) {
		r.at, r.bytes = at, [2]int64{}
	}
	if at.Equal(r.at) {
		r.bytes[stream] += int64(len(p))
	}
	known := min(r.repeat[stream], int64(len(p)))
	r.repeat[stream] -= known
	return p[known:]
}

// receiving is a stream of a run whose progress is followed.
type receiving struct {
	io.Writer

	from   *received
	stream int // 1 is stderr
}

func (w *receiving) Write(p []byte) (int, error) { return w.WriteTimed(p, time.Now()) }

// WriteTimed implements [pluginapi.TimedWriter].
func (w *receiving) WriteTimed(p []byte, at time.Time) (int, error) {
	if w.stream == 1 && bytes.HasPrefix(p, []byte(pluginapi.NotePrefix)) { // of the runner's own: does not come again
		return pluginapi.WriteTimed(w.Writer, p, at)
	}
	if fresh := w.from.take(w.stream, p, at); len(fresh) > 0 {
		if _, err := pluginapi.WriteTimed(w.Writer, fresh, at); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
