package logkeep_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/tally"
)

// TestLogsGoToTheArchive follows a log through all of its life.
func TestLogsGoToTheArchive(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.run()
	running, job := b.job(), b.job()
	b.lines(running, "a", 1, 3)
	b.lines(job, "a", 1, 3000)
	b.end(job)
	b.archived(job)
	require.Equal(t, []string{key(job), key(job) + ".idx"}, b.store.Objects(), "and none of a job that runs")
	want := b.read(job)
	require.Equal(t, want, b.object(job))
	require.Equal(t, 1, b.count("log_archive where job_id = $1 and key = $2 and lines = 3000", job, key(job)))

	require.NoError(t, b.Event(t.Context(), job, "[hooks] Hook 'x' failed: late"))
	b.eventually("the late line is archived", func() bool { return strings.Contains(b.object(job), "late") })
	b.archived(job)
	want = b.read(job)
	require.Equal(t, want, b.object(job))

	b.drop(job)
	require.NoFileExists(t, b.file(job))
	require.Equal(t, want, b.read(job), "from the archive")
	require.NoError(t, b.Event(t.Context(), job, "later still"))
	now := b.read(job)
	require.True(t, strings.HasPrefix(now, want), "the archive, and what is behind it here")
	require.Contains(t, now[len(want):], "later still")
	b.eventually("that one is archived, too", func() bool { return strings.Contains(b.object(job), "later still") })
	b.archived(job)
	require.Equal(t, now, b.object(job))
	require.Equal(t, now, b.read(job))
	b.drop(job)
	require.Equal(t, now, b.read(job))
	b.stop()
	b.open()
	b.run()
	require.Equal(t, now, b.read(job))
	require.NoError(t, b.Event(t.Context(), job, "after a restart"))
	b.eventually("a line after a restart is archived", func() bool { return strings.Contains(b.object(job), "restart") })
	require.Equal(t, b.read(job), b.object(job))
}

// drop lets go of a log's local copies.
func (b *bundle) drop(job uuid.UUID) {
	b.t.Helper()
	list, err := b.db.LocalLogs(b.t.Context(), b.id, []uuid.UUID{job})
	require.NoError(b.t, err)
	dropped := 0
	for _, id := range list {
		if id.Dropped || id.First > id.Archived {
			continue
		}
		ok, err := b.Drop(b.t.Context(), id)
		require.NoError(b.t, err)
		if ok {
			dropped++
		}
	}
	require.Equal(b.t, 1, dropped)
}

func (b *bundle) file(job uuid.UUID) string {
	return filepath.Join(b.dir, "logs", job.String()+".jsonl")
}

// TestArchiveIsAway has many logs wait for it, across a restart; it is said once, and once that it is back.
func TestArchiveIsAway(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.run()
	b.store.Away(true)
	var jobs []uuid.UUID
	for range 10 {
		job := b.job()
		b.lines(job, "a", 1, 10)
		b.end(job)
		jobs = append(jobs, job)
	}
	b.eventually("it was tried twice", func() bool { return b.options.Tally.Uploads.Counts()[tally.Labels{tally.UploadFailed}] >= 2 })
	waits, err := b.db.UploadBacklog(t.Context())
	require.NoError(t, err)
	require.Equal(t, 10, waits.Pending)
	require.NotZero(t, waits.Failing)
	require.Contains(t, b.read(jobs[0]), "a 10", "which keeps nobody from reading what is here")
	b.stop()
	require.Equal(t, 1, strings.Count(b.said.String(), "a log cannot be archived"), b.said.String())
	b.open()
	b.run()
	b.eventually("it is tried again", func() bool { return b.options.Tally.Uploads.Counts()[tally.Labels{tally.UploadFailed}] > 0 })
	b.exec("update log_segment set due_at = now()") // as after some minutes
	b.store.Away(false)
	for _, job := range jobs {
		b.archived(job)
		require.Equal(t, b.read(job), b.object(job))
	}
	b.eventually("it is said", func() bool { return strings.Contains(b.said.String(), "logs are archived again") })
	waits, err = b.db.UploadBacklog(t.Context())
	require.NoError(t, err)
	require.Equal(t, core.UploadBacklog{}, waits)
}

// TestReadingWithoutTheArchive tells a log that cannot be read now from an empty one.
func TestReadingWithoutTheArchive(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.run()
	job, empty := b.job(), b.job()
	b.lines(job, "a", 1, 10)
	b.end(job)
	b.archived(job)
	want := b.read(job)
	b.drop(job)
	b.stop()
	b.open()
	b.store.Away(true)
	_, err := b.tryRead(job)
	requireUnavailable(t, err, "cannot be read now")
	require.Empty(t, b.read(empty), "a job that runs has nothing in the archive")
	b.store.Away(false)
	require.Equal(t, want, b.read(job))
	require.NoError(t, b.store.Delete(t.Context(), deletion(key(job))))
	require.NoError(t, b.store.Delete(t.Context(), deletion(key(job)+".idx")))
	b.stop()
	b.open()
	_, err = b.tryRead(job)
	requireUnavailable(t, err, "has to be restored")
}

func requireUnavailable(t *testing.T, err error, message string) {
	t.Helper()
	e, ok := errors.AsType[*core.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "log_archive_unavailable", e.Reason)
	require.Contains(t, e.Message, message)
}

// TestPartialLocalLog has the directory of logs lose files: what is in the archive is not hidden by it.
func TestPartialLocalLog(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.run()
	lost, cut := b.job(), b.job()
	for _, job := range []uuid.UUID{lost, cut} {
		b.lines(job, "a", 1, 100)
		b.end(job)
		b.archived(job)
	}
	want := b.read(lost)
	wantCut := b.read(cut)
	b.stop()
	require.NoError(t, os.Remove(b.file(lost)))
	require.NoError(t, os.Truncate(b.file(cut), 1000))
	require.NoError(t, os.Chtimes(b.file(cut), time.Time{}, created))
	b.open()
	require.Equal(t, want, b.read(lost))
	require.Equal(t, wantCut, b.read(cut))
	require.NoError(t, b.Tidy(t.Context()))
	require.NoError(t, b.Event(t.Context(), lost, "late"))
	text := b.read(lost)
	require.True(t, strings.HasPrefix(text, want))
	require.Contains(t, text[len(want):], "late")
	b.run()
	b.eventually("the late line is archived", func() bool { return b.object(lost) == text })
	require.Equal(t, wantCut, b.object(cut), "it did not get shorter")
}

// TestCrashes leaves what crashes leave.
func TestCrashes(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.run()
	job, dropped := b.job(), b.job()
	for _, job := range []uuid.UUID{job, dropped} {
		b.lines(job, "a", 1, 10)
		b.end(job)
		b.archived(job)
	}
	want := b.read(dropped)
	file, err := os.ReadFile(b.file(dropped))
	require.NoError(t, err)
	b.drop(dropped)
	b.stop()
	require.NoError(t, os.WriteFile(b.file(dropped), file, 0o600)) // it was said to be removed, and was not
	b.open()
	require.NoError(t, b.Event(t.Context(), job, "nobody hears of it")) // a line, and the database does not know
	require.Equal(t, want, b.read(dropped), "once")
	b.stop()
	b.open()
	b.run()
	b.eventually("the line is archived", func() bool { return strings.Contains(b.object(job), "nobody hears of it") })
	b.eventually("the file is gone", func() bool {
		_, err := os.Stat(b.file(dropped))
		return errors.Is(err, os.ErrNotExist)
	})
	require.Equal(t, want, b.read(dropped))

	// The object is stored, and the database does not know.
	b.archived(job)
	b.stop()
	b.exec("delete from log_archive where job_id = $1", job)
	b.exec("update log_segment set archived = false where job_id = $1", job)
	object := b.store.Object(key(job))
	b.open()
	b.run()
	b.archived(job)
	require.Equal(t, object, b.store.Object(key(job)))
	require.Equal(t, 1, b.count("log_archive where job_id = $1 and lines = 11", job))
}

// TestLocalCopiesGo looks at who stays.
func TestLocalCopiesGo(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.run()
	old, lately, open, unarchived := b.job(), b.job(), b.job(), b.job()
	for _, job := range []uuid.UUID{old, lately} {
		b.lines(job, "a", 1, 10)
		b.end(job)
		b.archived(job)
	}
	b.stop()
	b.options.Keep = 24 * time.Hour
	b.open()
	b.lines(open, "a", 1, 10)
	b.lines(unarchived, "a", 1, 10)
	b.end(unarchived)
	want := b.read(old)
	b.exec("update log_archive set archived_at = now() - interval '25 hours' where job_id = $1", old)
	require.NoError(t, b.Tidy(t.Context()))
	require.NoFileExists(t, b.file(old))
	for _, job := range []uuid.UUID{lately, open, unarchived} {
		require.FileExists(t, b.file(job))
	}
	require.Equal(t, want, b.read(old))
	require.NoError(t, b.Tidy(t.Context()), "nothing is left to do")
	require.Equal(t, 2, b.count("log_segment where job_id = $1", old))

	b.stop()
	b.options.Keep, b.options.MaxLocal = 0, 2000
	b.open()
	b.exec("update log_archive set archived_at = now() - interval '2 minutes' where job_id = $1", lately)
	require.NoError(t, b.Tidy(t.Context()))
	require.NoFileExists(t, b.file(lately))
	require.FileExists(t, b.file(open))
	require.FileExists(t, b.file(unarchived), "it is nowhere else")
}
