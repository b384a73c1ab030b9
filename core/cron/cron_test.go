package cron_test

import (
	"strconv"
	"testing"
	"time"

	oracle "github.com/robfig/cron/v3"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stroem/stroem/core/cron"
)

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for expression, message := range map[string]string{
		"":                             "it is empty",
		"  ":                           "it is empty",
		"* * * *":                      "it has 4 fields: write 5 (minute hour day month weekday), or 6 with seconds in front",
		"* * * * * * *":                "it has 7 fields: write 5 (minute hour day month weekday), or 6 with seconds in front",
		"@daily":                       "descriptors like @daily are not supported; write the fields, like 0 0 * * *",
		"@every 1s":                    "descriptors like @daily are not supported; write the fields, like 0 0 * * *",
		"TZ=UTC":                       "a time zone does not belong here; set the trigger's timezone",
		"CRON_TZ=UTC 0 0 * * *":        "a time zone does not belong here; set the trigger's timezone",
		"61 * * * *":                   "minute 61 is not between 0 and 59",
		"* 24 * * *":                   "hour 24 is not between 0 and 23",
		"* * 0 * *":                    "day of month 0 is not between 1 and 31",
		"* * * 13 *":                   "month 13 is not between 1 and 12",
		"* * * foo *":                  "month 'foo' is not a number or a name like feb",
		"* * * * 8":                    "weekday 8 is not between 0 and 7",
		"* * * * monday":               "weekday 'monday' is not a number or a name like mon",
		"5-1 * * * *":                  "minute '5-1': the range ends before it begins",
		"*/0 * * * *":                  "minute '*/0': the step behind / has to be a number from 1",
		"*/x * * * *":                  "minute '*/x': the step behind / has to be a number from 1",
		"*/+5 * * * *":                 "minute '*/+5': the step behind / has to be a number from 1",
		"1,,2 * * * *":                 "minute '' is not a number",
		"1-2-3 * * * *":                "minute '2-3' is not a number",
		"+1 * * * *":                   "minute '+1' is not a number",
		"L * * * *":                    "minute 'l' is not a number",
		"* * L-31 * *":                 "day of month 'l-31': write L-1 to L-30 for days before the last",
		"* * 32W * *":                  "day of month '32w': write 1W to 31W for the weekday nearest to a day, or LW",
		"* * * * L":                    "weekday 'l': say of which weekday, like 5L for the last Friday",
		"* * * * 5#6":                  "weekday '5#6': write #1 to #5 behind the weekday, or L for the last",
		"* * * * 5#":                   "weekday '5#': write #1 to #5 behind the weekday, or L for the last",
		"99999999999999999999 * * * *": "minute '99999999999999999999' is not a number",
	} {
		_, err := cron.Parse(expression)
		require.EqualError(t, err, message, "%q", expression)
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	const from = "2026-01-15T10:30:00" // a Thursday
	for _, c := range []struct {
		expression string
		want       []string // in UTC
	}{
		{"* * * * *", []string{"2026-01-15T10:31:00", "2026-01-15T10:32:00"}},
		{"*/20 * * * * *", []string{"2026-01-15T10:30:20", "2026-01-15T10:30:40", "2026-01-15T10:31:00"}},
		{"30 10 * * *", []string{"2026-01-16T10:30:00"}},
		{"5/25 10-12/2 * * ?", []string{"2026-01-15T10:55:00", "2026-01-15T12:05:00"}},
		{"0 0 1 jan *", []string{"2027-01-01T00:00:00"}},
		{"0 0 29 2 *", []string{"2028-02-29T00:00:00"}},
		{"0 0 L * *", []string{"2026-01-31T00:00:00", "2026-02-28T00:00:00"}},
		{"0 0 L-3 * *", []string{"2026-01-28T00:00:00", "2026-02-25T00:00:00"}},
		{"0 0 L,1 * *", []string{"2026-01-31T00:00:00", "2026-02-01T00:00:00"}},
		{"0 0 LW * *", []string{"2026-01-30T00:00:00", "2026-02-27T00:00:00", "2026-03-31T00:00:00"}},
		{"0 0 1W * *", []string{"2026-02-02T00:00:00", "2026-03-02T00:00:00", "2026-04-01T00:00:00", "2026-05-01T00:00:00", "2026-06-01T00:00:00", "2026-07-01T00:00:00", "2026-08-03T00:00:00"}},
		{"0 0 17W 1 *", []string{"2026-01-16T00:00:00"}},
		{"0 0 18W 1 *", []string{"2026-01-19T00:00:00"}},
		{"0 0 31W * *", []string{"2026-01-30T00:00:00", "2026-03-31T00:00:00", "2026-05-29T00:00:00"}},
		{"0 0 * * 5L", []string{"2026-01-30T00:00:00", "2026-02-27T00:00:00"}},
		{"0 0 * * fri#L", []string{"2026-01-30T00:00:00"}},
		{"0 0 * * FRI#2", []string{"2026-02-13T00:00:00"}},
		{"0 0 * * 4#5", []string{"2026-01-29T00:00:00", "2026-04-30T00:00:00"}},
		{"0 0 * * 7", []string{"2026-01-18T00:00:00"}},
		{"0 0 * * sat-sun", []string{"2026-01-17T00:00:00", "2026-01-18T00:00:00", "2026-01-24T00:00:00"}},
		{"0 0 * * 5-7", []string{"2026-01-16T00:00:00", "2026-01-17T00:00:00", "2026-01-18T00:00:00", "2026-01-23T00:00:00"}},
		{"0 0 20 * mon", []string{"2026-01-19T00:00:00", "2026-01-20T00:00:00", "2026-01-26T00:00:00"}},
		{"0 0 30 2 *", []string{""}},
		{"0 0 31W 2,4 *", []string{""}},
	} {
		schedule, err := cron.Parse(c.expression)
		require.NoError(t, err, c.expression)
		at, err := time.Parse("2006-01-02T15:04:05", from)
		require.NoError(t, err)
		for _, want := range c.want {
			at = schedule.Next(at)
			if want == "" {
				require.Zero(t, at, c.expression)
				continue
			}
			require.Equal(t, want, at.Format("2006-01-02T15:04:05"), c.expression)
		}
	}
}

func TestNextWhereClocksChange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, zone, expression, from string
		want                         []string
	}{
		{
			"a lost time fires at the change", "Europe/Oslo", "30 2 * * *", "2026-03-28T12:00:00+01:00",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"},
		},
		{
			"several lost times fire once", "Europe/Oslo", "*/15 2 * * *", "2026-03-28T12:00:00+01:00",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"},
		},
		{
			"a lost time beside one that is there", "Europe/Oslo", "30 2,3 * * *", "2026-03-28T12:00:00+01:00",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"},
		},
		{
			"every hour makes up for nothing", "Europe/Oslo", "30 * * * *", "2026-03-29T00:45:00+01:00",
			[]string{"2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00"},
		},
		{
			"lost midnight", "America/Sao_Paulo", "0 0 * * *", "2018-11-03T12:00:00-03:00",
			[]string{"2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"},
		},
		{
			"half an hour lost", "Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00:00+10:30",
			[]string{"2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"},
		},
		{
			"a day lost", "Pacific/Apia", "0 12 30 12 *", "2011-12-29T13:00:00-10:00",
			[]string{"2011-12-31T00:00:00+14:00", "2012-12-30T12:00:00+14:00"},
		},
		{
			"a time that comes twice fires first", "Europe/Oslo", "30 2 * * *", "2026-10-24T12:00:00+02:00",
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"},
		},
		{
			"also when asked from the second", "Europe/Oslo", "30 2 * * *", "2026-10-25T02:10:00+01:00",
			[]string{"2026-10-26T02:30:00+01:00"},
		},
		{
			"every hour fires in both", "Europe/Oslo", "30 * * * *", "2026-10-25T01:45:00+02:00",
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+01:00"},
		},
		{
			"minutes of fixed hours once", "America/New_York", "0,30 1 * * *", "2026-11-01T00:30:00-04:00",
			[]string{"2026-11-01T01:00:00-04:00", "2026-11-01T01:30:00-04:00", "2026-11-02T01:00:00-05:00"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(c.zone)
			require.NoError(t, err)
			schedule, err := cron.Parse(c.expression)
			require.NoError(t, err)
			at, err := time.Parse(time.RFC3339, c.from)
			require.NoError(t, err)
			at = at.In(zone)
			for _, want := range c.want {
				at = schedule.Next(at)
				require.Equal(t, want, at.Format(time.RFC3339))
			}
		})
	}
}

// On plain expressions, with clocks that do not change, we agree with the library that has no L, W and #.
func TestNextAgreesWithOracle(t *testing.T) {
	t.Parallel()
	parser := oracle.NewParser(oracle.Second | oracle.Minute | oracle.Hour | oracle.Dom | oracle.Month | oracle.Dow)
	field := func(t *rapid.T, name string, low, high int) string {
		value := rapid.IntRange(low, high)
		return rapid.OneOf(
			rapid.Just("*"),
			rapid.Custom(func(t *rapid.T) string { return strconv.Itoa(value.Draw(t, "v")) }),
			rapid.Custom(func(t *rapid.T) string { return "*/" + strconv.Itoa(rapid.IntRange(1, 20).Draw(t, "step")) }),
			rapid.Custom(func(t *rapid.T) string {
				from := value.Draw(t, "from")
				return strconv.Itoa(from) + "-" + strconv.Itoa(rapid.IntRange(from, high).Draw(t, "to")) + "/" + strconv.Itoa(rapid.IntRange(1, 5).Draw(t, "step"))
			}),
			rapid.Custom(func(t *rapid.T) string {
				return strconv.Itoa(value.Draw(t, "a")) + "," + strconv.Itoa(value.Draw(t, "b"))
			}),
		).Draw(t, name)
	}
	rapid.Check(t, func(t *rapid.T) {
		expression := field(t, "second", 0, 59) + " " + field(t, "minute", 0, 59) + " " + field(t, "hour", 0, 23) + " " +
			field(t, "day", 1, 28) + " " + field(t, "month", 1, 12) + " " + field(t, "weekday", 0, 6)
		theirs, err := parser.Parse(expression)
		require.NoError(t, err, expression)
		ours, err := cron.Parse(expression)
		require.NoError(t, err, expression)
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "from"), 0).UTC()
		for range 5 {
			want := theirs.Next(at)
			require.Equal(t, want, ours.Next(at), "%s after %s", expression, at)
			at = want
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"* * * * *", "TZ=", "@", "0 0 L-3 * 5#2", "15W,LW * * * *", "*/5 1-3/2 ? jan fri-sun", "0 0 30 2 *"} {
		f.Add(seed)
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, expression string) {
		schedule, err := cron.Parse(expression)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		if next := schedule.Next(at); !next.IsZero() {
			require.True(t, next.After(at))
		}
	})
}

func BenchmarkNeverFires(b *testing.B) {
	schedule, err := cron.Parse("0 0 30 2 *")
	require.NoError(b, err)
	oslo, err := time.LoadLocation("Europe/Oslo")
	require.NoError(b, err)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, oslo)
	for b.Loop() {
		schedule.Next(at)
	}
}
