package credentials_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/credentials"
)

// spendIn names the directory of a store; with it this program spends the session at spendAt and prints the access token.
const (
	spendIn = "STROEM_TEST_SPEND_IN"
	spendAt = "STROEM_TEST_SPEND_AT"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(spendIn); dir != "" {
		os.Exit(spend(dir, os.Getenv(spendAt)))
	}
	goleak.VerifyTestMain(m)
}

func spend(dir, server string) int {
	c, err := client.New(client.Options{Server: server})
	if err == nil {
		var token string
		if token, err = credentials.In(dir).Source(server, c).Token(context.Background()); err == nil {
			_, err = fmt.Println(token)
		}
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// rotating is a server with one session, whose refresh tokens are for one use: r0, r1, …; the access token with rN is aN.
type rotating struct {
	address string
	life    int // of access tokens in seconds

	mu       sync.Mutex
	spent    int
	ended    bool
	reached  chan struct{} // gets a value before each answer
	answered chan struct{} // what an answer waits for
}

func newRotating(t *testing.T) *rotating {
	t.Helper()
	r := &rotating{life: 900}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		assert.Equal(t, "/api/auth/refresh", request.URL.Path)
		assert.Empty(t, request.Header.Get("Authorization"))
		var body api.Refresh
		assert.NoError(t, json.NewDecoder(request.Body).Decode(&body))
		if r.reached != nil {
			r.reached <- struct{}{}
			<-r.answered
		}
		r.answer(t, w, body.RefreshToken)
	}))
	t.Cleanup(server.Close)
	r.address = server.URL
	return r
}

func (r *rotating) answer(t *testing.T, w http.ResponseWriter, token string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.ended || token != fmt.Sprintf("r%d", r.spent) {
		r.ended = true
		w.WriteHeader(http.StatusUnauthorized)
		assert.NoError(t, json.NewEncoder(w).Encode(api.Error{Error: "The refresh token was used before", Code: "refresh_reused"}))
		return
	}
	r.spent++
	assert.NoError(t, json.NewEncoder(w).Encode(api.Tokens{
		AccessToken: fmt.Sprintf("a%d", r.spent), RefreshToken: fmt.Sprintf("r%d", r.spent), ExpiresIn: r.life,
	}))
}

func (r *rotating) refreshes() (n int, ended bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.spent, r.ended
}

func (r *rotating) source(t *testing.T, store *credentials.Store) *credentials.Source {
	t.Helper()
	c, err := client.New(client.Options{Server: r.address})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return store.Source(r.address, c)
}

// signedIn stores the first session of the server, whose access token is good for so long.
func (r *rotating) signedIn(t *testing.T, left time.Duration) (store *credentials.Store, dir string) {
	t.Helper()
	dir = t.TempDir() + "/stroem"
	store = credentials.In(dir)
	_, err := store.Put(t.Context(), r.address, credentials.Session{
		Email: "ada@example.org", RefreshToken: "r0", AccessToken: "a0", ExpiresAt: time.Now().Add(left),
	})
	require.NoError(t, err)
	return store, dir
}
