package oidc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/stroem/stroem/core"
)

// discoveryTimeout is how long somebody who signs in waits for a provider that was not reached before.
const discoveryTimeout = 5 * time.Second

// provider is one provider, whether or not it was reached yet.
type provider struct {
	Provider
	id       string
	callback string
	client   *http.Client
	now      func() time.Time

	turn chan struct{} // held by the one who asks

	mu       sync.Mutex
	known    *remote // nil: not reached yet
	attempts int     // that have come to an end
	err      error   // of the last one
}

// remote is what a provider says of itself.
type remote struct {
	oauth    oauth2.Config
	provider *goidc.Provider
	verifier *goidc.IDTokenVerifier
	namesIss bool // it puts its issuer into every answer
}

func newProvider(id string, settings Provider, base string) (*provider, error) {
	if err := secure(settings.Issuer); err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	if settings.ClientID == "" {
		return nil, errors.New("a client ID is needed")
	}
	roles := []core.Role{core.RoleAdmin, core.RoleOperator, core.RoleViewer}
	for value, role := range settings.RoleMap {
		if !slices.Contains(roles, role) {
			return nil, fmt.Errorf("role of %q: there is no role %q", value, role)
		}
	}
	if settings.DefaultRole != "" && !slices.Contains(roles, settings.DefaultRole) {
		return nil, fmt.Errorf("default role: there is no role %q", settings.DefaultRole)
	}
	settings.DisplayName = cmp.Or(settings.DisplayName, id)
	settings.GroupsClaim = cmp.Or(settings.GroupsClaim, "groups")
	return &provider{
		Provider: settings, id: id, callback: base + "/api/auth/oidc/" + url.PathEscape(id) + "/callback",
		turn: make(chan struct{}, 1),
	}, nil
}

// get returns what is known of the provider, and asks it if that is nothing.
func (p *provider) get(ctx context.Context) (*remote, error) {
	p.mu.Lock()
	known, attempts := p.known, p.attempts
	p.mu.Unlock()
	if known != nil {
		return known, nil
	}
	return p.discover(ctx, attempts)
}

// look asks the provider, whatever is known of it.
func (p *provider) look(ctx context.Context) error {
	p.mu.Lock()
	attempts := p.attempts
	p.mu.Unlock()
	_, err := p.discover(ctx, attempts)
	return err
}

// discover asks the provider, unless an attempt has come to an end since there were so many: those who want to ask at the same
// time get the same answer.
func (p *provider) discover(ctx context.Context, attempts int) (*remote, error) {
	ctx, cancel := context.WithTimeout(ctx, discoveryTimeout)
	defer cancel()
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for discovery: %w", ctx.Err())
	}
	p.mu.Lock()
	known, err, shared := p.known, p.err, p.attempts != attempts
	p.mu.Unlock()
	if shared {
		return known, err
	}

	found, err := p.ask(ctx)
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return nil, err // the caller has gone; that says nothing to others
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attempts++
	p.err = err
	if err == nil {
		p.known = found
	}
	return found, err
}

func (p *provider) ask(ctx context.Context) (*remote, error) {
	found, err := goidc.NewProvider(goidc.ClientContext(ctx, p.client), p.Issuer)
	if err != nil {
		if mismatch, ok := errors.AsType[*goidc.IssuerMismatchError](err); ok {
			return nil, fmt.Errorf("discover: the provider names itself %q; issuer_url must be exactly that", mismatch.Discovered)
		}
		return nil, fmt.Errorf("discover: %w", err)
	}
	var says struct {
		KeysURL     string   `json:"jwks_uri"`
		NamesIss    bool     `json:"authorization_response_iss_parameter_supported"`
		AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := found.Claims(&says); err != nil {
		return nil, fmt.Errorf("discover: %w", err)
	}
	endpoint := found.Endpoint()
	for name, address := range map[string]string{
		"authorization_endpoint": endpoint.AuthURL, "token_endpoint": endpoint.TokenURL, "jwks_uri": says.KeysURL,
	} {
		if err := secure(address); err != nil {
			return nil, fmt.Errorf("discover: %s: %w", name, err)
		}
	}
	if address := found.UserInfoEndpoint(); address != "" {
		if err := secure(address); err != nil {
			return nil, fmt.Errorf("discover: userinfo_endpoint: %w", err)
		}
	}
	// Said, because trying both would send a code twice, which some providers take for theft.
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if len(says.AuthMethods) > 0 && !slices.Contains(says.AuthMethods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	scopes := []string{goidc.ScopeOpenID, goidc.ScopeEmail, goidc.ScopeProfile}
	for _, scope := range p.Scopes {
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	return &remote{
		oauth: oauth2.Config{
			ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: endpoint, RedirectURL: p.callback, Scopes: scopes,
		},
		provider: found,
		// Algorithms: those of discovery that work with a key pair; none of these: RS256.
		verifier: found.Verifier(&goidc.Config{ClientID: p.ClientID, Now: p.now}),
		namesIss: says.NamesIss,
	}, nil
}

// begin starts an attempt to sign in.
func (r *remote) begin(provider string) (redirect string, a attempt) {
	a = attempt{State: random(), Nonce: random(), Verifier: oauth2.GenerateVerifier(), Provider: provider}
	return r.oauth.AuthCodeURL(a.State, goidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), a
}
