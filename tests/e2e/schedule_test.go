package e2e

import (
	"context"
	"encoding/base64"
	"maps"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/coretest"
)

const everySecond = `
actions: {nothing: {type: shell, cmd: "true"}}
tasks: {tick: {flow: {only: {action: nothing}}}}
triggers:
  every-second: {type: scheduler, cron: "* * * * * *", task: tick}
`

// TestScheduleSurvivesItsServer has two replicas and kills the one that fires: the other goes on, and no instant fires twice.
func TestScheduleSurvivesItsServer(t *testing.T) {
	t.Parallel()
	database := coretest.Postgres(t)
	first := newSystemOn(t, database, workspace(t, everySecond), settings{"secrets": oneKey})
	first.fired(2)
	second := first.replica()
	second.fired(1)
	first.server.kill()
	second.fired(2)
	checkFires(t, database)
}

// A server that is stopped keeps its connections. It does not keep the lead, and when it goes on it knows.
func TestScheduleSurvivesAServerThatIsStopped(t *testing.T) {
	t.Parallel()
	database := coretest.Postgres(t)
	first := newSystemOn(t, database, workspace(t, everySecond), settings{"secrets": oneKey, "db": settings{"url": database, "timeout_secs": 2}})
	first.fired(2)
	second := first.replica()
	first.server.freeze()
	second.eventually("the other server leads", func(context.Context) bool { return strings.Contains(second.server.log.String(), "leading: ") })
	second.fired(2)
	first.server.signal(syscall.SIGCONT)
	first.eventually("the first server knows that it does not lead", func(context.Context) bool {
		return strings.Contains(first.server.log.String(), "the leader's lock was lost")
	})
	second.fired(2)
	checkFires(t, database)
}

// checkFires holds instants against jobs.
func checkFires(t *testing.T, database string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	var fires, jobs, strays int
	require.NoError(t, conn.QueryRow(t.Context(), `select count(*), count(distinct job_id),
		(select count(*) from job where source_type = 'trigger' and job_id not in (select job_id from schedule_fire where job_id is not null))
		from schedule_fire`).Scan(&fires, &jobs, &strays))
	require.GreaterOrEqual(t, fires, 5)
	require.Equal(t, fires, jobs, "each instant has a job of its own")
	require.Zero(t, strays, "each job an instant")
}

// oneKey is the same for all replicas.
var oneKey = settings{"key": base64.StdEncoding.EncodeToString(make([]byte, 32))}

// fired waits for more fires of the trigger.
func (s *system) fired(more int) {
	s.t.Helper()
	before := s.scheduled(s.t.Context())
	s.eventually("the trigger fires", func(ctx context.Context) bool { return s.scheduled(ctx) >= before+more })
}

// scheduled counts the jobs of the trigger.
func (s *system) scheduled(ctx context.Context) int {
	_, total, err := s.Jobs(ctx, client.JobFilter{Workspace: "default", TaskName: "tick", Limit: 1})
	if err != nil {
		return 0
	}
	return total
}

// replica starts a second server on the same database.
func (s *system) replica() *system {
	s.t.Helper()
	other := &system{
		t: s.t, dir: coretest.TempDir(s.t), listen: freeAddress(s.t), serverConfig: maps.Clone(s.serverConfig), serverProgram: "stroem-server",
	}
	other.serverConfig["listen"], other.serverConfig["data_dir"] = other.listen, filepath.Join(other.dir, "server")
	var err error
	other.Client, err = client.New(client.Options{Server: "http://" + other.listen})
	require.NoError(s.t, err)
	s.t.Cleanup(other.Close)
	other.startServer()
	return other
}
