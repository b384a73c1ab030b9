//go:build unix

package pluginhost_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/pluginapi"
)

// longEnough is how long a test waits for what has to happen.
const longEnough = 20 * time.Second

// stage is a host under test and what its plugins see of the test.
type stage struct {
	t       *testing.T
	host    *pluginhost.Host
	dir     string // the plugin directory
	talk    string // script.Dir
	logbook *logbook
}

// prepare makes a stage for the scripts, by file name; the change is made before the host.
func prepare(t *testing.T, scripts map[string]script, change ...func(*pluginhost.Config)) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir(), talk: t.TempDir(), logbook: newLogbook()}
	config := pluginhost.Config{
		Dir: s.dir, Kinds: []pluginapi.Kind{pluginapi.KindRunner}, Plugins: map[string]pluginhost.PluginConfig{},
		Logger: slog.New(slog.NewJSONHandler(s.logbook, nil)),
		Limits: pluginhost.Limits{
			HealthInterval: 20 * time.Millisecond, BackoffMin: 10 * time.Millisecond, BackoffMax: 20 * time.Millisecond,
		},
	}
	for file, script := range scripts {
		script.Dir = s.talk
		text, err := json.Marshal(script)
		require.NoError(t, err)
		place(t, filepath.Join(s.dir, file))
		config.Plugins[file] = pluginhost.PluginConfig{Env: map[string]string{
			scriptEnv: string(text),
			"GORACE":  "atexit_sleep_ms=0", // else everything that exits takes a second under the race detector
		}}
	}
	for _, f := range change {
		f(&config)
	}
	var err error
	s.host, err = pluginhost.New(config)
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.logbook.String())
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // nothing is worth waiting for
		require.NoError(t, s.host.Close(ctx))
	})
	return s
}

// start is prepare and Host.Start.
func start(t *testing.T, scripts map[string]script, change ...func(*pluginhost.Config)) *stage {
	t.Helper()
	s := prepare(t, scripts, change...)
	require.NoError(t, s.host.Start(t.Context()))
	return s
}

// configure changes what the operator says of runner-test.
func configure(f func(*pluginhost.PluginConfig)) func(*pluginhost.Config) {
	return func(c *pluginhost.Config) {
		plugin := c.Plugins["runner-test"]
		plugin.Env = maps.Clone(plugin.Env)
		f(&plugin)
		c.Plugins["runner-test"] = plugin
	}
}

func limits(f func(*pluginhost.Limits)) func(*pluginhost.Config) {
	return func(c *pluginhost.Config) { f(&c.Limits) }
}

// place puts the test program where a plugin is looked for. It is linked if possible, because it is large.
func place(t *testing.T, path string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	if os.Link(self, path) == nil {
		return
	}
	text, err := os.ReadFile(self)
	require.NoError(t, err)
	write(t, path, text)
}

// write makes an executable. A child of another test that inherits the open file would make it busy.
func write(t *testing.T, path string, text []byte) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	require.NoError(t, os.WriteFile(path, text, 0o700))
}

// await waits until a plugin is as the condition wants it; it sees every state that lasts.
func (s *stage) await(file, what string, condition func(pluginhost.Status) bool) pluginhost.Status {
	s.t.Helper()
	timeout := time.After(longEnough)
	for {
		changed := s.host.Changed()
		status := s.status(file)
		if condition(status) {
			return status
		}
		select {
		case <-changed:
		case <-timeout:
			require.FailNow(s.t, "the plugin does not become "+what, "%+v", status)
		}
	}
}

func (s *stage) awaitState(state pluginhost.State) pluginhost.Status {
	s.t.Helper()
	return s.await("runner-test", string(state), func(status pluginhost.Status) bool { return status.State == state })
}

// awaitRestart waits until the plugin is ready in another process than its first.
func (s *stage) awaitRestart() pluginhost.Status {
	s.t.Helper()
	return s.await("runner-test", "ready again", func(status pluginhost.Status) bool {
		return status.State == pluginhost.StateReady && status.Restarts > 0
	})
}

func (s *stage) status(file string) pluginhost.Status {
	s.t.Helper()
	for _, status := range s.host.Plugins() {
		if status.File == file {
			return status
		}
	}
	require.FailNow(s.t, "there is no plugin "+file)
	return pluginhost.Status{}
}

// journal are the lines of a kind that plugins noted, without that first word.
func (s *stage) journal(kind string) []string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.talk, "journal"))
	if !errors.Is(err, fs.ErrNotExist) {
		require.NoError(s.t, err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), kind+" "); ok {
			lines = append(lines, rest)
		}
	}
	return lines
}

// health sets what plugins answer from now on.
func (s *stage) health(text string) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "health")
	require.NoError(s.t, os.WriteFile(file, []byte(text), 0o600))
	require.NoError(s.t, os.Rename(file, filepath.Join(s.talk, "health")))
}

// pipe makes a named pipe, and opens it for reading. Reading ends when the last process that holds it open has gone.
func (s *stage) pipe(name string) *os.File {
	s.t.Helper()
	path := filepath.Join(s.talk, name)
	require.NoError(s.t, syscall.Mkfifo(path, 0o600))
	pipe, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = pipe.Close() })
	return pipe
}

func requireAllGone(t *testing.T, pipe *os.File) {
	t.Helper()
	require.NoError(t, pipe.SetReadDeadline(time.Now().Add(longEnough)))
	_, err := pipe.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF, "a process is left")
}
