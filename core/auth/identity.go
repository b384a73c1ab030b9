package auth

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
)

// Identity is who somebody is at a provider.
type Identity struct {
	Provider, Subject string
	Email, Name       string
	EmailVerified     bool      // it is the address of whoever signs in, and not only what they say
	Role              core.Role // "": the provider does not say
	FirstRole         core.Role // of somebody new, if Role is ""; "": operator
	Groups            []string
}

var errUnverified = core.Errorf(core.CodeForbidden, "email_not_verified", "The provider has not verified the e-mail address: verify it there first")

// Provisioned is the user of an identity, and what had to be done for that.
type Provisioned struct {
	core.User

	Created bool            // there was nobody
	Linked  bool            // there was somebody, who had not signed in so before
	Changed core.UserChange // what the provider says otherwise than it was
}

// Provision returns the user of an identity: who has signed in with it before; or else who has the address, who is linked to
// it; or else a new one. An address that is not verified leads to nobody. Role and groups become what the provider says.
func (a *Authenticator) Provision(ctx context.Context, i Identity) (Provisioned, error) {
	p, err := a.provisioned(ctx, i)
	for range 2 { // the same person signs in twice at once: the other may be faster with the user, and again with the link
		if core.ErrorCode(err) != core.CodeConflict {
			break
		}
		p, err = a.provisioned(ctx, i)
	}
	if err != nil {
		return Provisioned{}, err
	}
	u := p.User
	if u.Disabled {
		return Provisioned{}, core.Errorf(core.CodeForbidden, "user_disabled", "The user %s is disabled: ask an admin", u.Email)
	}
	change, needed := core.UserChange{}, false
	if i.Role != "" && i.Role != u.Role {
		change.Role, needed = &i.Role, true
	}
	if !slices.Equal(i.Groups, u.Groups) {
		change.Groups, needed = &i.Groups, true
	}
	if u.Name == "" && i.Name != "" && CheckName(i.Name) == nil {
		change.Name, needed = &i.Name, true
	}
	if !needed {
		return p, nil
	}
	p.User, err = a.Change(ctx, u.ID, change)
	if reason(err) == core.ReasonLastAdmin { // who keeps the role until there is another one, whatever the provider says
		a.logger.WarnContext(ctx, "the last admin keeps the role", "email", u.Email, "provider", i.Provider, "role", i.Role)
		change.Role = nil
		p.User, err = a.Change(ctx, u.ID, change)
	}
	p.Changed = change
	return p, err
}

func reason(err error) string {
	if known, ok := errors.AsType[*core.Error](err); ok {
		return known.Reason
	}
	return ""
}

func (a *Authenticator) provisioned(ctx context.Context, i Identity) (p Provisioned, err error) {
	p.User, err = a.store.UserByIdentity(ctx, i.Provider, i.Subject)
	if core.ErrorCode(err) != core.CodeNotFound {
		return p, err
	}
	if !i.EmailVerified {
		return p, errUnverified
	}
	p.User, err = a.store.UserByEmail(ctx, i.Email)
	if p.Created = core.ErrorCode(err) == core.CodeNotFound; p.Created {
		p.User, err = a.newcomer(ctx, i)
	}
	if err != nil {
		return p, err
	}
	p.Linked = !p.Created
	return p, a.store.LinkIdentity(ctx, p.ID, i.Provider, i.Subject)
}

func (a *Authenticator) newcomer(ctx context.Context, i Identity) (core.User, error) {
	if err := CheckEmail(i.Email); err != nil {
		return core.User{}, err
	}
	u := core.User{
		ID: uuid.New(), Email: i.Email, Role: cmp.Or(i.Role, i.FirstRole, core.RoleOperator), Groups: i.Groups, CreatedAt: a.now(),
	}
	if CheckName(i.Name) == nil {
		u.Name = i.Name
	}
	return u, a.store.CreateUser(ctx, u)
}
