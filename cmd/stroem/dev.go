package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core/client"
)

type devFlags struct {
	listen    string
	dataDir   string
	plugins   string
	workspace string
	env       []string
	ephemeral bool
	verbose   bool
}

func (a *app) devCommand() *cobra.Command {
	var f devFlags
	cmd := &cobra.Command{
		Use:   "dev [DIR]",
		Short: "Run a whole Strøm on this machine: database, server, worker and plugins",
		Long: `dev runs PostgreSQL, a server, a worker and the plugins, with the workspace in DIR (default: the current directory).
Changes to the workspace's files are picked up at once. Ctrl-C ends all of it; the data is kept for the next time, unless
--ephemeral is given.

PostgreSQL is taken from PATH or from where distributions install it; if there is none it is downloaded.`,
		Example: `  stroem dev
  stroem dev examples/workspace --ephemeral`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			return a.dev(cmd.Context(), dir, f, cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "127.0.0.1:8080", "address to listen on")
	flags.StringVar(&f.dataDir, "data-dir", "", "where the data is kept (default: stroem-dev in the user's cache directory)")
	flags.StringVar(&f.plugins, "plugins-dir", "", "where the plugins are (default: plugins beside the program)")
	flags.StringVar(&f.workspace, "name", "default", "name of the workspace")
	flags.StringArrayVar(&f.env, "env", nil, "name of an environment variable that the workspace's secrets may use; repeatable")
	flags.BoolVar(&f.ephemeral, "ephemeral", false, "keep nothing")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "print the logs of server and worker")
	return cmd
}

func (a *app) dev(ctx context.Context, workspace string, f devFlags, stderr io.Writer) error {
	workspace, err := workspaceDirectory(workspace)
	if err != nil {
		return err
	}
	if err := checkEnv(f.env); err != nil {
		return err
	}
	dir, release, err := f.directory()
	if err != nil {
		return err
	}
	defer release()

	level := slog.LevelWarn
	if f.verbose {
		level = slog.LevelInfo
	}
	if err := a.out.line("Starting PostgreSQL …"); err != nil {
		return err
	}
	abort, stopAbort := signal.NotifyContext(context.WithoutCancel(ctx), syscall.SIGQUIT)
	defer stopAbort()
	l := local{
		dir: dir, temporary: f.ephemeral, listen: f.listen, name: f.workspace, workspace: workspace, plugins: f.plugins,
		env: f.env, drain: 2 * time.Second, logger: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})),
		progress: func(what string) { _, _ = fmt.Fprintln(stderr, what+" …") },
	}
	err = l.run(ctx, abort, func(life context.Context, c *client.Client, address string) error {
		if err := a.welcome(life, c, address, f.workspace); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-abort.Done():
		case <-life.Done():
		}
		return nil
	})
	if endedBy(ctx, err) {
		return nil // Ctrl-C is how it ends
	}
	return err
}

// endedBy tells whether err says no more than that ctx has ended.
func endedBy(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx)))
}

// directory returns where the data is kept, locked, and what is to be called in the end.
func (f devFlags) directory() (dir string, release func(), err error) {
	if f.ephemeral {
		s, err := newScratch("stroem-dev-")
		if err != nil {
			return "", nil, err
		}
		return s.dir, s.remove, nil
	}
	dir = f.dataDir
	if dir == "" && os.Getuid() == 0 {
		dir = "/var/lib/stroem-dev"
	}
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", nil, fmt.Errorf("find the user's cache directory (give one with --data-dir): %w", err)
		}
		dir = filepath.Join(cache, "stroem-dev")
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", nil, fmt.Errorf("find the data directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o711); err != nil { // to be passed through by the database's user
		return "", nil, fmt.Errorf("create the data directory: %w", err)
	}
	unlock, err := lockDirectory(dir)
	return dir, unlock, err
}

// welcome says what to do next.
func (a *app) welcome(ctx context.Context, c *client.Client, address, workspace string) error {
	lines := []string{"", a.out.paint("1", "Strøm runs at "+address), ""}
	tasks, err := c.Tasks(ctx, workspace)
	switch {
	case err != nil:
		lines = append(lines, "The workspace cannot be used yet: "+err.Error(), "See: stroem workspaces")
	case len(tasks) == 0:
		lines = append(lines, "The workspace has no tasks yet. Write one into .workflows/hello.yaml; it is picked up at once.")
	default:
		server := ""
		if address != defaultServer {
			server = " --server " + address
		}
		lines = append(lines, "Try, in another terminal:",
			"  stroem"+server+" tasks",
			"  stroem"+server+" trigger "+tasks[0].Name+" --follow")
	}
	for _, line := range append(lines, "", "Ctrl-C ends it.") {
		if err := a.out.line(line); err != nil {
			return err
		}
	}
	return nil
}
