package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
)

func (a *app) tasksCommand() *cobra.Command {
	var workspace string
	cmd := &cobra.Command{
		Use:   "tasks",
		Short: "List tasks",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			names := []string{workspace}
			if workspace == "" {
				if names, err = loaded(cmd, c, "tasks"); err != nil {
					return err
				}
			}
			tasks := []api.TaskItem{}
			for _, name := range names {
				more, err := c.Tasks(cmd.Context(), name)
				if err != nil {
					return err
				}
				tasks = append(tasks, more...)
			}
			return a.printTasks(tasks)
		},
	}
	cmd.Flags().StringVarP(&workspace, "workspace", "w", "", "only this workspace (default: all)")
	return cmd
}

// loaded are the names of the workspaces that have a revision. It tells of the others, which say nothing about these.
func loaded(cmd *cobra.Command, c *client.Client, what string) ([]string, error) {
	workspaces, err := c.Workspaces(cmd.Context())
	if err != nil {
		return nil, err
	}
	var names []string
	for _, w := range workspaces {
		if w.Revision == nil {
			cmd.PrintErrf("Workspace %s has no %s yet: %s\n", w.Name, what, dash(oneLine(w.Error)))
			continue
		}
		names = append(names, w.Name)
	}
	return names, nil
}

func (a *app) printTasks(tasks []api.TaskItem) error {
	if a.out.structured() {
		return a.out.document(tasks)
	}
	if len(tasks) == 0 {
		return a.out.line("No tasks found.")
	}
	rows := make([][]string, len(tasks))
	for i, t := range tasks {
		rows[i] = []string{t.Name, t.Workspace, dash(t.Folder), t.Mode}
	}
	return a.out.table([]string{"NAME", "WORKSPACE", "FOLDER", "MODE"}, rows)
}

func (a *app) jobsCommand() *cobra.Command {
	var f client.JobFilter
	var statuses string
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "List jobs, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if statuses != "" {
				f.Statuses = strings.Split(statuses, ",")
			}
			jobs, _, err := c.Jobs(cmd.Context(), f)
			if err != nil {
				return err
			}
			if a.out.structured() {
				return a.out.document(jobs)
			}
			if len(jobs) == 0 {
				return a.out.line("No jobs found.")
			}
			rows := make([][]string, len(jobs))
			for i, j := range jobs {
				rows[i] = []string{j.JobID, j.TaskName, j.Workspace, j.Status, when(&j.CreatedAt)}
			}
			return a.out.table([]string{"JOB ID", "TASK", "WORKSPACE", "STATUS", "CREATED"}, rows)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&f.Limit, "limit", 20, "how many, at most 500")
	flags.StringVarP(&f.Workspace, "workspace", "w", "", "only this workspace")
	flags.StringVar(&f.TaskName, "task", "", "only this task; needs --workspace")
	flags.StringVar(&statuses, "status", "", "only these states, comma-separated")
	return cmd
}

func (a *app) cancelCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel JOB-ID",
		Short: "Cancel a job",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			cancelled, err := c.Cancel(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.out.structured() {
				return a.out.document(cancelled)
			}
			if cancelled.Status == "cancelled" {
				return a.out.line("Job " + cancelled.JobID + " is cancelled.")
			}
			return a.out.line("Job " + cancelled.JobID + " is being cancelled: its running steps are told to stop.")
		},
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
