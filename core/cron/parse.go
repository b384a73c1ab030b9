package cron

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// unit is one of the fields of an expression.
type unit struct {
	name     string
	min, max int
	names    []string // of min, min+1, …
}

var (
	second  = unit{name: "second", min: 0, max: 59}
	minute  = unit{name: "minute", min: 0, max: 59}
	hour    = unit{name: "hour", min: 0, max: 23}
	day     = unit{name: "day of month", min: 1, max: 31}
	month   = unit{"month", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}}
	weekday = unit{"weekday", 0, 7, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}}
)

// Parse reads an expression. Time zones (TZ=) and descriptors (@daily) are no part of it.
func Parse(expression string) (*Schedule, error) {
	text := strings.TrimSpace(expression)
	switch {
	case text == "":
		return nil, errors.New("it is empty")
	case strings.HasPrefix(text, "TZ="), strings.HasPrefix(text, "CRON_TZ="):
		return nil, errors.New("a time zone does not belong here; set the trigger's timezone")
	case strings.HasPrefix(text, "@"):
		return nil, errors.New("descriptors like @daily are not supported; write the fields, like 0 0 * * *")
	}
	fields := strings.Fields(strings.ToLower(text))
	switch len(fields) {
	case 5:
		fields = append([]string{"0"}, fields...)
	case 6:
	default:
		return nil, fmt.Errorf("it has %d fields: write 5 (minute hour day month weekday), or 6 with seconds in front", len(fields))
	}
	s := &Schedule{}
	for i, parse := range []func(string) error{
		func(f string) (err error) { s.second, _, err = second.set(f); return },
		func(f string) (err error) { s.minute, _, err = minute.set(f); return },
		func(f string) (err error) { s.hour, s.everyHour, err = hour.set(f); return },
		s.parseDays,
		func(f string) (err error) { s.month, _, err = month.set(f); return },
		s.parseWeekdays,
	} {
		if err := parse(fields[i]); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// set reads a field as a set of bits. star tells whether it holds everything by a plain *.
func (u unit) set(field string) (bits uint64, star bool, err error) {
	for item := range strings.SplitSeq(field, ",") {
		span, all, err := u.span(item)
		if err != nil {
			return 0, false, err
		}
		bits, star = bits|span, star || all
	}
	return bits, star, nil
}

// span reads *, 5, 1-5, */10, 1-5/2 or 5/10, which is 5-max/10.
func (u unit) span(item string) (bits uint64, star bool, err error) {
	from, to, step := u.min, u.max, 1
	body, stepText, stepped := strings.Cut(item, "/")
	if stepped {
		if step, err = strconv.Atoi(stepText); err != nil || step < 1 || stepText[0] == '+' {
			return 0, false, fmt.Errorf("%s '%s': the step behind / has to be a number from 1", u.name, item)
		}
	}
	low, high, ranged := strings.Cut(body, "-")
	if u.name == weekday.name && to == 7 {
		to = 6 // Sunday is in already
	}
	if body != "*" && body != "?" {
		if from, err = u.value(low); err != nil {
			return 0, false, err
		}
		switch {
		case ranged:
			if to, err = u.value(high); err != nil {
				return 0, false, err
			}
			if u.name == weekday.name && to == 0 && from > 0 {
				to = 7 // fri-sun
			}
		case !stepped:
			to = from
		}
	}
	if from > to {
		return 0, false, fmt.Errorf("%s '%s': the range ends before it begins", u.name, item)
	}
	for v := from; v <= to; v += step {
		bits |= 1 << v
	}
	return bits, (body == "*" || body == "?") && step == 1, nil
}

func (u unit) value(text string) (int, error) {
	for i, name := range u.names {
		if text == name {
			return u.min + i, nil
		}
	}
	v, err := strconv.Atoi(text)
	if err != nil || text[0] == '+' || text[0] == '-' {
		return 0, fmt.Errorf("%s '%s' is not a number%s", u.name, text, u.orName())
	}
	if v < u.min || v > u.max {
		return 0, fmt.Errorf("%s %d is not between %d and %d", u.name, v, u.min, u.max)
	}
	return v, nil
}

func (u unit) orName() string {
	if u.names == nil {
		return ""
	}
	return " or a name like " + u.names[1]
}
