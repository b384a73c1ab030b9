package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// home is where somebody runs the command line more than once.
type home struct {
	*system
	dir string
}

// stroem runs the command line with standard input.
func (h home) stroem(stdin string, args ...string) (outcome, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(h.t.Context(), filepath.Join(bin, "stroem"), args...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + h.dir, "STROEM_URL=http://" + h.listen, "STROEM_CONFIG=" + filepath.Join(h.system.dir, "server.yaml"),
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); ended {
		err = nil
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}, err
}

// must is stroem for what has to succeed; it returns what was printed.
func (h home) must(stdin string, args ...string) string {
	h.t.Helper()
	got, err := h.stroem(stdin, args...)
	require.NoError(h.t, err)
	require.Zero(h.t, got.code, got.stderr)
	return got.stdout
}

// expire makes the stored access token one that the server refuses.
func (h home) expire() {
	h.t.Helper()
	file := filepath.Join(h.dir, ".config", "stroem", "credentials.json")
	data, err := os.ReadFile(file)
	require.NoError(h.t, err)
	var stored struct {
		Format   int                       `json:"format"`
		Sessions map[string]map[string]any `json:"sessions"`
	}
	require.NoError(h.t, json.Unmarshal(data, &stored))
	session := stored.Sessions["http://"+h.listen]
	require.NotNil(h.t, session)
	session["access_token"] = "over"
	data, err = json.Marshal(stored)
	require.NoError(h.t, err)
	require.NoError(h.t, os.WriteFile(file, data, 0o600))
}

// A user is made in the database, signs in, runs commands at once in many shells, and is kept out.
func TestUsersOnTheCommandLine(t *testing.T) {
	t.Parallel()
	const root, rootPassword, ada = "root@example.org", "the first one", "ada@example.org"
	s := newSystem(t, workspace(t, cliWorkspace), settings{"auth": settings{
		"jwt_secret": "a secret of at least thirty-two bytes", "initial_user": settings{"email": root, "password": rootPassword},
	}})
	h := home{s, t.TempDir()}
	got, err := h.stroem("", "tasks")
	require.NoError(t, err)
	require.Equal(t, 1, got.code)
	require.Contains(t, got.stderr, "You are not signed in at http://"+s.listen+". Sign in with: stroem login\n")

	password := h.must("", "user", "add", ada, "--role", "viewer")
	h.must(password, "login", "--email", ada)
	require.Contains(t, h.must("", "tasks"), "greet")
	for range 2 {
		h.expire()
		var running sync.WaitGroup
		for range 5 {
			running.Go(func() {
				got, err := h.stroem("", "whoami")
				if assert.NoError(t, err) && assert.Zero(t, got.code, got.stderr) {
					assert.Contains(t, got.stdout, ada)
				}
			})
		}
		running.Wait()
	}
	got, err = h.stroem("", "trigger", "greet")
	require.NoError(t, err)
	require.Equal(t, 1, got.code)
	require.Contains(t, got.stderr, "This takes the role operator")

	h.must("", "user", "disable", ada)
	h.expire()
	got, err = h.stroem("", "tasks")
	require.NoError(t, err)
	require.Equal(t, 1, got.code)
	require.Contains(t, got.stderr, "your session at http://"+s.listen+" has ended")
	require.NotContains(t, s.server.log.String(), strings.TrimSpace(password))
}
