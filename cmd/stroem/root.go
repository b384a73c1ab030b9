package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core/version"
)

// defaultServer is where `stroem dev` and a server without configuration listen.
const defaultServer = "http://127.0.0.1:8080"

// app is what the commands share: the global flags and where output goes.
type app struct {
	server string
	token  string
	caFile string
	out    printer

	configDir  string     // where the sessions are; "": the user's
	credential credential // that the command's client has
}

func newRoot() *cobra.Command { return (&app{}).command() }

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "stroem",
		Short: "Run and watch workflows",
		Long: `stroem talks to a Strøm server. For authors of workflows it validates workspaces, runs single tasks without a server with
"stroem run", and a whole Strøm on this machine with "stroem dev".

Calls are made with --token, or else STROEM_TOKEN, or else the session that "stroem login" has stored for the server.

Exit codes: 0 done · 1 error, or the job failed · 2 wrong usage · 3 timed out · 4 the job was cancelled.`,
		Version:           version.Version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.out.prepare(cmd) },
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.server, "server", envOr("STROEM_URL", defaultServer), "address of the server (STROEM_URL)")
	flags.StringVar(&a.token, "token", "", "API key or access token (STROEM_TOKEN)")
	flags.StringVar(&a.caFile, "tls-ca", os.Getenv("STROEM_TLS_CA"), "file with the certificates that sign the server's (STROEM_TLS_CA)")
	flags.StringVarP(&a.out.format, "output", "o", formatTable, "output format: table, json or yaml")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &exitError{exitUsage, fmt.Errorf("%w\nSee '%s --help'", err, cmd.CommandPath())}
	})
	root.AddCommand(
		a.validateCommand(), a.runCommand(), a.triggerCommand(), a.statusCommand(), a.logsCommand(), a.tasksCommand(), a.jobsCommand(),
		a.triggersCommand(), a.workspacesCommand(), a.workerCommand(), a.pluginCommand(), a.cancelCommand(), a.auditCommand(), a.devCommand(),
		a.versionCommand(),
		a.loginCommand(), a.logoutCommand(), a.whoamiCommand(), a.keyCommand(), a.userCommand(),
	)
	usageErrors(root)
	a.explainRefusals(root)
	return root
}

// usageErrors makes wrong arguments end with the exit code for wrong usage, on every command.
func usageErrors(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return &exitError{exitUsage, fmt.Errorf("%w\nUsage: %s", err, cmd.UseLine())}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		usageErrors(sub)
	}
}

func envOr(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
