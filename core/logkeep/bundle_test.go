package logkeep_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/core/logarchive"
	"github.com/stroem/stroem/core/logkeep"
	"github.com/stroem/stroem/core/logs"
	"github.com/stroem/stroem/core/postgres"
	"github.com/stroem/stroem/core/tally"
	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/tests/logdir"
)

// bundle is a replica with an archive, and a database with jobs of the test's own.
type bundle struct {
	t       *testing.T
	db      *postgres.Store
	conn    *pgx.Conn
	store   *logdir.Store
	options logkeep.Options
	id      uuid.UUID
	dir     string
	said    *lockedBuffer

	*logkeep.Keeper
	run  func() // has it archive
	stop func()
}

func newBundle(t *testing.T) *bundle {
	t.Helper()
	db, url := coretest.Store(t)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) })
	b := &bundle{t: t, db: db, conn: conn, store: logdir.New(t), id: uuid.New(), dir: t.TempDir(), said: &lockedBuffer{}}
	b.exec("insert into task_definition (hash, body) values ('h', '{}')")
	b.options = logkeep.Options{Store: db, Poll: 10 * time.Millisecond}
	b.open()
	return b
}

// open begins a replica on what there is.
func (b *bundle) open() {
	b.t.Helper()
	local, err := joblog.Open(filepath.Join(b.dir, "logs"), nil)
	require.NoError(b.t, err)
	logger := slog.New(slog.NewTextHandler(b.said, nil))
	archive, err := logarchive.New(b.store, filepath.Join(b.dir, "copies"))
	require.NoError(b.t, err)
	o := b.options
	o.Logs = logs.New(logs.Options{ID: b.id, Local: local, Registry: b.db, Logger: logger})
	o.Archive, o.Logger, o.Tally = archive, logger, &tally.Archive{}
	require.NoError(b.t, o.Logs.Join(b.t.Context(), ""))
	b.options.Tally = o.Tally
	b.Keeper = logkeep.New(o)
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.t.Context()))
	var running sync.WaitGroup
	b.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		require.NoError(b.t, archive.Close())
		require.NoError(b.t, local.Close())
	})
	b.t.Cleanup(b.stop)
	b.run = func() { running.Go(func() { b.Run(ctx) }) }
}

func (b *bundle) exec(sql string, args ...any) {
	b.t.Helper()
	_, err := b.conn.Exec(b.t.Context(), sql, args...)
	require.NoError(b.t, err)
}

func (b *bundle) count(from string, args ...any) (n int) {
	b.t.Helper()
	require.NoError(b.t, b.conn.QueryRow(b.t.Context(), "select count(*) from "+from, args...).Scan(&n))
	return n
}

var created = time.Date(2025, 3, 15, 14, 30, 45, 0, time.UTC)

// job stores one that runs.
func (b *bundle) job() uuid.UUID {
	b.t.Helper()
	id := uuid.New()
	b.exec(`insert into job (job_id, workspace, task_name, status, source_type, definition_hash, created_at, open_steps)
		values ($1, 'production', 'deploy', 'running', 'api', 'h', $2, 0)`, id, created)
	return id
}

func (b *bundle) end(job uuid.UUID) {
	b.t.Helper()
	b.exec("update job set status = 'completed', completed_at = now() where job_id = $1", job)
}

func key(job uuid.UUID) string {
	return "production/deploy/2025/03/15/2025-03-15T14-30-45_" + job.String() + ".jsonl.gz"
}

// lines appends lines of a step; each is another one.
func (b *bundle) lines(job uuid.UUID, step string, first, last int) {
	b.t.Helper()
	var batch []byte
	for i := first; i <= last; i++ {
		batch = joblog.AppendLine(batch, step, 1, joblog.Stdout, "2026-01-02T03:04:05.000000Z", fmt.Sprint(step, " ", i))
	}
	require.NoError(b.t, b.Append(b.t.Context(), job, step, 1, int64(first), batch))
}

// read reads the whole log.
func (b *bundle) read(job uuid.UUID) string {
	b.t.Helper()
	text, err := b.tryRead(job)
	require.NoError(b.t, err)
	return text
}

func (b *bundle) tryRead(job uuid.UUID) (string, error) {
	v, err := b.View(b.t.Context(), job)
	if err != nil {
		return "", err
	}
	defer func() { require.NoError(b.t, v.Close()) }()
	page, err := v.Read(b.t.Context(), joblog.Query{})
	return string(page.Logs), err
}

// object is the log in the archive, as everybody else reads it.
func (b *bundle) object(job uuid.UUID) string {
	b.t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b.store.Object(key(job))))
	require.NoError(b.t, err)
	content, err := io.ReadAll(z)
	require.NoError(b.t, err)
	return string(content)
}

// eventually waits for something that the replica does by itself.
func (b *bundle) eventually(what string, is func() bool) {
	b.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(30 * time.Second)
	for !is() {
		select {
		case <-tick.C:
		case <-limit:
			require.FailNow(b.t, "not so after 30 s: "+what, "%s", b.said)
		}
	}
}

// archived waits until the database says that the archive has a log.
func (b *bundle) archived(job uuid.UUID) {
	b.t.Helper()
	b.eventually("the log is archived", func() bool {
		return b.count("log_segment where job_id = $1", job) > 0 && b.count("log_segment where job_id = $1 and not archived", job) == 0
	})
}

// lockedBuffer is what the replica has said.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func zip(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return out.Bytes()
}

func deletion(key string) *pluginapi.DeleteRequest { return &pluginapi.DeleteRequest{Key: key} }
