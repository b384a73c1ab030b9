package auth

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
)

// Store keeps users, sessions and keys. What is not there is an error with core.CodeNotFound. All methods may be called
// concurrently; each is one transaction.
type Store interface {
	User(ctx context.Context, id uuid.UUID) (core.User, error)
	UserByEmail(ctx context.Context, email string) (core.User, error)
	UserByIdentity(ctx context.Context, provider, subject string) (core.User, error)
	LinkIdentity(ctx context.Context, user uuid.UUID, provider, subject string) error
	CreateUser(ctx context.Context, u core.User) error
	ChangeUser(ctx context.Context, id uuid.UUID, change core.UserChange) (core.User, error)

	StartSession(ctx context.Context, u core.User, hash []byte, expires time.Time) error
	ContinueSession(ctx context.Context, hash, next []byte, expires time.Time) (core.User, error)
	EndSession(ctx context.Context, hash []byte) (user uuid.UUID, err error)

	CreateAPIKey(ctx context.Context, k core.APIKey, hash []byte) error
	APIKey(ctx context.Context, hash []byte) (core.APIKey, core.User, error)
	APIKeys(ctx context.Context, user uuid.UUID) ([]core.APIKey, error)
	DeleteAPIKeys(ctx context.Context, user uuid.UUID, prefix string) (int, error)
	NoteKeysUsed(ctx context.Context, used map[string]time.Time) error

	CreateTicket(ctx context.Context, t core.Ticket, hash []byte, life time.Duration) error
	TakeTicket(ctx context.Context, hash []byte) (core.Ticket, error)
}

// Options are what an [Authenticator] is made of.
type Options struct {
	Store  Store
	Key    []byte // signs access tokens; at least 32 bytes
	Logger *slog.Logger
	Now    func() time.Time // time.Now if nil
}

// Authenticator is safe for concurrent use. Run has to run while it is used.
type Authenticator struct {
	store  Store
	logger *slog.Logger
	now    func() time.Time
	tokens tokens
	known  cache
}

// New returns an authenticator.
func New(o Options) *Authenticator {
	if o.Now == nil {
		o.Now = time.Now
	}
	a := &Authenticator{store: o.Store, logger: o.Logger, now: o.Now, tokens: newTokens(o.Key, o.Now)}
	a.known.init()
	return a
}

// Principal is who a request comes from.
type Principal struct {
	User   core.User
	APIKey string // the prefix of the key that it came with; "" for an access token

	keyHash string // of that key
}

// Errors of [Authenticator.Authenticate].
var (
	errToken       = core.Errorf(core.CodeUnauthenticated, "token_invalid", "Invalid or expired token")
	errKey         = core.Errorf(core.CodeUnauthenticated, "api_key_invalid", "Invalid API key")
	errKeyExpired  = core.Errorf(core.CodeUnauthenticated, "api_key_expired", "API key expired")
	errKeyDisabled = core.Errorf(core.CodeUnauthenticated, "user_disabled", "The user of the API key is disabled")
)

// Authenticate returns whose access token or API key it is. What another replica has changed of a user or a key is noticed
// within [cacheTime]. The error has core.CodeUnauthenticated, or is the store's.
func (a *Authenticator) Authenticate(ctx context.Context, token string) (Principal, error) {
	if strings.HasPrefix(token, keyPrefix) {
		return a.byKeyHash(ctx, string(hashToken(token))) // looked up by hash: how long that takes tells nothing about the key
	}
	of, err := a.tokens.read(token)
	if err != nil {
		return Principal{}, errToken
	}
	return a.inEpoch(ctx, of.user, of.epoch)
}

// inEpoch returns a user whose sessions of an epoch have not ended.
func (a *Authenticator) inEpoch(ctx context.Context, id uuid.UUID, epoch int) (Principal, error) {
	u, err := a.user(ctx, id)
	if err == nil && before(u, epoch) {
		a.known.forgetUser(id)
		u, err = a.user(ctx, id)
	}
	switch {
	case core.ErrorCode(err) == core.CodeNotFound:
		return Principal{}, errToken
	case err != nil:
		return Principal{}, err
	case u.Disabled || u.Epoch != epoch:
		return Principal{}, errToken
	}
	return Principal{User: u}, nil
}

// before tells that a user is remembered as they were before a token of an epoch was made, which is of a later one, or was given to
// somebody who is not disabled any more: whoever signs in after a change elsewhere is not refused for it.
func before(u core.User, epoch int) bool { return u.Epoch < epoch || u.Disabled && u.Epoch == epoch }

func (a *Authenticator) byKeyHash(ctx context.Context, hash string) (Principal, error) {
	now := a.now()
	k, ok := a.known.key(hash, now)
	if !ok {
		changes := a.known.changes()
		key, u, err := a.store.APIKey(ctx, []byte(hash))
		switch {
		case core.ErrorCode(err) == core.CodeNotFound:
			return Principal{}, errKey
		case err != nil:
			return Principal{}, err
		}
		k = key
		a.known.putKey(hash, key, now, changes)
		a.known.putUser(u, now, changes)
	}
	if !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) {
		return Principal{}, errKeyExpired
	}
	u, err := a.user(ctx, k.User)
	switch {
	case core.ErrorCode(err) == core.CodeNotFound:
		return Principal{}, errKey
	case err != nil:
		return Principal{}, err
	case u.Disabled:
		return Principal{}, errKeyDisabled
	}
	a.known.used(hash, now)
	return Principal{User: u, APIKey: k.Prefix, keyHash: hash}, nil
}

func (a *Authenticator) user(ctx context.Context, id uuid.UUID) (core.User, error) {
	now := a.now()
	if u, ok := a.known.user(id, now); ok {
		return u, nil
	}
	changes := a.known.changes()
	u, err := a.store.User(ctx, id)
	if err == nil {
		a.known.putUser(u, now, changes)
	}
	return u, err
}
