package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core/api"
)

func (a *app) keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make, list and delete your API keys",
		Long: `key manages the API keys of whoever is signed in. Programs use a key in STROEM_TOKEN, and may do with it what its user may; keys
themselves are managed with a session alone.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.keyCreateCommand(), a.keyListCommand(), a.keyDeleteCommand())
	return cmd
}

func (a *app) keyCreateCommand() *cobra.Command {
	var days int
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an API key, and print it: it is shown this once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := api.NewAPIKey{Name: args[0]}
			if cmd.Flags().Changed("expires-in-days") {
				if days < 1 {
					return &exitError{exitUsage, fmt.Errorf("--expires-in-days is %d, and has to be at least 1", days)}
				}
				request.ExpiresInDays = &days
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			created, err := c.CreateAPIKey(cmd.Context(), request)
			if err != nil {
				return err
			}
			if a.out.structured() {
				return a.out.document(created)
			}
			until := "does not expire"
			if created.ExpiresAt != nil {
				until = "expires at " + when(created.ExpiresAt)
			}
			cmd.PrintErrf("The key %s %s. It is shown this once:\n", printable(created.Name), until)
			return a.out.line(created.Key) // alone on standard output, so that it can be taken from there
		},
	}
	cmd.Flags().IntVar(&days, "expires-in-days", 0, "for how many days it is good (default: until it is deleted)")
	return cmd
}

func (a *app) keyListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List your API keys",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			keys, err := c.APIKeys(cmd.Context())
			if err != nil {
				return err
			}
			if a.out.structured() {
				return a.out.document(keys)
			}
			if len(keys) == 0 {
				return a.out.line("No API keys found.")
			}
			rows := make([][]string, len(keys))
			for i, k := range keys {
				rows[i] = []string{k.Prefix, oneLine(k.Name), when(&k.CreatedAt), when(k.ExpiresAt), when(k.LastUsedAt)}
			}
			return a.out.table([]string{"PREFIX", "NAME", "CREATED", "EXPIRES", "LAST USED"}, rows)
		},
	}
}

func (a *app) keyDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "delete PREFIX",
		Short: "Delete the API key with this prefix, as it is listed",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if err := c.DeleteAPIKey(cmd.Context(), args[0]); err != nil {
				return err
			}
			if a.out.structured() {
				return a.out.document(api.Status{Status: "ok"})
			}
			return a.out.line("API key " + args[0] + " is deleted.")
		},
	}
}
