package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core/version"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			info := map[string]string{
				"version": version.Version, "commit": version.Commit, "date": version.Date,
				"go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
			}
			if a.out.structured() {
				return a.out.document(info)
			}
			return a.out.line(fmt.Sprintf("stroem %s (commit %s, built %s, %s, %s)",
				info["version"], info["commit"], info["date"], info["go"], info["platform"]))
		},
	}
}
