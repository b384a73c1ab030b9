package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/config"
)

type runFlags struct {
	inputFlags
	dir        string
	plugins    []string
	pluginsDir string
	env        []string
	timeout    time.Duration
	keep       bool
	verbose    bool
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run TASK",
		Short: "Run a task of a local workspace, without a server",
		Long: `run checks the workspace in a directory and runs one of its tasks, with the engine, the plugins and the rules that a server
and its workers have. All that this needs is started for the one run, reachable by nobody else, and removed after it. The
workspace is taken as it is: what is not committed yet runs, too.

The log goes to standard output while the steps run, then their states and the job's output; with --output json or yaml the
log goes to standard error, and the job to standard output as "stroem status" has it. What is found wrong in the workspace
goes to standard error.

Secrets can use env.<NAME> for the variables that --env names. Ctrl-C cancels the job: its steps are asked to end, and killed
after 10 seconds, or when it is pressed once more.

Exit codes: 0 the job completed · 1 it failed, or could not be run · 2 wrong usage · 3 timed out · 4 cancelled.`,
		Example: `  stroem run hello-world --dir examples/workspace -i name=you
  stroem run deploy --input input.json --env DEPLOY_TOKEN --timeout 10m
  stroem run report --output json 2>report.log | jq .output`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.run(cmd.Context(), strings.Join(args, ""), f, cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.dir, "dir", "d", ".", "directory of the workspace")
	f.add(cmd)
	flags.StringArrayVar(&f.env, "env", nil, "name of an environment variable that the workspace's secrets may use; repeatable")
	flags.StringVar(&f.pluginsDir, "plugins-dir", "", "where the plugins are (default: plugins beside the program)")
	flags.StringArrayVar(&f.plugins, "plugin", nil, "executable of a runner plugin besides those; repeatable")
	flags.DurationVar(&f.timeout, "timeout", 0, "cancel the job after this long, with exit code 3")
	flags.BoolVar(&f.keep, "keep", false, "keep the directory of a run that fails, to look at")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "print the logs of server and worker")
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "plugins" {
			name = "plugins-dir"
		}
		return pflag.NormalizedName(name)
	})
	return cmd
}

// run runs a task on a Strøm of its own.
func (a *app) run(ctx context.Context, task string, f runFlags, stderr io.Writer) (err error) {
	dir, err := workspaceDirectory(f.dir)
	if err != nil {
		return err
	}
	if err := checkEnv(f.env); err != nil {
		return err
	}
	messages := newProgress(stderr)
	named, types, err := f.runners(ctx)
	if err != nil {
		return err
	}
	workspace, err := loadForRun(ctx, dir, f, types, messages)
	if err != nil {
		return err
	}
	definition := workspace.Tasks[task]
	if definition == nil {
		return noTask(workspace, task, f.dir)
	}
	input, err := f.read(func() (map[string]string, error) { return inputTypes(definition.Input), nil })
	if err != nil {
		return err
	}

	place, err := newScratch("stroem-run-")
	if err != nil {
		return err
	}
	defer func() {
		if f.keep && err != nil {
			f.tellKept(place, dir, messages)
			return
		}
		place.remove()
	}()
	l := &local{
		dir: place.dir, temporary: true, manual: true, listen: ownAddress(place.dir), name: "default", workspace: dir, plugins: f.pluginsDir,
		named: named, labels: labels(workspace, task), env: f.env, drain: time.Second, progress: messages.slow,
	}
	return f.runOn(ctx, l, place, taskRun{
		app: a, workspace: l.name, content: workspace, task: task, input: input, timeout: f.timeout, messages: messages,
	})
}

// runOn starts everything, runs the task, and ends everything; signals may end it before.
func (f *runFlags) runOn(ctx context.Context, l *local, place *scratch, run taskRun) error {
	level := new(slog.LevelVar)
	if !f.verbose {
		level.Set(slog.LevelWarn)
	}
	logger, closeLog, err := runLogger(place.dir, level, run.messages)
	if err != nil {
		return err
	}
	defer closeLog()
	l.logger = logger
	ctx, abort, unwatch := watchInterrupts(ctx, run.messages, func() {
		l.kill()
		place.remove()
		os.Exit(exitCancelled)
	})
	defer unwatch()
	quiet := func() { // what breaks from now on is meant to
		if !f.verbose {
			level.Set(slog.LevelError)
		}
	}
	defer context.AfterFunc(ctx, quiet)()
	run.messages.say("Starting PostgreSQL, server and worker")
	begun := false
	err = l.run(ctx, abort, func(life context.Context, c *client.Client, _ string) error {
		begun = true
		defer quiet()
		run.client = c
		return run.run(life, ctx)
	})
	run.messages.clear()
	if err != nil && !begun && ctx.Err() != nil {
		return &exitError{exitCancelled, errors.New("interrupted before the job was created")}
	}
	return err
}

func workspaceDirectory(path string) (string, error) {
	dir, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("find the workspace: %w", err)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", &exitError{exitUsage, fmt.Errorf("%s is not a directory: name the directory of a workspace, like examples/workspace", dir)}
	}
	return dir, nil
}

// ownAddress is where a server listens that is for nobody else: a socket, or a free port where there are no sockets.
func ownAddress(dir string) string {
	if socket := filepath.Join(dir, "server.sock"); canLock && len(socket) <= 100 { // of 104 bytes or more
		return config.UnixScheme + socket
	}
	return "127.0.0.1:0"
}

// runLogger writes what server and worker say into a file, for a run that is kept, and what is serious to the terminal.
func runLogger(dir string, level slog.Leveler, messages *progress) (*slog.Logger, func(), error) {
	file, err := os.OpenFile(filepath.Join(dir, "stroem.log"), os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // our own directory
	if err != nil {
		return nil, nil, fmt.Errorf("create a log: %w", err)
	}
	return slog.New(slog.NewMultiHandler(
		slog.NewTextHandler(file, nil), slog.NewTextHandler(messages, &slog.HandlerOptions{Level: level}),
	)), func() { _ = file.Close() }, nil
}

// tellKept keeps the directory of a run and says what can be done with it.
func (f *runFlags) tellKept(place *scratch, workspace string, messages *progress) {
	kept, err := place.keep()
	if err != nil {
		messages.line(err.Error())
	}
	command := []string{"stroem", "dev", "--data-dir", kept}
	for _, name := range f.env {
		command = append(command, "--env", name)
	}
	messages.line("Kept: " + kept + "\nIts stroem.log has what server and worker said. To look at the job: " +
		strings.Join(append(command, workspace), " "))
}
