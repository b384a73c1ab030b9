package oidc

import (
	"cmp"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stroem/stroem/core"
)

// Provider is an OpenID provider as it is configured.
type Provider struct {
	DisplayName  string
	Issuer       string // exactly as the provider names itself; https, unless it is this machine
	ClientID     string
	ClientSecret string
	Scopes       []string // beside openid, email and profile

	AllowedEmailDomains []string // none: all
	// AssumeEmailVerified takes the address of a provider that does not say whether it is verified. Whoever can choose theirs
	// there signs in as any user.
	AssumeEmailVerified bool

	RoleClaim   string               // path of the claim, with dots
	RoleMap     map[string]core.Role // by a value of the claim; the highest counts
	DefaultRole core.Role            // if no value leads to one
	GroupsClaim string               // path; "": groups
}

// Options are what signing in needs.
type Options struct {
	Providers    map[string]Provider // by id, which is part of an address
	CallbackBase string              // the server as browsers see it; /api/auth/oidc/{id}/callback is appended
	Key          []byte              // at least 32 bytes, of which the cookie's own key is derived
	Logger       *slog.Logger        // nil: slog.Default
	HTTPClient   *http.Client        // whose transport and timeout are used; nil: one with sane ones
	Refresh      time.Duration       // how often providers are looked at again; 0: every hour
	Now          func() time.Time    // nil: time.Now
}

// SignIn signs people in. Its methods may be called concurrently.
type SignIn struct {
	providers map[string]*provider
	cookies   cookies
	spent     spent
	logger    *slog.Logger
	client    *http.Client
	refresh   time.Duration
}

// Listed is a provider for people to choose.
type Listed struct{ ID, DisplayName string }

// minKey is the least number of bytes of [Options.Key].
const minKey = 32

// New checks the options. No provider is asked for anything yet: the caller calls Run.
func New(o Options) (*SignIn, error) {
	if len(o.Key) < minKey {
		return nil, fmt.Errorf("the key has %d bytes and needs at least %d", len(o.Key), minKey)
	}
	// Of its own purpose, so that a cookie is never good as a token that is signed with Key, nor the other way round.
	key, err := hkdf.Key(sha256.New, o.Key, nil, "stroem oidc cookie", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive the cookie's key: %w", err)
	}
	base, err := url.Parse(o.CallbackBase)
	if err != nil || base.Host == "" || base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("the callback's base %q is not the address of a server", o.CallbackBase)
	}
	now := o.Now
	if now == nil {
		now = time.Now
	}
	s := &SignIn{
		providers: map[string]*provider{},
		cookies:   cookies{key: key, now: now},
		spent:     spent{now: now},
		logger:    cmp.Or(o.Logger, slog.Default()),
		client:    newClient(o.HTTPClient),
		refresh:   cmp.Or(o.Refresh, time.Hour),
	}
	for id, settings := range o.Providers {
		p, err := newProvider(id, settings, strings.TrimSuffix(o.CallbackBase, "/"))
		if err != nil {
			return nil, fmt.Errorf("provider %s: %w", id, err)
		}
		p.client, p.now = s.client, now
		s.providers[id] = p
	}
	return s, nil
}

// List returns the providers by display name.
func (s *SignIn) List() []Listed {
	list := make([]Listed, 0, len(s.providers))
	for id, p := range s.providers {
		list = append(list, Listed{ID: id, DisplayName: p.DisplayName})
	}
	slices.SortFunc(list, func(a, b Listed) int {
		return cmp.Or(cmp.Compare(a.DisplayName, b.DisplayName), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// Run keeps what is known of the providers current until ctx ends. A provider that cannot be reached is asked again, and is no
// reason to end; what is known of it stays in use.
func (s *SignIn) Run(ctx context.Context) {
	defer s.client.CloseIdleConnections()
	var wait sync.WaitGroup
	for _, id := range slices.Sorted(maps.Keys(s.providers)) {
		wait.Go(func() { s.keep(ctx, s.providers[id]) })
	}
	wait.Wait()
}

func (s *SignIn) keep(ctx context.Context, p *provider) {
	const first, longest = time.Second, time.Minute
	var delay time.Duration
	for {
		err := p.look(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			if delay != 0 {
				s.logger.InfoContext(ctx, "an OpenID provider answers again", "provider", p.id)
			}
			delay = 0
		default:
			delay = min(max(2*delay, first), longest)
			s.logger.WarnContext(ctx, "an OpenID provider cannot be used; it is asked again", "provider", p.id,
				"issuer", p.Issuer, "error", printable(err.Error(), maxDetail))
		}
		if !sleep(ctx, jitter(cmp.Or(delay, s.refresh))) {
			return
		}
	}
}

// Begin returns where to send a browser that is to sign in with the provider, and the cookie that has to come back with it. It
// waits a moment for a provider that was not reached before. Errors are of [core.Error], and have been logged but for the one
// that there is no such provider, [core.CodeNotFound].
func (s *SignIn) Begin(ctx context.Context, provider string) (redirect, cookie string, err error) {
	p, ok := s.providers[provider]
	if !ok {
		return "", "", unknownProvider(provider)
	}
	remote, err := p.get(ctx)
	if err != nil {
		return "", "", s.refused(ctx, provider, unavailable(p, err))
	}
	redirect, a := remote.begin(provider)
	cookie, err = s.cookies.make(a)
	if err != nil {
		return "", "", fmt.Errorf("sign the cookie: %w", err)
	}
	return redirect, cookie, nil
}

// refused logs why somebody could not sign in.
func (s *SignIn) refused(ctx context.Context, provider string, err error) error {
	reason, detail := "", err
	if refusal, ok := errors.AsType[*core.Error](err); ok {
		reason, detail = refusal.Reason, cmp.Or(refusal.Err, error(refusal))
	}
	s.logger.WarnContext(ctx, "a sign-in has failed", "provider", provider, "reason", reason,
		"error", printable(detail.Error(), maxDetail))
	return err
}
