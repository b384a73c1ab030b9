package cron

import (
	"fmt"
	"time"
)

// Timetable says when something fires: a schedule on the clocks of a zone. It is immutable.
type Timetable struct {
	schedule *Schedule
	zone     *time.Location
}

// NewTimetable reads an expression and the name of a time zone; "" is UTC.
func NewTimetable(expression, timezone string) (*Timetable, error) {
	schedule, err := Parse(expression)
	if err != nil {
		return nil, fmt.Errorf("cron: %w", err)
	}
	zone, err := time.LoadLocation(timezone)
	if err != nil {
		return nil, fmt.Errorf("timezone: %w", err)
	}
	return &Timetable{schedule, zone}, nil
}

// After is the first instant later than t, in UTC; the zero time if there is none.
func (tt *Timetable) After(t time.Time) time.Time {
	next := tt.schedule.Next(t.In(tt.zone))
	if next.IsZero() {
		return time.Time{}
	}
	return next.UTC()
}
