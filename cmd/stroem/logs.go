package main

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

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
			view := logView{out: &a.out, raw: raw || a.out.structured() || a.out.width == 0}
			if follow {
				return view.follow(cmd.Context(), c, args[0], q)
			}
			_, err = view.print(cmd.Context(), c, args[0], q)
			return err
		},
	}
	cmd.Flags().StringVar(&q.Step, "step", "", "only this step")
	cmd.Flags().Int64Var(&q.Tail, "tail", 0, "only the last lines")
	cmd.Flags().BoolVar(&follow, "follow", false, "go on until the job has ended")
	cmd.Flags().BoolVar(&raw, "raw", false, "print the lines as they are stored")
	return cmd
}

// logView prints lines of a log.
type logView struct {
	out     *printer
	raw     bool // as they are stored
	width   int  // of the longest name of a step, to put the lines under each other; 0: they are not
	colours map[string]string
}

// print prints all pages that there are now, and returns the number of the line behind them.
func (v *logView) print(ctx context.Context, c *client.Client, job string, q client.LogQuery) (next int64, err error) {
	for {
		page, err := c.Logs(ctx, job, q)
		if err != nil {
			return 0, err
		}
		if err := v.lines(page.Logs); err != nil {
			return 0, err
		}
		if page.Next > page.Total {
			return page.Next, nil
		}
		q.From, q.Tail = page.Next, 0
	}
}

// follow prints lines as they come until the job has ended and its last line is printed.
func (v *logView) follow(ctx context.Context, c *client.Client, id string, q client.LogQuery) error {
	if q.Tail > 0 {
		next, err := v.print(ctx, c, id, q)
		if err != nil {
			return err
		}
		q.From = next
	}
	return c.Follow(ctx, id, q, v.lines)
}

func (v *logView) lines(lines string) error {
	if lines == "" {
		return nil
	}
	if v.raw {
		return v.out.line(strings.TrimSuffix(lines, "\n"))
	}
	for line := range strings.Lines(lines) {
		var l struct {
			Step, Stream, Line string
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			l.Line = strings.TrimSuffix(line, "\n")
		}
		if err := v.out.line(v.prefix(l.Step, l.Stream) + " " + printable(l.Line)); err != nil {
			return err
		}
	}
	return nil
}

// prefix begins a line of a step: with a colour for each step, and a red bar where it was written to stderr.
func (v *logView) prefix(step, stream string) string {
	colour, known := v.colours[step]
	if !known {
		colour = stepColours[len(v.colours)%len(stepColours)]
		if v.colours == nil {
			v.colours = map[string]string{}
		}
		v.colours[step] = colour
	}
	bar := "|"
	if stream == "stderr" {
		bar = v.out.paint("31", bar)
	}
	return v.out.paint(colour, step) + strings.Repeat(" ", max(v.width-visible(step), 0)) + " " + bar
}

var stepColours = []string{"36", "32", "33", "35", "34", "96", "92", "95"}
