package httpapi

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/auth"
)

// The cookie in which browsers keep the refresh token. Pages cannot read it, and other sites' pages cannot have it sent.
const (
	refreshCookie = "stroem_refresh"
	authPath      = "/api/auth"
)

// errNoAuth answers requests that need users where there are none.
var errNoAuth = core.Errorf(core.CodeNotFound, "auth_not_configured", "Authentication not configured")

func (a *API) login(c *fiber.Ctx) error {
	if a.Auth == nil {
		return errNoAuth
	}
	var request api.Login
	if err := decode(c, &request, true); err != nil {
		return err
	}
	if err := a.requireOwnOrigin(c, false); err != nil {
		return err
	}
	request.Email = strings.TrimSpace(request.Email) // before it is counted: what is one account to Login is one here
	client := a.client(c)
	if retryAfter, ok := a.Logins.Allow(request.Email, client); !ok {
		a.auditStranger(c, "auth.login", request.Email, map[string]any{"reason": "too many failed"})
		return tooManyRequests(c, retryAfter)
	}
	pair, err := a.Auth.Login(requestContext(c), request.Email, request.Password)
	if core.ErrorCode(err) == core.CodeUnauthenticated {
		a.auditAs(c, core.Actor{Type: core.ActorAnonymous}, "auth.login", request.Email, core.AuditDenied, nil)
		return err
	}
	if err != nil {
		return err
	}
	a.Logins.Succeeded(request.Email, client)
	a.auditAs(c, actorOf(pair.User), "auth.login", pair.User.Email, core.AuditOK, map[string]any{"method": "password"})
	return a.answerTokens(c, pair, request.Cookie)
}

// answerTokens answers with a pair, of which the refresh token may go into a cookie.
func (a *API) answerTokens(c *fiber.Ctx, pair auth.Pair, cookie bool) error {
	tokens := api.Tokens{AccessToken: pair.Access, RefreshToken: pair.Refresh, ExpiresIn: int(auth.AccessLife.Seconds())}
	if cookie {
		tokens.RefreshToken = ""
		a.setRefreshCookie(c, pair.Refresh)
	}
	return c.JSON(tokens)
}

func (a *API) setRefreshCookie(c *fiber.Ctx, token string) {
	cookie := &fiber.Cookie{
		Name: refreshCookie, Value: token, Path: authPath, HTTPOnly: true, Secure: a.secure(c), SameSite: fiber.CookieSameSiteStrictMode,
		MaxAge: int(auth.RefreshLife.Seconds()),
	}
	if token == "" {
		cookie.Expires = time.Unix(1, 0) // a MaxAge of 0 would be left out
		cookie.MaxAge = 0
	}
	c.Cookie(cookie)
}

func (a *API) refresh(c *fiber.Ctx) error {
	if a.Auth == nil {
		return errNoAuth
	}
	token, cookie, err := a.refreshToken(c)
	if err != nil {
		return err
	}
	pair, err := a.Auth.Refresh(requestContext(c), token)
	if core.ErrorCode(err) == core.CodeUnauthenticated && cookie {
		a.setRefreshCookie(c, "")
	}
	if err == core.ErrRefreshReused { //nolint:errorlint // it is that one
		a.auditAs(c, core.Actor{Type: core.ActorAnonymous}, "auth.refresh_reused", pair.User.Email, core.AuditDenied, nil)
	}
	if err != nil {
		return err
	}
	return a.answerTokens(c, pair, cookie)
}

// refreshToken is that of the body, or else of the cookie, which browsers send along whatever page asks: then it must be ours.
func (a *API) refreshToken(c *fiber.Ctx) (token string, cookie bool, err error) {
	var request api.Refresh
	if err := decode(c, &request, true); err != nil {
		return "", false, err
	}
	if request.RefreshToken != "" {
		return request.RefreshToken, false, nil
	}
	if token = c.Cookies(refreshCookie); token == "" {
		return "", false, core.ErrRefreshUnknown
	}
	return token, true, a.requireOwnOrigin(c, true)
}

// logout ends the session of a refresh token. A token that is not known is fine, and so is none.
func (a *API) logout(c *fiber.Ctx) error {
	if a.Auth == nil {
		return c.JSON(api.Status{Status: "ok"})
	}
	token, cookie, err := a.refreshToken(c)
	if err == core.ErrRefreshUnknown { //nolint:errorlint // it is that one
		return c.JSON(api.Status{Status: "ok"})
	}
	if err != nil {
		return err
	}
	id, err := a.Auth.Logout(requestContext(c), token)
	if err != nil {
		return err
	}
	if cookie {
		a.setRefreshCookie(c, "")
	}
	if u, err := a.Store.User(requestContext(c), id); err == nil {
		a.auditAs(c, actorOf(u), "auth.logout", u.Email, core.AuditOK, nil)
	}
	return c.JSON(api.Status{Status: "ok"})
}

// requireOwnOrigin refuses what the page of another site asks for. Programs send no Origin, which has to be there if required.
func (a *API) requireOwnOrigin(c *fiber.Ctx, required bool) error {
	text := c.Get(fiber.HeaderOrigin)
	if text == "" && !required {
		return nil
	}
	origin, err := url.Parse(text)
	if err == nil && origin.Host != "" &&
		(strings.EqualFold(origin.Host, string(c.Request().Host())) || a.PublicURL != nil && strings.EqualFold(origin.Host, a.PublicURL.Host)) {
		return nil
	}
	return core.Errorf(core.CodeForbidden, "origin_not_allowed", "The request has to come from a page of this server, and its Origin is %.200q: "+
		"if that is how browsers reach the server, set public_url to it", text)
}

// requireOwnPage keeps the pages of other sites, which browsers let send simple requests to anybody, from changing something where
// no credential is asked for that they lack; and those whose name was made to lead here (DNS rebinding) from all.
func (a *API) requireOwnPage(c *fiber.Ctx) error {
	if host := string(c.Request().Host()); a.Local && !a.ownName(host) {
		return core.Errorf(core.CodeForbidden, "host_not_allowed", "Without users the server is for this machine alone, as localhost, and was called %.200q: "+
			"if that is its name, set public_url to it", host)
	}
	if c.Method() == fiber.MethodGet || c.Method() == fiber.MethodHead || slices.Contains(a.Origins, c.Get(fiber.HeaderOrigin)) {
		return nil
	}
	return a.requireOwnOrigin(c, false)
}

// ownName tells whether a host, with a port or not, is this machine's name for itself, or the configured one.
func (a *API) ownName(host string) bool {
	name := (&url.URL{Host: host}).Hostname()
	address, err := netip.ParseAddr(name)
	return err == nil && address.Unmap().IsLoopback() || strings.EqualFold(name, "localhost") ||
		a.PublicURL != nil && strings.EqualFold(name, a.PublicURL.Hostname())
}

// secure tells whether the browser reaches the server by https.
func (a *API) secure(c *fiber.Ctx) bool {
	return a.Secure || a.PublicURL != nil && a.PublicURL.Scheme == "https" || a.proto(c) == "https"
}
