package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/config"
	"github.com/stroem/stroem/core/pgserver"
	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/core/server"
	"github.com/stroem/stroem/core/worker"
)

type devFlags struct {
	listen    string
	dataDir   string
	plugins   string
	workspace string
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
	flags.BoolVar(&f.ephemeral, "ephemeral", false, "keep nothing")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "print the logs of server and worker")
	return cmd
}

func (a *app) dev(ctx context.Context, workspace string, f devFlags, stderr io.Writer) error {
	workspace, err := filepath.Abs(workspace)
	if err != nil {
		return fmt.Errorf("find the workspace: %w", err)
	}
	if info, err := os.Stat(workspace); err != nil || !info.IsDir() {
		return &exitError{exitUsage, fmt.Errorf("%s is not a directory: name the directory of a workspace, like examples/workspace", workspace)}
	}
	dir, remove, err := f.directory()
	if err != nil {
		return err
	}
	defer remove()
	unlock, err := lockDirectory(dir)
	if err != nil {
		return err
	}
	defer unlock()

	level := slog.LevelWarn
	if f.verbose {
		level = slog.LevelInfo
	}
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))

	if err := a.out.line("Starting PostgreSQL …"); err != nil {
		return err
	}
	database, err := pgserver.Start(ctx, pgserver.Options{Dir: filepath.Join(dir, "postgres")})
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	defer database.Stop()
	serverConfig, workerConfig, err := f.configure(dir, workspace, database.URL())
	if err != nil {
		return err
	}
	return a.devRun(ctx, serverConfig, workerConfig, f.workspace, logger)
}

// directory returns where the data is kept, and what removes it in the end.
func (f devFlags) directory() (dir string, remove func(), err error) {
	if f.ephemeral {
		// Outside of the home directory, which the unprivileged user of the database may not be able to enter.
		if dir, err = os.MkdirTemp("", "stroem-dev-"); err != nil {
			return "", nil, fmt.Errorf("create a directory: %w", err)
		}
		if err := os.Chmod(dir, 0o711); err != nil { // to be passed through by the database's user
			return "", nil, fmt.Errorf("open a directory to the database: %w", err)
		}
		return dir, func() { _ = os.RemoveAll(dir) }, nil
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
	return dir, func() {}, nil
}

// configure writes the configuration of server and worker, for whoever wants to see it, and loads it.
func (f devFlags) configure(dir, workspace, databaseURL string) (s config.Server, w config.Worker, err error) {
	token := rand.Text()
	plugins := pluginhost.Dir(f.plugins)
	serverFile, err := writeConfig(dir, config.ServerFile, map[string]any{
		"listen": f.listen, "data_dir": filepath.Join(dir, "server"), "worker_token": token,
		"db":         map[string]any{"url": databaseURL},
		"plugins":    map[string]any{"dir": plugins},
		"workspaces": map[string]any{f.workspace: map[string]any{"type": "folder", "path": workspace}},
	})
	if err != nil {
		return s, w, err
	}
	if s, err = config.LoadServer(serverFile, nil); err != nil {
		return s, w, err
	}
	workerFile, err := writeConfig(dir, config.WorkerFile, map[string]any{
		"server_url": "http://" + f.listen, "worker_token": token, "worker_name": "dev", "data_dir": filepath.Join(dir, "worker"),
		"drain_secs": 2, "plugins": map[string]any{"dir": plugins},
	})
	if err != nil {
		return s, w, err
	}
	w, err = config.LoadWorker(workerFile, nil)
	return s, w, err
}

func writeConfig(dir, name string, content map[string]any) (string, error) {
	data, err := yaml.Marshal(content)
	if err != nil {
		return "", fmt.Errorf("encode %s: %w", name, err)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return "", fmt.Errorf("write %s: %w", name, err)
	}
	return path, nil
}

// devRun runs server and worker until one of them fails or ctx ends; the worker ends first.
func (a *app) devRun(ctx context.Context, s config.Server, w config.Worker, workspace string, logger *slog.Logger) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	serve, stopServer := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServer()
	srv := server.New(s, logger.With("program", "server"))
	var running sync.WaitGroup
	running.Go(func() { fail(describeExit("server", srv.Run(serve))) })
	address, err := srv.Addr(ctx)
	if err == nil {
		w.ServerURL = "http://" + address.String()
		work, stopWorker := context.WithCancel(ctx)
		abort, stopAbort := signal.NotifyContext(context.WithoutCancel(ctx), syscall.SIGQUIT)
		var worked sync.WaitGroup
		worked.Go(func() { fail(describeExit("worker", worker.Serve(work, abort, w, logger.With("program", "worker")))) })
		if err = a.welcome(ctx, address, workspace); err == nil {
			<-ctx.Done()
		}
		stopWorker()
		worked.Wait()
		stopAbort()
	}
	stopServer()
	running.Wait()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

func describeExit(program string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", program, err)
}

// welcome waits until the worker is there, and says what to do next.
func (a *app) welcome(ctx context.Context, address net.Addr, workspace string) error {
	c, err := client.New(client.Options{Server: "http://" + address.String()})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := waitFor(ctx, func(ctx context.Context) bool {
		workers, err := c.Workers(ctx, 1, 0)
		return err == nil && len(workers) > 0 && workers[0].Status == "active" && c.Ready(ctx) == nil
	}); err != nil {
		return err
	}
	lines := []string{"", a.out.paint("1", "Strøm runs at http://"+address.String()), ""}
	tasks, err := c.Tasks(ctx, workspace)
	switch {
	case err != nil:
		lines = append(lines, "The workspace cannot be used yet: "+err.Error(), "See: stroem workspaces")
	case len(tasks) == 0:
		lines = append(lines, "The workspace has no tasks yet. Write one into .workflows/hello.yaml; it is picked up at once.")
	default:
		server := ""
		if address.String() != "127.0.0.1:8080" {
			server = " --server http://" + address.String()
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

// waitFor asks until the answer is yes: everything asked for is starting at this moment.
func waitFor(ctx context.Context, done func(context.Context) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("the worker did not come up within a minute; --verbose shows why"))
	defer cancel()
	for !done(ctx) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}
