package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core/api"
)

// workspaceTrigger is a trigger and where it is.
type workspaceTrigger struct {
	Workspace string `json:"workspace"`
	api.Trigger
}

func (a *app) triggersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "triggers [WORKSPACE]",
		Short: "List triggers, when they fire next, and when they were last used",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			names := args
			if len(args) == 0 {
				if names, err = loaded(cmd, c, "triggers"); err != nil {
					return err
				}
			}
			triggers := []workspaceTrigger{}
			for _, name := range names {
				more, err := c.Triggers(cmd.Context(), name)
				if err != nil {
					return err
				}
				for _, t := range more {
					triggers = append(triggers, workspaceTrigger{name, t})
				}
			}
			return a.printTriggers(triggers)
		},
	}
	cmd.AddCommand(a.firesCommand(), a.deliveriesCommand())
	return cmd
}

func (a *app) printTriggers(triggers []workspaceTrigger) error {
	if a.out.structured() {
		return a.out.document(triggers)
	}
	if len(triggers) == 0 {
		return a.out.line("No triggers found.")
	}
	rows := make([][]string, len(triggers))
	for i, t := range triggers {
		schedule, next, last, enabled := "-", "-", "-", "no"
		if t.Cron != "" {
			schedule = t.Cron
			if t.Timezone != "" {
				schedule += " " + t.Timezone
			}
		}
		if t.Enabled {
			enabled = "yes"
			if len(t.NextRuns) > 0 {
				next = when(&t.NextRuns[0])
			}
		}
		if t.Last != nil {
			last = when(&t.Last.At)
			if t.Last.JobID == nil {
				last += " (no job)"
			}
		}
		rows[i] = []string{t.Name, t.Workspace, t.Type, printable(schedule), t.Task, enabled, next, last}
	}
	return a.out.table([]string{"NAME", "WORKSPACE", "TYPE", "SCHEDULE", "TASK", "ENABLED", "NEXT", "LAST"}, rows)
}

func (a *app) firesCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "fires WORKSPACE NAME",
		Short: "List when a trigger by time has fired, newest first",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			fires, err := c.Fires(cmd.Context(), args[0], args[1], limit)
			if err != nil {
				return err
			}
			if a.out.structured() {
				return a.out.document(fires)
			}
			if len(fires) == 0 {
				return a.out.line("The trigger has not fired yet.")
			}
			rows := make([][]string, len(fires))
			for i, f := range fires {
				rows[i] = []string{when(&f.ScheduledAt), when(&f.FiredAt), strconv.Itoa(f.Missed), orDash(f.JobID), orDash(f.Reason)}
			}
			return a.out.table([]string{"SCHEDULED", "FIRED", "MISSED BEFORE", "JOB ID", "REASON"}, rows)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many, at most 500")
	return cmd
}

func (a *app) deliveriesCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "deliveries WORKSPACE NAME",
		Short: "List the requests to a webhook, newest first, refused ones too",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			deliveries, err := c.Deliveries(cmd.Context(), args[0], args[1], limit)
			if err != nil {
				return err
			}
			if a.out.structured() {
				return a.out.document(deliveries)
			}
			if len(deliveries) == 0 {
				return a.out.line("Nothing has called the webhook yet.")
			}
			rows := make([][]string, len(deliveries))
			for i, d := range deliveries {
				rows[i] = []string{
					when(&d.At), d.Method, d.RemoteAddress, strconv.Itoa(d.Bytes), strconv.Itoa(d.Status), orDash(d.JobID), orDash(d.Reason),
				}
			}
			return a.out.table([]string{"AT", "METHOD", "FROM", "BYTES", "STATUS", "JOB ID", "REASON"}, rows)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many, at most 500")
	return cmd
}

// orDash is text from elsewhere in a row, which may not be there.
func orDash(s *string) string {
	if s == nil {
		return "-"
	}
	return dash(oneLine(*s))
}
