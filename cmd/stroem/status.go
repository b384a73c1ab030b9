package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core/api"
)

func (a *app) statusCommand() *cobra.Command {
	var wait bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "status JOB-ID",
		Short: "Show a job and its steps",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if !wait {
				job, err := c.Job(cmd.Context(), args[0], 0)
				if err != nil {
					return err
				}
				return a.printJob(job)
			}
			ctx := cmd.Context()
			if timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, timeout)
				defer cancel()
			}
			job, err := a.await(ctx, c, args[0], false)
			if ctx.Err() != nil && cmd.Context().Err() == nil {
				return &exitError{exitTimedOut, fmt.Errorf("job %s has not ended after %s", args[0], timeout)}
			}
			if err != nil {
				return err
			}
			if err := a.printJob(job); err != nil {
				return err
			}
			return result(job)
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for the job and exit with its result")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "give up waiting after this long, with exit code 3")
	return cmd
}

func (a *app) printJob(job api.JobDetail) error {
	if a.out.structured() {
		return a.out.document(job)
	}
	lines := [][2]string{
		{"Job", job.JobID},
		{"Workspace", job.Workspace},
		{"Task", job.TaskName},
		{"Status", a.out.status(job.Status)},
		{"Mode", job.Mode},
		{"Source", source(job)},
		{"Created", when(&job.CreatedAt)},
	}
	if job.Revision != nil {
		lines = append(lines, [2]string{"Revision", short(*job.Revision)})
	}
	if job.StartedAt != nil {
		lines = append(lines, [2]string{"Started", when(job.StartedAt)})
	}
	if job.CompletedAt != nil {
		lines = append(lines, [2]string{"Done", when(job.CompletedAt)}, [2]string{"Duration", duration(&job.CreatedAt, job.CompletedAt)})
	}
	if job.ErrorMessage != nil {
		lines = append(lines, [2]string{"Error", printable(*job.ErrorMessage)})
	}
	if job.Output != nil {
		if output, err := json.Marshal(job.Output); err == nil {
			lines = append(lines, [2]string{"Output", printable(string(output))})
		}
	}
	for _, line := range lines {
		if err := a.out.line(fmt.Sprintf("%-10s %s", line[0]+":", line[1])); err != nil {
			return err
		}
	}
	if err := a.printSteps(job.Steps); err != nil {
		return err
	}
	if err := a.printRelatives("Jobs of its steps", "STEP", job.ChildJobs); err != nil {
		return err
	}
	return a.printRelatives("Jobs of its hooks", "HOOK", job.HookJobs)
}

// source says what has started a job.
func source(job api.JobDetail) string {
	switch {
	case job.ParentJobID != nil && job.ParentStepName != nil:
		return fmt.Sprintf("step %s of job %s", printable(*job.ParentStepName), *job.ParentJobID)
	case job.SourceID != nil:
		return job.SourceType + " " + printable(*job.SourceID)
	default:
		return job.SourceType
	}
}

// printRelatives lists jobs that another one has led to, in the order in which they were created. What has started them ends
// with the step or the hook.
func (a *app) printRelatives(title, cause string, jobs []api.Job) error {
	if len(jobs) == 0 {
		return nil
	}
	rows := make([][]string, 0, len(jobs))
	for _, job := range slices.Backward(jobs) {
		by := "-"
		if _, step, ok := strings.Cut(orDash(job.SourceID), "/"); ok {
			by = step
			if job.SourceType == "hook" {
				by = step[strings.LastIndexByte(step, '/')+1:]
			}
		}
		rows = append(rows, []string{by, job.TaskName, job.Status, duration(job.StartedAt, job.CompletedAt), job.JobID})
	}
	if err := a.out.line("\n" + title + ":"); err != nil {
		return err
	}
	return a.out.table([]string{cause, "TASK", "STATUS", "DURATION", "JOB ID"}, rows)
}

func (a *app) printSteps(steps []api.Step) error {
	rows := make([][]string, len(steps))
	for i, step := range steps {
		rows[i] = []string{step.StepName, step.Status, step.ActionName, duration(step.StartedAt, step.CompletedAt)}
	}
	if err := a.out.line("\nSteps:"); err != nil {
		return err
	}
	if err := a.out.table([]string{"STEP", "STATUS", "ACTION", "DURATION"}, rows); err != nil {
		return err
	}
	for _, step := range steps {
		if step.ErrorMessage != nil {
			text := indent(printable(strings.TrimRight(*step.ErrorMessage, "\n")))
			if err := a.out.line("\n" + step.StepName + a.out.paint("31", " ERROR:") + "\n" + text); err != nil {
				return err
			}
		}
		if step.WaitingReason != nil {
			if err := a.out.line("\n" + step.StepName + " waits: " + *step.WaitingReason); err != nil {
				return err
			}
		}
	}
	return nil
}

func indent(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }

// short is the part of a revision that people recognise it by.
func short(revision string) string { return revision[:min(len(revision), 12)] }
