package retention_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/core/retention"
)

// bundle is a database with rows of the test's own, and a log store.
type bundle struct {
	t    *testing.T
	conn *pgx.Conn
	logs *joblog.Store
	dir  string
	*retention.Remover
}

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func newBundle(t *testing.T) *bundle {
	t.Helper()
	store, url := coretest.Store(t)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) })
	dir := t.TempDir()
	logs, err := joblog.Open(dir, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, logs.Close()) })
	b := &bundle{t: t, conn: conn, logs: logs, dir: dir, Remover: retention.New(retention.Options{
		Jobs: 30 * day, Workers: 24 * time.Hour, Audit: 90 * day, Store: store, Logs: logs, Logger: slog.New(slog.DiscardHandler),
	})}
	b.exec("insert into task_definition (hash, body) values ('h', '{}')")
	return b
}

func (b *bundle) exec(sql string, args ...any) {
	b.t.Helper()
	_, err := b.conn.Exec(b.t.Context(), sql, args...)
	require.NoError(b.t, err)
}

func (b *bundle) count(from string) (n int) {
	b.t.Helper()
	require.NoError(b.t, b.conn.QueryRow(b.t.Context(), "select count(*) from "+from).Scan(&n))
	return n
}

// job stores one with a step that ended, or is running, at an age.
func (b *bundle) job(status string, age time.Duration, parent uuid.UUID) uuid.UUID {
	b.t.Helper()
	id, at := uuid.New(), now.Add(-age)
	var ended *time.Time
	if status != "running" {
		ended = &at
	}
	var above *uuid.UUID
	if parent != uuid.Nil {
		above = &parent
	}
	b.exec(`insert into job (job_id, workspace, task_name, status, source_type, definition_hash, created_at, completed_at, open_steps, parent_job_id)
		values ($1, 'ws', 't', $2, 'api', 'h', $3, $4, 0, $5)`, id, status, at, ended, above)
	b.exec(`insert into job_step (step_id, job_id, step_name, flow_step, action_name, action_type, status, required_tags, runner, open_deps)
		values (nextval('job_step_block'), $1, 'a', 'a', 'x', 'shell', $2, '[]', 'local', 0)`, id, status)
	require.NoError(b.t, b.logs.Event(b.t.Context(), id, "hello"))
	return id
}

func TestOldJobsGoWithAllThatBelongsToThem(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	old := b.job("completed", 31*day, uuid.Nil)
	b.job("failed", 31*day, old)
	child := b.job("cancelled", 40*day, old)
	b.job("completed", 1*day, child) // what is below goes with it
	kept := []uuid.UUID{b.job("completed", 29*day, uuid.Nil), b.job("running", 90*day, uuid.Nil)}
	busy := b.job("failed", 60*day, uuid.Nil)
	kept = append(kept, busy, b.job("running", 60*day, busy))
	removed, err := b.RemoveRows(t.Context(), now)
	require.NoError(t, err)
	require.Equal(t, 4, removed)
	for _, id := range kept {
		require.Equal(t, 1, b.count("job where job_id = '"+id.String()+"'"))
	}
	require.Equal(t, len(kept), b.count("job"))
	require.Equal(t, len(kept), b.count("job_step"))

	removed, err = b.RemoveLogs(t.Context(), time.Now())
	require.NoError(t, err)
	require.Zero(t, removed, "what was just written may be of a job that is about to be stored")
	removed, err = b.RemoveLogs(t.Context(), time.Now().Add(2*time.Hour))
	require.NoError(t, err)
	require.Equal(t, 4, removed)
	files, err := os.ReadDir(b.dir)
	require.NoError(t, err)
	require.Len(t, files, len(kept))
	for _, id := range kept {
		require.FileExists(t, filepath.Join(b.dir, id.String()+".jsonl"))
	}
}

func TestManyAreRemovedInBatches(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.exec(`insert into job (job_id, workspace, task_name, status, source_type, definition_hash, created_at, completed_at, open_steps)
		select gen_random_uuid(), 'ws', 't', 'completed', 'api', 'h', $1, $1, 0 from generate_series(1, 1201)`, now.Add(-31*day))
	b.exec(`insert into worker (worker_id, name, token_hash, status, last_heartbeat)
		select gen_random_uuid(), 'w', decode(md5(i::text), 'hex'), 'inactive', $1 from generate_series(1, 1201) i`, now.Add(-25*time.Hour))
	removed, err := b.RemoveRows(t.Context(), now)
	require.NoError(t, err)
	require.Equal(t, 2402, removed)
	require.Zero(t, b.count("job"))
	require.Zero(t, b.count("worker"))
}

func TestOldWorkersAndTheHistoryOfTriggersGo(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for name, w := range map[string]struct {
		status string
		age    time.Duration
	}{"gone": {"inactive", 25 * time.Hour}, "lately": {"inactive", 23 * time.Hour}, "active": {"active", 40 * time.Hour}} {
		b.exec("insert into worker (worker_id, name, token_hash, status, last_heartbeat) values ($1, $2, $3, $4, $5)",
			uuid.New(), name, []byte(name), w.status, now.Add(-w.age))
	}
	for i, age := range []time.Duration{31 * day, 29 * day} {
		at := now.Add(-age)
		b.exec("insert into schedule_fire (workspace, trigger_name, scheduled_at, fired_at) values ('ws', 't', $1, $1)", at)
		b.exec(`insert into webhook_delivery (workspace, trigger_name, at, method, remote_address, bytes, status)
			values ('ws', $2, $1, 'POST', '::1', 0, 200)`, at, fmt.Sprint(i))
	}
	removed, err := b.RemoveRows(t.Context(), now)
	require.NoError(t, err)
	require.Equal(t, 3, removed)
	require.Equal(t, 0, b.count("worker where name = 'gone'"))
	require.Equal(t, 2, b.count("worker"))
	require.Equal(t, 1, b.count("schedule_fire"))
	require.Equal(t, 1, b.count("webhook_delivery"))
}

// audited stores entries of an age.
func (b *bundle) audited(n int, age time.Duration) {
	b.t.Helper()
	b.exec(`insert into audit (at, actor_type, actor, action, target, result, remote_address, request_id)
		select $2, 'user', 'ada', 'job.execute', 'ws/t', 'ok', '', '' from generate_series(1, $1)`, n, now.Add(-age))
}

func TestOldAuditEntriesGo(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.audited(1201, 91*day)
	b.audited(1, 90*day)
	b.audited(2, 89*day)
	removed, err := b.RemoveRows(t.Context(), now)
	require.NoError(t, err)
	require.Equal(t, 1201, removed)
	require.Equal(t, 3, b.count("audit"))
}

func TestNothingGoesUnlessConfigured(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.Jobs, b.Workers, b.Audit = 0, 0, 0
	b.job("completed", 3000*day, uuid.Nil)
	b.audited(1, 3000*day)
	for _, remove := range []func(context.Context, time.Time) (int, error){b.RemoveRows, b.RemoveLogs} {
		removed, err := remove(t.Context(), time.Now().Add(day))
		require.NoError(t, err)
		require.Zero(t, removed)
	}
}

// Who does not come back leaves tokens behind, which would stay for good.
func TestSessionsThatHaveExpiredGo(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.exec("insert into app_user (user_id, email, role) values ($1, 'ada@example.org', 'viewer')", uuid.Nil)
	sessions := func(n int, expires time.Time) {
		b.exec(`insert into refresh_token (hash, family_id, user_id, expires_at)
			select decode(md5($3::text || i::text), 'hex'), gen_random_uuid(), $1, $2 from generate_series(1, $4::int) i`, uuid.Nil, expires, expires.String(), n)
	}
	sessions(1201, now.Add(-2*day))
	sessions(2, now.Add(-23*time.Hour))
	sessions(3, now.Add(time.Minute))
	removed, err := b.RemoveRows(t.Context(), now)
	require.NoError(t, err)
	require.Equal(t, 1201, removed)
	require.Equal(t, 5, b.count("refresh_token"))
}
