package scheduler

import (
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/cron"
)

// last is the latest instant of a timetable from first, which is one, to now; missed is how many there were from first on before
// it, of which at most core.MaxMissed are counted.
func last(tt *cron.Timetable, first, now time.Time) (last time.Time, missed int) {
	last = first
	for missed < core.MaxMissed {
		next := tt.After(last)
		if next.IsZero() || next.After(now) {
			return last, missed
		}
		last = next
		missed++
	}
	// So many that only the last one is looked for: from shortly before now, or from as far back as it takes.
	for back := time.Minute; ; back *= 60 {
		from := now.Add(-back)
		if !from.After(last) {
			from = last
		}
		next := tt.After(from)
		if from.After(last) && (next.IsZero() || next.After(now)) {
			continue
		}
		for !next.IsZero() && !next.After(now) {
			last, next = next, tt.After(next)
		}
		return last, missed
	}
}
