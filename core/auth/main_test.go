package auth_test

import (
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/auth"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/postgres"
)

func TestMain(m *testing.M) { os.Exit(coretest.MainWithoutLeaks(m)) }

var key = []byte("0123456789abcdef0123456789abcdef")

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// replicas are two authenticators on one database, and the user ada@example.org with a password.
type replicas struct {
	*auth.Authenticator

	t     *testing.T
	other *auth.Authenticator
	store *postgres.Store
	clock *clock
	ada   core.User
}

const password = "correct horse"

func newReplicas(t *testing.T) *replicas {
	t.Helper()
	store, _ := coretest.Store(t)
	r := &replicas{t: t, store: store, clock: &clock{now: time.Now()}}
	options := auth.Options{Store: store, Key: key, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: r.clock.Now}
	r.Authenticator, r.other = auth.New(options), auth.New(options)
	var err error
	r.ada, err = r.Create(t.Context(), auth.NewUser{Email: "Ada@example.org", Name: "Ada", Password: password, Role: core.RoleOperator})
	require.NoError(t, err)
	return r
}

func (r *replicas) login() auth.Pair {
	r.t.Helper()
	pair, err := r.Login(r.t.Context(), "ada@EXAMPLE.org", password)
	require.NoError(r.t, err)
	return pair
}

// requireReason checks what kind of error it is.
func requireReason(t *testing.T, err error, reason string) {
	t.Helper()
	var known *core.Error
	require.ErrorAs(t, err, &known)
	require.Equal(t, reason, known.Reason, known.Message)
}

func (r *replicas) requireIn(a *auth.Authenticator, token string) {
	r.t.Helper()
	who, err := a.Authenticate(r.t.Context(), token)
	require.NoError(r.t, err)
	require.Equal(r.t, r.ada.ID, who.User.ID)
}

func (r *replicas) requireOut(a *auth.Authenticator, token, reason string) {
	r.t.Helper()
	_, err := a.Authenticate(r.t.Context(), token)
	requireReason(r.t, err, reason)
	require.Equal(r.t, core.CodeUnauthenticated, core.ErrorCode(err))
}

// initial makes sure of a first admin.
func (r *replicas) initial(email, password string) (created bool) {
	r.t.Helper()
	created, err := r.EnsureInitial(r.t.Context(), email, password)
	require.NoError(r.t, err)
	return created
}
