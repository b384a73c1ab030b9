package client_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
)

// numbered are tokens of which each takes the place of the one before, until there are no more.
type numbered struct {
	left    []string
	refused []string
	err     error
}

func (n *numbered) Token(context.Context) (string, error) { return n.left[0], n.err }

func (n *numbered) Renew(_ context.Context, refused string) (string, error) {
	n.refused = append(n.refused, refused)
	if n.left = n.left[1:]; len(n.left) == 0 {
		return "", n.err
	}
	return n.left[0], n.err
}

func TestARefusedTokenIsRenewedOncePerCall(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tokens  []string
		code    string
		sent    []string
		refused []string
		err     string
	}{
		"the next one is good":         {[]string{"old", "good"}, "token_invalid", []string{"old", "good"}, []string{"old"}, ""},
		"the next one is bad":          {[]string{"old", "older", "good"}, "token_invalid", []string{"old", "older"}, []string{"old"}, "Server returned 401: no"},
		"there is none":                {[]string{"old"}, "token_invalid", []string{"old"}, []string{"old"}, "Server returned 401: no"},
		"a key, which is not the same": {[]string{"old", "good"}, "api_key_invalid", []string{"old"}, nil, "Server returned 401: no"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent, bodies := make(chan string, 3), make(chan int64, 3)
			server := listen(t, func(w http.ResponseWriter, r *http.Request) {
				token := r.Header.Get("Authorization")[len("Bearer "):]
				sent <- token
				bodies <- r.ContentLength
				if token != "good" {
					answer(t, w, http.StatusUnauthorized, api.Error{Error: "no", Code: c.code})
					return
				}
				answer(t, w, http.StatusOK, api.ExecuteResponse{JobID: "7"})
			})
			source := &numbered{left: c.tokens}
			cl := connect(t, client.Options{Server: server, Source: source})
			_, err := cl.Execute(t.Context(), "ws", "hello", api.ExecuteRequest{Input: map[string]any{"n": 1}}, "")
			if c.err == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, c.err)
			}
			for _, token := range c.sent {
				require.Equal(t, token, <-sent)
				require.EqualValues(t, len(`{"input":{"n":1}}`), <-bodies, "the body is sent again as well")
			}
			require.Empty(t, sent)
			require.Equal(t, c.refused, source.refused)
		})
	}
}

func TestWithoutATokenNothingIsSent(t *testing.T) {
	t.Parallel()
	server := listen(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was made") })
	source := &numbered{left: []string{"a"}, err: errors.New("no token")}
	_, err := connect(t, client.Options{Server: server, Source: source}).Workspaces(t.Context())
	require.EqualError(t, err, "no token")
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"http://Example.org:80/":       "http://example.org",
		"HTTPS://example.org:443":      "https://example.org",
		"https://example.org:80":       "https://example.org:80",
		"http://127.0.0.1:8080":        "http://127.0.0.1:8080",
		"http://[::1]:80/Stroem//":     "http://[::1]/Stroem",
		"http://[FE80::1]:8080/a%2Fb/": "http://[fe80::1]:8080/a%2Fb",
		"unix:/run//stroem/../x":       "unix:/run/x",
	} {
		got, err := client.Address(given)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := client.Address("example.org")
	require.ErrorContains(t, err, "has to look like")
}

func TestExposed(t *testing.T) {
	t.Parallel()
	for server, want := range map[string]bool{
		"http://example.org": true, "http://10.0.0.1:8080": true, "http://[::ffff:10.0.0.1]": true, "http://localhost.example.org": true,
		"https://example.org": false, "http://localhost:8080": false, "http://LOCALHOST": false, "http://127.9.9.9": false,
		"http://[::1]:80": false, "http://[::ffff:127.0.0.1]": false, "unix:/run/x": false,
	} {
		require.Equal(t, want, client.Exposed(server), server)
	}
}
