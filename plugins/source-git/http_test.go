package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http/httpproxy"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/tests/gitserver"
)

func TestHTTPSCredentials(t *testing.T) {
	t.Parallel()
	const secret = "correct horse battery staple"
	repo, id := repository(t)
	token := serveHTTPS(t, repo.Handler(gitserver.Credentials{Username: "x-access-token", Password: secret}))
	basic := serveHTTPS(t, repo.Handler(gitserver.Credentials{Username: "ada", Password: secret}))
	open := serveHTTPS(t, repo.Handler(gitserver.Credentials{}))
	for name, test := range map[string]struct {
		server *httptest.Server
		auth   *auth
		code   pluginapi.Code
		want   string
	}{
		"anonymous":      {open, nil, "", ""},
		"token":          {token, &auth{Type: authToken, Token: secret}, "", ""},
		"token, newline": {token, &auth{Type: authToken, Token: secret + "\n"}, "", ""},
		"named token":    {basic, &auth{Type: authToken, Token: secret, Username: "ada"}, "", ""},
		"basic":          {basic, &auth{Type: authBasic, Username: "ada", Password: secret}, "", ""},
		"wrong token":    {token, &auth{Type: authToken, Token: "wrong" + secret}, pluginapi.CodeDenied, "refuses the credentials"},
		"wrong name":     {basic, &auth{Type: authBasic, Username: "eve", Password: secret}, pluginapi.CodeDenied, "refuses the credentials"},
		"none":           {token, nil, pluginapi.CodeDenied, "wants credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, of := start(t, "{}"), settings{URL: test.server.URL + "/repo.git", CA: authority(test.server), Auth: test.auth}
			got, err := s.resolved(t.Context(), t, of)
			if test.code != "" {
				requireCode(t, test.code, err, test.want)
				requireHidden(t, err.Error(), secret)
				_, _, err = s.fetched(t.Context(), t, of, id)
				requireCode(t, test.code, err, test.want)
				requireHidden(t, err.Error(), secret)
				return
			}
			require.NoError(t, err)
			require.Equal(t, id, got)
			_, files, err := s.fetched(t.Context(), t, of, id)
			require.NoError(t, err)
			require.Equal(t, map[string]string{"flow.yaml": "one", "run.sh": "#!/bin/sh\n"}, files)
		})
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	repo, id := repository(t)
	server := serveHTTPS(t, repo.Handler(gitserver.Credentials{}))
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, []byte(authority(server)), 0o600))
	at := server.URL + "/repo.git"
	s := start(t, "{}")
	for name, of := range map[string]settings{
		"inline": {URL: at, CA: authority(server)}, "file": {URL: at, CAPath: file}, "opt-out": {URL: at, InsecureSkipTLSVerify: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := s.resolved(t.Context(), t, of)
			require.NoError(t, err)
			require.Equal(t, id, got)
		})
	}
	for name, test := range map[string]struct {
		of   settings
		code pluginapi.Code
		want string
	}{
		"unknown":      {settings{URL: at}, pluginapi.CodeDenied, "the certificate is not trusted"},
		"not PEM":      {settings{URL: at, CA: "nonsense"}, pluginapi.CodeInvalid, "ca: holds no certificate"},
		"missing file": {settings{URL: at, CAPath: file + "x"}, pluginapi.CodeInvalid, "ca_path: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := s.resolved(t.Context(), t, test.of)
			requireCode(t, test.code, err, test.want)
		})
	}
}

// TestRedirects has a server that redirects, and one that must not get credentials.
func TestRedirects(t *testing.T) {
	t.Parallel()
	const secret = "do not pass this on"
	repo, id := repository(t)
	var leaked atomic.Bool
	inner := repo.Handler(gitserver.Credentials{})
	other := serveHTTPS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			leaked.Store(true)
		}
		inner.ServeHTTP(w, r)
	}))
	plain := httptest.NewServer(inner)
	t.Cleanup(plain.Close)
	var first *httptest.Server
	first = serveHTTPS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if rest != "" {
			rest = "/" + rest + "?" + r.URL.RawQuery
		}
		to := map[string]string{
			"other": other.URL + rest, "same": first.URL + rest, "down": plain.URL + rest, "loop": first.URL + "/loop" + rest,
			"metadata": "http://169.254.169.254/latest/meta-data" + rest, "metadatas": "https://169.254.169.254" + rest,
			"number": "https://2852039166" + rest, "file": "file:///etc/passwd", "user": strings.Replace(other.URL, "://", "://a:b@", 1) + rest,
			"elsewhere": other.URL + "/repo.git", "mid": "",
		}[kind]
		switch {
		case kind == "repo.git" || kind == "mid" && r.Method == http.MethodGet:
			r.URL.Path = strings.TrimPrefix(r.URL.Path, "/mid")
			inner.ServeHTTP(w, r)
		case kind == "mid":
			http.Redirect(w, r, other.URL+rest, http.StatusFound)
		default:
			http.Redirect(w, r, to, http.StatusFound)
		}
	}))
	for name, test := range map[string]struct {
		path string
		auth *auth
		code pluginapi.Code
		want string
	}{
		"followed":               {"other", nil, "", ""},
		"followed on one host":   {"same", &auth{Type: authToken, Token: secret}, "", ""},
		"credentials stay":       {"other", &auth{Type: authToken, Token: secret}, pluginapi.CodeDenied, "credentials are not sent to another host"},
		"no encryption":          {"down", nil, pluginapi.CodeDenied, "not encrypted"},
		"in circles":             {"loop", nil, pluginapi.CodeDenied, "more than 5 times"},
		"to metadata over http":  {"metadata", nil, pluginapi.CodeDenied, "not encrypted"},
		"to metadata over https": {"metadatas", nil, pluginapi.CodeDenied, "169.254.169.254 is refused"},
		"to a number":            {"number", nil, pluginapi.CodeInvalid, "no valid host name"},
		"to a file":              {"file", nil, pluginapi.CodeDenied, "neither https nor http"},
		"with credentials":       {"user", nil, pluginapi.CodeDenied, "with credentials"},
		"to no repository":       {"elsewhere", nil, pluginapi.CodeNotFound, ""},
		"while a pack is asked":  {"mid", nil, pluginapi.CodeDenied, "in the middle of a conversation"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, "{}")
			of := settings{URL: first.URL + "/" + test.path + "/repo.git", CA: authority(first) + authority(other), Auth: test.auth}
			_, files, err := s.fetched(t.Context(), t, of, id)
			if test.code == "" {
				require.NoError(t, err)
				require.Equal(t, "one", files["flow.yaml"])
				return
			}
			requireCode(t, test.code, err, test.want)
			requireHidden(t, err.Error(), secret)
			require.Empty(t, files)
		})
	}
	t.Cleanup(func() { require.False(t, leaked.Load(), "the other server got credentials") })
}

func TestAnswersThatAreNoGit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		code   pluginapi.Code
		want   string
	}{
		"a page":    {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, pluginapi.CodeInvalid, "no git repository"},
		"not found": {http.NotFound, pluginapi.CodeNotFound, "404 Not Found"},
		"busy": {
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
			pluginapi.CodeUnavailable, "429 Too Many Requests",
		},
		"broken":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, pluginapi.CodeUnavailable, "502"},
		"nonsense":  {advertise("0009what\n"), pluginapi.CodeUnavailable, "does not speak as git does"},
		"cut short": {advertise("001e# service=git-upload-pack\n0000"), pluginapi.CodeUnavailable, ""},
		"complaint": {advertise("0020ERR access denied \x1b[31m by us"), pluginapi.CodeUnavailable, "the remote says: access denied"},
		"hang-up":   {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, pluginapi.CodeUnavailable, "ended the conversation"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(test.answer)
			t.Cleanup(server.Close)
			_, err := start(t, "{}").resolved(t.Context(), t, settings{URL: server.URL + "/repo.git"})
			requireCode(t, test.code, err, test.want)
			require.NotContains(t, err.Error(), "\x1b")
		})
	}
}

func advertise(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		_, _ = w.Write([]byte(text))
	}
}

func TestPlainHTTPWarnsOnce(t *testing.T) {
	t.Parallel()
	const secret = "for everybody to read"
	repo, id := repository(t)
	server := httptest.NewServer(repo.Handler(gitserver.Credentials{Username: "ada", Password: secret}))
	t.Cleanup(server.Close)
	var log bytes.Buffer
	s := startIn(t, t.TempDir(), "{}", slog.NewTextHandler(&log, nil))
	of := settings{URL: server.URL + "/repo.git", Auth: &auth{Type: authBasic, Username: "ada", Password: secret}}
	for range 2 {
		got, err := s.resolved(t.Context(), t, of)
		require.NoError(t, err)
		require.Equal(t, id, got)
	}
	require.Equal(t, 1, strings.Count(log.String(), "plain http"))
	requireHidden(t, log.String(), secret)
	problems, err := s.Validate(t.Context(), &pluginapi.ValidateRequest{Spec: encode(t, of)})
	require.NoError(t, err)
	require.NoError(t, problems.Err())
	require.Len(t, problems, 1)
}

func TestProxy(t *testing.T) {
	t.Parallel()
	repo, id := repository(t)
	server, err := url.Parse(func() string {
		s := httptest.NewServer(repo.Handler(gitserver.Credentials{}))
		t.Cleanup(s.Close)
		return s.URL
	}())
	require.NoError(t, err)
	var asked atomic.Int64
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		if r.In.URL.Host == "git.example.com" {
			asked.Add(1)
			r.SetURL(server)
		}
	}})
	t.Cleanup(proxy.Close)
	s := start(t, "{}")
	s.webs.proxy = (&httpproxy.Config{HTTPProxy: proxy.URL}).ProxyFunc()
	got, err := s.resolved(t.Context(), t, settings{URL: "http://git.example.com/repo.git"})
	require.NoError(t, err)
	require.Equal(t, id, got)
	require.Equal(t, int64(1), asked.Load())

	broken := start(t, "{}")
	broken.webs.proxy = (&httpproxy.Config{HTTPProxy: "http://ada:hunter2@[bad"}).ProxyFunc()
	_, err = broken.resolved(t.Context(), t, settings{URL: "http://git.example.com/repo.git"})
	require.Error(t, err)
	requireHidden(t, err.Error(), "hunter2")
}

func TestRemoteThatHangs(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	_, err := start(t, "{}").resolved(ctx, t, settings{URL: server.URL + "/repo.git"})
	require.ErrorIs(t, err, context.Canceled)
	limited := start(t, `{"timeout_secs": 1}`)
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(silent.Close)
	_, _, err = limited.fetched(t.Context(), t, settings{URL: silent.URL + "/repo.git"}, strings.Repeat("a", 40))
	requireCode(t, pluginapi.CodeTimeout, err, "took too long")
}

func TestSettingsDoNotShowSecrets(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2"
	s := start(t, "{}")
	for _, text := range []string{
		`{"url": "https://ada:` + secret + `@example.com/r.git"}`,
		`{"url": "https://` + secret + `@example.com/r.git"}`,
		`{"url": "ssh://git:` + secret + `@example.com/r.git"}`,
		`{"url": "https://ada:` + secret + `@exa mple.com/%zz"}`,
		`{"url": "https://example.com/r.git", "auth": {"type": "token", "token": 17, "password": "` + secret + `"}}`,
	} {
		_, err := s.Resolve(t.Context(), &pluginapi.ResolveRequest{Settings: json.RawMessage(text)})
		requireCode(t, pluginapi.CodeInvalid, err)
		requireHidden(t, err.Error(), secret)
	}
}
