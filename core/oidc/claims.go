package oidc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/stroem/stroem/core"
)

const (
	maxEmail  = 254
	maxName   = 200  // characters
	maxGroups = 1000 // of a user
	maxGroup  = 256  // bytes
)

// identify makes an identity of what the provider claims.
func (r *remote) identify(ctx context.Context, p *provider, idToken *goidc.IDToken, token *oauth2.Token, logger *slog.Logger) (Identity, error) {
	var claims map[string]any
	if err := idToken.Claims(&claims); err != nil {
		return Identity{}, refuse(codeRefused, ReasonIDTokenInvalid, fmt.Errorf("claims: %w", err),
			"What %s says about you could not be read. %s", p.DisplayName, askAdministrator)
	}
	if text(claims["email"]) == "" && r.provider.UserInfoEndpoint() != "" {
		more, err := r.userInfo(ctx, idToken.Subject, token)
		if err != nil {
			return Identity{}, refuse(codeRefused, ReasonUserInfoFailed, err,
				"%s did not tell your e-mail address. %s %s", p.DisplayName, startAgain, askAdministrator)
		}
		// An address and whether it is verified come from the same place.
		delete(claims, "email")
		delete(claims, "email_verified")
		maps.Copy(more, claims)
		claims = more
	}
	email, verified := text(claims["email"]), p.AssumeEmailVerified || isTrue(claims["email_verified"])
	if err := p.acceptEmail(email, verified); err != nil {
		return Identity{}, err
	}
	groups, dropped := groupsOf(lookUp(claims, p.GroupsClaim))
	if dropped > 0 {
		logger.WarnContext(ctx, "groups of somebody who signs in are left out: too many or too long", "provider", p.id,
			"subject", idToken.Subject, "left_out", dropped)
	}
	return Identity{
		Provider: p.id, Subject: idToken.Subject, Email: email, EmailVerified: verified,
		Name: printable(text(claims["name"]), maxName), Role: p.role(claims), FirstRole: p.DefaultRole, Groups: groups,
	}, nil
}

// userInfo asks for what the ID token does not tell.
func (r *remote) userInfo(ctx context.Context, subject string, token *oauth2.Token) (map[string]any, error) {
	info, err := r.provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, fmt.Errorf("ask for user info: %w", err)
	}
	if info.Subject != subject {
		return nil, errors.New("user info is about somebody else")
	}
	claims := map[string]any{}
	if err := info.Claims(&claims); err != nil {
		return nil, fmt.Errorf("read user info: %w", err)
	}
	return claims, nil
}

// acceptEmail tells why an address is no reason to let somebody in.
func (p *provider) acceptEmail(email string, verified bool) error {
	local, domain, _ := strings.Cut(email, "@")
	switch {
	case email == "":
		return refuse(codeRefused, ReasonEmailMissing, nil,
			"%s did not tell your e-mail address. It may need one in your account there, or the scope email for this client.", p.DisplayName)
	case len(email) > maxEmail, local == "", domain == "", strings.Contains(domain, "@"), deceptive(email):
		return refuse(codeRefused, ReasonEmailInvalid, nil, "Your e-mail address at %s cannot be used here.", p.DisplayName)
	case !verified:
		return refuse(codeRefused, ReasonEmailUnverified, nil, "Your e-mail address is not verified at %s. Verify it there and sign in again.", p.DisplayName)
	}
	same := func(allowed string) bool { return strings.EqualFold(allowed, domain) }
	if len(p.AllowedEmailDomains) > 0 && !slices.ContainsFunc(p.AllowedEmailDomains, same) {
		return refuse(codeRefused, ReasonDomainNotAllowed, fmt.Errorf("domain %q", printable(domain, maxProviderText)),
			"Addresses of %s may not sign in with %s.", printable(domain, maxProviderText), p.DisplayName)
	}
	return nil
}

// deceptive tells whether an address has characters that no address needs, or that become ASCII where case does not count, so
// that it could be taken for somebody else's: K is the sign for kelvin, and its small letter is k.
func deceptive(email string) bool {
	for _, r := range email {
		switch {
		case r == utf8.RuneError, unicode.IsSpace(r), !unicode.IsPrint(r):
			return true
		case r >= utf8.RuneSelf && (unicode.ToLower(r) < utf8.RuneSelf || unicode.ToUpper(r) < utf8.RuneSelf):
			return true
		}
	}
	return false
}

// role is the highest one that the claim's values lead to, or that of those to whom none leads, who may see at the least. Without
// a claim the provider does not say.
func (p *provider) role(claims map[string]any) (highest core.Role) {
	if p.RoleClaim == "" {
		return ""
	}
	for _, value := range texts(lookUp(claims, p.RoleClaim)) {
		if role := p.RoleMap[value]; role != "" && (highest == "" || role.Covers(highest)) {
			highest = role
		}
	}
	return cmp.Or(highest, p.DefaultRole, core.RoleViewer)
}

// groupsOf returns groups in a bounded number, and how many it has left out.
func groupsOf(value any) (groups []string, dropped int) {
	all := texts(value)
	groups = slices.DeleteFunc(slices.Clone(all), func(group string) bool {
		return group == "" || len(group) > maxGroup || !utf8.ValidString(group) || strings.ContainsRune(group, 0)
	})
	dropped = len(all) - len(groups)
	slices.Sort(groups)
	groups = slices.Compact(groups)
	if len(groups) > maxGroups {
		dropped += len(groups) - maxGroups
		groups = groups[:maxGroups]
	}
	return groups, dropped
}

// lookUp returns the value at a path: a.b is the claim of that name, or b in the claim a.
func lookUp(claims map[string]any, path string) any {
	if value, ok := claims[path]; ok {
		return value
	}
	for i, c := range path {
		if c != '.' {
			continue
		}
		if inner, ok := claims[path[:i]].(map[string]any); ok {
			if value := lookUp(inner, path[i+1:]); value != nil {
				return value
			}
		}
	}
	return nil
}

func text(value any) string {
	s, _ := value.(string)
	return s
}

// texts returns a text, or those of a list.
func texts(value any) []string {
	switch value := value.(type) {
	case string:
		return []string{value}
	case []any:
		var list []string
		for _, v := range value {
			if s, ok := v.(string); ok {
				list = append(list, s)
			}
		}
		return list
	default:
		return nil
	}
}

// isTrue tells of a claim that some providers write as a text.
func isTrue(value any) bool { return value == true || value == "true" }
