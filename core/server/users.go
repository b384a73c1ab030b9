package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/auth"
	"github.com/stroem/stroem/core/config"
	"github.com/stroem/stroem/core/httpapi"
	"github.com/stroem/stroem/core/postgres"
)

// usersPage is how many users are read at once.
const usersPage = 500

// Users changes the users in a server's database, for an operator on a machine of the server's: no server has to run, and nobody
// has to be able to sign in. A server that runs notices within seconds. Users are named by their addresses; one that is not
// known is an error with core.CodeNotFound. It is safe for concurrent use.
type Users struct {
	store    *postgres.Store
	auth     *auth.Authenticator
	operator core.Actor
}

// OpenUsers connects to the database, which a server of this version must have migrated. What is changed is in the audit log as
// done by the operator named. The caller closes it.
func OpenUsers(ctx context.Context, c config.DB, operator string) (*Users, error) {
	store, err := postgres.Open(ctx, c.URL.Reveal(), 2, postgres.Timeout(c.Timeout))
	if err != nil {
		return nil, err
	}
	pending, err := store.Pending(ctx)
	if err == nil && len(pending) > 0 {
		err = fmt.Errorf("the database of db.url lacks %d of this version's migrations, from %s on: start stroem-server once, which runs them",
			len(pending), pending[0])
	}
	if err != nil {
		store.Close()
		return nil, err
	}
	return &Users{
		store: store, auth: auth.New(auth.Options{Store: store, Logger: slog.New(slog.DiscardHandler)}),
		operator: core.Actor{Type: core.ActorOperator, Name: operator},
	}, nil
}

// Close ends the connections.
func (u *Users) Close() { u.store.Close() }

// List returns all users, newest first.
func (u *Users) List(ctx context.Context) ([]api.User, error) {
	list := []api.User{}
	for {
		page, total, err := u.store.Users(ctx, usersPage, len(list))
		if err != nil {
			return nil, err
		}
		for _, one := range page {
			list = append(list, httpapi.PresentUser(one))
		}
		if len(page) == 0 || len(list) >= total {
			return list, nil
		}
	}
}

// Get returns a user.
func (u *Users) Get(ctx context.Context, email string) (api.User, error) {
	one, err := u.find(ctx, email)
	if err != nil {
		return api.User{}, err
	}
	return httpapi.PresentUser(one), nil
}

// Add creates a user; without a password they sign in with a provider alone.
func (u *Users) Add(ctx context.Context, n auth.NewUser) (api.User, error) {
	one, err := u.auth.Create(ctx, n)
	if err != nil {
		return api.User{}, err
	}
	return u.changed(ctx, "user.create", one, map[string]any{"role": string(one.Role)})
}

// SetRole gives a user another role, which ends their sessions if it is another one.
func (u *Users) SetRole(ctx context.Context, email string, role core.Role) (api.User, error) {
	return u.change(ctx, email, core.UserChange{Role: &role}, map[string]any{"role": string(role)})
}

// SetDisabled keeps a user out, which ends their sessions and suspends their API keys, or lets them in again.
func (u *Users) SetDisabled(ctx context.Context, email string, disabled bool) (api.User, error) {
	return u.change(ctx, email, core.UserChange{Disabled: &disabled}, map[string]any{"disabled": disabled})
}

// SetPassword gives a user another password, which ends their sessions.
func (u *Users) SetPassword(ctx context.Context, email, password string) (api.User, error) {
	hash, err := auth.NewPassword(ctx, password)
	if err != nil {
		return api.User{}, err
	}
	return u.change(ctx, email, core.UserChange{PasswordHash: hash}, map[string]any{"password": "changed"})
}

func (u *Users) change(ctx context.Context, email string, change core.UserChange, details map[string]any) (api.User, error) {
	one, err := u.find(ctx, email)
	if err == nil {
		one, err = u.auth.Change(ctx, one.ID, change)
	}
	if err != nil {
		return api.User{}, err
	}
	return u.changed(ctx, "user.change", one, details)
}

func (u *Users) find(ctx context.Context, email string) (core.User, error) {
	one, err := u.store.UserByEmail(ctx, email)
	if core.ErrorCode(err) == core.CodeNotFound {
		return core.User{}, core.Errorf(core.CodeNotFound, "", "There is no user with the address %s", email)
	}
	return one, err
}

// changed notes a change, of which the user is what came.
func (u *Users) changed(ctx context.Context, action string, one core.User, details map[string]any) (api.User, error) {
	err := u.store.RecordAudit(context.WithoutCancel(ctx), core.AuditEntry{
		Actor: u.operator, Action: action, Target: one.Email, Result: core.AuditOK, Details: details,
	})
	if err != nil {
		return api.User{}, errors.Join(fmt.Errorf("%s was changed, and that is not in the audit log", one.Email), err)
	}
	return httpapi.PresentUser(one), nil
}
