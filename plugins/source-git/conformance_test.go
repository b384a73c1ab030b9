package main

import (
	"encoding/json"
	"log/slog"
	"maps"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi/plugintest"
	"github.com/stroem/stroem/tests/gitserver"
)

func TestMain(m *testing.M) {
	plugintest.Init()
	os.Exit(m.Run())
}

func TestConformance(t *testing.T) {
	t.Parallel()
	gitserver.Require(t)
	binary, err := plugintest.Build(t.Context(), t.TempDir(), ".")
	require.NoError(t, err)
	opts := plugintest.SourceOptions{
		BadConfig: json.RawMessage(`{"max_files": -1}`),
		Missing: func(t plugintest.TB) json.RawMessage {
			server := httptest.NewTLSServer(gitserver.New(t).Handler(gitserver.Credentials{}))
			t.Cleanup(server.Close)
			return encode(t, settings{URL: server.URL + "/other.git", CA: authority(server)})
		},
		Executable:   []string{"bin/deep/run.sh"},
		KeepsHistory: true,
	}
	t.Run("in process, ssh", func(t *testing.T) {
		t.Parallel()
		opts := opts
		opts.New = func(t plugintest.TB) (json.RawMessage, map[string]string, func() map[string]string) {
			repo, files, change := newRepository(t)
			key, host := gitserver.NewKey(t, ""), gitserver.NewKey(t, "")
			server := repo.ServeSSH(gitserver.Allow{User: "git", Key: key.Signer.PublicKey()}, host.Signer)
			auth := &auth{Type: authKey, Key: key.PEM}
			return encode(t, settings{URL: server.URL("git"), KnownHosts: server.KnownHosts, Auth: auth}), files, change
		}
		plugintest.TestSource(t, plugintest.InProcess(func() *source { return newSource(slog.New(slog.DiscardHandler)) }), opts)
	})
	t.Run("binary, https", func(t *testing.T) {
		t.Parallel()
		opts := opts
		opts.New = func(t plugintest.TB) (json.RawMessage, map[string]string, func() map[string]string) {
			repo, files, change := newRepository(t)
			server := httptest.NewTLSServer(repo.Handler(gitserver.Credentials{Username: "x-access-token", Password: "the token"}))
			t.Cleanup(server.Close)
			auth := &auth{Type: authToken, Token: "the token"}
			return encode(t, settings{URL: server.URL + "/repo.git", CA: authority(server), Auth: auth}), files, change
		}
		plugintest.TestSource(t, plugintest.Binary(binary), opts)
	})
}

func newRepository(t plugintest.TB) (*gitserver.Repository, map[string]string, func() map[string]string) {
	repo := gitserver.New(t)
	files := map[string]string{"flow.yaml": "tasks: {}\n", ".workflows/a.yml": "", "bin/deep/run.sh": "#!/bin/sh\n"}
	repo.Commit("first", files)
	return repo, files, func() map[string]string {
		changed := maps.Clone(files)
		changed["bin/deep/run.sh"] = "#!/bin/no\n"
		repo.Commit("second", changed)
		return changed
	}
}
