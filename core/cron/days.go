package cron

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// civil is a day of the calendar.
type civil struct {
	day, last int // of the month
	weekday   int // 0 is Sunday
}

// dayRule picks days that no fixed set of numbers can.
type dayRule func(civil) bool

// parseDays reads the day of month.
func (s *Schedule) parseDays(field string) error {
	for item := range strings.SplitSeq(field, ",") {
		rule, special, err := specialDay(item)
		switch {
		case err != nil:
			return err
		case special:
			s.dayRules = append(s.dayRules, rule)
			continue
		}
		bits, star, err := day.span(item)
		if err != nil {
			return err
		}
		s.days, s.anyDay = s.days|bits, s.anyDay || star
	}
	return nil
}

func specialDay(item string) (rule dayRule, special bool, err error) {
	back, fromLast := strings.CutPrefix(item, "l-")
	number, nearest := strings.CutSuffix(item, "w")
	switch {
	case item == "l":
		return func(c civil) bool { return c.day == c.last }, true, nil
	case item == "lw":
		return func(c civil) bool { return c.day == nearestWeekday(c, c.last) }, true, nil
	case fromLast:
		n, err := strconv.Atoi(back)
		if err != nil || n < 1 || n > 30 || back[0] == '+' {
			return nil, false, fmt.Errorf("day of month '%s': write L-1 to L-30 for days before the last", item)
		}
		return func(c civil) bool { return c.day == c.last-n }, true, nil
	case nearest:
		n, err := day.value(number)
		if err != nil {
			return nil, false, fmt.Errorf("day of month '%s': write 1W to 31W for the weekday nearest to a day, or LW", item)
		}
		return func(c civil) bool { return n <= c.last && c.day == nearestWeekday(c, n) }, true, nil
	}
	return nil, false, nil
}

// nearestWeekday is the day from Monday to Friday that is nearest to day n of c's month, and in that month.
func nearestWeekday(c civil, n int) int {
	switch weekday := ((c.weekday+n-c.day)%7 + 7) % 7; {
	case weekday == int(time.Saturday) && n > 1:
		return n - 1
	case weekday == int(time.Saturday):
		return n + 2
	case weekday == int(time.Sunday) && n < c.last:
		return n + 1
	case weekday == int(time.Sunday):
		return n - 2
	}
	return n
}

// parseWeekdays reads the weekday, in which 7 is Sunday as 0 is.
func (s *Schedule) parseWeekdays(field string) error {
	for item := range strings.SplitSeq(field, ",") {
		rule, special, err := specialWeekday(item)
		switch {
		case err != nil:
			return err
		case special:
			s.weekdayRules = append(s.weekdayRules, rule)
			continue
		}
		bits, star, err := weekday.span(item)
		if err != nil {
			return err
		}
		s.weekdays, s.anyWeekday = s.weekdays|bits&0x7f|bits>>7, s.anyWeekday || star
	}
	return nil
}

func specialWeekday(item string) (rule dayRule, special bool, err error) {
	name, occurrence, numbered := strings.Cut(item, "#")
	if !numbered {
		var last bool
		if name, last = strings.CutSuffix(item, "l"); !last {
			return nil, false, nil
		}
		occurrence = "l"
	}
	if name == "" {
		return nil, false, fmt.Errorf("weekday '%s': say of which weekday, like 5L for the last Friday", item)
	}
	wanted, err := weekday.value(name)
	if err != nil {
		return nil, false, err
	}
	wanted %= 7
	if occurrence == "l" {
		return func(c civil) bool { return c.weekday == wanted && c.day+7 > c.last }, true, nil
	}
	n, err := strconv.Atoi(occurrence)
	if err != nil || n < 1 || n > 5 || occurrence[0] == '+' {
		return nil, false, fmt.Errorf("weekday '%s': write #1 to #5 behind the weekday, or L for the last", item)
	}
	return func(c civil) bool { return c.weekday == wanted && (c.day-1)/7 == n-1 }, true, nil
}

// matches tells whether a day fits the day of month and the weekday, or either if both are given.
func (s *Schedule) matches(c civil) bool {
	inMonth := s.days>>c.day&1 == 1 || anyRule(s.dayRules, c)
	inWeek := s.weekdays>>c.weekday&1 == 1 || anyRule(s.weekdayRules, c)
	if s.anyDay || s.anyWeekday {
		return inMonth && inWeek
	}
	return inMonth || inWeek
}

func anyRule(rules []dayRule, c civil) bool {
	for _, rule := range rules {
		if rule(c) {
			return true
		}
	}
	return false
}
