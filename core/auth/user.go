package auth

import (
	"context"
	"net/mail"
	"strings"
	"unicode"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
)

const (
	maxEmail = 254
	maxName  = 200
)

// CheckEmail tells what is wrong with an address.
func CheckEmail(email string) error {
	if parsed, err := mail.ParseAddress(email); err != nil || parsed.Address != email || len(email) > maxEmail {
		return core.Errorf(core.CodeInvalid, "email_invalid", "%.260q is not an e-mail address", email)
	}
	return nil
}

// CheckName tells what is wrong with a name.
func CheckName(name string) error {
	if len(name) > maxName || strings.ContainsFunc(name, unicode.IsControl) {
		return core.Errorf(core.CodeInvalid, "name_invalid", "A name has at most %d bytes and no control characters", maxName)
	}
	return nil
}

// NewUser is a user who is to be created. Without a password they sign in with a provider alone.
type NewUser struct {
	Email, Name, Password string
	Role                  core.Role
}

// Create creates a user. An address that is taken is an error with core.CodeConflict.
func (a *Authenticator) Create(ctx context.Context, n NewUser) (core.User, error) {
	u := core.User{ID: uuid.New(), Email: n.Email, Name: n.Name, Role: n.Role, CreatedAt: a.now()}
	if err := CheckEmail(n.Email); err != nil {
		return core.User{}, err
	}
	if err := CheckName(n.Name); err != nil {
		return core.User{}, err
	}
	if n.Password != "" {
		hash, err := NewPassword(ctx, n.Password)
		if err != nil {
			return core.User{}, err
		}
		u.PasswordHash = *hash
	}
	return u, a.store.CreateUser(ctx, u)
}

// Change changes a user, and ends their sessions if the change takes something away.
func (a *Authenticator) Change(ctx context.Context, id uuid.UUID, change core.UserChange) (core.User, error) {
	defer a.known.forgetUser(id)
	return a.store.ChangeUser(ctx, id, change)
}

// SetPassword gives a user a new password, which ends all of their sessions.
func (a *Authenticator) SetPassword(ctx context.Context, id uuid.UUID, password string) (core.User, error) {
	hash, err := NewPassword(ctx, password)
	if err != nil {
		return core.User{}, err
	}
	return a.Change(ctx, id, core.UserChange{PasswordHash: hash})
}

// VerifyPassword tells whether a user has a password and this is it.
func (a *Authenticator) VerifyPassword(ctx context.Context, id uuid.UUID, password string) (bool, error) {
	u, err := a.store.User(ctx, id)
	if err != nil {
		return false, err
	}
	return verifyPassword(ctx, u.PasswordHash, password)
}

// EnsureInitial creates the first admin unless somebody has the address, and tells whether it did. Whoever has it stays as they are.
func (a *Authenticator) EnsureInitial(ctx context.Context, email, password string) (created bool, err error) {
	_, err = a.store.UserByEmail(ctx, email)
	if core.ErrorCode(err) != core.CodeNotFound {
		return false, err
	}
	u, err := a.Create(ctx, NewUser{Email: email, Password: password, Role: core.RoleAdmin})
	if core.ErrorCode(err) == core.CodeConflict { // another replica was faster
		return false, nil
	}
	if err == nil {
		a.logger.InfoContext(ctx, "initial user created", "email", u.Email)
	}
	return err == nil, err
}
