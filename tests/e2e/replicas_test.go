package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/coretest"
)

// talking has a step on each of two workers that write until they are told to end, and then say how many lines they have written.
const talking = `
actions:
  begin: {type: shell, tags: [one], cmd: 'echo begun'}
  left: {type: shell, tags: [one], cmd: 'i=0; while [ ! -e "DIR/end" ]; do i=$((i+1)); echo "left $i"; sleep 0.005; done; echo "OUTPUT: {\"lines\": $i}"'}
  right: {type: shell, tags: [two], cmd: 'i=0; while [ ! -e "DIR/end" ]; do i=$((i+1)); echo "right $i"; sleep 0.005; done; echo "OUTPUT: {\"lines\": $i}"'}
tasks:
  talk:
    flow:
      begin: {action: begin}
      left: {action: left, depends_on: [begin]}
      right: {action: right, depends_on: [begin]}
`

// pair is two replicas with a worker each, and a job with steps on both of which the first replica keeps the log.
type pair struct {
	t        *testing.T
	database *pgx.Conn
	dir      string
	first    *system
	second   *system
	job      string
	viewers  []*viewer
}

// viewer follows the log of a job.
type viewer struct {
	mu   sync.Mutex
	text strings.Builder
	done chan error
}

func (v *viewer) take(lines string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.text.WriteString(lines)
	return nil
}

// Write takes what the command line prints.
func (v *viewer) Write(p []byte) (int, error) { return len(p), v.take(string(p)) }

func (v *viewer) seen() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.text.String()
}

// newPair starts the job, has it watched at the second replica, by the API and by the command line, and waits until both see lines of
// both steps.
func newPair(t *testing.T, extra settings) *pair {
	t.Helper()
	database := coretest.Postgres(t)
	conn, err := pgx.Connect(t.Context(), database)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) })
	p := &pair{t: t, database: conn, dir: t.TempDir()}
	extra["secrets"] = oneKey
	p.first = newSystemOn(t, database, workspace(t, strings.ReplaceAll(talking, "DIR", p.dir)), extra)
	p.second = p.first.replica()
	near := &system{t: t, dir: coretest.TempDir(t), listen: balance(t, p.first.listen, p.second.listen), Client: p.second.Client}
	near.startWorker("one", settings{"tags": []string{"one"}})
	p.second.startWorker("two", settings{"tags": []string{"two"}})
	p.job = p.first.execute("default", "talk", nil)
	p.second.eventually("the log has begun", func(ctx context.Context) bool { return len(p.owners(ctx)) > 0 })
	require.Len(t, p.owners(t.Context()), 1)
	p.watch()
	for _, v := range p.viewers {
		p.seesMore(v, 20)
	}
	return p
}

// owners are the directories' replicas that keep segments of the log.
func (p *pair) owners(ctx context.Context) (owners []uuid.UUID) {
	rows, err := p.database.Query(ctx, "select replica_id from log_segment where job_id = $1 order by n", p.job)
	require.NoError(p.t, err)
	owners, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	require.NoError(p.t, err)
	return owners
}

func (p *pair) watch() {
	api := &viewer{done: make(chan error, 1)}
	go func() { api.done <- p.second.Follow(p.t.Context(), p.job, client.LogQuery{}, api.take) }()
	command := &viewer{done: make(chan error, 1)}
	cmd := p.second.command("logs", "--follow", "--raw", p.job)
	cmd.Stdout, cmd.Stderr = command, command
	require.NoError(p.t, cmd.Start())
	go func() { command.done <- cmd.Wait() }()
	p.viewers = append(p.viewers, api, command)
}

// seesMore waits until a viewer has more lines of both steps.
func (p *pair) seesMore(v *viewer, more int) {
	p.t.Helper()
	count := func(step string) int { return strings.Count(v.seen(), `{"step":"`+step+`"`) }
	left, right := count("left"), count("right")
	p.second.eventually("a viewer sees more lines of both steps", func(context.Context) bool {
		return count("left") >= left+more && count("right") >= right+more
	})
}

// end lets the steps end, and returns how many lines each has written.
func (p *pair) end() map[string]int {
	p.t.Helper()
	require.NoError(p.t, os.WriteFile(filepath.Join(p.dir, "end"), nil, 0o600))
	job := p.second.wait(p.job)
	require.Equal(p.t, "completed", job.Status, "%s", describeSteps(job))
	counts := map[string]int{}
	for _, step := range job.Steps {
		if step.StepName == "begin" {
			continue
		}
		output, _ := step.Output.(map[string]any)
		lines, _ := output["lines"].(float64)
		counts[step.StepName] = int(lines)
	}
	return counts
}

// requireWhole holds a log against what the steps have written: every line once, in order.
func (p *pair) requireWhole(what, log string, counts map[string]int) {
	p.t.Helper()
	next := map[string]int{"left": 1, "right": 1}
	for line := range strings.Lines(log) {
		var l struct{ Step, Line string }
		require.NoError(p.t, json.Unmarshal([]byte(line), &l), "%q", line)
		if n, ok := next[l.Step]; ok && !strings.HasPrefix(l.Line, "OUTPUT:") {
			require.Equal(p.t, fmt.Sprintf("%s %d", l.Step, n), l.Line, "%s", what)
			next[l.Step]++
		}
	}
	for step, count := range counts {
		require.Equal(p.t, count, next[step]-1, "%s: lines of %s", what, step)
	}
}

// requireOrder holds what a viewer has seen against what the steps have written: in order, up to the end. Where the log went on
// elsewhere a viewer lacks what only the replica that has died could have shown.
func (p *pair) requireOrder(log string, counts map[string]int) {
	p.t.Helper()
	last, gaps := map[string]int{"left": 0, "right": 0}, map[string]int{}
	for line := range strings.Lines(log) {
		var l struct{ Step, Line string }
		require.NoError(p.t, json.Unmarshal([]byte(line), &l), "%q", line)
		before, ok := last[l.Step]
		if !ok || strings.HasPrefix(l.Line, "OUTPUT:") {
			continue
		}
		var n int
		_, err := fmt.Sscanf(l.Line, l.Step+" %d", &n)
		require.NoError(p.t, err)
		require.Greater(p.t, n, before, "lines of %s", l.Step)
		if n > before+1 {
			gaps[l.Step]++
		}
		last[l.Step] = n
	}
	require.Equal(p.t, counts, last)
	for step, n := range gaps {
		require.LessOrEqual(p.t, n, 1, "gaps of %s", step)
	}
}

func (p *pair) readAll(s *system) (log string) {
	p.t.Helper()
	for from, total := int64(1), int64(1); from <= total; {
		page, err := s.Logs(p.t.Context(), p.job, client.LogQuery{From: from})
		require.NoError(p.t, err)
		log += page.Logs
		from, total = page.Next, page.Total
	}
	return log
}

// TestLogSurvivesItsReplica kills the replica that keeps a log, and starts it again.
func TestLogSurvivesItsReplica(t *testing.T) {
	t.Parallel()
	p := newPair(t, settings{})
	owner := p.owners(t.Context())[0]
	for range 2 {
		p.first.server.kill()
		_, err := p.second.Logs(t.Context(), p.job, client.LogQuery{})
		var answer *client.Error
		require.ErrorAs(t, err, &answer)
		require.Equal(t, http.StatusServiceUnavailable, answer.Status)
		require.Equal(t, "replica_unavailable", answer.Code)
		require.Contains(t, answer.Message, owner.String())
		p.first.startServer()
		for _, v := range p.viewers {
			p.seesMore(v, 20)
		}
	}
	counts := p.end()
	for i, v := range p.viewers {
		require.NoError(t, <-v.done)
		p.requireWhole(fmt.Sprintf("viewer %d", i), v.seen(), counts)
	}
	require.Equal(t, []uuid.UUID{owner}, p.owners(t.Context()), "nobody has taken over")
	whole := p.readAll(p.first)
	p.requireWhole("what is read at the first replica", whole, counts)
	require.Equal(t, whole, p.readAll(p.second))
	for _, v := range p.viewers {
		require.Equal(t, whole, v.seen())
	}
}

// soon has others take over from a replica after a second.
var soon = settings{"replica_timeout_secs": 1}

// TestLogGoesOnWithoutItsReplica kills the replica that keeps a log, which is back only when the job has ended.
func TestLogGoesOnWithoutItsReplica(t *testing.T) {
	t.Parallel()
	p := newPair(t, settings{"recovery": soon})
	p.first.server.kill()
	p.second.eventually("the log goes on at the other replica", func(ctx context.Context) bool { return len(p.owners(ctx)) > 1 })
	for _, v := range p.viewers {
		p.seesMore(v, 20)
	}
	counts := p.end()
	for _, v := range p.viewers {
		require.NoError(t, <-v.done)
		require.Contains(t, v.seen(), "[logs] The replica that kept this log is gone; the log goes on at replica ")
		p.requireOrder(v.seen(), counts)
	}
	require.Contains(t, p.readAll(p.second), "[logs] A line that is missing here is kept by replica ")
	p.first.startServer()
	p.second.eventually("the first segment is closed", func(ctx context.Context) (closed bool) {
		require.NoError(t, p.database.QueryRow(ctx, "select lines is not null from log_segment where job_id = $1 and n = 1", p.job).Scan(&closed))
		return closed
	})
	whole := p.readAll(p.second)
	p.requireWhole("what is read at the second replica", whole, counts)
	require.Equal(t, whole, p.readAll(p.first))
}

// TestReplicaThatStandsStillKeepsNoLog stops the replica that keeps a log until another one has taken over, and has it go on.
func TestReplicaThatStandsStillKeepsNoLog(t *testing.T) {
	t.Parallel()
	p := newPair(t, settings{"recovery": soon})
	p.first.server.freeze()
	p.second.eventually("the log goes on at the other replica", func(ctx context.Context) bool { return len(p.owners(ctx)) > 1 })
	p.first.server.signal(syscall.SIGCONT)
	for _, v := range p.viewers {
		p.seesMore(v, 20)
	}
	counts := p.end()
	for _, v := range p.viewers {
		require.NoError(t, <-v.done)
		p.requireOrder(v.seen(), counts)
	}
	p.second.eventually("all segments but the last one are closed", func(ctx context.Context) (closed bool) {
		require.NoError(t, p.database.QueryRow(ctx, "select not exists (select from log_segment where superseded and lines is null)").Scan(&closed))
		return closed
	})
	whole := p.readAll(p.second)
	p.requireWhole("what is read at the second replica", whole, counts)
	require.Equal(t, whole, p.readAll(p.first))
}

// TestOneDataDirectoryForOneServer starts a second server on the directory of another one.
func TestOneDataDirectoryForOneServer(t *testing.T) {
	t.Parallel()
	s := newSystem(t, workspace(t, talking), nil)
	other := start(t, "other", "stroem-server", writeYAML(t, filepath.Join(coretest.TempDir(t), "server.yaml"), s.serverConfig))
	select {
	case <-other.done:
	case <-time.After(time.Minute):
		t.Fatal("it runs")
	}
	require.Contains(t, other.log.String(), "another server uses the data directory "+filepath.Join(s.dir, "server"))
}
