package main

import "github.com/spf13/cobra"

func (a *app) pluginCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plugin",
		Short: "See how plugins are",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(a.pluginListCommand())
	return cmd
}
