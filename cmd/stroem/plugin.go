package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/pluginapi"
)

func (a *app) pluginCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plugin",
		Short: "Look at plugins, check and write them",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		a.pluginListCommand(), a.pluginDescribeCommand(), a.pluginHashCommand(), a.pluginCheckCommand(), a.pluginNewCommand(),
	)
	return cmd
}

// binaryWithArgs accepts a plugin's executable and, after --, its arguments.
func binaryWithArgs(cmd *cobra.Command, args []string) error {
	named := len(args)
	if dash := cmd.ArgsLenAtDash(); dash >= 0 {
		named = dash
	}
	if named != 1 {
		return fmt.Errorf("names one executable, not %d; arguments for it come after --", named)
	}
	return nil
}

// executable returns the absolute path of a plugin, so that it is not looked for in PATH.
func executable(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("nothing can be read at %s: %w", path, err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a file", path)
	}
	return filepath.Abs(path)
}

// pluginFile is what the file of a plugin is called.
var pluginFile = regexp.MustCompile(`^(runner|source|logstore)-[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// fileKey is how the configuration calls the plugin in a file.
func fileKey(path string) string {
	name := filepath.Base(path)
	if runtime.GOOS == "windows" {
		name = strings.TrimSuffix(name, ".exe")
	}
	return name
}

// describedAs warns when a file is not called as its plugin.
func describedAs(path string, d *pluginapi.Description) string {
	if want := string(d.Kind) + "-" + d.Name; fileKey(path) != want {
		return fmt.Sprintf("the file has to be called %s to be found by a host, or configured so with its path", want)
	}
	return ""
}
