package cron

import (
	"math/bits"
	"time"
	_ "time/tzdata" // time zones also where the system has none
)

// Schedule is a parsed expression. It is immutable.
type Schedule struct {
	second, minute, hour, month uint64
	days, weekdays              uint64
	dayRules, weekdayRules      []dayRule
	anyDay, anyWeekday          bool // the field is *
	everyHour                   bool
}

// horizon is how many years ahead a fire is looked for.
const horizon = 5

// Next is the first instant later than t at which the schedule fires on the clocks of t's location. It is the zero time
// if there is none within five years.
func (s *Schedule) Next(t time.Time) time.Time {
	location := t.Location()
	end := t.AddDate(horizon, 0, 0)
	from := t.Truncate(time.Second).Add(time.Second)
	// Between two changes of the clocks, time on the wall runs as it does in UTC.
	for !from.After(end) {
		wall, offset := onWall(from)
		periodStart, periodEnd := from.ZoneBounds()
		if !periodStart.IsZero() && !s.everyHour {
			// The clocks were set back here: what came before does not come again.
			if before, _ := onWall(periodStart.Add(-time.Second)); !wall.After(before) {
				wall = before.Add(time.Second)
			}
		}
		limit, final := end, true
		if !periodEnd.IsZero() && periodEnd.Before(end) {
			limit, final = periodEnd, false
		}
		if next := s.nextOnWall(wall, limit.UTC().Add(offset)); !next.IsZero() {
			return next.Add(-offset).In(location)
		}
		if final {
			break
		}
		if !s.everyHour && s.firesInGap(periodEnd) {
			return periodEnd.In(location)
		}
		from = periodEnd.In(location)
	}
	return time.Time{}
}

// onWall is what clocks show at t, as if it were in UTC, and how far they are ahead of UTC.
func onWall(t time.Time) (wall time.Time, offset time.Duration) {
	_, seconds := t.Zone()
	offset = time.Duration(seconds) * time.Second
	return t.UTC().Add(offset), offset
}

// firesInGap tells whether the clocks, set forward at an instant, jump over a time at which the schedule fires.
func (s *Schedule) firesInGap(change time.Time) bool {
	before, _ := onWall(change.Add(-time.Second))
	after, _ := onWall(change)
	return !s.nextOnWall(before.Add(time.Second), after).IsZero()
}

// nextOnWall is the first time from a given one on, and before limit, that fits all fields; all in UTC.
func (s *Schedule) nextOnWall(from, limit time.Time) time.Time {
	year, mon, dayOfMonth := from.Date()
	h, m, sec := from.Clock()
	for {
		first := time.Date(year, mon, 1, 0, 0, 0, 0, time.UTC)
		if !first.Before(limit) {
			return time.Time{}
		}
		if s.month>>mon&1 == 1 {
			c := civil{last: first.AddDate(0, 1, -1).Day()}
			for c.day = dayOfMonth; c.day <= c.last; c.day++ {
				c.weekday = (int(first.Weekday()) + c.day - 1) % 7
				if s.matches(c) {
					if h, m, sec, ok := s.timeOfDay(h, m, sec); ok {
						return before(time.Date(year, mon, c.day, h, m, sec, 0, time.UTC), limit)
					}
				}
				h, m, sec = 0, 0, 0
			}
		}
		year, mon, _ = first.AddDate(0, 1, 0).Date()
		dayOfMonth, h, m, sec = 1, 0, 0, 0
	}
}

// before is t if it is before limit, and otherwise the zero time.
func before(t, limit time.Time) time.Time {
	if t.Before(limit) {
		return t
	}
	return time.Time{}
}

// timeOfDay is the first time of a day that fits, from a given one on.
func (s *Schedule) timeOfDay(h, m, sec int) (hour, minute, second int, ok bool) {
	for hour = next(s.hour, h); hour < 64; hour = next(s.hour, hour+1) {
		if hour > h {
			m, sec = 0, 0
		}
		for minute = next(s.minute, m); minute < 64; minute = next(s.minute, minute+1) {
			if minute > m {
				sec = 0
			}
			if second = next(s.second, sec); second < 64 {
				return hour, minute, second, true
			}
		}
	}
	return 0, 0, 0, false
}

// next is the first member of a set that is not below from, or at least 64.
func next(set uint64, from int) int { return from + bits.TrailingZeros64(set>>from) }
