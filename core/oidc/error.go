package oidc

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/oauth2"

	"github.com/stroem/stroem/core"
)

// Why a sign-in has failed: [core.Error.Reason]. The message says it to the person, and may be shown as it is, as text.
const (
	ReasonUnknownProvider  = "oidc_unknown_provider"
	ReasonUnavailable      = "oidc_unavailable"
	ReasonCookieMissing    = "oidc_cookie_missing"
	ReasonCookieInvalid    = "oidc_cookie_invalid"
	ReasonCookieExpired    = "oidc_cookie_expired"
	ReasonProviderMismatch = "oidc_provider_mismatch"
	ReasonStateMissing     = "oidc_state_missing"
	ReasonStateMismatch    = "oidc_state_mismatch"
	ReasonUsed             = "oidc_used"
	ReasonIssuerMismatch   = "oidc_issuer_mismatch"
	ReasonProviderError    = "oidc_provider_error"
	ReasonCodeMissing      = "oidc_code_missing"
	ReasonExchangeFailed   = "oidc_exchange_failed"
	ReasonIDTokenMissing   = "oidc_id_token_missing" //nolint:gosec // not a credential
	ReasonIDTokenInvalid   = "oidc_id_token_invalid" //nolint:gosec // not a credential
	ReasonUserInfoFailed   = "oidc_userinfo_failed"
	ReasonEmailMissing     = "oidc_email_missing"
	ReasonEmailInvalid     = "oidc_email_invalid"
	ReasonEmailUnverified  = "oidc_email_unverified"
	ReasonDomainNotAllowed = "oidc_domain_not_allowed"
)

const (
	startAgain       = "Start again from the sign-in page."
	askAdministrator = "If that happens again, ask your administrator, who finds the details in the server's log."
	maxProviderText  = 200 // characters of a provider's that people get to see
	maxDetail        = 500 // of an error in the log
)

// A refusal is the provider's word about a person, or what makes it worth nothing; an answer that does not belong here is invalid.
const (
	codeRefused = core.CodeUnauthenticated
	codeInvalid = core.CodeInvalid
)

// refuse makes the error of a sign-in that has failed; err is for the log.
func refuse(code core.Code, reason string, err error, format string, args ...any) error {
	return &core.Error{Code: code, Reason: reason, Message: fmt.Sprintf(format, args...), Err: err}
}

func unknownProvider(id string) error {
	return core.Errorf(core.CodeNotFound, ReasonUnknownProvider, "There is no provider %q to sign in with.", printable(id, maxProviderText))
}

func unavailable(p *provider, err error) error {
	return refuse(core.CodeUnavailable, ReasonUnavailable, err,
		"%s cannot be reached at the moment. Try again in a minute. %s", p.DisplayName, askAdministrator)
}

// printable makes one line of at most so many characters of a text that others wrote.
func printable(text string, most int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) { // among them what turns the direction of writing
			return -1
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most]) + "…"
	}
	return text
}

// exchangeError leaves out what the library tells of an answer that it does not understand: there may be tokens in it.
func exchangeError(err error) error {
	answer, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		return err
	}
	status := 0
	if answer.Response != nil {
		status = answer.Response.StatusCode
	}
	return fmt.Errorf("status %d, error %q, description %q", status, answer.ErrorCode, answer.ErrorDescription)
}
