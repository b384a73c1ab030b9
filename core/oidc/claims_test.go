package oidc_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/oidc"
	"github.com/stroem/stroem/tests/openid"
)

// claims makes a user with other claims than ada's; nil removes one.
func claims(changes map[string]any) openid.User {
	user := ada
	user.Claims = maps.Clone(ada.Claims)
	for name, value := range changes {
		user.Claims[name] = value
		if value == nil {
			delete(user.Claims, name)
		}
	}
	return user
}

func TestEmails(t *testing.T) {
	t.Parallel()
	d := newDesk(t, with(func(p *oidc.Provider) { p.AllowedEmailDomains = []string{"example.com", "Example.ORG"} }))
	assuming := d
	assuming.SignIn = d.replica(with(func(p *oidc.Provider) { p.AssumeEmailVerified = true }))
	for name, c := range map[string]struct {
		claims   map[string]any
		reason   string // "": signs in
		assuming string // the same with assume_email_verified
		says     string
	}{
		"verified":              {claims: map[string]any{}},
		"verified, as a text":   {claims: map[string]any{"email_verified": "true"}},
		"another domain's case": {claims: map[string]any{"email": "ada@EXAMPLE.Org"}},
		"not verified": {
			claims: map[string]any{"email_verified": false}, reason: oidc.ReasonEmailUnverified, says: "not verified at Corp",
		},
		"not verified, as a text": {claims: map[string]any{"email_verified": "false"}, reason: oidc.ReasonEmailUnverified},
		"verified unheard of":     {claims: map[string]any{"email_verified": nil}, reason: oidc.ReasonEmailUnverified},
		"no address":              {claims: map[string]any{"email": nil}, reason: oidc.ReasonEmailMissing, assuming: oidc.ReasonEmailMissing},
		"an empty address":        {claims: map[string]any{"email": ""}, reason: oidc.ReasonEmailMissing, assuming: oidc.ReasonEmailMissing},
		"a number":                {claims: map[string]any{"email": 7}, reason: oidc.ReasonUserInfoFailed, assuming: oidc.ReasonUserInfoFailed},
		"no domain":               {claims: map[string]any{"email": "ada"}, reason: oidc.ReasonEmailInvalid, assuming: oidc.ReasonEmailInvalid},
		"two domains": {
			claims: map[string]any{"email": "ada@evil.example@example.com"}, reason: oidc.ReasonEmailInvalid, assuming: oidc.ReasonEmailInvalid,
		},
		"two lines": {
			claims: map[string]any{"email": "ada\n@example.com"}, reason: oidc.ReasonEmailInvalid, assuming: oidc.ReasonEmailInvalid,
		},
		"the sign for kelvin": {
			claims: map[string]any{"email": "\u212aate@example.com"}, reason: oidc.ReasonEmailInvalid, assuming: oidc.ReasonEmailInvalid,
		},
		"a dotless i": {
			claims: map[string]any{"email": "m\u0131ke@example.com"}, reason: oidc.ReasonEmailInvalid, assuming: oidc.ReasonEmailInvalid,
		},
		"too long": {
			claims: map[string]any{"email": strings.Repeat("a", 250) + "@example.com"}, reason: oidc.ReasonEmailInvalid, assuming: oidc.ReasonEmailInvalid,
		},
		"an umlaut": {claims: map[string]any{"email": "mül@example.com"}},
		"another domain": {
			claims: map[string]any{"email": "ada@evil.example"}, reason: oidc.ReasonDomainNotAllowed, says: "Addresses of evil.example",
		},
		"a domain below":           {claims: map[string]any{"email": "ada@x.example.com"}, reason: oidc.ReasonDomainNotAllowed},
		"a domain that ends alike": {claims: map[string]any{"email": "ada@notexample.com"}, reason: oidc.ReasonDomainNotAllowed},
	} {
		d.provider.SetUser("ada", claims(c.claims))
		identity, err := d.signIn("ada")
		if c.reason == "" {
			require.NoError(t, err, name)
			require.True(t, identity.EmailVerified, name)
			continue
		}
		require.Contains(t, d.refusal(err, c.reason).Message, c.says, name)
		identity, err = assuming.signIn("ada")
		if c.assuming == "" {
			require.NoError(t, err, name)
			require.True(t, identity.EmailVerified, name)
			continue
		}
		assuming.requireReason(err, c.assuming)
	}
}

// TestUserInfo: what the ID token does not tell is asked for.
func TestUserInfo(t *testing.T) {
	t.Parallel()
	d := newDesk(t, with(func(p *oidc.Provider) {
		p.RoleClaim, p.RoleMap = "groups", map[string]core.Role{"sre": core.RoleAdmin}
	}))
	d.provider.SetUser("ada", claims(map[string]any{"groups": []string{"sre"}}))
	d.provider.Lie(openid.Lies{Thin: true})
	identity, err := d.signIn("ada")
	require.NoError(t, err)
	require.Equal(t, oidc.Identity{
		Provider: "corp", Subject: "ada-1", Email: "Ada@Example.com", EmailVerified: true, Name: "Ada Lovelace",
		Role: core.RoleAdmin, Groups: []string{"sre"},
	}, identity)

	d.provider.Lie(openid.Lies{Thin: true, UserInfo: func(claims map[string]any) { claims["sub"] = "somebody else" }})
	_, err = d.signIn("ada")
	require.ErrorContains(t, d.refusal(err, oidc.ReasonUserInfoFailed), "somebody else")

	d.provider.Lie(openid.Lies{Thin: true, UserInfo: func(claims map[string]any) { claims["email_verified"] = false }})
	_, err = d.signIn("ada")
	d.requireReason(err, oidc.ReasonEmailUnverified)

	// What is signed counts more.
	d.provider.Lie(openid.Lies{
		IDToken: func(honest openid.Token) string {
			return honest.With(map[string]any{"email": nil, "groups": []string{"dev"}})
		},
		UserInfo: func(claims map[string]any) { claims["groups"] = []string{"sre"} },
	})
	identity, err = d.signIn("ada")
	require.NoError(t, err)
	require.Equal(t, []string{"dev"}, identity.Groups)
	require.Equal(t, core.RoleViewer, identity.Role)

	// That an address is verified does not say so of another one.
	d.provider.Lie(openid.Lies{
		IDToken:  func(honest openid.Token) string { return honest.With(map[string]any{"email": nil}) },
		UserInfo: func(claims map[string]any) { delete(claims, "email_verified") },
	})
	_, err = d.signIn("ada")
	d.requireReason(err, oidc.ReasonEmailUnverified)
}

func TestRoles(t *testing.T) {
	t.Parallel()
	roles := map[string]core.Role{"sre": core.RoleAdmin, "dev": core.RoleOperator, "all": core.RoleViewer}
	for name, c := range map[string]struct {
		path     string
		fallback core.Role
		claims   map[string]any
		want     core.Role
	}{
		"nothing configured":     {claims: map[string]any{"groups": []string{"sre"}}},
		"nothing but a default":  {fallback: core.RoleViewer},
		"a text":                 {path: "role", claims: map[string]any{"role": "dev"}, want: core.RoleOperator},
		"the highest of a list":  {path: "groups", claims: map[string]any{"groups": []any{"all", "sre", 7, "dev"}}, want: core.RoleAdmin},
		"highest, though higher": {path: "groups", fallback: core.RoleAdmin, claims: map[string]any{"groups": "all"}, want: core.RoleViewer},
		"unknown values":         {path: "groups", fallback: core.RoleViewer, claims: map[string]any{"groups": []any{"SRE", "sre ", "admin"}}, want: core.RoleViewer},
		"unknown, no default":    {path: "groups", claims: map[string]any{"groups": "x"}, want: core.RoleViewer},
		"absent":                 {path: "groups", fallback: core.RoleOperator, want: core.RoleOperator},
		"a number":               {path: "groups", claims: map[string]any{"groups": 1}, want: core.RoleViewer},
		"deep": {
			path: "resource_access.stroem.roles", want: core.RoleAdmin,
			claims: map[string]any{"resource_access": map[string]any{"stroem": map[string]any{"roles": []any{"sre"}}}},
		},
		"a name with dots": {path: "https://x.example/roles", claims: map[string]any{"https://x.example/roles": []any{"dev"}}, want: core.RoleOperator},
		"a name with dots inside": {
			path: "access.stroem.example.roles", want: core.RoleOperator,
			claims: map[string]any{"access": map[string]any{"stroem.example": map[string]any{"roles": "dev"}}},
		},
		"a path through a text": {path: "role.x", claims: map[string]any{"role": "sre"}, want: core.RoleViewer},
	} {
		d := newDesk(t, with(func(p *oidc.Provider) {
			p.RoleClaim, p.DefaultRole, p.GroupsClaim = c.path, c.fallback, "none"
			if c.path != "" {
				p.RoleMap = roles
			}
		}))
		d.provider.SetUser("ada", claims(c.claims))
		identity, err := d.signIn("ada")
		require.NoError(t, err, name)
		require.Equal(t, c.want, identity.Role, name)
		require.Equal(t, c.fallback, identity.FirstRole, name)
		require.Empty(t, identity.Groups, name)
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 1500 {
		many = append(many, fmt.Sprintf("g%04d", i))
	}
	shuffled := append(slices.Clone(many[700:]), many[:700]...)
	for name, c := range map[string]struct {
		path  string
		value any
		want  []string
		left  string // out, in the log
	}{
		"a list":        {value: []any{"b", "a", "b"}, want: []string{"a", "b"}},
		"a text":        {value: "a b", want: []string{"a b"}},
		"others inside": {value: []any{"a", 1, nil, map[string]any{}}, want: []string{"a"}},
		"deep":          {path: "realm.groups", value: nil, want: []string{"/ops"}},
		"too long":      {value: []any{"a", strings.Repeat("x", 257), ""}, want: []string{"a"}, left: "left_out=2"},
		"too many":      {value: shuffled, want: many[:1000], left: "left_out=500"},
	} {
		d := newDesk(t, with(func(p *oidc.Provider) { p.GroupsClaim = c.path }))
		d.provider.SetUser("ada", claims(map[string]any{"groups": c.value, "realm": map[string]any{"groups": []any{"/ops"}}}))
		identity, err := d.signIn("ada")
		require.NoError(t, err, name)
		require.Equal(t, c.want, identity.Groups, name)
		require.Contains(t, d.log.String(), c.left, name)
	}
}
