package scheduler_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
)

// TestWhereClocksChange lets days pass in steps of ten minutes, as they do for a server, where clocks go forward and back and
// where February has 29 days.
func TestWhereClocksChange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		zone, cron, from string
		days             int
		want             []string
	}{
		"a lost hour": {
			"Europe/Oslo", "30 2 * * *", "2026-03-28T00:00:00Z", 3,
			[]string{"2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"},
		},
		"an hour twice": {
			"America/New_York", "30 1 * * *", "2026-10-31T00:00:00Z", 3,
			[]string{"2026-10-31T05:30:00Z", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"},
		},
		"half an hour": {
			"Australia/Lord_Howe", "15 2 * * *", "2026-10-02T00:00:00Z", 3,
			[]string{"2026-10-02T15:45:00Z", "2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"},
		},
		"a lost midnight": {
			"America/Sao_Paulo", "0 0 * * *", "2018-11-02T12:00:00Z", 3,
			[]string{"2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"},
		},
		"a zone that never changes": {
			"Asia/Kathmandu", "0 0 * * *", "2026-03-28T00:00:00Z", 3,
			[]string{"2026-03-28T18:15:00Z", "2026-03-29T18:15:00Z", "2026-03-30T18:15:00Z"},
		},
		"leap day": {
			"UTC", "0 12 29 2 *", "2028-02-28T00:00:00Z", 3,
			[]string{"2028-02-29T12:00:00Z"},
		},
		"the last day of a leap February": {
			"Europe/Oslo", "0 12 L 2 *", "2028-02-27T00:00:00Z", 4,
			[]string{"2028-02-29T11:00:00Z"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, c.from, map[string]*core.Trigger{"a": {Cron: c.cron, Timezone: c.zone}})
			b.start()
			now := at(t, c.from)
			for range c.days * 24 * 6 {
				now = now.Add(10 * time.Minute)
				b.pass(now)
			}
			require.Equal(t, c.want, b.instants("a"))
			require.Len(t, b.jobs(), len(c.want))
		})
	}
}
