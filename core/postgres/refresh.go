package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/stroem/stroem/core"
)

// StartSession stores the first refresh token of a session, given as its hash, and notes that the user has signed in. What has
// expired of the user's older sessions is removed. If the user's sessions have ended since they were loaded, or they are disabled,
// the error is core.ErrUserChanged.
func (s *Store) StartSession(ctx context.Context, u core.User, hash []byte, expires time.Time) error {
	// The user is locked before any token, as in ChangeUser: a change that comes first is seen, and one that comes later sees the token.
	tag, err := s.read.Exec(ctx, `
		with owner as (
			update app_user set last_login_at = now() where user_id = $1 and session_epoch = $2 and disabled_at is null returning user_id
		), old as (
			delete from refresh_token using owner where refresh_token.user_id = owner.user_id and expires_at < now()
		)
		insert into refresh_token (hash, family_id, user_id, expires_at) select $3, $4, user_id, $5 from owner`,
		u.ID, u.Epoch, hash, uuid.New(), expires)
	if err != nil {
		return fmt.Errorf("start a session: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return core.ErrUserChanged
	}
	return nil
}

// ContinueSession spends a refresh token and stores the next one of its session in one transaction. Of several calls with the
// same token one succeeds. Otherwise the error is core.ErrRefreshReused, and the session has ended, or core.ErrRefreshExpired,
// or core.ErrRefreshUnknown; with the first of them the user is returned.
func (s *Store) ContinueSession(ctx context.Context, hash, next []byte, expires time.Time) (core.User, error) {
	u, err := scanUserAnd(s.read.QueryRow(ctx, `
		with owner as materialized ( -- locked first, as in ChangeUser
			select user_id from app_user where user_id = (select user_id from refresh_token where hash = $1) for key share
		), spent as (
			update refresh_token t set spent_at = now() from owner
			where t.hash = $1 and t.user_id = owner.user_id and t.spent_at is null and t.expires_at > now()
			returning t.family_id, t.user_id
		), issued as (
			insert into refresh_token (hash, family_id, user_id, expires_at) select $2, family_id, user_id, $3 from spent
		)
		select `+userColumns+` from spent join app_user u using (user_id)`, hash, next, expires))
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return s.endReused(ctx, hash)
	case err != nil:
		return core.User{}, fmt.Errorf("continue a session: %w", err)
	}
	return u, nil
}

// endReused ends the session of a token that was spent before: whoever has it now, or whoever had it then, is a thief.
func (s *Store) endReused(ctx context.Context, hash []byte) (core.User, error) {
	var spent bool
	u, err := scanUserAnd(s.read.QueryRow(ctx, `
		with token as (
			select family_id, user_id, spent_at is not null as spent from refresh_token where hash = $1
		), ended as (
			delete from refresh_token using token where refresh_token.family_id = token.family_id and token.spent
		)
		select `+userColumns+`, spent from token join app_user u using (user_id)`, hash), &spent)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return core.User{}, core.ErrRefreshUnknown
	case err != nil:
		return core.User{}, fmt.Errorf("look for a refresh token: %w", err)
	case spent:
		return u, core.ErrRefreshReused
	default:
		return core.User{}, core.ErrRefreshExpired
	}
}

// EndSession ends the session of a refresh token and returns whose it was; nobody's is fine.
func (s *Store) EndSession(ctx context.Context, hash []byte) (user uuid.UUID, err error) {
	err = s.read.QueryRow(ctx, `
		with token as (select family_id, user_id from refresh_token where hash = $1),
			ended as (delete from refresh_token using token where refresh_token.family_id = token.family_id)
		select user_id from token`, hash).Scan(&user)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, fmt.Errorf("end a session: %w", err)
	}
	return user, nil
}
