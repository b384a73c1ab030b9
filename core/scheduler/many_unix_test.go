//go:build unix

package scheduler_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
)

// TestTenThousandTriggers measures the start with that many, first as new ones and then as known ones, and what the scheduler
// does while the clock is only looked at. tests/e2e measures a whole server at rest.
func TestTenThousandTriggers(t *testing.T) {
	t.Parallel()
	triggers := map[string]*core.Trigger{}
	for i := range 10_000 {
		triggers[fmt.Sprintf("t%d", i)] = &core.Trigger{Cron: fmt.Sprintf("%d %d * * *", i%60, i/60%24), Timezone: "Europe/Oslo"}
	}
	b := newBundle(t, "2026-03-02T10:00:30Z", triggers)
	for _, which := range []string{"new", "known"} {
		begun := time.Now()
		stop := b.start()
		took := time.Since(begun)
		t.Logf("%d %s triggers are ready after %s", len(triggers), which, took)
		require.Less(t, took, 5*time.Second)
		stop()
	}
	b.start()
	before, now := processor(t), b.clock.Now()
	const looks = 100 // at the clock, which are 15 seconds apart
	for range looks {
		now = now.Add(50 * time.Millisecond)
		b.pass(now)
	}
	cost := (processor(t) - before) / looks
	t.Logf("a look at the clock costs %s of processor time, every 15 s", cost)
	require.Less(t, cost, 150*time.Millisecond, "1 % of a core")
	b.pass(at(t, "2026-03-02T11:00:00Z"))
	schedules, err := b.store.Schedules(t.Context())
	require.NoError(t, err)
	require.Len(t, schedules, 10_000)
}

// processor is the time that this process has used.
func processor(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
