package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core/api"
)

func (a *app) workspacesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "workspaces",
		Short: "List workspaces, and which revision of each is in use",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			workspaces, err := c.Workspaces(cmd.Context())
			if err != nil {
				return err
			}
			return a.printWorkspaces(workspaces)
		},
	}
	cmd.AddCommand(a.refreshCommand())
	return cmd
}

func (a *app) printWorkspaces(workspaces []api.Workspace) error {
	if a.out.structured() {
		return a.out.document(workspaces)
	}
	if len(workspaces) == 0 {
		return a.out.line("No workspaces found.")
	}
	rows := make([][]string, len(workspaces))
	for i, w := range workspaces {
		revision, sync := "-", api.WorkspaceSync{}
		if w.Sync != nil {
			revision, sync = short(w.Sync.Revision), *w.Sync
		}
		rows[i] = []string{
			w.Name, strconv.Itoa(w.TasksCount), strconv.Itoa(w.ActionsCount), revision, age(sync.Time), dash(oneLine(sync.Author)),
			age(sync.CheckedAt), dash(oneLine(w.Error)),
		}
	}
	return a.out.table([]string{"NAME", "TASKS", "ACTIONS", "REVISION", "AGE", "AUTHOR", "CHECKED", "ERROR"}, rows)
}

func (a *app) refreshCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "refresh NAME",
		Short: "Have the server load the newest revision of a workspace at once",
		Long: `refresh has the server ask the source of a workspace for its newest revision, waits until that is loaded, and tells which
revision is in use then. If the newest one cannot be used, it tells why and exits with 1; the one before stays in use.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			w, err := c.Refresh(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.out.structured() {
				err = a.out.document(w)
			} else if w.Sync != nil {
				err = a.out.line(inUse(w))
			}
			if err != nil || w.Error == "" {
				return err
			}
			return fmt.Errorf("workspace %s is not up to date: %s", w.Name, problems(w))
		},
	}
}

// inUse tells of the revision in use as a person would.
func inUse(w api.Workspace) string {
	line := fmt.Sprintf("Workspace %s uses revision %s", w.Name, short(w.Sync.Revision))
	var about []string
	if w.Sync.Author != "" {
		about = append(about, "by "+oneLine(w.Sync.Author))
	}
	if w.Sync.Time != nil {
		about = append(about, age(w.Sync.Time)+" old")
	}
	if len(about) > 0 {
		line += " (" + strings.Join(about, ", ") + ")"
	}
	if w.Sync.Message != "" {
		line += ": " + oneLine(w.Sync.Message)
	}
	return line
}

// problems is all that is wrong with the newest revision, a line each if there are several.
func problems(w api.Workspace) string {
	if len(w.Errors) < 2 {
		return printable(w.Error)
	}
	lines := make([]string, len(w.Errors))
	for i, e := range w.Errors {
		lines[i] = printable(e.Message)
		if e.File != "" {
			lines[i] = printable(fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message))
		}
	}
	return "\n  " + strings.Join(lines, "\n  ")
}

// oneLine makes text from elsewhere fit into a row.
func oneLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return printable(s)
}

// age is how long ago something was, in one unit.
func age(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	d := max(time.Since(*t), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}
