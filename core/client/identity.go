package client

import (
	"context"
	"net/http"

	"github.com/stroem/stroem/core/api"
)

// Config tells how to sign in.
func (c *Client) Config(ctx context.Context) (config api.Config, err error) {
	_, err = c.do(ctx, request{method: http.MethodGet, path: "/api/config"}, &config)
	return config, err
}

// Login starts a session.
func (c *Client) Login(ctx context.Context, r api.Login) (tokens api.Tokens, err error) {
	_, err = c.do(ctx, request{method: http.MethodPost, path: "/api/auth/login", body: r}, &tokens)
	return tokens, err
}

// ContinueSession spends a refresh token for the next tokens. It is never repeated: a token that comes twice ends its session.
func (c *Client) ContinueSession(ctx context.Context, refreshToken string) (tokens api.Tokens, err error) {
	_, err = c.do(ctx, request{method: http.MethodPost, path: "/api/auth/refresh", body: api.Refresh{RefreshToken: refreshToken}}, &tokens)
	return tokens, err
}

// Logout ends the session of a refresh token; one that is not known is fine.
func (c *Client) Logout(ctx context.Context, refreshToken string) error {
	_, err := c.do(ctx, request{method: http.MethodPost, path: "/api/auth/logout", body: api.Refresh{RefreshToken: refreshToken}}, &api.Status{})
	return err
}

// Me tells whose token it is.
func (c *Client) Me(ctx context.Context) (me api.Me, err error) {
	_, err = c.do(ctx, request{method: http.MethodGet, path: "/api/auth/me"}, &me)
	return me, err
}

// CreateAPIKey makes an API key of the user's.
func (c *Client) CreateAPIKey(ctx context.Context, r api.NewAPIKey) (created api.CreatedAPIKey, err error) {
	_, err = c.do(ctx, request{method: http.MethodPost, path: "/api/auth/api-keys", body: r}, &created)
	return created, err
}

// APIKeys lists the user's API keys, newest first.
func (c *Client) APIKeys(ctx context.Context) (list []api.UserAPIKey, err error) {
	_, err = c.do(ctx, request{method: http.MethodGet, path: "/api/auth/api-keys"}, &list)
	return list, err
}

// DeleteAPIKey removes the user's API keys with a prefix.
func (c *Client) DeleteAPIKey(ctx context.Context, prefix string) error {
	_, err := c.do(ctx, request{method: http.MethodDelete, path: path("api", "auth", "api-keys", prefix)}, &api.Status{})
	return err
}
