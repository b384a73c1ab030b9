package e2e

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/coretest"
)

// TestTenThousandTriggersAtRest measures a server with that many triggers, none of which is due: how long it takes to start, with
// new triggers and with known ones, and what processor time it and its plugin then use for all that they do, a worker included.
func TestTenThousandTriggersAtRest(t *testing.T) { //nolint:paralleltest // it measures
	var content strings.Builder
	content.WriteString("actions: {nothing: {type: shell, cmd: \"true\"}}\ntasks: {tick: {flow: {only: {action: nothing}}}}\ntriggers:\n")
	const triggers = 10_000
	soon := time.Now().UTC().AddDate(0, 0, 7)
	for i := range triggers {
		_, _ = fmt.Fprintf(&content, "  t%d: {type: scheduler, cron: \"%d %d %d * *\", task: tick}\n", i, i%60, i/60%24, soon.Day())
	}
	database := coretest.Postgres(t)
	conn, err := pgx.Connect(t.Context(), database)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	s := configure(t, database, workspace(t, content.String()), nil)
	for _, which := range []string{"new", "known"} {
		if s.server != nil {
			s.server.stop()
		}
		_, err = conn.Exec(t.Context(), "update schedule set next_fire_at = '2000-01-01' where trigger_name = 't0'") // it is due
		require.NoError(t, err)
		begun := time.Now()
		s.startServer()
		s.eventually("all triggers are ready", func(ctx context.Context) (ready bool) {
			require.NoError(t, conn.QueryRow(ctx, "select count(*) = $1 and min(next_fire_at) > now() from schedule", triggers).Scan(&ready))
			return ready
		})
		took := time.Since(begun)
		t.Logf("%d %s triggers are ready after %s", triggers, which, took.Round(time.Millisecond))
		require.Less(t, took, 5*time.Second)
	}
	s.startWorker("w", nil)
	const (
		settled = 5 * time.Second // what the start has left to collect is no rest
		rest    = 20 * time.Second
	)
	processes := []int{s.server.pid(), child(t, s.server.pid(), "source-folder")}
	<-time.After(settled)
	before := processor(t, processes)
	<-time.After(rest)
	used := processor(t, processes) - before
	t.Logf("at rest it uses %s of processor time in %s", used, rest)
	require.Less(t, used, rest/100)
}

// processor is the time that processes have used so far.
func processor(t *testing.T, pids []int) (used time.Duration) {
	t.Helper()
	const tick = 10 * time.Millisecond
	for _, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		require.NoError(t, err)
		_, rest, _ := strings.Cut(string(stat), ") ")
		for _, field := range strings.Fields(rest)[11:13] { // in user mode, and in the system's
			ticks, err := strconv.Atoi(field)
			require.NoError(t, err)
			used += time.Duration(ticks) * tick
		}
	}
	return used
}
