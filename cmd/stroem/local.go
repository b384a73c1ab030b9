package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/config"
	"github.com/stroem/stroem/core/pgserver"
	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/core/server"
	"github.com/stroem/stroem/core/worker"
)

// local is a whole Strøm on this machine: database, server, worker and plugins, with one workspace. dev and run have it
// in common.
type local struct {
	dir       string            // for the data
	temporary bool              // nobody needs the data afterwards
	manual    bool              // triggers do not fire
	listen    string            // host:port, or unix:/path
	name      string            // of the workspace
	workspace string            // its directory
	plugins   string            // their directory; "": the usual one
	named     map[string]string // paths of runner plugins besides, by the names of such files
	labels    []string          // tags of the worker besides those of its plugins
	env       []string          // variables that the workspace's secrets may use
	drain     time.Duration     // for steps that run when it is to end
	logger    *slog.Logger
	progress  func(what string) // is told of what takes long

	database atomic.Pointer[pgserver.Server]
}

// kill ends the database at once, for a process that is about to end: plugins and steps then go with it.
func (l *local) kill() {
	if database := l.database.Load(); database != nil {
		database.Stop()
	}
}

// run starts everything, calls use once the workspace was tried and the worker is there, and ends everything when use
// returns, the worker first. ctx is for the start. life, which use gets, ends when server or worker fail, and that is then
// the error. Ending abort ends the worker with its running steps at once, as worker.Serve says.
func (l *local) run(ctx, abort context.Context, use func(life context.Context, c *client.Client, address string) error) error {
	cache := ""
	if l.temporary {
		cache = cacheDirectory()
	}
	database, err := pgserver.Start(ctx, pgserver.Options{
		Dir: filepath.Join(l.dir, "postgres"), Cache: cache, Temporary: l.temporary, Progress: l.progress,
	})
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	defer database.Stop()
	l.database.Store(database)
	serverConfig, workerConfig, err := l.configure(database.URL())
	if err != nil {
		return err
	}
	life, fail := context.WithCancelCause(context.WithoutCancel(ctx))
	defer fail(nil)
	starting, give := context.WithCancelCause(life)
	defer give(nil)
	defer context.AfterFunc(ctx, func() { give(context.Cause(ctx)) })()

	serve, stopServer := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServer()
	srv := server.New(serverConfig, l.logger.With("program", "server"))
	srv.Manual = l.manual
	var served, worked sync.WaitGroup
	served.Go(func() { failWith(fail, "server", srv.Run(serve)) })
	address, err := srv.Addr(starting)
	if err == nil {
		workerConfig.ServerURL = urlOf(address)
		work, stopWorker := context.WithCancel(life)
		worked.Go(func() {
			failWith(fail, "worker", worker.Serve(work, abort, workerConfig, l.logger.With("program", "worker")))
		})
		err = l.with(starting, life, workerConfig.ServerURL, use)
		stopWorker()
		worked.Wait()
	}
	stopServer()
	served.Wait()
	if cause := context.Cause(life); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// with calls use once everything is there.
func (l *local) with(starting, life context.Context, address string, use func(context.Context, *client.Client, string) error) error {
	c, err := client.New(client.Options{Server: address})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := waitFor(starting, func(ctx context.Context) bool {
		workers, err := c.Workers(ctx, 1, 0)
		return err == nil && len(workers) > 0 && workers[0].Status == "active" && c.Ready(ctx) == nil
	}); err != nil {
		return err
	}
	return use(life, c, address)
}

func urlOf(address net.Addr) string {
	if address.Network() == "unix" {
		return config.UnixScheme + address.String()
	}
	return "http://" + address.String()
}

// cacheDirectory is where things are kept that only save time; "" is nowhere.
func cacheDirectory() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "stroem")
}

// configure writes the configuration of server and worker, for whoever wants to see it, and loads it.
func (l *local) configure(databaseURL string) (s config.Server, w config.Worker, err error) {
	token := rand.Text()
	dir := pluginhost.Dir(l.plugins)
	serverFile, err := writeConfig(l.dir, config.ServerFile, map[string]any{
		"listen": l.listen, "data_dir": filepath.Join(l.dir, "server"), "worker_token": token,
		"db":         map[string]any{"url": databaseURL},
		"plugins":    map[string]any{"dir": dir},
		"secrets":    map[string]any{"env": l.env},
		"workspaces": map[string]any{l.name: map[string]any{"type": "folder", "path": l.workspace}},
	})
	if err != nil {
		return s, w, err
	}
	if s, err = config.LoadServer(serverFile, nil); err != nil {
		return s, w, err
	}
	plugins := map[string]any{"dir": dir}
	for file, path := range l.named {
		plugins[file] = map[string]any{"path": path}
	}
	workerFile, err := writeConfig(l.dir, config.WorkerFile, map[string]any{
		"worker_token": token, "worker_name": "dev", "data_dir": filepath.Join(l.dir, "worker"),
		"drain_secs": l.drain.Seconds(), "tags": l.labels, "plugins": plugins,
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

// failWith tells of a program that has ended with an error. One that ends without was told to.
func failWith(fail context.CancelCauseFunc, program string, err error) {
	if err != nil {
		fail(fmt.Errorf("%s: %w", program, err))
	}
}

// waitFor asks until the answer is yes: everything asked for is starting at this moment.
func waitFor(ctx context.Context, done func(context.Context) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("the worker did not come up within a minute; --verbose shows why"))
	defer cancel()
	for !done(ctx) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}
