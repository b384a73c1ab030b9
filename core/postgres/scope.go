package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
)

// scopeTask is core.Job.ScopeTask: of workspace/task/job/place only a task's name may hold a slash.
const scopeTask = `case when source_type = 'hook' and starts_with(task_name, '` + core.HookTask + `')
	then coalesce(substring(source_id from '^[^/]*/(.*)/[^/]*/[^/]*$'), '') else task_name end`

// visible is the condition that the first of a list that matches a job allows it, or none matches. Patterns are added to args.
//
// The list is asked about each task that has jobs, of which there are few, and not about each job. That a job of a hook is left out
// when no other job of its hook's task is left, which may be while old ones are removed, is no harm. "is true" keeps the planner
// from making a join of it, which would have to find all jobs that are visible before it knows the newest.
func visible(list []core.Visibility, args []any) (string, []any) {
	var condition strings.Builder
	condition.WriteString("((workspace, " + scopeTask + ") in (" + tasksWithJobs + " select pair.workspace, pair.task_name from pair where case")
	for _, v := range list {
		args = append(args, likePattern(v.WorkspacePattern), likePattern(v.TaskPattern))
		fmt.Fprintf(&condition, " when pair.workspace like $%d and pair.task_name like $%d then %t", len(args)-1, len(args), v.Allowed)
	}
	condition.WriteString(" else true end)) is true")
	return condition.String(), args
}

// tasksWithJobs goes from one to the next in the index job_task.
const tasksWithJobs = `with recursive pair as (
		(select workspace, task_name from job order by workspace, task_name limit 1)
		union all
		select n.workspace, n.task_name from pair p, lateral (
			select j.workspace, j.task_name from job j where (j.workspace, j.task_name) > (p.workspace, p.task_name)
			order by j.workspace, j.task_name limit 1) n
	)`

var likeEscapes = strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`, "*", "%", "?", "_")

// likePattern is a glob as LIKE has it.
func likePattern(glob string) string { return likeEscapes.Replace(glob) }

// JobScope returns the workspace and the task by which it is judged who may see and cancel a job.
func (s *Store) JobScope(ctx context.Context, id uuid.UUID) (workspace, task string, err error) {
	var job core.Job
	err = s.read.QueryRow(ctx, "select workspace, task_name, source_type, coalesce(source_id, '') from job where job_id = $1", id).
		Scan(&workspace, &job.TaskName, &job.SourceType, &job.SourceID)
	if err != nil {
		return "", "", notFound(fmt.Errorf("load the scope of a job: %w", err), "Job not found")
	}
	return workspace, job.ScopeTask(), nil
}
