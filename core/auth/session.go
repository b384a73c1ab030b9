package auth

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
)

// Pair is what somebody who signed in goes on with.
type Pair struct {
	Access  string
	Refresh string // for one use
	User    core.User
}

var errLogin = core.Errorf(core.CodeUnauthenticated, "login_failed", "Invalid email or password")

// Login starts a session for whoever knows the password of an address. Unknown addresses, users without a password, disabled
// ones and wrong passwords are told alike, and cost the same time.
func (a *Authenticator) Login(ctx context.Context, email, password string) (Pair, error) {
	u, err := a.store.UserByEmail(ctx, strings.TrimSpace(email))
	if err != nil && core.ErrorCode(err) != core.CodeNotFound {
		return Pair{}, err
	}
	right, err := verifyPassword(ctx, u.PasswordHash, password)
	if err != nil {
		return Pair{}, err
	}
	if !right || u.Disabled {
		return Pair{}, errLogin
	}
	return a.Start(ctx, u)
}

// Start starts a session for a user who has shown who they are. If their sessions have ended since they were loaded, or they are
// disabled, it is core.ErrUserChanged.
func (a *Authenticator) Start(ctx context.Context, u core.User) (Pair, error) {
	refresh := newRefreshToken()
	if err := a.store.StartSession(ctx, u, hashToken(refresh), a.now().Add(RefreshLife)); err != nil {
		return Pair{}, err
	}
	return a.pair(u, refresh)
}

func (a *Authenticator) pair(u core.User, refresh string) (Pair, error) {
	access, err := a.tokens.issue(u)
	return Pair{Access: access, Refresh: refresh, User: u}, err
}

// Refresh spends a refresh token for the next pair. One that was spent before ends its session: core.ErrRefreshReused, with
// the user whose it was.
func (a *Authenticator) Refresh(ctx context.Context, refresh string) (Pair, error) {
	next := newRefreshToken()
	u, err := a.store.ContinueSession(ctx, hashToken(refresh), hashToken(next), a.now().Add(RefreshLife))
	if err != nil {
		return Pair{User: u}, err
	}
	if u.Disabled {
		return Pair{User: u}, core.ErrRefreshUnknown
	}
	return a.pair(u, next)
}

// Logout ends the session of a refresh token; whose it was, or uuid.Nil.
func (a *Authenticator) Logout(ctx context.Context, refresh string) (uuid.UUID, error) {
	return a.store.EndSession(ctx, hashToken(refresh))
}
