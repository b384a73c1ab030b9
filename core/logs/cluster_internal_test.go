package logs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/core/postgres"
)

// fataler is what a test and a run of a property have in common.
type fataler interface {
	require.TestingT
	Helper()
}

// cluster is some replicas on one database, which reach each other unless they are down.
type cluster struct {
	fataler
	ctx      context.Context
	store    *postgres.Store
	conn     *pgx.Conn
	dir      string
	replicas []*member
}

// member is a replica. Down, it has a directory and nothing else.
type member struct {
	cluster  *cluster
	id       uuid.UUID
	dir      string
	logs     *Logs
	isolated bool   // from the other replicas
	lost     bool   // what others answer it does not arrive
	failing  string // when it is cut off from the database
}

// database is a store, and a connection to look behind it.
func database(t *testing.T) (*postgres.Store, *pgx.Conn) {
	t.Helper()
	store, url := coretest.Store(t)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) })
	_, err = conn.Exec(t.Context(), "insert into task_definition (hash, body) values ('h', '{}')")
	require.NoError(t, err)
	return store, conn
}

func newCluster(ctx context.Context, t fataler, store *postgres.Store, conn *pgx.Conn, dir string, size int) *cluster {
	c := &cluster{fataler: t, ctx: ctx, store: store, conn: conn, dir: dir}
	for i := range size {
		m := &member{cluster: c, id: uuid.New(), dir: filepath.Join(dir, strconv.Itoa(i))}
		c.replicas = append(c.replicas, m)
		m.start()
	}
	return c
}

// life is longer than any test takes: what has run out is what a test says.
const life = time.Hour

func (m *member) start() {
	m.cluster.Helper()
	local, err := joblog.Open(m.dir, nil)
	require.NoError(m.cluster, err)
	m.failing, m.lost = "", false
	m.logs = New(Options{ID: m.id, Local: local, Registry: m, Peers: m, Life: life, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(m.cluster, m.logs.Join(m.cluster.ctx, m.id.String()))
}

// stop ends it as SIGKILL does: what was written stays.
func (m *member) stop() {
	m.cluster.Helper()
	require.NoError(m.cluster, m.logs.Local.Close())
	m.logs = nil
}

// expire has the others take it for gone. A replica that runs must not keep logs any more.
func (m *member) expire() {
	m.cluster.Helper()
	_, err := m.cluster.conn.Exec(m.cluster.ctx, "update replica set valid_until = now() where replica_id = $1", m.id)
	require.NoError(m.cluster, err)
	if m.logs != nil {
		m.logs.lease.renew(time.Time{}, 0, 1)
	}
}

// see is what it does now and then. It tells whether everything was done.
func (m *member) see() bool {
	news, err := m.logs.see(m.cluster.ctx, m.id.String())
	require.NoError(m.cluster, err)
	for _, segment := range news.Superseded {
		if err := m.logs.settle(m.cluster.ctx, segment); err != nil {
			require.ErrorIs(m.cluster, err, errCut)
			return false
		}
	}
	return true
}

func (c *cluster) job() uuid.UUID {
	c.Helper()
	id := uuid.New()
	_, err := c.conn.Exec(c.ctx, `insert into job (job_id, workspace, task_name, status, source_type, definition_hash, open_steps)
		values ($1, 'ws', 't', 'running', 'api', 'h', 1)`, id)
	require.NoError(c, err)
	return id
}

func (c *cluster) member(id uuid.UUID) *member {
	for _, m := range c.replicas {
		if m.id == id {
			return m
		}
	}
	require.Fail(c, "no such replica")
	return nil
}

// errCut is what the registry answers when a replica is about to die.
var errCut = errors.New("cut off")

// A member is the registry of its logs: the database, which may be lost before or after a call.
var _ Registry = (*member)(nil)

func (m *member) cut(call string) error {
	if m.failing == call {
		return errCut
	}
	return nil
}

func (m *member) SeeReplica(ctx context.Context, r core.Replica) (core.ReplicaNews, error) {
	return m.cluster.store.SeeReplica(ctx, r)
}

func (m *member) AdoptLogs(ctx context.Context, replica uuid.UUID, jobs []uuid.UUID) error {
	return m.cluster.store.AdoptLogs(ctx, replica, jobs)
}

func (m *member) LogsAdopted(ctx context.Context, replica uuid.UUID) error {
	return m.cluster.store.LogsAdopted(ctx, replica)
}

func (m *member) LogSegments(ctx context.Context, job uuid.UUID) ([]core.LogSegment, error) {
	return m.cluster.store.LogSegments(ctx, job)
}

func (m *member) OpenLog(ctx context.Context, job, replica uuid.UUID) ([]core.LogSegment, error) {
	return m.cluster.store.OpenLog(ctx, job, replica)
}

func (m *member) TakeOverLog(ctx context.Context, job uuid.UUID, n int, replica uuid.UUID, first int64) ([]core.LogSegment, error) {
	return m.cluster.store.TakeOverLog(ctx, job, n, replica, first)
}

func (m *member) StartLog(ctx context.Context, job uuid.UUID, n int, start core.LogStart) (int64, error) {
	if err := m.cut("before StartLog"); err != nil {
		return 0, err
	}
	first, err := m.cluster.store.StartLog(ctx, job, n, start)
	return first, errors.Join(err, m.cut("after StartLog"))
}

func (m *member) LogStarts(ctx context.Context, job uuid.UUID, n int) ([]core.LogStart, error) {
	return m.cluster.store.LogStarts(ctx, job, n)
}

func (m *member) SettleLog(ctx context.Context, job uuid.UUID, n int, ends []core.LogStart) ([]core.LogStart, error) {
	if err := m.cut("before SettleLog"); err != nil {
		return nil, err
	}
	starts, err := m.cluster.store.SettleLog(ctx, job, n, ends)
	return starts, errors.Join(err, m.cut("after SettleLog"))
}

func (m *member) CloseLog(ctx context.Context, job uuid.UUID, n int, lines int64) error {
	if err := m.cut("before CloseLog"); err != nil {
		return err
	}
	return errors.Join(m.cluster.store.CloseLog(ctx, job, n, lines), m.cut("after CloseLog"))
}

// A member is also how its logs reach the others.
var _ Peers = (*member)(nil)

// reach is the replica that keeps a segment, if it is up.
func (m *member) reach(segment core.LogSegment) (*Logs, error) {
	to := m.cluster.member(segment.Replica)
	if to.logs == nil || to.isolated || m.isolated {
		return nil, away(segment, errors.New("it is down or cut off"))
	}
	return to.logs, nil
}

func (m *member) Append(ctx context.Context, to core.LogSegment, step string, attempt int, first int64, ndjson []byte) error {
	logs, err := m.reach(to)
	if err == nil {
		err = logs.AppendTo(ctx, idOf(to), step, attempt, first, ndjson)
	}
	if err == nil && m.lost {
		err = away(to, errors.New("the answer is lost"))
	}
	return err
}

func (m *member) Event(ctx context.Context, to core.LogSegment, text string) error {
	logs, err := m.reach(to)
	if err != nil {
		return err
	}
	return logs.EventTo(ctx, idOf(to), text)
}

func (m *member) Index(ctx context.Context, of core.LogSegment, known IndexQuery, wait time.Duration) (IndexAnswer, error) {
	logs, err := m.reach(of)
	if err != nil {
		return IndexAnswer{}, err
	}
	answer, err := logs.Index(ctx, idOf(of), known, wait)
	if errors.Is(err, joblog.ErrClosed) { // it has died meanwhile
		err = away(of, err)
	}
	return answer, err
}

func (m *member) ReadAt(ctx context.Context, of core.LogSegment, version uint64, p []byte, at int64) error {
	logs, err := m.reach(of)
	if err != nil {
		return err
	}
	return logs.ReadAt(ctx, idOf(of), version, p, at)
}

func (m *member) Next(ctx context.Context, of core.LogSegment, step string, attempt int) (int64, error) {
	logs, err := m.reach(of)
	if err != nil {
		return 0, err
	}
	return logs.NextIn(ctx, idOf(of), step, attempt)
}

// batch is lines of a step, numbered as texts.
func batch(step string, from, to int64) (ndjson []byte) {
	for i := from; i <= to; i++ {
		ndjson = joblog.AppendLine(ndjson, step, 1, joblog.Stdout, "2026-01-02T03:04:05.678901Z", strconv.FormatInt(i, 10))
	}
	return ndjson
}

// read returns the texts of a job's log by step.
func (m *member) read(job uuid.UUID) (texts map[string][]string, total int64) {
	m.cluster.Helper()
	v, err := m.logs.View(m.cluster.ctx, job)
	require.NoError(m.cluster, err)
	page, err := v.Read(m.cluster.ctx, joblog.Query{})
	require.NoError(m.cluster, err)
	require.NoError(m.cluster, v.Close())
	texts = map[string][]string{}
	for line := range strings.Lines(string(page.Logs)) {
		step, rest, _ := strings.Cut(strings.TrimPrefix(line, `{"step":"`), `"`)
		_, text, _ := strings.Cut(rest, `"line":"`)
		texts[step] = append(texts[step], strings.TrimSuffix(text, "\"}\n"))
	}
	return texts, page.Total
}

func numbers(to int) (texts []string) {
	for i := 1; i <= to; i++ {
		texts = append(texts, fmt.Sprint(i))
	}
	return texts
}
