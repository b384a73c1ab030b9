package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
)

func (a *app) workerCommand() *cobra.Command {
	list := func(cmd *cobra.Command, _ []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		workers, err := c.Workers(cmd.Context(), 0, 0)
		if err != nil {
			return err
		}
		return a.printWorkers(workers)
	}
	cmd := &cobra.Command{
		Use:     "worker",
		Aliases: []string{"workers"},
		Short:   "List workers, revoke them, let them in again",
		Args:    cobra.NoArgs,
		RunE:    list,
	}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List workers, active ones first, then those that are revoked", Args: cobra.NoArgs, RunE: list},
		a.revokeCommand(),
	)
	return cmd
}

func (a *app) printWorkers(workers []api.Worker) error {
	if a.out.structured() {
		return a.out.document(workers)
	}
	if len(workers) == 0 {
		return a.out.line("No workers found.")
	}
	rows := make([][]string, len(workers))
	for i, w := range workers {
		status := w.Status
		if w.RevokedAt != nil {
			status = "revoked"
		}
		rows[i] = []string{w.Name, status, strings.Join(w.Tags, ","), dash(w.TokenName), when(w.LastHeartbeat), w.WorkerID}
	}
	return a.out.table([]string{"NAME", "STATUS", "TAGS", "TOKEN", "LAST HEARTBEAT", "ID"}, rows)
}

func (a *app) revokeCommand() *cobra.Command {
	var undo bool
	cmd := &cobra.Command{
		Use:   "revoke NAME|ID",
		Short: "Let a worker do nothing any more, or let it in again",
		Long: `revoke takes a worker's right to do anything: its calls are refused, and it ends. What it had not started goes to other workers,
what it was running has failed, also what would go on without it. Until "revoke NAME --undo" no worker registers under its name.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			id, err := workerID(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			if undo {
				return a.restore(cmd.Context(), c, id)
			}
			w, err := c.Revoke(cmd.Context(), id)
			if err != nil {
				return err
			}
			if a.out.structured() {
				return a.out.document(w)
			}
			return a.out.line(fmt.Sprintf("Worker %s is revoked: %s. Nobody registers under its name until: stroem worker revoke %s --undo",
				w.Name, fate(&w), w.Name))
		},
	}
	cmd.Flags().BoolVar(&undo, "undo", false, "let workers of this name register again")
	return cmd
}

func (a *app) restore(ctx context.Context, c *client.Client, id string) error {
	w, err := c.Restore(ctx, id)
	if err != nil {
		return err
	}
	if a.out.structured() {
		return a.out.document(w)
	}
	return a.out.line("Workers may register as " + w.Name + " again.")
}

// fate tells what became of a revoked worker's steps.
func fate(w *api.RevokedWorker) string {
	if w.Requeued+w.Ended == 0 {
		return "it had no steps"
	}
	var parts []string
	if w.Ended > 0 {
		parts = append(parts, fmt.Sprintf("%s that it was running %s ended as failed or cancelled", steps(w.Ended), pick(w.Ended, "has", "have")))
	}
	if w.Requeued > 0 {
		parts = append(parts, fmt.Sprintf("%s that it had not started %s ready for others", steps(w.Requeued), pick(w.Requeued, "is", "are")))
	}
	return strings.Join(parts, ", ")
}

func steps(n int) string { return fmt.Sprintf("%d %s", n, pick(n, "step", "steps")) }

func pick(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// workerID finds a worker by its id, or by its name: the one that is active, revoked or else was the last to have it.
func workerID(ctx context.Context, c *client.Client, given string) (string, error) {
	if _, err := uuid.Parse(given); err == nil {
		return given, nil
	}
	const page, last = 500, 10_000
	for offset := 0; offset <= last; offset += page {
		workers, err := c.Workers(ctx, page, offset)
		if err != nil {
			return "", err
		}
		for _, w := range workers {
			if w.Name == given {
				return w.WorkerID, nil
			}
		}
		if len(workers) < page {
			break
		}
	}
	return "", fmt.Errorf("no worker is called %q: stroem worker list shows their names", given)
}
