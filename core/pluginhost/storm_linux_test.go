package pluginhost_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// stormEnv says how many starts the storm has; `make nightly` takes 1000.
const stormEnv = "STROEM_TEST_PLUGIN_STARTS"

// TestNothingIsLeftBehind starts plugins and kills them in whatever phase they are, with runs under way that have children, and
// ends their hosts in between. Then no process, no socket and no goroutine must be left. It is not parallel, because it
// counts the goroutines of the program, and has a directory of its own for sockets.
func TestNothingIsLeftBehind(t *testing.T) {
	starts := 20
	if text := os.Getenv(stormEnv); text != "" {
		var err error
		starts, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	before := goleak.IgnoreCurrent()
	tmp, mark := t.TempDir(), fmt.Sprintf("%d-%d", os.Getpid(), time.Now().UnixNano())
	t.Setenv("TMPDIR", tmp)
	began, done, ends, kills := time.Now(), 0, 0, map[pluginhost.State]int{}
	for ; done < starts; ends++ {
		done += storm(t, mark, min(starts-done, 15+rand.IntN(20)), kills)
	}
	t.Logf("%d starts in %v; killed when %v; %d orderly ends of two", done, time.Since(began), kills, ends)
	require.NotEmpty(t, kills)
	require.Empty(t, marked(mark, false), "processes are left")
	left, err := os.ReadDir(tmp)
	require.NoError(t, err)
	require.Empty(t, left, "sockets are left")
	require.NoError(t, goleak.Find(before))
}

// storm has a host with two plugins, and kills their processes at moments that depend on luck alone until there have been as
// many starts as it is told. Then the host ends in an orderly way, with whatever is under way. It counts the kills by state.
func storm(t *testing.T, mark string, starts int, kills map[pluginhost.State]int) (started int) {
	t.Helper()
	s := prepare(t, map[string]script{"runner-a": {}, "runner-b": {}}, func(c *pluginhost.Config) {
		c.Limits = pluginhost.Limits{BackoffMin: time.Millisecond, BackoffMax: 2 * time.Millisecond, Starts: 1 << 30, Exit: time.Second}
		for _, plugin := range c.Plugins {
			plugin.Env[markEnv] = mark
		}
	})
	require.NoError(t, syscall.Mkfifo(filepath.Join(s.talk, "held"), 0o600))
	held, err := os.OpenFile(filepath.Join(s.talk, "held"), os.O_RDWR, 0) // so that nobody waits for a reader
	require.NoError(t, err)
	defer func() { require.NoError(t, held.Close()) }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	first := make(chan error, 1)
	go func() { first <- s.host.Start(ctx) }()
	working := make(chan struct{})
	go func() {
		defer close(working)
		s.keepBusy(ctx)
	}()
	for started < starts {
		select {
		case <-time.After(time.Duration(rand.IntN(18)*rand.IntN(18)) * time.Millisecond):
		case <-ctx.Done():
			require.FailNow(t, "the plugins do not start often enough")
		}
		plugins := s.host.Plugins()
		for _, pid := range marked(mark, true) {
			if i := slices.IndexFunc(plugins, func(p pluginhost.Status) bool { return p.PID == pid }); i >= 0 {
				kills[plugins[i].State]++
			} else {
				kills[pluginhost.StateStarting]++ // or configuring
			}
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
		}
		started = plugins[0].Restarts + plugins[1].Restarts + 2
	}
	require.NoError(t, <-first)
	end, stop := context.WithCancel(t.Context())
	stop() // it does not wait for the runs
	require.NoError(t, s.host.Close(end))
	cancel()
	<-working
	return started
}

// keepBusy has a run under way wherever it can.
func (s *stage) keepBusy(ctx context.Context) {
	for ctx.Err() == nil {
		changed := s.host.Changed()
		runner, ok := s.host.Runner([]string{"a", "b"}[rand.IntN(2)], "")
		if ok {
			_, err := runner.Run(ctx, runRequest("child"), plugintest.NewRecorder())
			ok = !errors.Is(err, pluginhost.ErrPluginGone)
		}
		if !ok {
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}
}

// marked lists the processes with the mark: all of them, or those of plugins, which lead a group.
func marked(mark string, leaders bool) []int {
	var pids []int
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		environ, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "environ"))
		if err != nil || !bytes.Contains(environ, []byte(markEnv+"="+mark+"\x00")) {
			continue
		}
		if group, err := syscall.Getpgid(pid); !leaders || err == nil && group == pid {
			pids = append(pids, pid)
		}
	}
	return pids
}
