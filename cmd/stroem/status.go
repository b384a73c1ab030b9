package main

import (
	"context"
	"encoding/json"
	"fmt"
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
	return a.printSteps(job.Steps)
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
