package e2e

import (
	"context"
	"encoding/pem"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/tests/gitserver"
)

const gitToken = "a-token-for-git"

// remote is a git repository behind a web server that can go away and come back.
type remote struct {
	*gitserver.Repository
	t       *testing.T
	address string
	server  *httptest.Server
}

func newRemote(t *testing.T) *remote {
	t.Helper()
	gitserver.Require(t)
	r := &remote{Repository: gitserver.New(t), t: t, address: freeAddress(t)}
	t.Cleanup(r.leave)
	return r
}

// come makes the repository reachable.
func (r *remote) come() {
	r.t.Helper()
	listener, err := new(net.ListenConfig).Listen(r.t.Context(), "tcp", r.address)
	require.NoError(r.t, err)
	want := gitserver.Credentials{Username: "x-access-token", Password: gitToken}
	r.server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: r.Handler(want)}}
	r.server.Start()
}

func (r *remote) leave() {
	if r.server != nil {
		r.server.Close()
		r.server = nil
	}
}

// settings are those of a workspace from the repository, asked every second.
func (r *remote) settings() settings {
	return settings{
		"type": "git", "url": "http://" + r.address + "/repo.git", "poll_interval_secs": 1,
		"auth": settings{"type": "token", "token": gitToken},
	}
}

// shows makes a commit whose tasks show the version.
func (r *remote) shows(version, gate string) string {
	r.t.Helper()
	return r.Commit("Version "+version, map[string]string{"version": version + "\n", ".workflows/flow.yaml": `
actions:
  wait: {type: shell, cmd: "cat version; until test -e '` + gate + `'; do sleep 0.05; done"}
  show: {type: shell, cmd: "cat version; echo 'made by ` + version + `'"}
tasks:
  both: {flow: {wait: {action: wait}, show: {action: show, depends_on: [wait]}}}
  show: {flow: {show: {action: show}}}
`})
}

func (s *system) revisionIs(id string) {
	s.t.Helper()
	s.eventually("revision "+id+" is in use", func(ctx context.Context) bool {
		list, err := s.Workspaces(ctx)
		return err == nil && list[0].Revision != nil && *list[0].Revision == id
	})
}

// A commit that is pushed while a job runs is for the next job: the steps that this one has yet to run see the old files.
func TestACommitPushedWhileAJobRuns(t *testing.T) {
	t.Parallel()
	gate := filepath.Join(t.TempDir(), "gate")
	r := newRemote(t)
	first := r.shows("one", gate)
	r.come()
	s := newSystem(t, nil, settings{"workspaces": settings{"ops": r.settings()}})
	s.startWorker("w", nil)
	s.revisionIs(first)
	list, err := s.Workspaces(t.Context())
	require.NoError(t, err)
	require.Equal(t, "Ada Lovelace <ada@example.com>", list[0].Sync.Author)
	require.Equal(t, "Version one", list[0].Sync.Message)
	require.NotNil(t, list[0].Sync.Time)

	old := s.execute("ops", "both", nil)
	s.eventually("the first step runs", func(ctx context.Context) bool {
		logs, err := s.Logs(ctx, old, client.LogQuery{})
		return err == nil && strings.Contains(logs.Logs, "one")
	})
	second := r.shows("two", gate)
	s.revisionIs(second)
	next := s.wait(s.execute("ops", "show", nil))
	require.Equal(t, "completed", next.Status)
	require.Equal(t, second, *next.Revision)
	require.Contains(t, s.stepLog(next.JobID, "show"), "made by two")
	require.NoError(t, os.WriteFile(gate, nil, 0o600))
	job := s.wait(old)
	require.Equal(t, "completed", job.Status, describeSteps(job))
	require.Equal(t, first, *job.Revision)
	log := s.stepLog(old, "show")
	require.Contains(t, log, "made by one")
	require.NotContains(t, log, "two")

	require.Equal(t, 1, strings.Count(s.server.log.String(), "plain http"), "it is said once that others can read the token")
	requireNoSecret(t, s, gitToken)
}

// requireNoSecret looks for a secret in the log of the server and in everything that it has written.
func requireNoSecret(t *testing.T, s *system, secret string) {
	t.Helper()
	require.NotContains(t, s.server.log.String(), secret)
	require.NoError(t, filepath.WalkDir(filepath.Join(s.dir, "server"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		require.NotContains(t, string(text), secret, path)
		require.NotContains(t, path, string(filepath.Separator)+".git"+string(filepath.Separator))
		return err
	}))
}

// A remote that is away when the server starts is asked until it is there; when it goes away again, the last revision
// stays in use, after a restart too.
func TestARemoteThatIsAwayAtTheStart(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	first := r.shows("one", "")
	s := newSystemOn(t, coretest.Postgres(t), nil, settings{"workspaces": settings{"ops": r.settings()}})
	s.startWorker("w", nil)
	s.eventually("the workspace says what is wrong", func(ctx context.Context) bool {
		list, err := s.Workspaces(ctx)
		return err == nil && strings.Contains(list[0].Error, "connection refused")
	})
	r.come()
	s.revisionIs(first)
	require.Equal(t, "completed", s.wait(s.execute("ops", "show", nil)).Status)

	r.leave()
	s.eventually("the error is back", func(ctx context.Context) bool {
		list, err := s.Workspaces(ctx)
		return err == nil && strings.Contains(list[0].Error, "connection refused") && *list[0].Revision == first
	})
	s.server.kill()
	s.startServer()
	s.revisionIs(first)
	s.eventually("the task runs", func(ctx context.Context) bool {
		_, err := s.Task(ctx, "ops", "show")
		return err == nil
	})
	require.Equal(t, "completed", s.wait(s.execute("ops", "show", nil)).Status)

	second := r.shows("two", "")
	r.come()
	s.revisionIs(second)
	require.Contains(t, s.stepLog(s.wait(s.execute("ops", "show", nil)).JobID, "show"), "made by two")
	requireNoSecret(t, s, gitToken)
}

// TestGitOverSSHAndHTTPS has workspaces from both, with right and wrong credentials, from servers that are known and that are
// not.
func TestGitOverSSHAndHTTPS(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	commit := r.shows("one", "")
	r.Git("tag", "-a", "-m", "the first", "v1")
	key, other, host := gitserver.NewKey(t, ""), gitserver.NewKey(t, ""), gitserver.NewKey(t, "")
	ssh := r.ServeSSH(gitserver.Allow{User: "git", Key: key.Signer.PublicKey()}, host.Signer)
	web := httptest.NewTLSServer(r.Handler(gitserver.Credentials{Username: "ada", Password: gitToken}))
	web.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo) // of clients that do not trust it
	t.Cleanup(web.Close)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}))
	keyFile, caFile := filepath.Join(t.TempDir(), "key"), filepath.Join(t.TempDir(), "ca")
	require.NoError(t, os.WriteFile(keyFile, []byte(key.PEM), 0o600))
	require.NoError(t, os.WriteFile(caFile, []byte(ca), 0o600))
	overSSH := func(auth settings, knownHosts string) settings {
		return settings{"type": "git", "url": ssh.URL("git"), "auth": auth, "known_hosts": knownHosts}
	}
	overHTTPS := func(password string, more settings) settings {
		of := settings{"type": "git", "url": web.URL + "/repo.git", "auth": settings{"type": "basic", "username": "ada", "password": password}}
		maps.Copy(of, more)
		return of
	}
	tag := overSSH(settings{"type": "ssh_key", "key_path": keyFile}, ssh.KnownHosts)
	tag["ref"] = "v1"
	id := overHTTPS(gitToken, settings{"ca_path": caFile})
	id["ref"] = commit
	s := newSystem(t, nil, settings{"workspaces": settings{
		"ssh":            overSSH(settings{"type": "ssh_key", "key": key.PEM}, ssh.KnownHosts),
		"ssh-tag":        tag,
		"ssh-wrong-key":  overSSH(settings{"type": "ssh_key", "key": other.PEM}, ssh.KnownHosts),
		"ssh-unknown":    overSSH(settings{"type": "ssh_key", "key": key.PEM}, "# nobody"),
		"https":          overHTTPS(gitToken, settings{"ca": ca}),
		"https-id":       id,
		"https-wrong":    overHTTPS("a-wrong-password", settings{"ca": ca}),
		"https-unknown":  overHTTPS(gitToken, nil),
		"https-insecure": overHTTPS(gitToken, settings{"insecure_skip_tls_verify": true}),
	}})
	s.startWorker("w", nil)
	wrong := map[string]string{
		"ssh-wrong-key": "refuses the credentials", "ssh-unknown": "is not known: the server shows ssh-ed25519 ", "https-wrong": "refuses the credentials",
		"https-unknown": "the certificate is not trusted",
	}
	s.eventually("all workspaces were tried", func(ctx context.Context) bool { return s.Ready(ctx) == nil })
	list, err := s.Workspaces(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 9)
	for _, w := range list {
		if want, bad := wrong[w.Name]; bad {
			require.Nil(t, w.Revision, w.Name)
			require.Contains(t, w.Error, want, w.Name)
			continue
		}
		require.Empty(t, w.Error, w.Name)
		require.Equal(t, commit, *w.Revision, w.Name)
		require.Contains(t, s.stepLog(s.wait(s.execute(w.Name, "show", nil)).JobID, "show"), "made by one", w.Name)
	}
	for _, secret := range []string{gitToken, "a-wrong-password", strings.Split(key.PEM, "\n")[2], strings.Split(other.PEM, "\n")[2]} {
		requireNoSecret(t, s, secret)
	}
}
