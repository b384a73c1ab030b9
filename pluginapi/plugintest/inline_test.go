//go:build unix

package plugintest_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// inline is a source whose workspaces are one file, named by its path on this machine, and what is wrong with it.
type inline struct {
	id      func(id string) string
	fetch   func(dir string) error // after the file was written
	lenient bool                   // it takes whatever it is asked for
}

func (*inline) Describe(context.Context) (*pluginapi.Description, error) {
	return &pluginapi.Description{Name: "test.inline", Version: "1"}, nil
}

func (*inline) Configure(context.Context, *pluginapi.Config) error { return nil }

func (*inline) CheckHealth(context.Context) (*pluginapi.Health, error) {
	return &pluginapi.Health{State: pluginapi.Healthy}, nil
}

func (s *inline) read(data json.RawMessage) ([]byte, *pluginapi.Revision, error) {
	var settings struct{ File string }
	if err := json.Unmarshal(data, &settings); err != nil && !s.lenient {
		return nil, nil, pluginapi.Errorf(pluginapi.CodeInvalid, "read settings: %w", err)
	}
	text, err := os.ReadFile(settings.File)
	if err != nil && !s.lenient {
		return nil, nil, err
	}
	sum := sha256.Sum256(text)
	id := hex.EncodeToString(sum[:])
	if s.id != nil {
		id = s.id(id)
	}
	return text, &pluginapi.Revision{ID: id}, nil
}

func (s *inline) Resolve(_ context.Context, req *pluginapi.ResolveRequest) (*pluginapi.Revision, error) {
	_, revision, err := s.read(req.Settings)
	return revision, err
}

func (s *inline) Fetch(_ context.Context, req *pluginapi.FetchRequest) (*pluginapi.Revision, error) {
	text, revision, err := s.read(req.Settings)
	if err != nil {
		return nil, err
	}
	if req.Revision != "" && req.Revision != revision.ID && !s.lenient {
		return nil, pluginapi.Errorf(pluginapi.CodeNotFound, "no revision %s", req.Revision)
	}
	path := filepath.Join(req.Dir, "file")
	if err := os.WriteFile(path, text, 0o755); err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o755); err != nil || s.fetch == nil {
		return revision, err
	}
	return revision, s.fetch(req.Dir)
}

func inlineOptions() plugintest.SourceOptions {
	return plugintest.SourceOptions{
		New: func(t plugintest.TB) (json.RawMessage, map[string]string, func() map[string]string) {
			path := filepath.Join(t.TempDir(), "file")
			write := func(text string) map[string]string {
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatalf("%v", err)
				}
				return map[string]string{"file": text}
			}
			settings, err := json.Marshal(map[string]string{"File": path})
			if err != nil {
				t.Fatalf("%v", err)
			}
			return settings, write("one"), func() map[string]string { return write("two") }
		},
		Executable: []string{"file"},
		Missing:    func(plugintest.TB) json.RawMessage { return json.RawMessage(`{"File": "/does/not/exist"}`) },
	}
}

func TestDefectsOfSourcesAreFound(t *testing.T) {
	t.Parallel()
	var count atomic.Int64
	for name, test := range map[string]struct {
		source inline
		want   []string
	}{
		"none":                 {inline{}, nil},
		"always another id":    {inline{id: func(id string) string { return id + string(rune('a'+count.Add(1)%26)) }}, []string{"source/fetch", "source/parallel", "source/resolve"}},
		"always the same id":   {inline{id: func(string) string { return "1" }}, []string{"source/change"}},
		"an id that is a path": {inline{id: func(id string) string { return "a/" + id }}, []string{"source/revision-id"}},
		"takes everything":     {inline{lenient: true}, []string{"source/bad-settings", "source/missing", "source/unknown-revision"}},
		"another file": {inline{fetch: func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "other"), nil, 0o644)
		}}, []string{"source/fetch"}},
		"writes beside": {inline{fetch: func(dir string) error {
			return os.WriteFile(filepath.Join(filepath.Dir(dir), "other"), nil, 0o600)
		}}, []string{"source/writes-inside"}},
		"a link out": {inline{fetch: func(dir string) error {
			return os.Symlink("../../x", filepath.Join(dir, "link"))
		}}, []string{"source/writes-inside"}},
		"unreadable": {inline{fetch: func(dir string) error {
			return os.Chmod(filepath.Join(dir, "file"), 0o700)
		}}, []string{"source/file-modes"}},
		"writable": {inline{fetch: func(dir string) error {
			return os.Chmod(filepath.Join(dir, "file"), 0o777)
		}}, []string{"source/file-modes"}},
		"not executable": {inline{fetch: func(dir string) error {
			return os.Chmod(filepath.Join(dir, "file"), 0o644)
		}}, []string{"source/file-modes"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, broken(t, func(t plugintest.TB) []plugintest.Case {
				return plugintest.SourceCases(t, plugintest.InProcess(func() pluginapi.Source { return &test.source }), inlineOptions())
			}))
		})
	}
}

// TestHistoryIsTried claims a history for a source that has none.
func TestHistoryIsTried(t *testing.T) {
	t.Parallel()
	opts := inlineOptions()
	opts.KeepsHistory = true
	require.Equal(t, []string{"source/history"}, broken(t, func(t plugintest.TB) []plugintest.Case {
		return plugintest.SourceCases(t, plugintest.InProcess(func() pluginapi.Source { return &inline{} }), opts)
	}))
}

// TestAnyWorkspaceCanBeTried leaves out what the suite need not know: content, and how to change it.
func TestAnyWorkspaceCanBeTried(t *testing.T) {
	t.Parallel()
	opts := inlineOptions()
	made := opts.New
	opts.Unchangeable, opts.Missing = true, nil
	opts.New = func(t plugintest.TB) (json.RawMessage, map[string]string, func() map[string]string) {
		settings, _, _ := made(t)
		return settings, nil, nil
	}
	outcomes, err := plugintest.Check(t.Context(), func(t plugintest.TB) []plugintest.Case {
		return plugintest.SourceCases(t, plugintest.InProcess(func() pluginapi.Source { return &inline{} }), opts)
	}, plugintest.CheckOptions{})
	require.NoError(t, err)
	for _, o := range outcomes {
		want := plugintest.Passed
		if o.Case == "change" || o.Case == "missing" || o.Case == "bad config" {
			want = plugintest.NotCovered
		}
		require.Equal(t, want, o.Status, "%+v", o)
	}
}
