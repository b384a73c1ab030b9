package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/oauth2"

	"github.com/stroem/stroem/core"
)

// Identity is who somebody is at a provider.
type Identity struct {
	Provider      string // its id
	Subject       string // who it is there, for good
	Email         string
	EmailVerified bool // by the provider, or assumed of it as configured: others are refused
	Name          string
	Role          core.Role // that the provider gives; "": it is not configured to give one
	FirstRole     core.Role // of somebody new, if Role is ""; "": none is configured
	Groups        []string  // sorted
}

// finishTimeout is for all that is asked of the provider while a browser waits.
const finishTimeout = 20 * time.Second

// Finish takes what a browser came back with, the query of the callback's address and the cookie of [SignIn.Begin], and returns
// who it is. The cookie is good for nothing afterwards, whatever is returned. Errors are of [core.Error] with one of the
// reasons of this package, and have been logged but for [ReasonUnknownProvider].
func (s *SignIn) Finish(ctx context.Context, provider string, query url.Values, cookie string) (Identity, error) {
	p, ok := s.providers[provider]
	if !ok {
		return Identity{}, unknownProvider(provider)
	}
	ctx, cancel := context.WithTimeout(ctx, finishTimeout)
	defer cancel()
	identity, err := s.finish(ctx, p, query, cookie)
	if err != nil {
		return Identity{}, s.refused(ctx, provider, err)
	}
	return identity, nil
}

func (s *SignIn) finish(ctx context.Context, p *provider, query url.Values, cookie string) (Identity, error) {
	a, err := s.attempt(p, query, cookie)
	if err != nil {
		return Identity{}, err
	}
	remote, err := p.get(ctx)
	if err != nil {
		return Identity{}, unavailable(p, err)
	}
	code, err := remote.answer(p, query)
	if err != nil {
		return Identity{}, err
	}
	ctx = goidc.ClientContext(ctx, p.client) // the exchange takes it from there too
	token, err := remote.oauth.Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return Identity{}, refuse(codeRefused, ReasonExchangeFailed, exchangeError(err),
			"%s did not accept the sign-in; it may have been used before. %s %s", p.DisplayName, startAgain, askAdministrator)
	}
	idToken, err := remote.verify(ctx, p, token, a.Nonce)
	if err != nil {
		return Identity{}, err
	}
	return remote.identify(ctx, p, idToken, token, s.logger)
}

// attempt returns what the cookie says, if the answer belongs to it.
func (s *SignIn) attempt(p *provider, query url.Values, cookie string) (attempt, error) {
	if cookie == "" {
		return attempt{}, refuse(codeInvalid, ReasonCookieMissing, nil,
			"The sign-in was not started in this browser, took longer than %d minutes, or the browser keeps no cookies. %s",
			int(Lifetime.Minutes()), startAgain)
	}
	a, err := s.cookies.read(cookie)
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return attempt{}, refuse(codeInvalid, ReasonCookieExpired, err,
			"The sign-in took longer than %d minutes. %s", int(Lifetime.Minutes()), startAgain)
	case err != nil:
		return attempt{}, refuse(codeInvalid, ReasonCookieInvalid, err, "The sign-in's cookie is not one of this server's. %s", startAgain)
	case a.Provider != p.id:
		return attempt{}, refuse(codeInvalid, ReasonProviderMismatch, fmt.Errorf("begun with %s", printable(a.Provider, maxProviderText)),
			"The sign-in was started with another provider. %s", startAgain)
	}
	state, err := single(query, "state")
	switch {
	case err != nil:
		return attempt{}, refuse(codeInvalid, ReasonStateMismatch, err, "The answer of %s is not well formed. %s", p.DisplayName, startAgain)
	case state == "":
		// The provider's text is for the log alone: without the state it may be anybody's.
		return attempt{}, refuse(codeInvalid, ReasonStateMissing, providerError(query),
			"The answer of %s does not say which sign-in it is for. %s", p.DisplayName, startAgain)
	case subtle.ConstantTimeCompare([]byte(state), []byte(a.State)) != 1:
		return attempt{}, refuse(codeInvalid, ReasonStateMismatch, providerError(query),
			"The answer of %s is for another sign-in, maybe one in another tab. %s", p.DisplayName, startAgain)
	case !s.spent.take(a.State):
		return attempt{}, refuse(codeInvalid, ReasonUsed, nil, "This sign-in has been used already. %s", startAgain)
	}
	return a, nil
}

// answer returns the code in an answer that is the provider's.
func (r *remote) answer(p *provider, query url.Values) (code string, err error) {
	iss, err := single(query, "iss")
	if err != nil || iss != p.Issuer && (query.Has("iss") || r.namesIss) {
		return "", refuse(codeInvalid, ReasonIssuerMismatch, fmt.Errorf("iss is %q, issuer_url is %q", iss, p.Issuer),
			"The answer does not come from %s. %s", p.DisplayName, startAgain)
	}
	if said := providerError(query); said != nil {
		return "", refuse(codeRefused, ReasonProviderError, said, "%s says: %s", p.DisplayName, said)
	}
	if code, err = single(query, "code"); err != nil || code == "" {
		return "", refuse(codeInvalid, ReasonCodeMissing, err, "The answer of %s has no code. %s", p.DisplayName, startAgain)
	}
	return code, nil
}

// verify returns the ID token if all of it is as it must be.
func (r *remote) verify(ctx context.Context, p *provider, token *oauth2.Token, nonce string) (*goidc.IDToken, error) {
	raw, ok := token.Extra("id_token").(string)
	if !ok || raw == "" {
		return nil, refuse(codeRefused, ReasonIDTokenMissing, nil,
			"%s did not say who you are (no ID token). %s", p.DisplayName, askAdministrator)
	}
	idToken, err := r.verifier.Verify(ctx, raw)
	if err == nil {
		err = examine(idToken, p.ClientID, token.AccessToken, nonce)
	}
	if err != nil {
		return nil, refuse(codeRefused, ReasonIDTokenInvalid, err,
			"What %s says about you could not be verified (ID token). %s %s", p.DisplayName, startAgain, askAdministrator)
	}
	return idToken, nil
}

// examine does what the library leaves to its callers.
func examine(t *goidc.IDToken, clientID, accessToken, nonce string) error {
	var claims struct {
		AuthorizedParty string `json:"azp"`
	}
	if err := t.Claims(&claims); err != nil {
		return fmt.Errorf("claims: %w", err)
	}
	switch {
	case subtle.ConstantTimeCompare([]byte(t.Nonce), []byte(nonce)) != 1:
		return errors.New("the nonce is another one")
	case claims.AuthorizedParty != "" && claims.AuthorizedParty != clientID:
		return fmt.Errorf("it was issued to %q (azp)", claims.AuthorizedParty)
	case claims.AuthorizedParty == "" && slices.ContainsFunc(t.Audience, func(other string) bool { return other != clientID }):
		return errors.New("it is for others too and does not say to whom it was issued (azp)")
	case t.Subject == "" || len(t.Subject) > 255 || printable(t.Subject, 255) != t.Subject:
		return errors.New("the subject is not one of 1 to 255 printable characters")
	case t.AccessTokenHash != "":
		return t.VerifyAccessToken(accessToken)
	}
	return nil
}

// providerError returns what the provider says went wrong, or nil.
func providerError(query url.Values) error {
	if !query.Has("error") {
		return nil
	}
	said := printable(query.Get("error"), maxProviderText)
	if more := printable(query.Get("error_description"), maxProviderText); more != "" {
		said += ": " + more
	}
	if said == "" {
		said = "error"
	}
	return errors.New(said)
}

// single returns a parameter that may come once.
func single(query url.Values, name string) (string, error) {
	if len(query[name]) > 1 {
		return "", fmt.Errorf("%s comes %d times", name, len(query[name]))
	}
	return query.Get(name), nil
}
