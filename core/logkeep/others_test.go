package logkeep_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/tally"
)

// TestForeignLogsAreFound reads what another program has archived of a job of which nothing is here, and keeps what it has of one of
// which less is here.
func TestForeignLogsAreFound(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	whole, partial := b.job(), b.job()
	const text = "{\"step\":\"a\",\"stream\":\"stdout\",\"ts\":\"t\",\"line\":\"from another program\"}\n"
	b.store.Set(key(whole), zip(t, strings.Repeat(text, 50)))
	b.store.Set(key(partial), zip(t, strings.Repeat(text, 50)))
	b.lines(partial, "a", 1, 10)
	require.Empty(t, b.read(whole), "while it runs")
	b.end(whole)
	b.end(partial)
	b.stop()
	b.open()
	require.Equal(t, strings.Repeat(text, 50), b.read(whole))
	b.run()
	b.archived(partial)
	b.eventually("what is there is known", func() bool { return b.read(partial) == strings.Repeat(text, 50) })
}

// TestJobIsGone has retention remove a job whose log is due.
func TestJobIsGone(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.store.Away(true)
	job, other := b.job(), b.job()
	b.lines(job, "a", 1, 10)
	b.lines(other, "a", 1, 10)
	b.end(job)
	b.end(other)
	b.run()
	b.eventually("it was tried", func() bool { return b.options.Tally.Uploads.Counts()[tally.Labels{tally.UploadFailed}] >= 2 })
	b.exec("delete from job where job_id = $1", job)
	b.exec("update log_segment set due_at = now()")
	b.store.Away(false)
	b.archived(other)
	require.NotContains(t, b.store.Objects(), key(job))
}

// TestOldLogs are those of jobs that ended before there was an archive, or before segments: newer ones go before them.
func TestOldLogs(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	var jobs []uuid.UUID
	for range 12 {
		job := b.job()
		b.lines(job, "a", 1, 10)
		b.end(job)
		jobs = append(jobs, job)
	}
	b.exec("update log_segment set due_at = now() - interval '1 day'")
	fresh := b.job()
	b.lines(fresh, "a", 1, 10)
	b.end(fresh)
	b.run()
	b.archived(fresh)
	require.Less(t, b.count("log_archive"), 12, "they wait")
	for _, job := range jobs {
		b.archived(job)
	}
}

// TestAnotherReplicaReads reads what is archived through a replica that cannot reach the one that has it.
func TestAnotherReplicaReads(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.run()
	job, open := b.job(), b.job()
	b.lines(job, "a", 1, 100)
	b.lines(open, "a", 1, 100)
	b.end(job)
	b.archived(job)
	want := b.read(job)
	b.stop()
	b.id, b.dir = uuid.New(), t.TempDir()
	b.open()
	require.Equal(t, want, b.read(job))
	_, err := b.tryRead(open)
	require.Error(t, err)
	require.Equal(t, core.CodeUnavailable, core.ErrorCode(err))
	b.end(open)
	b.run()
	b.eventually("its own log is archived", func() bool {
		own := b.job()
		b.lines(own, "a", 1, 1)
		b.end(own)
		b.archived(own)
		return true
	})
	require.NotContains(t, b.store.Objects(), key(open), "it is not this replica's")
}

// TestFirstLineComesLate has the log of an ended job looked at before its first line is there.
func TestFirstLineComesLate(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.run()
	job := b.job()
	b.end(job)
	b.exec("insert into log_segment (job_id, n, replica_id) values ($1, 1, $2)", job, b.id)
	b.archived(job)
	require.Empty(t, b.store.Objects())
	b.stop()
	b.open()
	b.lines(job, "a", 1, 1) // and the server dies
	b.stop()
	b.open()
	b.run()
	b.eventually("it is archived", func() bool { return len(b.store.Objects()) == 2 })
	require.Equal(t, b.read(job), b.object(job))
}

// TestManyLogsWait has a hundred thousand logs of old jobs to archive, and a thousand of jobs that run.
func TestManyLogsWait(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.exec(`insert into job (job_id, workspace, task_name, status, source_type, definition_hash, created_at, completed_at, open_steps)
		select md5(i::text)::uuid, 'production', 'deploy', case when i > 1000 then 'completed' else 'running' end, 'api', 'h', now(),
			case when i > 1000 then now() - interval '2 hours' end, 0 from generate_series(1, 101000) i`)
	b.exec(`insert into log_segment (job_id, n, replica_id, due_at)
		select job_id, 1, $1, case when status = 'running' then now() - interval '30 minutes' else completed_at end from job`, b.id)
	b.exec("analyze job, log_segment")
	took := func(what string, do func() error) {
		begun := time.Now()
		require.NoError(t, do())
		t.Logf("%s: %s", what, time.Since(begun))
		require.Less(t, time.Since(begun), 5*time.Second, what)
	}
	took("fresh ones", func() error {
		due, err := b.db.DueUploads(t.Context(), b.id, true, 32)
		require.Empty(t, due)
		return err
	})
	took("old ones", func() error {
		due, err := b.db.DueUploads(t.Context(), b.id, false, 8)
		require.Len(t, due, 8)
		return err
	})
	took("a scrape", func() error {
		waits, err := b.db.UploadBacklog(t.Context())
		require.Equal(t, 100_000, waits.Pending)
		require.InDelta(t, 2*time.Hour, waits.Oldest, float64(time.Minute))
		return err
	})
	took("jobs that run for long", func() error { return b.db.KeepUploadsFresh(t.Context(), b.id) })
	require.Equal(t, 1000, b.count("log_segment where due_at > now() - interval '1 minute'"))
	b.exec("update job set status = 'completed', completed_at = now() where status = 'running'")
	due, err := b.db.DueUploads(t.Context(), b.id, true, 2000)
	require.NoError(t, err)
	require.Len(t, due, 1000, "they go first once they have ended")
}
