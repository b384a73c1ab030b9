package worker

import (
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
	bytes  [2]int64  // that came with this time, by stream
	upTo   time.Time // at, when the run was taken up
	repeat [2]int64  // of bytes, when the run was taken up: what is still to be passed over
}

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
	r.upTo, r.repeat = r.at, r.bytes
}

// take returns what is new of a piece.
func (r *received) take(stream int, p []byte, at time.Time) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at.After(r.upTo) {
		r.repeat[stream] = 0
	}
	known := min(r.repeat[stream], int64(len(p)))
	r.repeat[stream] -= known
	p = p[known:]
	if at.After(r.at) {
		r.at, r.bytes = at, [2]int64{}
	}
	if at.Equal(r.at) {
		r.bytes[stream] += int64(len(p))
	}
	return p
}

// receiving is a stream of a run whose progress is followed.
type receiving struct {
	io.Writer

	from   *received
	stream int
}

func (w *receiving) Write(p []byte) (int, error) { return w.WriteTimed(p, time.Now()) }

// WriteTimed implements [pluginapi.TimedWriter].
func (w *receiving) WriteTimed(p []byte, at time.Time) (int, error) {
	if fresh := w.from.take(w.stream, p, at); len(fresh) > 0 {
		if _, err := pluginapi.WriteTimed(w.Writer, fresh, at); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
