package workspace_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/workspace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// patience is how long a test waits for what has to happen.
	patience = 20 * time.Second
	interval = 10 * time.Second // between two questions, in bubbles
)

// configure makes a configuration with one workspace per source, named like the source.
func configure(dir string, from sources) workspace.Config {
	c := workspace.Config{Dir: dir, Sources: from, Workspaces: map[string]workspace.Source{}, Logger: slog.New(slog.DiscardHandler)}
	for name := range from {
		c.Workspaces[name] = workspace.Source{Type: name, Interval: interval, Settings: json.RawMessage(`{"of":"` + name + `"}`)}
	}
	return c
}

func newManager(t *testing.T, c workspace.Config) *workspace.Manager {
	t.Helper()
	m, err := workspace.New(c)
	require.NoError(t, err)
	return m
}

// bubble runs a test whose time is that of the bubble: it passes when all goroutines wait for it.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

// start runs a manager in a bubble until the test ends or stop is called, and returns once every source was asked.
func start(t *testing.T, m *workspace.Manager) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	synctest.Wait()
	return stop
}

// pass lets time pass in a bubble, and then what is due happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// nextPoll lets so much time pass that every healthy source is asked again.
func nextPoll() { pass(interval * 6 / 5) }

// receive waits for what a channel brings, or for its end.
func receive[T any](t *testing.T, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		require.FailNow(t, "nothing came")
	}
	return v
}

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// requireRevision checks which revision is in use, and that it is the content that goes with it.
func requireRevision(t *testing.T, m *workspace.Manager, name, revision, task string) {
	t.Helper()
	content, got, err := m.Workspace(name)
	require.NoError(t, err)
	require.Equal(t, revision, got)
	require.Contains(t, content.Tasks, task)
	require.Len(t, content.Tasks, 1)
}

func requireCode(t *testing.T, code core.Code, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, core.ErrorCode(err), err.Error())
}

func status(t *testing.T, m *workspace.Manager, name string) workspace.Status {
	t.Helper()
	for _, s := range m.List() {
		if s.Name == name {
			return s
		}
	}
	require.FailNow(t, "the workspace is not listed", name)
	return workspace.Status{}
}

// filesOf is the directory with the files of a revision, "" if it is not there.
func filesOf(t *testing.T, dir, name, revision string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, name, revision+digestPattern))
	require.NoError(t, err)
	require.LessOrEqual(t, len(found), 1)
	return strings.Join(found, "")
}

// digestPattern is what stands behind the revision in the name of its directory.
var digestPattern = "." + strings.Repeat("[0-9a-f]", 32)

var digestSuffix = regexp.MustCompile(`\.[0-9a-f]{32}(/|$)`)

// listing is all that is below dir but tarballs; the digests of revisions are left out.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	found := []string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		if entry.Name() == ".tarballs" {
			return fs.SkipDir
		}
		name, err := filepath.Rel(dir, path)
		found = append(found, digestSuffix.ReplaceAllString(filepath.ToSlash(name), "$1"))
		return err
	}))
	return found
}

func write(t *testing.T, content string, path ...string) string {
	t.Helper()
	name := filepath.Join(path...)
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	return name
}
