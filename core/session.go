package core

// Why a session does not go on.
var (
	ErrRefreshUnknown = Errorf(CodeUnauthenticated, "refresh_invalid", "Invalid refresh token")
	ErrRefreshExpired = Errorf(CodeUnauthenticated, "refresh_expired", "Refresh token expired")
	ErrRefreshReused  = Errorf(CodeUnauthenticated, "refresh_reused", "The refresh token was used before, so its session has ended: sign in again")
)

// ErrUserChanged is why a session does not start.
var ErrUserChanged = Errorf(CodeUnauthenticated, "user_changed", "The user was changed while they signed in: sign in again")
