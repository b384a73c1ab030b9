package main

import (
	"strconv"

	"github.com/spf13/cobra"
)

func (a *app) pluginListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the plugins of the server and of active workers, and how they are",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			plugins, err := c.Plugins(cmd.Context())
			if err != nil {
				return err
			}
			if a.out.structured() {
				return a.out.document(plugins)
			}
			if len(plugins) == 0 {
				return a.out.line("No plugins found.")
			}
			rows := make([][]string, len(plugins))
			for i, p := range plugins {
				rows[i] = []string{
					p.Host, p.Kind + "-" + p.Name, dash(p.Version), p.State, when(p.Since), strconv.Itoa(p.Restarts), dash(printable(p.LastError)),
				}
			}
			return a.out.table([]string{"HOST", "PLUGIN", "VERSION", "STATE", "SINCE", "RESTARTS", "LAST ERROR"}, rows)
		},
	}
}
