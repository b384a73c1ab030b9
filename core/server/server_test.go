package server_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	apiv1 "github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/config"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/server"
)

const patience = 30 * time.Second

const hello = `
actions: {say: {type: shell, cmd: echo hello}}
tasks: {hello: {flow: {say: {action: say}}}}
`

// load makes a configuration from the lines given, what is given of plugins, and what every server needs.
func load(t *testing.T, database, lines string, ofPlugins ...string) config.Server {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "server-config.yaml")
	content := lines + "\nlisten: 127.0.0.1:0\nworker_token: a token for the tests of the server\ndb: {url: '" + database +
		"'}\ndata_dir: " + filepath.Join(dir, "data") + "\nplugins: {" + strings.Join(append(ofPlugins, "dir: "+plugins), ", ") + "}\n"
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	c, err := config.LoadServer(file, nil)
	require.NoError(t, err)
	return c
}

// start runs a server until the test ends or stop is called, which returns what Run returned.
func start(t *testing.T, c config.Server) (api *api, stop func() error) {
	t.Helper()
	return startLogging(t, c, slog.New(slog.NewTextHandler(t.Output(), nil)))
}

func startLogging(t *testing.T, c config.Server, logger *slog.Logger) (running *api, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := server.New(c, logger)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stopped := false
	stop = func() error {
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if !stopped {
			require.NoError(t, stop())
		}
	})
	limited, done := context.WithTimeout(t.Context(), patience)
	defer done()
	address, err := s.Addr(limited)
	require.NoError(t, err)
	running = &api{Address: "http://" + address.String()}
	if address.Network() == "unix" {
		running.Address = config.UnixScheme + address.String()
	}
	running.Client, err = client.New(client.Options{Server: running.Address})
	require.NoError(t, err)
	t.Cleanup(running.Close)
	return running, stop
}

// api is a client of a server, and where that is.
type api struct {
	*client.Client
	Address string
}

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return dir
}

// ready waits until every workspace was tried.
func ready(t *testing.T, api *api) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.NoError(c, api.Ready(t.Context())) }, patience, 20*time.Millisecond)
}

func TestServesWorkspacesAndEnds(t *testing.T) {
	t.Parallel()
	good, bad := folder(t, map[string]string{"flows.yaml": hello}), folder(t, map[string]string{"flows.yaml": "tasks: {x: {flow: {}}}"})
	c := load(t, coretest.Postgres(t), "workspaces: {good: {type: folder, path: "+good+"}, bad: {type: folder, path: "+bad+"}}")
	api, stop := start(t, c)
	ready(t, api)
	created, err := api.Execute(t.Context(), "good", "hello", apiv1.ExecuteRequest{}, "")
	require.NoError(t, err)
	list, err := api.Workspaces(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 2)
	for _, w := range list {
		require.Equal(t, w.Name == "bad", w.Error != "", "%s: %s", w.Name, w.Error)
	}
	require.NoError(t, stop())

	again, _ := start(t, c) // with the same database and files
	ready(t, again)
	job, err := again.Job(t.Context(), created.JobID, 0)
	require.NoError(t, err)
	require.Equal(t, "pending", job.Status)
}

// TestWaitingRequestsDoNotDelayTheEnd stops a server while a client waits for a job that nobody runs.
func TestWaitingRequestsDoNotDelayTheEnd(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"flows.yaml": hello})
	api, stop := start(t, load(t, coretest.Postgres(t), "workspaces: {default: {type: folder, path: "+dir+"}}"))
	ready(t, api)
	created, err := api.Execute(t.Context(), "default", "hello", apiv1.ExecuteRequest{}, "")
	require.NoError(t, err)
	answered := make(chan error, 1)
	go func() {
		_, err := api.Job(t.Context(), created.JobID, time.Minute)
		answered <- err
	}()
	begin := time.Now()
	require.NoError(t, stop())
	require.Less(t, time.Since(begin), 20*time.Second)
	select {
	case err := <-answered: // it may have come before the end or after it
		t.Log("the request that waits:", err)
	case <-time.After(patience):
		require.Fail(t, "the request that waits is not answered")
	}
}

// TestListensOnASocket takes the place of a server that has died, but not that of one that answers.
func TestListensOnASocket(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "stroem-") //nolint:usetesting // the path of a socket has to be short
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	path := filepath.Join(dir, "server.sock")
	dead, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
	require.NoError(t, err)
	unix, ok := dead.(*net.UnixListener)
	require.True(t, ok)
	unix.SetUnlinkOnClose(false)
	require.NoError(t, dead.Close())

	c := load(t, coretest.Postgres(t), "")
	c.Listen = config.UnixScheme + path
	api, stop := start(t, c)
	ready(t, api)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.ModeSocket|0o600, info.Mode(), "nobody else may connect")
	second := load(t, coretest.Postgres(t), "")
	second.Listen = c.Listen
	require.ErrorContains(t, server.New(second, slog.New(slog.DiscardHandler)).Run(t.Context()), "another server does")
	ready(t, api)
	require.NoError(t, stop())
	require.NoFileExists(t, path)
}

func TestRefusesToStart(t *testing.T) {
	t.Parallel()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, taken.Close()) })
	for name, c := range map[string]struct {
		change func(*config.Server)
		want   string
	}{
		"a port that is taken": {func(c *config.Server) { c.Listen = taken.Addr().String() }, "address already in use"},
		"a certificate that is not there": {
			func(c *config.Server) { c.TLS = &config.ServerTLS{Cert: "/nowhere.pem", Key: "/nowhere.key"} }, "load the TLS certificate",
		},
		"an archive whose plugin is not there": {
			func(c *config.Server) {
				c.LogStorage.S3 = &config.S3{Bucket: "b", Region: "r"}
				c.Plugins.Entries = map[string]config.Plugin{"logstore-s3": {Path: filepath.Join(plugins, "nothing")}}
			},
			"log_storage.s3: its plugin cannot be used: plugins.logstore-s3.path: there is no file " + filepath.Join(plugins, "nothing"),
		},
		"an archive that its plugin refuses": {
			func(c *config.Server) {
				c.LogStorage.S3 = &config.S3{Bucket: "b", Region: "r", StorageClass: "GLACIER"}
			}, "log_storage.s3: its plugin cannot be used: configure: logstore(s3): /storage_class: is one that cannot be read at once",
		},
		"another archive that is not there": {
			func(c *config.Server) { c.LogStorage.Plugin = "acme.store" }, "log_storage.plugin: its plugin cannot be used: plugins.logstore-acme.store: there is no file",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := load(t, coretest.Postgres(t), "")
			c.change(&settings)
			err := server.New(settings, slog.New(slog.DiscardHandler)).Run(t.Context())
			require.ErrorContains(t, err, c.want)
		})
	}
	t.Run("a database that does not answer", func(t *testing.T) {
		t.Parallel()
		c := load(t, "postgres://stroem:very-secret@"+taken.Addr().String()+"/stroem?connect_timeout=1", "")
		err := server.New(c, slog.New(slog.DiscardHandler)).Run(t.Context())
		require.Error(t, err)
		require.NotContains(t, err.Error(), "very-secret")
	})
}
