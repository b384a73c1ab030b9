package client_test

import (
	"context"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
)

func TestAddressesThatCannotBe(t *testing.T) {
	t.Parallel()
	for address, problem := range map[string]string{
		"":                            "has to look like http://host:8080",
		"localhost:8080":              "has to look like http://host:8080",
		"ftp://localhost":             "has to look like http://host:8080",
		"http://":                     "has to look like http://host:8080",
		"http://a b":                  "has to look like http://host:8080",
		"http://me:pass@localhost":    "give credentials as a token",
		"http://localhost/?token=abc": "holds a query",
		"http://localhost/#jobs":      "holds a query or a fragment",
		"unix:":                       "has to go on with the path of a socket",
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			_, err := client.New(client.Options{Server: address})
			require.ErrorContains(t, err, problem)
			require.NotContains(t, err.Error(), "pass@")
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		want   *client.Error
	}{
		"the server's":      {404, `{"error":"Job not found","code":"not_found"}`, &client.Error{Status: 404, Code: "not_found", Message: "Job not found"}},
		"without a code":    {400, `{"error":"Invalid job ID"}`, &client.Error{Status: 400, Message: "Invalid job ID"}},
		"a proxy's":         {502, `<html>Bad Gateway</html>`, &client.Error{Status: 502, Message: "Bad Gateway (the answer is not Strøm's: is the address right?)"}},
		"other JSON":        {403, `{"message":"no"}`, &client.Error{Status: 403, Message: "Forbidden (the answer is not Strøm's: is the address right?)"}},
		"nothing":           {500, ``, &client.Error{Status: 500, Message: "Internal Server Error (the answer is not Strøm's: is the address right?)"}},
		"a redirect":        {302, `{}`, &client.Error{Status: 302, Message: "Found (the answer is not Strøm's: is the address right?)"}},
		"an unknown status": {599, ``, &client.Error{Status: 599, Message: " (the answer is not Strøm's: is the address right?)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cl := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
				_, err := w.Write([]byte(c.body))
				assert.NoError(t, err)
			})
			_, err := cl.Job(t.Context(), "1", 0)
			var got *client.Error
			require.ErrorAs(t, err, &got)
			require.Equal(t, c.want, got)
		})
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	err := error(&client.Error{Status: 404, Code: "not_found", Message: "Job not found"})
	require.EqualError(t, err, "Server returned 404: Job not found")
	require.True(t, client.IsCode(err, "not_found"))
	require.False(t, client.IsCode(err, "conflict"))
	require.False(t, client.IsCode(net.ErrClosed, "not_found"))
}

func TestAnswerThatIsNotOurs(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write([]byte("<!doctype html><title>Router</title>"))
		assert.NoError(t, err)
	})
	_, err := c.Workspaces(t.Context())
	require.ErrorContains(t, err, "Failed to parse response")
	require.ErrorContains(t, err, "is the address right?")
}

func TestAnswerThatBreaksOff(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, err := w.Write([]byte(`[{"name":`))
		assert.NoError(t, err)
	})
	_, err := c.Workspaces(t.Context())
	require.ErrorContains(t, err, "read the answer of 127.0.0.1")
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	c := connect(t, client.Options{Server: "http://" + l.Addr().String(), Token: "secret"})
	_, err = c.Workspaces(t.Context())
	require.ErrorContains(t, err, "cannot reach the server at "+l.Addr().String())
	require.NotContains(t, err.Error(), "/api/workspaces", "addresses may hold names that must not be shown")
}

func TestCallersContext(t *testing.T) {
	t.Parallel()
	waiting := make(chan struct{})
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(waiting)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-waiting
		cancel()
	}()
	_, err := c.Workspaces(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestToken(t *testing.T) {
	t.Parallel()
	tokens := make(chan string, 3)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		tokens <- r.Header.Get("Authorization")
		answer(t, w, 200, []api.Workspace{})
	})
	for _, c := range []*client.Client{c, c.WithToken("other"), c.WithToken("")} {
		_, err := c.Workspaces(t.Context())
		require.NoError(t, err)
	}
	require.Equal(t, "Bearer secret", <-tokens)
	require.Equal(t, "Bearer other", <-tokens)
	require.Empty(t, <-tokens)
}

func TestTokenIsNotTakenElsewhere(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the redirect was followed")
	}))
	defer elsewhere.Close()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	_, err := c.Workspaces(t.Context())
	require.ErrorContains(t, err, "Server returned 307")
}

func TestServerBelowAPath(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/stroem/api/workspaces", r.URL.Path)
		answer(t, w, 200, []api.Workspace{})
	}))
	defer server.Close()
	_, err := connect(t, client.Options{Server: server.URL + "/stroem/"}).Workspaces(t.Context())
	require.NoError(t, err)
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(t, w, 200, []api.Workspace{})
	}))
	defer server.Close()
	server.Config.ErrorLog = nil
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "bad.pem")
	require.NoError(t, os.WriteFile(good, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	require.NoError(t, os.WriteFile(bad, []byte("no certificate"), 0o600))

	_, err := connect(t, client.Options{Server: server.URL, CAFile: good}).Workspaces(t.Context())
	require.NoError(t, err)
	_, err = connect(t, client.Options{Server: server.URL}).Workspaces(t.Context())
	require.ErrorContains(t, err, "certificate")
	_, err = client.New(client.Options{Server: server.URL, CAFile: bad})
	require.ErrorContains(t, err, "bad.pem holds no certificate in PEM format")
	_, err = client.New(client.Options{Server: server.URL, CAFile: filepath.Join(dir, "none.pem")})
	require.ErrorIs(t, err, os.ErrNotExist)
}
