package httpapi

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/auth"
)

// SignIn leads people to a provider and back; see package oidc.
type SignIn interface {
	// Providers are all that there are, sorted by id.
	Providers() []api.OIDCProvider
	// Begin returns where to send the browser, and the cookie that it has to bring back within ten minutes. An unknown provider is
	// an error with core.CodeNotFound, one that does not answer with core.CodeUnavailable.
	Begin(ctx context.Context, provider string) (redirect, cookie string, err error)
	// Finish returns who came back. The message of an error with a code may be shown to them.
	Finish(ctx context.Context, provider string, query url.Values, cookie string) (auth.Identity, error)
}

// The cookie of somebody who is at a provider to sign in, and how long that may take.
const (
	stateCookie = "stroem_oidc_state"
	stateLife   = 10 * time.Minute
	// signInLimit is how long a provider may take to answer.
	signInLimit = 20 * time.Second
	// landing is the page that the browser comes to in the end.
	landing = "/login/callback"
)

var errNoProvider = core.Errorf(core.CodeNotFound, "provider_unknown", "There is no such provider to sign in with")

func (a *API) beginSignIn(c *fiber.Ctx) error {
	if a.Auth == nil || a.SignIn == nil {
		return errNoProvider
	}
	provider, err := param(c, "provider")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(requestContext(c), signInLimit)
	defer cancel()
	redirect, cookie, err := a.SignIn.Begin(ctx, provider)
	switch {
	case core.ErrorCode(err) == core.CodeNotFound:
		return err
	case err != nil: // somebody's browser shows what comes now
		return a.land(c, a.signInProblem(err))
	}
	a.setStateCookie(c, cookie)
	return c.Redirect(redirect, fiber.StatusSeeOther)
}

// setStateCookie is sent along when the provider, which is another site, leads the browser back: so it is not Strict.
func (a *API) setStateCookie(c *fiber.Ctx, value string) {
	cookie := &fiber.Cookie{
		Name: stateCookie, Value: value, Path: "/", HTTPOnly: true, Secure: a.secure(c), SameSite: fiber.CookieSameSiteLaxMode,
		MaxAge: int(stateLife.Seconds()),
	}
	if value == "" {
		cookie.Expires = time.Unix(1, 0) // a MaxAge of 0 would be left out
		cookie.MaxAge = 0
	}
	c.Cookie(cookie)
}

// finishSignIn ends in the browser at the landing page: with the session's cookie, or with what went wrong.
func (a *API) finishSignIn(c *fiber.Ctx) error {
	if a.Auth == nil || a.SignIn == nil {
		return errNoProvider
	}
	provider, err := param(c, "provider")
	if err != nil {
		return err
	}
	query, err := url.ParseQuery(string(c.Request().URI().QueryString()))
	if err != nil {
		return invalid("The query is not well encoded")
	}
	pair, identity, err := a.signedIn(c, provider, query)
	if core.ErrorCode(err) == core.CodeNotFound {
		return err
	}
	a.setStateCookie(c, "")
	if err != nil {
		problem := a.signInProblem(err)
		a.auditStranger(c, "auth.login", identity.Email, map[string]any{"method": provider, "reason": problem})
		return a.land(c, problem)
	}
	a.auditAs(c, actorOf(pair.User), "auth.login", pair.User.Email, core.AuditOK, map[string]any{"method": provider})
	a.setRefreshCookie(c, pair.Refresh)
	return a.land(c, "")
}

func (a *API) signedIn(c *fiber.Ctx, provider string, query url.Values) (auth.Pair, auth.Identity, error) {
	ctx, cancel := context.WithTimeout(requestContext(c), signInLimit)
	defer cancel()
	identity, err := a.SignIn.Finish(ctx, provider, query, c.Cookies(stateCookie))
	if err != nil {
		return auth.Pair{}, identity, err
	}
	u, err := a.Auth.Provision(ctx, identity)
	if err != nil {
		return auth.Pair{}, identity, err
	}
	a.auditProvisioned(c, provider, &u)
	pair, err := a.Auth.Start(ctx, u.User)
	return pair, identity, err
}

// auditProvisioned notes what somebody's sign-in with a provider has made of a user.
func (a *API) auditProvisioned(c *fiber.Ctx, provider string, p *auth.Provisioned) {
	note := func(action string, details map[string]any) {
		details["method"] = provider
		a.auditAs(c, actorOf(p.User), action, p.Email, core.AuditOK, details)
	}
	switch {
	case p.Created:
		note("user.create", map[string]any{"role": string(p.Role)})
	case p.Linked:
		note("user.link", map[string]any{})
	}
	details := map[string]any{}
	if p.Changed.Role != nil {
		details["role"] = string(*p.Changed.Role)
	}
	if p.Changed.Groups != nil {
		details["groups"] = *p.Changed.Groups
	}
	if p.Changed.Name != nil {
		details["name"] = *p.Changed.Name
	}
	if len(details) > 0 {
		note("user.change", details)
	}
}

// signInProblem is what somebody who could not sign in is told.
func (a *API) signInProblem(err error) string {
	if known, ok := errors.AsType[*core.Error](err); ok && known.Code != core.CodeInternal {
		return known.Message
	}
	a.Logger.Error("sign-in failed", "error", err)
	return "Something went wrong: try again, or ask whoever runs the server to look at its log"
}

func (a *API) land(c *fiber.Ctx, problem string) error {
	target := landing
	if problem != "" {
		target += "#" + url.Values{"error": {problem}}.Encode()
	}
	return c.Redirect(target, fiber.StatusFound)
}
