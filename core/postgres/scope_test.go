package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/access"
)

// createScoped stores jobs without steps, of the given workspaces, tasks and sources.
func (b *bundle) createScoped(t *testing.T, jobs []core.Job) {
	t.Helper()
	list := make([]core.NewJob, len(jobs))
	for i, job := range jobs {
		job.ID = uuid.Must(uuid.NewV7())
		jobs[i].ID = job.ID
		job.Mode, job.Status, job.DefinitionHash = "distributed", core.JobPending, []byte("hash")
		job.Input = json.RawMessage(`{}`)
		list[i] = core.NewJob{Job: job, Definition: json.RawMessage(`{"task":{"flow":{}},"actions":{}}`)}
	}
	require.NoError(t, b.CreateJobs(t.Context(), list))
}

// The characters that mean something to LIKE, to globs or to regular expressions, and some that take several bytes.
const alphabet = `[ab%_\\*?/.+\[^ø€😀é\n-]`

func hookSource(workspace, task string) string {
	return workspace + "/" + task + "/" + uuid.NewString() + "/on_error[0]"
}

// TestVisibleJobsAreThoseOfTheRules holds the SQL against what the package access says of each job.
func TestVisibleJobsAreThoseOfTheRules(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	names := []string{
		"a", "b", "ab", "a%", "a_", `a\`, `\`, `\%`, "%", "_", "*", "?", "ø", "€", "😀", "aø", "øa", "a/b", "a/b/a", "/", "a.b", "a+b", "[a]",
		"a\nb", "^a", "-", "ab-ba", `a\_b`, "é", "e\u0301", "A",
	}
	var jobs []core.Job
	for i, task := range names {
		workspace := names[(i*7+3)%len(names)]
		jobs = append(jobs, core.Job{Workspace: workspace, TaskName: task, SourceType: core.SourceUser, SourceID: "u@example.com"})
		jobs = append(jobs, core.Job{Workspace: "a", TaskName: task, SourceType: core.SourceHook, SourceID: hookSource("a", "other")})
		jobs = append(jobs, core.Job{Workspace: "ab", TaskName: core.HookTask + "b", SourceType: core.SourceHook, SourceID: hookSource("ab", task)})
		jobs = append(jobs, core.Job{Workspace: "ab", TaskName: task, SourceType: core.SourceTrigger})
	}
	jobs = append(jobs,
		core.Job{Workspace: "a", TaskName: core.HookTask + "b", SourceType: core.SourceTask, SourceID: hookSource("a", "b")},
		core.Job{Workspace: "a", TaskName: "x/y/z", SourceType: core.SourceTask},
		core.Job{Workspace: "a", TaskName: core.HookTask + "a/b", SourceType: core.SourceHook, SourceID: hookSource("a", "x/y/z")},
	)
	b.createScoped(t, jobs)
	for i := range jobs {
		workspace, task, err := b.JobScope(t.Context(), jobs[i].ID)
		require.NoError(t, err)
		require.Equal(t, jobs[i].Workspace, workspace)
		require.Equal(t, jobs[i].ScopeTask(), task)
	}
	rapid.Check(t, func(t *rapid.T) {
		glob := rapid.OneOf(rapid.SampledFrom(names), rapid.StringMatching(alphabet+`{1,3}`), rapid.StringMatching(`[*?ab]{1,4}`))
		rule := rapid.Custom(func(t *rapid.T) access.Rule {
			return access.Rule{
				Workspace: glob.Draw(t, "workspace"), Tasks: rapid.SliceOfN(glob, 0, 3).Draw(t, "tasks"),
				Allow: rapid.SampledFrom([]access.Level{access.LevelNone, access.LevelView, access.LevelRun}).Draw(t, "allow"),
			}
		})
		power := access.New(rapid.SliceOfN(rule, 0, 5).Draw(t, "rules")).
			For(core.User{Role: rapid.SampledFrom([]core.Role{core.RoleOperator, core.RoleViewer, core.RoleAdmin, ""}).Draw(t, "role")})
		want := map[uuid.UUID]bool{}
		for i := range jobs {
			if power.Task(jobs[i].Workspace, jobs[i].ScopeTask()) > access.LevelNone {
				want[jobs[i].ID] = true
			}
		}
		got, total, err := b.ListJobs(context.Background(), core.JobFilter{Visible: power.Visible(), Limit: 500})
		require.NoError(t, err)
		require.Equal(t, len(want), total, "what is hidden is not counted")
		found := map[uuid.UUID]bool{}
		for _, job := range got {
			found[job.ID] = true
		}
		require.Equal(t, want, found)
	})
}

// A hook's job is shown to those who see the job that it follows; pages and other conditions go together with what is visible.
func TestVisibleJobsPage(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	var jobs []core.Job
	for i := range 30 {
		jobs = append(jobs, core.Job{Workspace: fmt.Sprintf("ws-%d", i%3), TaskName: fmt.Sprintf("t-%d", i%2), SourceType: core.SourceAPI})
	}
	b.createScoped(t, jobs)
	filter := core.JobFilter{
		Workspace: "ws-1", Limit: 2,
		Visible: []core.Visibility{{WorkspacePattern: "ws-?", TaskPattern: "t-1", Allowed: true}, {WorkspacePattern: "*", TaskPattern: "*"}},
	}
	seen := map[uuid.UUID]bool{}
	for {
		page, total, err := b.ListJobs(t.Context(), filter)
		require.NoError(t, err)
		require.Equal(t, 5, total)
		for _, job := range page {
			require.Equal(t, "ws-1/t-1", job.Workspace+"/"+job.TaskName)
			seen[job.ID] = true
		}
		if len(page) < filter.Limit {
			break
		}
		last := page[len(page)-1]
		filter.BeforeTime, filter.BeforeID = last.CreatedAt, last.ID
	}
	require.Len(t, seen, 5)
	filter = core.JobFilter{HookOf: uuid.New(), Limit: 10, Visible: filter.Visible}
	_, total, err := b.ListJobs(t.Context(), filter)
	require.NoError(t, err)
	require.Zero(t, total)
}

func TestJobScopeOfNothing(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	_, _, err := b.JobScope(t.Context(), uuid.New())
	require.Equal(t, core.CodeNotFound, core.ErrorCode(err))
}
