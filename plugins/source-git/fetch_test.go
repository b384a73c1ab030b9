package main

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/tests/gitserver"
)

// served makes a repository with a commit and serves it to everybody.
func served(t *testing.T) (repo *gitserver.Repository, id string, of settings) {
	t.Helper()
	repo, id = repository(t)
	server := httptest.NewServer(repo.Handler(gitserver.Credentials{}))
	t.Cleanup(server.Close)
	return repo, id, settings{URL: server.URL + "/repo.git"}
}

func TestRefs(t *testing.T) {
	t.Parallel()
	repo, first, of := served(t)
	repo.Git("tag", "light")
	repo.Git("tag", "-a", "-m", "a release", "v1")
	repo.Git("tag", "-a", "-m", "of a tag", "v1-again", "v1")
	repo.Git("tag", "both")
	second := repo.Commit("second", map[string]string{"flow.yaml": "two"})
	repo.Git("branch", "both")
	repo.Git("branch", "feature/x")
	repo.Git("update-ref", "refs/pull/7/head", first)
	third := repo.Commit("third", map[string]string{"flow.yaml": "three"})
	s := start(t, "{}")
	for ref, want := range map[string]string{
		"": third, "main": third, "refs/heads/main": third, "HEAD": third, "light": first, "v1": first, "refs/tags/v1": first, "v1-again": first,
		"both": second, "refs/tags/both": first, "feature/x": second, "refs/pull/7/head": first,
		first: first, second: second, third: third,
	} {
		t.Run("ref "+ref, func(t *testing.T) {
			t.Parallel()
			of := of
			of.Ref = ref
			got, err := s.resolved(t.Context(), t, of)
			require.NoError(t, err)
			require.Equal(t, want, got)
			text := map[string]string{first: "one", second: "two", third: "three"}[want]
			for _, id := range []string{got, ""} {
				revision, files, err := start(t, "{}").fetched(t.Context(), t, of, id)
				require.NoError(t, err)
				require.Equal(t, want, revision.ID)
				require.Equal(t, text, files["flow.yaml"])
			}
		})
	}
	for ref, want := range map[string]string{
		"mian":                  "no branch or tag mian; its branches are both, feature/x, main",
		first[:12]:              "all 40 digits",
		strings.ToUpper(first):  "all 40 digits",
		"refs/heads/light":      "no branch or tag refs/heads/light",
		strings.Repeat("0", 41): "no branch or tag",
	} {
		t.Run("missing "+ref, func(t *testing.T) {
			t.Parallel()
			of := of
			of.Ref = ref
			_, err := s.resolved(t.Context(), t, of)
			requireCode(t, pluginapi.CodeNotFound, err, want)
		})
	}
	t.Run("missing commit", func(t *testing.T) {
		t.Parallel()
		of := of
		of.Ref = strings.Repeat("d", 40)
		_, _, err := s.fetched(t.Context(), t, of, of.Ref)
		requireCode(t, pluginapi.CodeNotFound, err, "any more")
	})
}

func TestRevisionIsDescribed(t *testing.T) {
	t.Parallel()
	repo, _, of := served(t)
	id := repo.Commit("Say hello\n\nIn two lines.", map[string]string{"f": "x"})
	s := start(t, "{}")
	r, _, err := s.fetched(t.Context(), t, of, id)
	require.NoError(t, err)
	require.Equal(t, "Ada Lovelace <ada@example.com>", r.Author)
	require.Equal(t, "Say hello\n\nIn two lines.", r.Message)
	require.WithinDuration(t, time.Now(), r.Time, time.Minute)
	again, err := s.Resolve(t.Context(), &pluginapi.ResolveRequest{Settings: encode(t, of)})
	require.NoError(t, err)
	require.Equal(t, r, again, "what is in the store needs no remote")
}

func TestEmptyRepository(t *testing.T) {
	t.Parallel()
	gitserver.Require(t)
	repo := gitserver.New(t)
	key := gitserver.NewKey(t, "")
	server := httptest.NewServer(repo.Handler(gitserver.Credentials{}))
	t.Cleanup(server.Close)
	secure := repo.ServeSSH(gitserver.Allow{User: "git", Key: key.Signer.PublicKey()}, gitserver.NewKey(t, "").Signer)
	for name, of := range map[string]settings{
		"http": {URL: server.URL + "/repo.git"},
		"ssh":  {URL: secure.URL("git"), KnownHosts: secure.KnownHosts, Auth: &auth{Type: authKey, Key: key.PEM}},
		"file": {URL: "file://" + repo.Dir},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := start(t, `{"allow_file_urls": true}`).resolved(t.Context(), t, of)
			requireCode(t, pluginapi.CodeNotFound, err, "no commits yet")
		})
	}
}

func TestForcePush(t *testing.T) {
	t.Parallel()
	repo, first, of := served(t)
	old := repo.Commit("old", map[string]string{"flow.yaml": "old"})
	s := start(t, "{}")
	_, files, err := s.fetched(t.Context(), t, of, old)
	require.NoError(t, err)
	require.Equal(t, "old", files["flow.yaml"])
	repo.Git("reset", "--quiet", "--soft", first)
	after := repo.Commit("other", map[string]string{"flow.yaml": "other", "new": "file"})
	repo.Git("reflog", "expire", "--expire=now", "--all")
	repo.Git("gc", "--quiet", "--prune=now")
	got, err := s.resolved(t.Context(), t, of)
	require.NoError(t, err)
	require.Equal(t, after, got)
	_, files, err = s.fetched(t.Context(), t, of, after)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"flow.yaml": "other", "new": "file"}, files)
	_, files, err = s.fetched(t.Context(), t, of, old)
	require.NoError(t, err, "a job may still need it")
	require.Equal(t, "old", files["flow.yaml"])
	_, files, err = start(t, "{}").fetched(t.Context(), t, of, old)
	requireCode(t, pluginapi.CodeNotFound, err, "any more")
	require.Empty(t, files)
}

// TestOlderCommits are fetched from servers that hand out what branches are at, and no more.
func TestOlderCommits(t *testing.T) {
	t.Parallel()
	repo, first, of := served(t)
	last := first
	for _, text := range []string{"two", "three"} {
		last = repo.Commit(text, map[string]string{"flow.yaml": text})
	}
	_, files, err := start(t, "{}").fetched(t.Context(), t, of, first)
	require.NoError(t, err, "the branch went on between Resolve and Fetch")
	require.Equal(t, "one", files["flow.yaml"])
	repo.Git("config", "uploadpack.allowReachableSHA1InWant", "true")
	s := start(t, "{}")
	_, files, err = s.fetched(t.Context(), t, of, first)
	require.NoError(t, err)
	require.Equal(t, "one", files["flow.yaml"])
	dir, ok := s.store.find(must(parseRemote(of.URL)).key(), first)
	require.True(t, ok)
	require.True(t, hasObject(dir, first))
	require.False(t, hasObject(dir, last), "one commit is all that was asked for")
	_, _, err = start(t, "{}").fetched(t.Context(), t, of, strings.Repeat("e", 40))
	requireCode(t, pluginapi.CodeNotFound, err)
}

func must(r remote, err error) remote {
	if err != nil {
		panic(err)
	}
	return r
}

// TestRepointedRemote gives one name to another repository in which the branch is called the same.
func TestRepointedRemote(t *testing.T) {
	t.Parallel()
	_, one, before := served(t)
	other, _, after := served(t)
	two := other.Commit("elsewhere", map[string]string{"flow.yaml": "elsewhere"})
	s := start(t, "{}")
	_, files, err := s.fetched(t.Context(), t, before, "")
	require.NoError(t, err)
	require.Equal(t, "one", files["flow.yaml"])
	_, files, err = s.fetched(t.Context(), t, after, "")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"flow.yaml": "elsewhere"}, files)
	_, _, err = s.fetched(t.Context(), t, before, two)
	requireCode(t, pluginapi.CodeNotFound, err)
	require.NotEqual(t, one, two)
}

func TestRemoteAwayAndBack(t *testing.T) {
	t.Parallel()
	repo, id := repository(t)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	s, of := start(t, "{}"), settings{URL: "http://" + address + "/repo.git"}
	_, err = s.resolved(t.Context(), t, of)
	requireCode(t, pluginapi.CodeUnavailable, err, "connection refused", of.URL)
	listener, err = new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: repo.Handler(gitserver.Credentials{})}}
	server.Start()
	t.Cleanup(server.Close)
	got, err := s.resolved(t.Context(), t, of)
	require.NoError(t, err)
	require.Equal(t, id, got)
}

func TestFileURLs(t *testing.T) {
	t.Parallel()
	repo, id := repository(t)
	of := settings{URL: "file://" + repo.Dir}
	_, err := start(t, "{}").resolved(t.Context(), t, of)
	requireCode(t, pluginapi.CodeInvalid, err, "allow_file_urls")
	s := start(t, `{"allow_file_urls": true}`)
	_, files, err := s.fetched(t.Context(), t, of, id)
	require.NoError(t, err)
	require.Equal(t, "one", files["flow.yaml"])
	of.URL += "x"
	_, err = s.resolved(t.Context(), t, of)
	requireCode(t, pluginapi.CodeNotFound, err, "does not exist")
}

// TestNothingIsLeftOfTheRemote looks for credentials and git's own data in what was written.
func TestNothingIsLeftOfTheRemote(t *testing.T) {
	t.Parallel()
	const secret = "a token that nobody should find"
	repo, id := repository(t)
	server := serveHTTPS(t, repo.Handler(gitserver.Credentials{Username: "x-access-token", Password: secret}))
	data := t.TempDir()
	s := startIn(t, data, "{}", slog.DiscardHandler)
	of := settings{URL: server.URL + "/repo.git", CA: authority(server), Auth: &auth{Type: authToken, Token: secret}}
	_, files, err := s.fetched(t.Context(), t, of, id)
	require.NoError(t, err)
	require.Equal(t, []string{"flow.yaml", "run.sh"}, keys(files))
	for _, text := range tree(t, data) {
		require.NotContains(t, text, secret)
	}
	info, err := os.Stat(filepath.Join(data, "repositories"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
}
