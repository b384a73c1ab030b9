package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/stroem/stroem/core"
)

const userColumns = `u.user_id, u.email, coalesce(u.name, ''), u.role, u.groups, coalesce(u.password_hash, ''), u.disabled_at is not null,
	u.session_epoch, u.created_at, u.last_login_at,
	array(select i.provider from user_identity i where i.user_id = u.user_id order by i.provider)`

func scanUser(row pgx.CollectableRow) (core.User, error) { return scanUserAnd(row) }

func scanUserAnd(row pgx.Row, more ...any) (u core.User, err error) {
	var last *time.Time
	err = row.Scan(append([]any{
		&u.ID, &u.Email, &u.Name, &u.Role, &u.Groups, &u.PasswordHash, &u.Disabled, &u.Epoch, &u.CreatedAt, &last, &u.Providers,
	}, more...)...)
	u.LastLoginAt = value(last)
	return u, err
}

const noUser = "User not found"

// User returns a user, or an error with core.CodeNotFound.
func (s *Store) User(ctx context.Context, id uuid.UUID) (core.User, error) {
	u, err := scanUserAnd(s.read.QueryRow(ctx, "select "+userColumns+" from app_user u where u.user_id = $1", id))
	return u, notFound(err, noUser)
}

// UserByEmail returns the user of an address, by core.FoldEmail, or an error with core.CodeNotFound.
func (s *Store) UserByEmail(ctx context.Context, email string) (core.User, error) {
	u, err := scanUserAnd(s.read.QueryRow(ctx, "select "+userColumns+" from app_user u where lower(u.email collate \"C\") = $1", core.FoldEmail(email)))
	return u, notFound(err, noUser)
}

// Users returns users, newest first, and how many there are.
func (s *Store) Users(ctx context.Context, limit, offset int) (users []core.User, total int, err error) {
	batch := &pgx.Batch{}
	batch.Queue("select count(*) from app_user").QueryRow(func(row pgx.Row) error { return row.Scan(&total) })
	batch.Queue("select "+userColumns+" from app_user u order by u.created_at desc, u.user_id limit $1 offset $2", limit, offset).
		Query(func(rows pgx.Rows) (err error) {
			users, err = pgx.CollectRows(rows, scanUser)
			return err
		})
	if err := s.read.SendBatch(ctx, batch).Close(); err != nil {
		return nil, 0, fmt.Errorf("list users: %w", err)
	}
	return users, total, nil
}

// CreateUser stores a new user. An address that somebody has, by core.FoldEmail, is an error with core.CodeConflict and the
// reason email_taken.
func (s *Store) CreateUser(ctx context.Context, u core.User) error {
	_, err := s.read.Exec(ctx, `insert into app_user (user_id, email, name, role, groups, password_hash) values ($1, $2, $3, $4, $5, $6)`,
		u.ID, u.Email, optional(u.Name), u.Role, listOf(u.Groups), optional(u.PasswordHash))
	return takenEmail(err, u.Email)
}

func takenEmail(err error, email string) error {
	if violated, ok := errors.AsType[*pgconn.PgError](err); ok && violated.ConstraintName == "app_user_email" {
		return core.Errorf(core.CodeConflict, "email_taken", "There is a user with the address %s already", email)
	}
	if err != nil {
		return fmt.Errorf("store a user: %w", err)
	}
	return nil
}

// listOf is a list that is stored as an empty one, not as NULL.
func listOf(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// errLastAdmin keeps somebody able to manage users.
var errLastAdmin = core.Errorf(core.CodeConflict, core.ReasonLastAdmin, "This is the only admin who can sign in: make somebody else one first")

// ChangeUser changes what is not nil. When it takes something away (role, password, access) the user's sessions end: refresh
// tokens are removed, and access tokens are of an epoch that is over. The last admin cannot be taken away: core.CodeConflict
// with the reason last_admin.
func (s *Store) ChangeUser(ctx context.Context, id uuid.UUID, change core.UserChange) (core.User, error) {
	var u core.User
	err := pgx.BeginFunc(ctx, s.read, func(tx pgx.Tx) (err error) {
		u, err = changeUser(ctx, tx, id, change)
		return err
	})
	return u, err
}

func changeUser(ctx context.Context, tx pgx.Tx, id uuid.UUID, change core.UserChange) (core.User, error) {
	// One change of roles at a time, or two admins could take each other away.
	if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock(hashtextextended('app_user roles', 0))"); err != nil {
		return core.User{}, fmt.Errorf("lock the users: %w", err)
	}
	before, err := scanUserAnd(tx.QueryRow(ctx, "select "+userColumns+" from app_user u where u.user_id = $1 for update", id))
	if err != nil {
		return core.User{}, notFound(err, noUser)
	}
	after := change.Apply(before)
	if isAdmin(before) && !isAdmin(after) {
		var others bool
		if err := tx.QueryRow(ctx, `select exists (select from app_user where role = 'admin' and disabled_at is null and user_id <> $1)`, id).
			Scan(&others); err != nil {
			return core.User{}, fmt.Errorf("look for other admins: %w", err)
		}
		if !others {
			return core.User{}, errLastAdmin
		}
	}
	batch := &pgx.Batch{}
	batch.Queue(`update app_user set email = $2, name = $3, role = $4, groups = $5, password_hash = $6, session_epoch = $7,
			disabled_at = case when $8 then coalesce(disabled_at, now()) end
		where user_id = $1`,
		id, after.Email, optional(after.Name), after.Role, listOf(after.Groups), optional(after.PasswordHash), after.Epoch, after.Disabled)
	if after.Epoch != before.Epoch {
		batch.Queue("delete from refresh_token where user_id = $1", id)
	}
	return after, takenEmail(tx.SendBatch(ctx, batch).Close(), after.Email)
}

func isAdmin(u core.User) bool { return u.Role == core.RoleAdmin && !u.Disabled }

// UserByIdentity returns who signs in with a provider as a subject, or an error with core.CodeNotFound.
func (s *Store) UserByIdentity(ctx context.Context, provider, subject string) (core.User, error) {
	u, err := scanUserAnd(s.read.QueryRow(ctx, "select "+userColumns+` from app_user u join user_identity l using (user_id)
		where l.provider = $1 and l.subject = $2`, provider, subject))
	return u, notFound(err, noUser)
}

// LinkIdentity notes who a user is at a provider. Whoever that was before stays: then it is an error with core.CodeConflict.
func (s *Store) LinkIdentity(ctx context.Context, user uuid.UUID, provider, subject string) error {
	_, err := s.read.Exec(ctx, "insert into user_identity (provider, subject, user_id) values ($1, $2, $3)", provider, subject, user)
	if violated, ok := errors.AsType[*pgconn.PgError](err); ok && violated.ConstraintName == "user_identity_pkey" {
		return core.Errorf(core.CodeConflict, "identity_taken", "Somebody signs in with this account of %s already", provider)
	}
	if err != nil {
		return fmt.Errorf("link a user to a provider: %w", err)
	}
	return nil
}
