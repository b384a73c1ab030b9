package auth

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
)

// maxKeyDays keeps an expiry within what a time can hold.
const maxKeyDays = 36_500

// CreateKey makes an API key for a user; its text is known from then on to whoever called alone. A key of 0 days does not
// expire.
func (a *Authenticator) CreateKey(ctx context.Context, user uuid.UUID, name string, days int) (text string, k core.APIKey, err error) {
	name = strings.TrimSpace(name)
	if name == "" {
		return "", k, core.Errorf(core.CodeInvalid, "", "Name is required")
	}
	if err := CheckName(name); err != nil {
		return "", k, err
	}
	if days > maxKeyDays {
		return "", k, core.Errorf(core.CodeInvalid, "", "expires_in_days may be at most %d: leave it out for a key that does not expire", maxKeyDays)
	}
	text = newAPIKey()
	k = core.APIKey{Prefix: text[:shownPrefix], Name: name, User: user, CreatedAt: a.now()}
	if days > 0 {
		k.ExpiresAt = k.CreatedAt.Add(time.Duration(days) * 24 * time.Hour)
	}
	return text, k, a.store.CreateAPIKey(ctx, k, hashToken(text))
}

// Keys returns a user's keys, newest first.
func (a *Authenticator) Keys(ctx context.Context, user uuid.UUID) ([]core.APIKey, error) {
	return a.store.APIKeys(ctx, user)
}

// DeleteKeys removes all keys of a user with a prefix; none is an error with core.CodeNotFound.
func (a *Authenticator) DeleteKeys(ctx context.Context, user uuid.UUID, prefix string) error {
	n, err := a.store.DeleteAPIKeys(ctx, user, prefix)
	a.known.forgetUser(user)
	if err == nil && n == 0 {
		return core.Errorf(core.CodeNotFound, "", "API key not found")
	}
	return err
}
