package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/credentials"
)

func TestSigningInAndOut(t *testing.T) {
	t.Parallel()
	s := newShell(t, withUsers)
	s.requireRefused("You are not signed in at "+s.server+". Sign in with: stroem login --server "+s.server, "workspaces")

	out, stderr, err := s.run(rootPassword+"\r\nmore", "login", "--email", " "+rootEmail)
	require.NoError(t, err, stderr)
	require.Equal(t, "Signed in at "+s.server+" as root@example.org (admin).\n", out)
	require.NotContains(t, out+stderr, rootPassword)
	require.Equal(t, "No workspaces found.\n", s.must("", "workspaces"))
	require.Regexp(t, `(?s)^User: +root@example.org\nRole: +admin\nServer: +`+s.server+`\nCredential: +the stored session\n$`, s.must("", "whoami"))
	info, err := os.Stat(filepath.Join(s.configDir, "credentials.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	same := *s // the same server, written in another way
	same.server = strings.ToUpper(s.server) + "/"
	require.Equal(t, "No workspaces found.\n", same.must("", "workspaces"))

	refresh := s.session().RefreshToken
	require.Equal(t, "Signed out at "+s.server+".\n", s.must("", "logout"))
	_, err = s.connect().ContinueSession(t.Context(), refresh)
	require.True(t, client.IsCode(err, "refresh_invalid"), "%v", err)
	s.requireRefused("You are not signed in", "workspaces")
	require.Equal(t, "You were not signed in at "+s.server+".\n", s.must("", "logout"))
}

func TestSigningInForPrograms(t *testing.T) {
	t.Parallel()
	s := newShell(t, withUsers)
	got := decode[identity](s, rootPassword, "login", "--email", rootEmail)
	require.Equal(t, s.server, got.Server)
	require.Equal(t, credentialSession, got.Credential)
	require.Equal(t, "admin", got.User.Role)
	require.Equal(t, got, decode[identity](s, "", "whoami"))
	require.Equal(t, signedOut{Server: s.server, Stored: true, Ended: true}, decode[signedOut](s, "", "logout"))
	require.Equal(t, signedOut{Server: s.server}, decode[signedOut](s, "", "logout"))
}

func TestASecondLoginEndsTheFirst(t *testing.T) {
	t.Parallel()
	s := newShell(t, withUsers)
	s.login()
	first := s.session().RefreshToken
	s.login()
	_, err := s.connect().ContinueSession(t.Context(), first)
	require.True(t, client.IsCode(err, "refresh_invalid"), "%v", err)
	s.must("", "whoami")
}

func TestWhoIsNotLetIn(t *testing.T) {
	t.Parallel()
	s := newShell(t, withUsers)
	for name, c := range map[string]struct {
		stdin, message string
		args           []string
		code           int
	}{
		"wrong password": {"wrong horse\n", "Invalid email or password", []string{"--email", rootEmail}, exitFailed},
		"unknown":        {"wrong horse\n", "Invalid email or password", []string{"--email", "nobody@example.org"}, exitFailed},
		"no password":    {"", "standard input is no terminal to ask for the password on", []string{"--email", rootEmail}, exitFailed},
		"an empty line":  {"\n" + rootPassword, "does not hold it", []string{"--email", rootEmail}, exitFailed},
		"no end":         {strings.Repeat("x", lineLimit+1), "more than 8192 bytes", []string{"--email", rootEmail}, exitFailed},
		"no address":     {rootPassword, "give --email, and the password on standard input", nil, exitUsage},
		"as an argument": {"", "unknown command", []string{"--email", rootEmail, rootPassword}, exitUsage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := s.another()
			_, _, err := other.run(c.stdin, append([]string{"login"}, c.args...)...)
			require.ErrorContains(t, err, c.message)
			require.NotContains(t, err.Error(), "Sign in with", "which is what was done")
			require.NoDirExists(t, other.configDir)
		})
	}
}

func TestPlainHTTPToAnotherMachine(t *testing.T) {
	t.Parallel()
	s := &shell{t: t, configDir: t.TempDir(), server: "http://stroem.invalid:8080"}
	_, stderr, err := s.run(rootPassword, "login", "--email", rootEmail)
	require.ErrorContains(t, err, "http://stroem.invalid:8080 is reached by plain HTTP")
	require.ErrorContains(t, err, "--insecure")
	require.Empty(t, stderr)
	_, stderr, err = s.run(rootPassword, "login", "--email", rootEmail, "--insecure")
	require.ErrorContains(t, err, "cannot reach the server")
	require.Contains(t, stderr, "Warning: anybody on the way to http://stroem.invalid:8080 can read the password")
}

func TestAServerWithoutUsers(t *testing.T) {
	t.Parallel()
	s := newShell(t, "")
	_, _, err := s.run(rootPassword, "login", "--email", rootEmail)
	require.EqualError(t, err, "the server at "+s.server+" has no users: nobody has to sign in")
	require.Equal(t, "No workspaces found.\n", s.must("", "workspaces"))
	require.Contains(t, s.must("", "whoami"), "has no users: everybody may do everything.")
	require.Nil(t, decode[identity](s, "", "whoami").User)
	_, _, err = s.run("", "key", "list")
	require.EqualError(t, err, "Server returned 401: Authentication not configured")
}

func TestARefusedAccessTokenIsReplaced(t *testing.T) {
	t.Parallel()
	s := newShell(t, withUsers)
	s.login()
	before := s.session()
	s.change(func(session *credentials.Session) { session.AccessToken = "refused" })
	require.Equal(t, "No workspaces found.\n", s.must("", "workspaces"))
	after := s.session()
	require.NotEqual(t, before.RefreshToken, after.RefreshToken)
	require.NotEqual(t, "refused", after.AccessToken)

	s.change(func(session *credentials.Session) { session.ExpiresAt = time.Now() })
	s.must("", "workspaces")
	require.NotEqual(t, after.RefreshToken, s.session().RefreshToken)
	again := s.session()
	s.must("", "workspaces")
	require.Equal(t, again, s.session(), "a token that is good costs no refresh token")
}

func TestManyCommandsAtOnce(t *testing.T) {
	t.Parallel()
	s := newShell(t, withUsers)
	s.login()
	for range 3 {
		s.change(func(session *credentials.Session) { session.ExpiresAt = time.Now() })
		var running sync.WaitGroup
		for range 8 {
			running.Go(func() {
				out, _, err := s.run("", "workspaces")
				if assert.NoError(t, err) {
					assert.Equal(t, "No workspaces found.\n", out)
				}
			})
		}
		running.Wait()
	}
	s.must("", "whoami")
}

func TestASessionThatHasEnded(t *testing.T) {
	t.Parallel()
	s := newShell(t, withUsers)
	s.login()
	s.must(rootPassword, "user", "reset-password", rootEmail, "--password-stdin", "-c", s.config)
	s.change(func(session *credentials.Session) { session.ExpiresAt = time.Now() })
	_, _, err := s.run("", "workspaces")
	require.EqualError(t, err, "your session at "+s.server+" has ended: Invalid refresh token\nSign in again with: stroem login --server "+s.server)
	s.requireRefused("You are not signed in at "+s.server, "workspaces")
	s.login()
	s.must("", "workspaces")
}

func TestSigningOutWithoutTheServer(t *testing.T) {
	t.Parallel()
	s := &shell{t: t, configDir: t.TempDir(), server: "http://127.0.0.1:1"}
	for _, args := range [][]string{{"logout"}, {"logout", "-o", "json"}} {
		_, err := credentials.In(s.configDir).Put(t.Context(), s.server, credentials.Session{RefreshToken: "r"})
		require.NoError(t, err)
		_, stderr, err := s.run("", args...)
		require.NoError(t, err)
		require.Contains(t, stderr, "The session is forgotten here")
		_, ok, err := credentials.In(s.configDir).Session(s.server)
		require.NoError(t, err)
		require.False(t, ok)
	}
}

func TestAFileThatOthersMayRead(t *testing.T) {
	t.Parallel()
	s := newShell(t, withUsers)
	s.login()
	file := filepath.Join(s.configDir, "credentials.json")
	require.NoError(t, os.Chmod(file, 0o644))
	for _, args := range [][]string{{"workspaces"}, {"whoami"}, {"logout"}, {"login", "--email", rootEmail}} {
		s.requireRefused("run chmod 600 "+file, args...)
	}
	session := "--token=" + s.mendedToken(file)
	require.NoError(t, os.Chmod(file, 0o644))
	s.must("", "workspaces", session) // which needs no file
}

// mendedToken is the access token, of a file that is mended.
func (s *shell) mendedToken(file string) string {
	s.t.Helper()
	require.NoError(s.t, os.Chmod(file, 0o600))
	return s.session().AccessToken
}

// What waits for longer than an access token is good goes on with the next one.
func TestWaitingOutlivesTheAccessToken(t *testing.T) {
	t.Parallel()
	s := newShell(t, withUsers)
	s.login()
	target, err := url.Parse(s.server)
	require.NoError(t, err)
	forward := httputil.NewSingleHostReverseProxy(target)
	var mu sync.Mutex
	var calls int
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/api/jobs/") {
			forward.ServeHTTP(w, r)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		stream, late := strings.HasSuffix(r.URL.Path, "/logs/stream"), 3
		if stream {
			late = 2
		}
		if calls++; calls == late { // this call comes too late for its token
			w.WriteHeader(http.StatusUnauthorized)
			assert.NoError(t, json.NewEncoder(w).Encode(api.Error{Error: "Invalid or expired token", Code: "token_invalid"}))
			return
		}
		if stream {
			conn, err := websocket.Accept(w, r, nil)
			assert.NoError(t, err)
			if calls < late { // the connection breaks
				assert.NoError(t, conn.Write(r.Context(), websocket.MessageText, []byte("{}\n")))
				assert.NoError(t, conn.CloseNow())
			} else {
				assert.NoError(t, conn.Close(websocket.StatusNormalClosure, ""))
			}
			return
		}
		job := api.JobDetail{Job: api.Job{JobID: "7", Status: "running"}}
		if calls > 5 {
			job.Status = "completed"
		}
		assert.NoError(t, json.NewEncoder(w).Encode(job))
	}))
	defer proxy.Close()
	behind := *s
	behind.server = proxy.URL
	_, err = credentials.In(s.configDir).Put(t.Context(), proxy.URL, s.session())
	require.NoError(t, err)
	first := behind.session().RefreshToken
	require.Contains(t, behind.must("", "status", "7", "--wait"), "completed")
	second := behind.session().RefreshToken
	require.NotEqual(t, first, second)
	mu.Lock()
	calls = 0
	mu.Unlock()
	behind.must("", "logs", "7", "--follow")
	require.NotEqual(t, second, behind.session().RefreshToken)
}

// --token goes before STROEM_TOKEN, and that before the session.
func TestWhichCredentialIsUsed(t *testing.T) {
	s := newShell(t, withUsers)
	s.login()
	key := strings.TrimSpace(s.must("", "key", "create", "ci"))
	require.Equal(t, credentialSession, decode[identity](s, "", "whoami").Credential)
	t.Setenv("STROEM_TOKEN", " "+key+"\n")
	require.Equal(t, credentialEnvironment, decode[identity](s, "", "whoami").Credential)
	require.Equal(t, credentialFlag, decode[identity](s, "", "whoami", "--token", key).Credential)
	_, _, err := s.run("", "whoami", "--token", "strm_0123")
	require.EqualError(t, err, "Server returned 401: Invalid API key\n"+s.server+" does not take what is in --token: give another token, or sign in without one: stroem login --server "+s.server)
	t.Setenv("STROEM_TOKEN", "nonsense")
	_, _, err = s.run("", "whoami")
	require.ErrorContains(t, err, "does not take what is in STROEM_TOKEN")
	t.Setenv("STROEM_TOKEN", "")
	t.Setenv("STROEM_URL", s.server)
	s.must("", "logout")
	_, _, err = s.run("", "whoami")
	require.ErrorContains(t, err, "Sign in with: stroem login")
	require.NotContains(t, err.Error(), "--server", "which STROEM_URL says already")
}
