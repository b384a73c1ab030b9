package credentials_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/credentials"
)

func TestATokenThatIsGoodIsUsed(t *testing.T) {
	t.Parallel()
	r := newRotating(t)
	store, _ := r.signedIn(t, time.Minute)
	source := r.source(t, store)
	for range 3 {
		token, err := source.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, "a0", token)
	}
	n, _ := r.refreshes()
	require.Zero(t, n)
}

func TestATokenIsReplacedBeforeItEnds(t *testing.T) {
	t.Parallel()
	r := newRotating(t)
	store, _ := r.signedIn(t, 20*time.Second)
	source := r.source(t, store)
	for range 3 {
		token, err := source.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, "a1", token)
	}
	stored, ok, err := store.Session(r.address)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "r1", stored.RefreshToken)
	require.Equal(t, "a1", stored.AccessToken)
	require.Equal(t, "ada@example.org", stored.Email)
	require.WithinDuration(t, time.Now().Add(15*time.Minute), stored.ExpiresAt, time.Minute)
}

func TestARefusedTokenIsReplaced(t *testing.T) {
	t.Parallel()
	r := newRotating(t)
	store, _ := r.signedIn(t, time.Hour)
	sources := []*credentials.Source{r.source(t, store), r.source(t, store)}
	for _, source := range sources {
		token, err := source.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, "a0", token)
	}
	for _, source := range sources {
		token, err := source.Renew(t.Context(), "a0")
		require.NoError(t, err)
		require.Equal(t, "a1", token, "the second one takes what the first one has got")
	}
	n, ended := r.refreshes()
	require.Equal(t, 1, n)
	require.False(t, ended)
}

func TestManyGoroutinesSpendOneSessionOnce(t *testing.T) {
	t.Parallel()
	r := newRotating(t)
	store, _ := r.signedIn(t, -time.Hour)
	var running sync.WaitGroup
	for range 24 {
		source := r.source(t, store)
		running.Go(func() {
			token, err := source.Token(t.Context())
			if assert.NoError(t, err) {
				assert.Equal(t, "a1", token)
			}
		})
	}
	running.Wait()
	n, ended := r.refreshes()
	require.Equal(t, 1, n)
	require.False(t, ended)
}

func TestManyProcessesSpendOneSessionOnce(t *testing.T) {
	t.Parallel()
	r := newRotating(t)
	_, dir := r.signedIn(t, -time.Hour)
	self, err := os.Executable()
	require.NoError(t, err)
	commands, outputs := make([]*exec.Cmd, 6), make([]bytes.Buffer, 6)
	for i := range commands {
		commands[i] = exec.CommandContext(t.Context(), self)
		commands[i].Env = append(os.Environ(), spendIn+"="+dir, spendAt+"="+r.address)
		commands[i].Stdout, commands[i].Stderr = &outputs[i], &outputs[i]
		require.NoError(t, commands[i].Start())
	}
	for i, command := range commands {
		if assert.NoError(t, command.Wait(), outputs[i].String()) {
			assert.Equal(t, "a1\n", outputs[i].String())
		}
	}
	n, ended := r.refreshes()
	require.Equal(t, 1, n)
	require.False(t, ended)
}

func TestASessionThatHasEndedIsForgotten(t *testing.T) {
	t.Parallel()
	r := newRotating(t)
	store, _ := r.signedIn(t, -time.Hour)
	_, err := store.Put(t.Context(), r.address, credentials.Session{Email: "ada@example.org", RefreshToken: "another", ExpiresAt: time.Now()})
	require.NoError(t, err)
	source := r.source(t, store)
	_, err = source.Token(t.Context())
	require.EqualError(t, err, "your session at "+r.address+" has ended: The refresh token was used before")
	_, ok, err := store.Session(r.address)
	require.NoError(t, err)
	require.False(t, ok)
	_, err = source.Token(t.Context())
	var ended *credentials.EndedError
	require.ErrorAs(t, err, &ended)
	require.EqualError(t, err, "you are not signed in at "+r.address+" any more")
	require.Equal(t, r.address, ended.Server)
}

// What is no answer about the session leaves it as it is.
func TestAServerThatIsInTrouble(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	r := &rotating{address: server.URL}
	store, _ := r.signedIn(t, -time.Hour)
	source := r.source(t, store)
	_, err := source.Token(t.Context())
	require.ErrorContains(t, err, "go on with the session at "+server.URL+": Server returned 502")
	server.Close()
	_, err = source.Token(t.Context())
	require.ErrorContains(t, err, "cannot reach the server")
	stored, ok, err := store.Session(server.URL)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "r0", stored.RefreshToken)
}

func TestAServerWithoutUsersGetsNoToken(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"error":"Authentication not configured","code":"auth_not_configured"}`))
	}))
	defer server.Close()
	r := &rotating{address: server.URL}
	store, _ := r.signedIn(t, -time.Hour)
	token, err := r.source(t, store).Token(t.Context())
	require.NoError(t, err)
	require.Empty(t, token)
}

// Somebody who presses Ctrl-C while a refresh token is being spent keeps the session.
func TestAnInterruptWaitsForTheNextTokens(t *testing.T) {
	t.Parallel()
	r := newRotating(t)
	r.reached, r.answered = make(chan struct{}), make(chan struct{})
	store, _ := r.signedIn(t, -time.Hour)
	ctx, interrupt := context.WithCancel(t.Context())
	source := r.source(t, store)
	ended := make(chan error, 1)
	go func() {
		_, err := source.Token(ctx)
		ended <- err
	}()
	<-r.reached
	interrupt()
	close(r.answered)
	require.NoError(t, <-ended)
	stored, _, err := store.Session(r.address)
	require.NoError(t, err)
	require.Equal(t, "r1", stored.RefreshToken)
}

// A process that waits for another one's lock ends when it is told to.
func TestWaitingForTheLockEnds(t *testing.T) {
	t.Parallel()
	r := newRotating(t)
	r.reached, r.answered = make(chan struct{}), make(chan struct{})
	store, _ := r.signedIn(t, -time.Hour)
	first := r.source(t, store)
	ended := make(chan error, 1)
	go func() {
		_, err := first.Token(t.Context())
		ended <- err
	}()
	<-r.reached // and holds the lock
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.source(t, store).Token(ctx)
	require.ErrorIs(t, err, context.Canceled)
	close(r.answered)
	require.NoError(t, <-ended)
}

func TestAClientGoesOnWithTheNextToken(t *testing.T) {
	t.Parallel()
	r := newRotating(t)
	store, _ := r.signedIn(t, time.Hour)
	var tokens []string
	guarded := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		tokens = append(tokens, request.Header.Get("Authorization"))
		if request.Header.Get("Authorization") != "Bearer a1" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error":"Invalid or expired token","code":"token_invalid"}`))
			return
		}
		_, _ = w.Write([]byte("[]"))
	}))
	defer guarded.Close()
	c, err := client.New(client.Options{Server: guarded.URL, Source: r.source(t, store)})
	require.NoError(t, err)
	defer c.Close()
	for range 2 {
		_, err = c.Workspaces(t.Context())
		require.NoError(t, err)
	}
	require.Equal(t, []string{"Bearer a0", "Bearer a1", "Bearer a1"}, tokens)
}
