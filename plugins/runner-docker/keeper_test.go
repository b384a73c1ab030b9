package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
)

// keeper is an output that keeps what came with its times, as a host does.
type keeper struct {
	mu     sync.Mutex
	chunks []chunk
	state  []byte
	enough chan struct{} // closed when there are twenty chunks
	once   sync.Once
}

type chunk struct {
	stderr bool
	at     time.Time
	text   string
}

func newKeeper() *keeper { return &keeper{enough: make(chan struct{})} }

func (k *keeper) Started(state []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state = bytes.Clone(state)
	return nil
}
func (k *keeper) Stdout() io.Writer { return keeperWriter{k, false} }
func (k *keeper) Stderr() io.Writer { return keeperWriter{k, true} }

type keeperWriter struct {
	*keeper
	stderr bool
}

func (w keeperWriter) Write(p []byte) (int, error) { return w.WriteTimed(p, time.Now()) }

func (w keeperWriter) WriteTimed(p []byte, at time.Time) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.chunks = append(w.chunks, chunk{w.stderr, at, string(p)})
	if len(w.chunks) == 20 {
		w.once.Do(func() { close(w.enough) })
	}
	return len(p), nil
}

// known forgets what came with the last time, and returns that: it is where to go on.
func (k *keeper) known() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	since := k.chunks[len(k.chunks)-1].at
	var before []chunk
	for _, c := range k.chunks {
		if c.at.Before(since) {
			before = append(before, c)
		}
	}
	k.chunks = before
	return since
}

func (k *keeper) text(stderr bool) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var b strings.Builder
	for _, c := range k.chunks {
		if c.stderr == stderr {
			b.WriteString(c.text)
		}
	}
	return b.String()
}

// process starts the plugin as a host does, configured, to be killed.
func process(t *testing.T) (*exec.Cmd, *hostapi.Runner) {
	t.Helper()
	cmd, r := processWith(t)
	require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{Settings: settings(t, nil)}))
	return cmd, r
}

// processWith starts the plugin with variables in its environment.
func processWith(t *testing.T, env ...string) (*exec.Cmd, *hostapi.Runner) {
	t.Helper()
	cmd := exec.Command(pluginBinary(t)) //nolint:noctx // go-plugin ends it
	cmd.Env = append(env, "PATH="+os.Getenv("PATH"))
	cfg := hostapi.ClientConfig(cmd)
	cfg.Logger = hclog.NewNullLogger()
	client := plugin.NewClient(cfg)
	t.Cleanup(client.Kill)
	conn, err := hostapi.Connect(client)
	require.NoError(t, err)
	return cmd, hostapi.NewRunner(conn, "runner(docker)")
}
