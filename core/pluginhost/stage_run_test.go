//go:build unix

package pluginhost_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// step is a run under way.
type step struct {
	t      *testing.T
	out    *plugintest.Recorder
	done   chan struct{}
	result *pluginapi.Result
	err    error // both are set when done is closed
}

// runner is the handle of the plugin runner-test.
func (s *stage) runner() pluginapi.Runner {
	s.t.Helper()
	runner, ok := s.host.Runner("test", "")
	require.True(s.t, ok, "nothing runs test")
	return runner
}

func runRequest(do string) *pluginapi.RunRequest {
	spec, _ := json.Marshal(do) // of a string
	return &pluginapi.RunRequest{RunID: "run-1", Type: "test", Spec: spec}
}

// run begins a run that ends with the context, and waits for its first output.
func (s *stage) run(ctx context.Context, do string) *step {
	s.t.Helper()
	return s.runAs(ctx, "run-1", do)
}

func (s *stage) runAs(ctx context.Context, id, do string) *step {
	s.t.Helper()
	request := runRequest(do)
	request.RunID = id
	step := &step{t: s.t, out: plugintest.NewRecorder(), done: make(chan struct{})}
	runner := s.runner()
	go func() {
		defer close(step.done)
		step.result, step.err = runner.Run(ctx, request, step.out)
	}()
	select {
	case <-step.out.HasOutput():
	case <-step.done:
		require.NoError(s.t, step.err)
	case <-time.After(longEnough):
		require.FailNow(s.t, "the run does not begin")
	}
	return step
}

// text is the output of a run that has ended by itself.
func (s *stage) text(do string) string {
	s.t.Helper()
	step := s.run(s.t.Context(), do)
	result, err := step.wait()
	require.NoError(s.t, err)
	require.Equal(s.t, &pluginapi.Result{}, result)
	stdout, _, _ := step.out.Text()
	return stdout
}

func (s *step) wait() (*pluginapi.Result, error) {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(longEnough):
		require.FailNow(s.t, "the run does not end")
	}
	return s.result, s.err
}

// pid is the process in which a run that is not about its environment takes place.
func (s *step) pid() int {
	s.t.Helper()
	stdout, _, _ := s.out.Text()
	pid, err := strconv.Atoi(strings.TrimSpace(stdout))
	require.NoError(s.t, err)
	return pid
}

func (s *step) signal(signal syscall.Signal) {
	s.t.Helper()
	require.NoError(s.t, syscall.Kill(s.pid(), signal))
}

// requireGone fails if there is such a process. Its parent, the host, has waited for it when it says so.
func requireGone(t *testing.T, pid int) {
	t.Helper()
	require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "process %d is left", pid)
}

// gate makes the named pipe for which runs "gate" wait; open lets one of them end.
func (s *stage) gate() (open func()) {
	s.t.Helper()
	path := filepath.Join(s.talk, "gate")
	require.NoError(s.t, syscall.Mkfifo(path, 0o600))
	return func() {
		s.t.Helper()
		gate, err := os.OpenFile(path, os.O_WRONLY, 0) // waits for the run to be there
		require.NoError(s.t, err)
		require.NoError(s.t, gate.Close())
	}
}

// logbook keeps what the host logs, as JSON, and tells of it.
type logbook struct {
	mu      sync.Mutex
	text    bytes.Buffer
	records []map[string]any
	changed chan struct{}
}

func newLogbook() *logbook { return &logbook{changed: make(chan struct{})} }

// Write takes one record: that is how slog calls it.
func (l *logbook) Write(p []byte) (int, error) {
	var record map[string]any
	if err := json.Unmarshal(p, &record); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, record)
	close(l.changed)
	l.changed = make(chan struct{})
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// find returns the records that have the value under the key.
func (l *logbook) find(key string, value any) ([]map[string]any, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []map[string]any
	for _, record := range l.records {
		if record[key] == value {
			found = append(found, record)
		}
	}
	return found, l.changed
}

// await returns the first record with the message.
func (l *logbook) await(t *testing.T, message string) map[string]any {
	t.Helper()
	timeout := time.After(longEnough)
	for {
		found, changed := l.find("msg", message)
		if len(found) > 0 {
			return found[0]
		}
		select {
		case <-changed:
		case <-timeout:
			require.FailNow(t, "nobody logged "+message, l.String())
		}
	}
}
