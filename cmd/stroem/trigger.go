package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
)

type triggerFlags struct {
	inputFlags
	workspace string
	wait      bool
	follow    bool
	timeout   time.Duration
}

func (a *app) triggerCommand() *cobra.Command {
	var f triggerFlags
	cmd := &cobra.Command{
		Use:   "trigger TASK",
		Short: "Run a task",
		Example: `  stroem trigger hello-world
  stroem trigger deploy -w production -f version=1.4.2 -f dry_run=true --wait
  stroem trigger report --input-file input.json --follow`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.trigger(cmd.Context(), args[0], f) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.workspace, "workspace", "w", "default", "workspace of the task")
	f.add(cmd)
	flags.BoolVar(&f.wait, "wait", false, "wait for the job and exit with its result")
	flags.BoolVar(&f.follow, "follow", false, "print the job's log while it runs; includes --wait")
	flags.DurationVar(&f.timeout, "timeout", 0, "give up waiting after this long, with exit code 3")
	return cmd
}

func (a *app) trigger(ctx context.Context, task string, f triggerFlags) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	input, err := f.read(func() (map[string]string, error) { return declaredTypes(ctx, c, f.workspace, task) })
	if err != nil {
		return err
	}
	created, err := c.Execute(ctx, f.workspace, task, api.ExecuteRequest{Input: input}, "")
	if err != nil {
		return err
	}
	if !f.wait && !f.follow {
		if a.out.structured() {
			return a.out.document(created)
		}
		return a.out.line("Job created: " + created.JobID)
	}
	if !a.out.structured() {
		if err := a.out.line("Job created: " + created.JobID); err != nil {
			return err
		}
	}
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.timeout)
		defer cancel()
	}
	job, err := a.await(ctx, c, created.JobID, f.follow && !a.out.structured())
	if errors.Is(err, context.DeadlineExceeded) {
		return &exitError{exitTimedOut, fmt.Errorf("job %s has not ended after %s; it goes on: stroem status %s", created.JobID, f.timeout, created.JobID)}
	}
	if err != nil {
		return err
	}
	if err := a.printJob(job); err != nil {
		return err
	}
	return result(job)
}

// await waits for a job to end, printing its log if asked to.
func (a *app) await(ctx context.Context, c *client.Client, id string, follow bool) (api.JobDetail, error) {
	if follow {
		view := logView{out: &a.out}
		if err := view.follow(ctx, c, id, client.LogQuery{}); err != nil {
			return api.JobDetail{}, err
		}
	}
	for {
		job, err := c.Job(ctx, id, maxWait)
		if err != nil || core.JobStatus(job.Status).Terminal() {
			return job, err
		}
	}
}

// maxWait is how long the server may hold a request that waits for something.
const maxWait = 30 * time.Second

// result is the exit code of a job that was waited for.
func result(job api.JobDetail) error {
	switch core.JobStatus(job.Status) {
	case core.JobCompleted:
		return nil
	case core.JobCancelled:
		return &exitError{code: exitCancelled}
	default:
		return &exitError{code: exitFailed}
	}
}

// declaredTypes asks which types a task's inputs have.
func declaredTypes(ctx context.Context, c *client.Client, workspace, task string) (map[string]string, error) {
	detail, err := c.Task(ctx, workspace, task)
	if err != nil {
		return nil, err
	}
	types := make(map[string]string, len(detail.Input))
	for name, field := range detail.Input {
		types[name] = field.Type
	}
	return types, nil
}
