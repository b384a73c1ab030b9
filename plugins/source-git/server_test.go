package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
	"github.com/stroem/stroem/tests/gitserver"
)

func encode(t plugintest.TB, s settings) json.RawMessage {
	t.Helper()
	given := map[string]any{"url": s.URL, "insecure_accept_any_host": s.InsecureAcceptAnyHost, "insecure_skip_tls_verify": s.InsecureSkipTLSVerify}
	for name, text := range map[string]string{
		"ref": s.Ref, "known_hosts": s.KnownHosts, "known_hosts_path": s.KnownHostsPath, "ca": s.CA, "ca_path": s.CAPath,
	} {
		if text != "" {
			given[name] = text
		}
	}
	if s.Auth != nil {
		given["auth"] = s.Auth
	}
	data, err := json.Marshal(given)
	if err != nil {
		t.Fatalf("encode settings: %v", err)
	}
	return data
}

// authority is the certificate of a test server in PEM.
func authority(server *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

// start returns a source that has been configured, with a data directory.
func start(t *testing.T, config string) *source {
	t.Helper()
	return startIn(t, t.TempDir(), config, slog.DiscardHandler)
}

func startIn(t *testing.T, dir, config string, log slog.Handler) *source {
	t.Helper()
	s := newSource(slog.New(log))
	require.NoError(t, s.Configure(t.Context(), &pluginapi.Config{Settings: json.RawMessage(config), DataDir: dir}))
	t.Cleanup(s.webs.close)
	return s
}

func serveHTTPS(t *testing.T, handler http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo) // of clients that do not trust it
	t.Cleanup(server.Close)
	return server
}

// repository makes one that has a commit.
func repository(t *testing.T) (repo *gitserver.Repository, id string) {
	t.Helper()
	gitserver.Require(t)
	repo = gitserver.New(t)
	return repo, repo.Commit("first", map[string]string{"flow.yaml": "one", "run.sh": "#!/bin/sh\n"})
}

func (s *source) resolved(ctx context.Context, t *testing.T, of settings) (string, error) {
	t.Helper()
	r, err := s.Resolve(ctx, &pluginapi.ResolveRequest{Workspace: "ws", Settings: encode(t, of)})
	if err != nil {
		return "", err
	}
	return r.ID, nil
}

// fetched returns the files of a revision, with what is not a plain file described.
func (s *source) fetched(ctx context.Context, t *testing.T, of settings, id string) (*pluginapi.Revision, map[string]string, error) {
	t.Helper()
	dir := t.TempDir()
	r, err := s.Fetch(ctx, &pluginapi.FetchRequest{Workspace: "ws", Settings: encode(t, of), Revision: id, Dir: dir})
	return r, tree(t, dir), err
}

func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		name, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		info, err := entry.Info()
		require.NoError(t, err)
		switch {
		case entry.IsDir():
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			require.NoError(t, err)
			found[name] = "-> " + target
		default:
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			found[name] = string(content)
		}
		return nil
	}))
	return found
}

func requireCode(t *testing.T, code pluginapi.Code, err error, parts ...string) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, pluginapi.CodeOf(err), "got %v", err)
	for _, part := range parts {
		require.ErrorContains(t, err, part)
	}
}

// requireHidden checks that none of the secrets is in a text.
func requireHidden(t *testing.T, text string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		require.NotContains(t, text, secret)
		for line := range strings.Lines(secret) {
			if line = strings.TrimSpace(line); len(line) > 20 && !strings.HasPrefix(line, "-----") {
				require.NotContains(t, text, line)
			}
		}
	}
}

func keys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
