package main

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
)

func (a *app) logsCommand() *cobra.Command {
	var o logOptions
	cmd := &cobra.Command{
		Use:   "logs JOB-ID",
		Short: "Print a job's log, search in it, or download it",
		Long: `logs prints a job's log: readable on a terminal, and as it is stored (a JSON object a line) into a pipe, with --raw
or with --output json. With --grep or --regexp the server searches, and hits come as it finds them. --download writes the log as it
was printed, colours and all, to a file.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.prepare(time.Now()); err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			view := logView{out: &a.out, raw: o.raw || a.out.structured() || a.out.width == 0}
			switch {
			case o.download != "":
				return a.downloadLog(cmd.Context(), c, args[0], &o)
			case o.follow:
				return view.follow(cmd.Context(), c, args[0], o.query)
			case o.query.Q != "" && o.query.Tail == 0 && !view.raw:
				return c.SearchLogs(cmd.Context(), args[0], o.query, view.hit)
			}
			_, err = view.print(cmd.Context(), c, args[0], o.query)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.query.Step, "step", "", "only this step")
	flags.StringVar(&o.query.Stream, "stream", "", "only stdout, or only stderr")
	flags.Int64Var(&o.query.Tail, "tail", 0, "only the last lines")
	flags.StringVar(&o.since, "since", "", "only lines that are not older: 30m, 24h, 7d, or a time like 2026-01-02T15:04:05Z")
	flags.StringVar(&o.until, "until", "", "only lines that are older, as --since")
	flags.StringVar(&o.grep, "grep", "", "only lines with this text")
	flags.StringVar(&o.regexp, "regexp", "", "only lines that this regular expression matches, in the syntax of RE2")
	flags.BoolVarP(&o.query.IgnoreCase, "ignore-case", "i", false, "find letters in upper and lower case")
	flags.BoolVar(&o.follow, "follow", false, "go on until the job has ended")
	flags.BoolVar(&o.raw, "raw", false, "print the lines as they are stored")
	flags.StringVar(&o.download, "download", "", "write the log to this file, as it was printed; with --raw as it is stored; - is the standard output")
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

// hit prints a line that was found, with what was looked for in red.
func (v *logView) hit(found api.LogFound) error {
	text, shown, at := "", "", 0
	if found.Text != nil {
		text = *found.Text
	}
	for _, m := range found.Matches {
		if m[0] < at || m[1] <= m[0] || m[1] > len(text) {
			continue
		}
		shown += printable(text[at:m[0]]) + v.out.paint("1;31", printable(text[m[0]:m[1]]))
		at = m[1]
	}
	return v.out.line(v.prefix(found.Step, found.Stream) + " " + shown + printable(text[at:]))
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
