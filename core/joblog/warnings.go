package joblog

import (
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
)

// warnEvery is how often the same is said: a disk that is full is heard of with every batch of every step.
const warnEvery = time.Minute

// warnings remembers when something was last said, and how often not since then.
type warnings struct {
	mu   sync.Mutex
	said map[string]time.Time
	more map[string]int
}

// warn says that something of a job's log cannot be written, if it was not said of any job in the last minute.
func (s *Store) warn(what string, job uuid.UUID, err error) {
	if more, say := s.warned.count(what); say {
		s.Logger.Warn("a log cannot be written, and that is tried again", slog.String("what", what), slog.String("job_id", job.String()),
			slog.Int("more_since_the_last_warning", more), slog.Any("error", err))
	}
}

// count tells whether to say something now, and how often it was not said since it was.
func (w *warnings) count(what string) (more int, say bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if last, ok := w.said[what]; ok && time.Since(last) < warnEvery {
		w.more[what]++
		return 0, false
	}
	if w.said == nil {
		w.said, w.more = map[string]time.Time{}, map[string]int{}
	}
	more = w.more[what]
	w.said[what], w.more[what] = time.Now(), 0
	return more, true
}
