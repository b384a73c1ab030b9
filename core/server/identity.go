package server

import (
	"context"
	"fmt"
	"net/url"

	"github.com/stroem/stroem/core/auth"
	"github.com/stroem/stroem/core/config"
	"github.com/stroem/stroem/core/httpapi"
	"github.com/stroem/stroem/core/postgres"
)

// identity is who may use the API; without an auth section that is everybody.
type identity struct {
	config config.Server
	auth   *auth.Authenticator // nil: there are no users
}

func (s *Server) identity(ctx context.Context, store *postgres.Store) (*identity, error) {
	i := &identity{config: s.config}
	c := s.config.Auth
	if c == nil {
		return i, nil
	}
	i.auth = auth.New(auth.Options{Store: store, Key: []byte(c.JWTSecret.Reveal()), Logger: s.logger})
	if first := c.InitialUser; first != nil {
		if err := i.auth.EnsureInitial(ctx, first.Email, first.Password.Reveal()); err != nil {
			return nil, fmt.Errorf("create auth.initial_user: %w", err)
		}
	}
	return i, nil
}

// configure tells the API of it.
func (i *identity) configure(c *httpapi.Config) {
	c.Secure, c.Origins = i.config.TLS != nil, i.config.CORS.AllowedOrigins
	if public := i.config.PublicURL; public != "" {
		c.PublicURL, _ = url.Parse(public) // which was checked with the configuration
	}
	if i.auth == nil {
		return
	}
	c.Auth, c.Passwords = i.auth, i.config.Auth.Passwords()
}

// run works in the background until ctx ends.
func (i *identity) run(ctx context.Context) {
	if i.auth != nil {
		i.auth.Run(ctx)
	}
}
