package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/client"
)

func (a *app) logsCommand() *cobra.Command {
	var q client.LogQuery
	var follow, raw bool
	cmd := &cobra.Command{
		Use:   "logs JOB-ID",
		Short: "Print a job's log",
		Long: `logs prints a job's log: readable on a terminal, and as it is stored (a JSON object a line) into a pipe, with --raw
or with --output json.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			raw = raw || a.out.structured() || a.out.width == 0
			if follow {
				return a.followLogs(cmd.Context(), c, args[0], q, raw)
			}
			return a.printLogs(cmd.Context(), c, args[0], q, raw)
		},
	}
	cmd.Flags().StringVar(&q.Step, "step", "", "only this step")
	cmd.Flags().Int64Var(&q.Tail, "tail", 0, "only the last lines")
	cmd.Flags().BoolVar(&follow, "follow", false, "go on until the job has ended")
	cmd.Flags().BoolVar(&raw, "raw", false, "print the lines as they are stored")
	return cmd
}

// printLogs prints all pages that there are now.
func (a *app) printLogs(ctx context.Context, c *client.Client, job string, q client.LogQuery, raw bool) error {
	for {
		page, err := c.Logs(ctx, job, q)
		if err != nil {
			return err
		}
		if err := a.printLines(page.Logs, raw); err != nil {
			return err
		}
		if page.Next > page.Total {
			return nil
		}
		q.From, q.Tail = page.Next, 0
	}
}

// followLogs prints lines as they come until the job has ended and its last line is printed.
func (a *app) followLogs(ctx context.Context, c *client.Client, id string, q client.LogQuery, raw bool) error {
	q.Wait = maxWait
	for {
		job, err := c.Job(ctx, id, 0) // before the lines: what is written before the end is then seen
		if err != nil {
			return err
		}
		ended := core.JobStatus(job.Status).Terminal()
		if ended {
			q.Wait = 0
		}
		page, err := c.Logs(ctx, id, q)
		if err != nil {
			return err
		}
		if err := a.printLines(page.Logs, raw); err != nil {
			return err
		}
		if ended && page.Next > page.Total {
			return nil
		}
		q.From, q.Tail = page.Next, 0
	}
}

func (a *app) printLines(lines string, raw bool) error {
	if lines == "" {
		return nil
	}
	if raw {
		return a.out.line(strings.TrimSuffix(lines, "\n"))
	}
	for line := range strings.Lines(lines) {
		var l struct {
			Step, Stream, Line string
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			l.Line = strings.TrimSuffix(line, "\n")
		}
		name := a.out.paint("36", l.Step)
		if l.Stream == "stderr" {
			name = a.out.paint("31", l.Step)
		}
		if err := a.out.line(fmt.Sprintf("%s | %s", name, printable(l.Line))); err != nil {
			return err
		}
	}
	return nil
}
