package scheduler

import (
	"fmt"
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/cron"
)

// timetable says when a trigger fires.
type timetable struct {
	schedule *cron.Schedule
	zone     *time.Location
}

func newTimetable(expression, timezone string) (timetable, error) {
	schedule, err := cron.Parse(expression)
	if err != nil {
		return timetable{}, fmt.Errorf("cron: %w", err)
	}
	zone, err := time.LoadLocation(timezone) // "" is UTC
	if err != nil {
		return timetable{}, fmt.Errorf("timezone: %w", err)
	}
	return timetable{schedule, zone}, nil
}

// after is the first instant later than t; the zero time if there is none.
func (tt timetable) after(t time.Time) time.Time {
	next := tt.schedule.Next(t.In(tt.zone))
	if next.IsZero() {
		return time.Time{}
	}
	return next.UTC()
}

// last is the latest instant from first, which is one, to now; missed is how many there were from first on before it, of which
// at most core.MaxMissed are counted.
func (tt timetable) last(first, now time.Time) (last time.Time, missed int) {
	last = first
	for missed < core.MaxMissed {
		next := tt.after(last)
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
		next := tt.after(from)
		if from.After(last) && (next.IsZero() || next.After(now)) {
			continue
		}
		for !next.IsZero() && !next.After(now) {
			last, next = next, tt.after(next)
		}
		return last, missed
	}
}
