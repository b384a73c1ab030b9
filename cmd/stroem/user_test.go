package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/coretest"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	s := newShell(t, withUsers)
	s.login()
	require.Equal(t, "No API keys found.\n", s.must("", "key", "list"))
	out, stderr, err := s.run("", "key", "create", "ci")
	require.NoError(t, err)
	require.Regexp(t, `^strm_[0-9a-f]{32}\n$`, out)
	require.Equal(t, "The key ci does not expire. It is shown this once:\n", stderr)
	key := strings.TrimSpace(out)
	created := decode[api.CreatedAPIKey](s, "", "key", "create", "deploy", "--expires-in-days", "7")
	require.WithinDuration(t, time.Now().Add(7*24*time.Hour), *created.ExpiresAt, time.Hour)
	require.Len(t, decode[[]api.UserAPIKey](s, "", "key", "list"), 2)
	lines := strings.Split(s.must("", "key", "list"), "\n")
	require.Regexp(t, `^PREFIX +NAME +CREATED +EXPIRES +LAST USED$`, lines[0])
	require.Regexp(t, `^`+created.Prefix+` +deploy +\S+ \S+ +\S+ \S+ +-$`, lines[1])
	require.Regexp(t, `^`+key[:12]+` +ci +\S+ \S+ +- +-$`, lines[2])

	elsewhere := s.another()
	require.Equal(t, credentialFlag, decode[identity](elsewhere, "", "whoami", "--token", key).Credential)
	_, _, err = elsewhere.run("", "key", "list", "--token", key)
	require.EqualError(t, err, "Server returned 403: API key management requires JWT authentication")

	require.Equal(t, "API key "+key[:12]+" is deleted.\n", s.must("", "key", "delete", key[:12]))
	require.Equal(t, api.Status{Status: "ok"}, decode[api.Status](s, "", "key", "delete", created.Prefix))
	s.requireRefused("API key not found", "key", "delete", key[:12])
	elsewhere.requireRefused("Invalid API key", "whoami", "--token", key)
	var exit *exitError
	_, _, err = s.run("", "key", "create", "x", "--expires-in-days", "0")
	require.ErrorAs(t, err, &exit)
	require.Equal(t, exitUsage, exit.code)
}

func TestUsers(t *testing.T) {
	t.Parallel()
	s := newShell(t, withUsers)
	const email = "ada@example.org"
	user := func(stdin string, args ...string) string {
		t.Helper()
		return s.must(stdin, append([]string{"user", "-c", s.config}, args...)...)
	}
	out, stderr, err := s.run("", "user", "add", email, "--name", "Ada", "--role", "viewer", "-c", s.config)
	require.NoError(t, err)
	require.Equal(t, "User ada@example.org is created (viewer). The password is shown this once:\n", stderr)
	password := strings.TrimSpace(out)
	require.GreaterOrEqual(t, len(password), 20)

	ada := s.another()
	ada.must(password, "login", "--email", email)
	require.Regexp(t, `(?s)Name: +Ada\nRole: +viewer\n`, ada.must("", "whoami"))
	key := strings.TrimSpace(ada.must("", "key", "create", "ci"))

	require.Equal(t, "User ada@example.org is disabled.\n", user("", "disable", "ADA@example.org"))
	require.EventuallyWithT(t, func(c *assert.CollectT) { // the server has them in memory for some seconds
		_, _, err := ada.run("", "workspaces")
		assert.ErrorContains(c, err, "has ended: ")
	}, time.Minute, 100*time.Millisecond)
	ada.requireRefused("You are not signed in", "workspaces")
	ada.requireRefused("The user of the API key is disabled", "workspaces", "--token", key)
	_, _, err = ada.run(password, "login", "--email", email)
	require.ErrorContains(t, err, "Invalid email or password")

	require.Equal(t, "User ada@example.org is enabled.\n", user("", "enable", email))
	ada.must(password, "login", "--email", email)
	require.Equal(t, "User ada@example.org has another password.\n", user("battery staple\n", "reset-password", email, "--password-stdin"))
	_, _, err = ada.run(password, "login", "--email", email)
	require.ErrorContains(t, err, "Invalid email or password")
	made := strings.TrimSpace(user("", "reset-password", email))
	ada.must(made, "login", "--email", email)
	require.Equal(t, "User ada@example.org has the role operator.\n", user("", "set-role", email, "operator"))

	lines := strings.Split(user("", "list"), "\n")
	require.Regexp(t, `^EMAIL +NAME +ROLE +ACCESS +SIGNS IN WITH +LAST LOGIN$`, lines[0])
	require.Regexp(t, `^ada@example.org +Ada +operator +enabled +password +\S+ \S+$`, lines[1])
	require.Regexp(t, `^root@example.org +- +admin +enabled +password +-$`, lines[2])
	require.Regexp(t, `(?s)^E-mail: +ada@example.org\nName: +Ada\nId: .*Role: +operator\nGroups: +-\nAccess: +enabled\nSigns in with: +password\n`, user("", "show", email))
}

func TestUsersForPrograms(t *testing.T) {
	t.Parallel()
	s := newShell(t, withUsers)
	added := decode[withPassword](s, "", "user", "add", "ada@example.org", "-c", s.config)
	require.Equal(t, "operator", added.Role)
	require.NotEmpty(t, added.Password)
	given := decode[withPassword](s, "correct horse", "user", "add", "bob@example.org", "--password-stdin", "-c", s.config)
	require.Empty(t, given.Password)
	sso := decode[withPassword](s, "", "user", "add", "sso@example.org", "--no-password", "--role", "admin", "-c", s.config)
	require.Empty(t, sso.Password)
	require.Empty(t, sso.AuthMethods)
	require.Len(t, decode[[]api.User](s, "", "user", "list", "-c", s.config), 4)
	require.Equal(t, "sso@example.org", decode[api.User](s, "", "user", "show", "sso@example.org", "-c", s.config).Email)
	require.True(t, decode[api.User](s, "", "user", "disable", "sso@example.org", "-c", s.config).Disabled)
	require.False(t, decode[api.User](s, "", "user", "enable", "sso@example.org", "-c", s.config).Disabled)
	require.Equal(t, "viewer", decode[api.User](s, "", "user", "set-role", "sso@example.org", "viewer", "-c", s.config).Role)
	require.NotEmpty(t, decode[withPassword](s, "", "user", "reset-password", "bob@example.org", "-c", s.config).Password)
}

func TestUsersThatCannotBe(t *testing.T) {
	t.Parallel()
	s := newShell(t, withUsers)
	for name, c := range map[string]struct {
		stdin, message string
		args           []string
		code           int
	}{
		"taken":          {"", "There is a user with the address root@example.org already", []string{"add", rootEmail}, exitFailed},
		"no address":     {"", "is not an e-mail address", []string{"add", "root"}, exitFailed},
		"no role":        {"", "it has to be viewer, operator or admin", []string{"add", "a@example.org", "--role", "king"}, exitUsage},
		"short":          {"short", "at least 8 characters", []string{"add", "a@example.org", "--password-stdin"}, exitFailed},
		"no password":    {"", "does not hold it", []string{"reset-password", rootEmail, "--password-stdin"}, exitFailed},
		"two minds":      {"", "if any flags in the group", []string{"add", "a@example.org", "--password-stdin", "--no-password"}, exitFailed},
		"nobody":         {"", "There is no user with the address a@example.org", []string{"disable", "a@example.org"}, exitFailed},
		"the last admin": {"", "the only admin who can sign in", []string{"set-role", rootEmail, "viewer"}, exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := s.run(c.stdin, append([]string{"user", "-c", s.config}, c.args...)...)
			require.ErrorContains(t, err, c.message)
		})
	}
}

func TestUsersOfADatabaseThatIsNot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := &shell{t: t, configDir: dir, server: defaultServer}
	s.requireRefused("read config", "user", "list", "-c", filepath.Join(dir, "none.yaml"))
	file := filepath.Join(dir, "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte("listen: x\n"), 0o600))
	s.requireRefused("db.url: is required; set it in the file or as STROEM__DB__URL", "user", "list", "-c", file)
	require.NoError(t, os.WriteFile(file, []byte("db: {url: '"+coretest.EmptySchema(t)+"'}\n"), 0o600))
	s.requireRefused("start stroem-server once", "user", "list", "-c", file)
}

// The database is all that is needed to get back in.
func TestUsersByTheEnvironmentAlone(t *testing.T) {
	s := &shell{t: t, configDir: t.TempDir(), server: defaultServer}
	t.Chdir(t.TempDir())
	t.Setenv("STROEM__DB__URL", coretest.Postgres(t))
	require.Equal(t, "No users found.\n", s.must("", "user", "list"))
	s.must("", "user", "add", "ada@example.org", "--role", "admin")
	require.Len(t, decode[[]api.User](s, "", "user", "list"), 1)
}
