package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/config"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/credentials"
	"github.com/stroem/stroem/core/server"
)

const (
	rootEmail    = "root@example.org"
	rootPassword = "the first one"
	withUsers    = "auth: {jwt_secret: a secret of at least thirty-two bytes, initial_user: {email: " + rootEmail + ", password: " + rootPassword + "}}\n"
)

// shell is where somebody runs commands: a config directory, a server, and the server's configuration file.
type shell struct {
	t         *testing.T
	configDir string
	server    string
	config    string
}

// newShell starts a server and returns a shell of somebody who is not signed in.
func newShell(t *testing.T, settings string) *shell {
	t.Helper()
	dir := t.TempDir()
	s := &shell{t: t, configDir: filepath.Join(dir, "home", "stroem"), config: filepath.Join(dir, "server-config.yaml")}
	content := settings + "listen: 127.0.0.1:0\nworker_token: a token for tests\ndb: {url: '" + coretest.Postgres(t) + "'}\ndata_dir: " + dir +
		"/data\nplugins: {dir: " + t.TempDir() + "}\n"
	require.NoError(t, os.WriteFile(s.config, []byte(content), 0o600))
	c, err := config.LoadServer(s.config, nil)
	require.NoError(t, err)
	running := server.New(c, slog.New(slog.NewTextHandler(t.Output(), nil)))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- running.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	limited, done := context.WithTimeout(ctx, 30*time.Second)
	defer done()
	address, err := running.Addr(limited)
	require.NoError(t, err)
	s.server = "http://" + address.String()
	return s
}

// another is a shell of somebody else at the same server.
func (s *shell) another() *shell {
	other := *s
	other.configDir = filepath.Join(s.t.TempDir(), "stroem")
	return &other
}

// command is a command line as it would be run.
func (s *shell) command(stdout, stderr *bytes.Buffer, args ...string) *cobra.Command {
	root := (&app{configDir: s.configDir}).command()
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetIn(strings.NewReader(""))
	root.SetArgs(append([]string{"--server", s.server}, args...))
	return root
}

// run runs a command with standard input, which is no terminal.
func (s *shell) run(stdin string, args ...string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	root := s.command(&out, &errs, args...)
	root.SetIn(strings.NewReader(stdin))
	err = root.ExecuteContext(s.t.Context())
	return out.String(), errs.String(), err
}

// must is run for what has to succeed; it returns what was printed.
func (s *shell) must(stdin string, args ...string) string {
	s.t.Helper()
	stdout, stderr, err := s.run(stdin, args...)
	require.NoError(s.t, err, stderr)
	return stdout
}

// decode is must with --output json.
func decode[T any](s *shell, stdin string, args ...string) (v T) {
	s.t.Helper()
	out := s.must(stdin, append(args, "-o", "json")...)
	require.NoError(s.t, json.Unmarshal([]byte(out), &v), out)
	return v
}

func (s *shell) login() { s.t.Helper(); s.must(rootPassword+"\n", "login", "--email", rootEmail) }

// requireRefused checks that a command failed, and why.
func (s *shell) requireRefused(message string, args ...string) {
	s.t.Helper()
	_, _, err := s.run("", args...)
	require.ErrorContains(s.t, err, message)
}

func (s *shell) session() credentials.Session {
	s.t.Helper()
	session, ok, err := credentials.In(s.configDir).Session(s.server)
	require.NoError(s.t, err)
	require.True(s.t, ok)
	return session
}

// change changes the stored session.
func (s *shell) change(change func(*credentials.Session)) {
	s.t.Helper()
	session := s.session()
	change(&session)
	_, err := credentials.In(s.configDir).Put(s.t.Context(), s.server, session)
	require.NoError(s.t, err)
}

func (s *shell) connect() *client.Client {
	s.t.Helper()
	c, err := client.New(client.Options{Server: s.server})
	require.NoError(s.t, err)
	s.t.Cleanup(c.Close)
	return c
}
