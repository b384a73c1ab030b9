package joblog

import "time"

// moment reads a time of a line, in microseconds since 1970. It is quick for the form in which workers of ours write it.
func moment(ts []byte) (micros int64, ok bool) {
	if micros, ok = storedMoment(ts); ok {
		return micros, true
	}
	t, err := time.Parse(time.RFC3339, string(ts))
	if err != nil {
		return 0, false
	}
	return t.UnixMicro(), true
}

// storedMoment reads a time in timeLayout.
func storedMoment(ts []byte) (micros int64, ok bool) {
	if len(ts) != len(timeLayout) {
		return 0, false
	}
	var parts [7]int64
	part := 0
	for i, c := range ts {
		switch {
		case '0' <= c && c <= '9':
			parts[part] = parts[part]*10 + int64(c-'0')
		case c != timeLayout[i]:
			return 0, false
		default:
			part++
			if i == len(ts)-1 && part == len(parts) {
				return microsOf(parts)
			}
		}
	}
	return 0, false
}

// microsOf is the time of year, month, day, hour, minute, second and microsecond, if there is one.
func microsOf(p [7]int64) (micros int64, ok bool) {
	year, month, day := p[0], p[1], p[2]
	if month < 1 || month > 12 || day < 1 || day > 28 || p[3] > 23 || p[4] > 59 || p[5] > 59 {
		t := time.Date(int(year), time.Month(month), int(day), int(p[3]), int(p[4]), int(p[5]), int(p[6])*1000, time.UTC)
		same := t.Day() == int(day) && t.Month() == time.Month(month) && t.Hour() == int(p[3]) && t.Minute() == int(p[4]) && t.Second() == int(p[5])
		return t.UnixMicro(), same
	}
	// Days since 1970 in a year that begins in March, so that a leap day is its last one.
	if month <= 2 {
		year--
		month += 12
	}
	days := 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - 719468
	return (((days*24+p[3])*60+p[4])*60+p[5])*1_000_000 + p[6], true
}
