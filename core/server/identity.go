package server

import (
	"context"
	"fmt"
	"net/url"
	"sync"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/auth"
	"github.com/stroem/stroem/core/config"
	"github.com/stroem/stroem/core/httpapi"
	"github.com/stroem/stroem/core/oidc"
	"github.com/stroem/stroem/core/postgres"
)

// identity is who may use the API; without an auth section that is everybody.
type identity struct {
	config config.Server
	auth   *auth.Authenticator // nil: there are no users
	signIn *oidc.SignIn        // nil: with passwords alone
}

// identity creates the initial user, if that is configured and not there.
func (s *Server) identity(ctx context.Context, store *postgres.Store) (*identity, error) {
	i := &identity{config: s.config}
	c := s.config.Auth
	if c == nil {
		return i, nil
	}
	i.auth = auth.New(auth.Options{Store: store, Key: []byte(c.JWTSecret.Reveal()), Logger: s.logger})
	if first := c.InitialUser; first != nil {
		created, err := i.auth.EnsureInitial(ctx, first.Email, first.Password.Reveal())
		if err != nil {
			return nil, fmt.Errorf("create auth.initial_user: %w", err)
		}
		if created {
			s.audit(ctx, store, "user.create", first.Email, core.AuditOK, map[string]any{"role": string(core.RoleAdmin)})
		}
	}
	providers := providersOf(c)
	if len(providers) == 0 {
		return i, nil
	}
	var err error
	i.signIn, err = oidc.New(oidc.Options{
		Providers: providers, CallbackBase: c.BaseURL, Key: []byte(c.JWTSecret.Reveal()), Logger: s.logger,
	})
	if err != nil {
		return nil, fmt.Errorf("set up auth.providers: %w", err)
	}
	return i, nil
}

// providersOf are those that people sign in with elsewhere.
func providersOf(c *config.Auth) map[string]oidc.Provider {
	providers := map[string]oidc.Provider{}
	for id, p := range c.Providers {
		if p.ProviderType != config.ProviderOIDC {
			continue
		}
		roles := make(map[string]core.Role, len(p.RoleMap))
		for value, role := range p.RoleMap {
			roles[value] = core.Role(role)
		}
		providers[id] = oidc.Provider{
			DisplayName: p.DisplayName, Issuer: p.IssuerURL, ClientID: p.ClientID, ClientSecret: p.ClientSecret.Reveal(), Scopes: p.Scopes,
			AllowedEmailDomains: p.AllowedEmailDomains, AssumeEmailVerified: p.AssumeEmailVerified,
			RoleClaim: p.RoleClaim, RoleMap: roles, DefaultRole: core.Role(p.DefaultRole), GroupsClaim: p.GroupsClaim,
		}
	}
	return providers
}

// configure tells the API of it.
func (i *identity) configure(c *httpapi.Config) {
	c.Secure, c.Origins = i.config.TLS != nil, i.config.CORS.AllowedOrigins
	public := i.config.PublicURL
	if i.auth != nil && i.config.Auth.BaseURL != "" {
		public = i.config.Auth.BaseURL
	}
	if public != "" {
		c.PublicURL, _ = url.Parse(public) // which was checked with the configuration
	}
	if i.auth == nil {
		c.Local = !i.config.InsecureNoAuth // or the configuration is refused
		return
	}
	c.Auth, c.Passwords = i.auth, i.config.Auth.Passwords()
	if i.signIn != nil {
		c.SignIn = signIn{i.signIn}
	}
}

// run works in the background until ctx ends.
func (i *identity) run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	if i.signIn != nil {
		running.Go(func() { i.signIn.Run(ctx) })
	}
	if i.auth != nil {
		i.auth.Run(ctx)
	}
}

// signIn is what the API needs of it.
type signIn struct{ *oidc.SignIn }

func (s signIn) Providers() []api.OIDCProvider {
	list := []api.OIDCProvider{}
	for _, p := range s.List() {
		list = append(list, api.OIDCProvider{ID: p.ID, DisplayName: p.DisplayName})
	}
	return list
}

func (s signIn) Finish(ctx context.Context, provider string, query url.Values, cookie string) (auth.Identity, error) {
	who, err := s.SignIn.Finish(ctx, provider, query, cookie)
	return auth.Identity{
		Provider: who.Provider, Subject: who.Subject, Email: who.Email, Name: who.Name, EmailVerified: who.EmailVerified,
		Role: who.Role, FirstRole: who.FirstRole, Groups: who.Groups,
	}, err
}
