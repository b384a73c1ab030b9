package config

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Auth says who may use the API.
type Auth struct {
	JWTSecret     Secret                  `yaml:"jwt_secret" config:"required"` // at least 32 bytes
	RefreshSecret Secret                  `yaml:"refresh_secret"`               // accepted, not needed
	BaseURL       string                  `yaml:"base_url"`                     // the server as browsers see it; default public_url
	Providers     map[string]AuthProvider `yaml:"providers"`
	InitialUser   *InitialUser            `yaml:"initial_user"`
}

// Passwords tells whether people are offered to sign in with one: unless all providers are others.
func (a *Auth) Passwords() bool {
	for _, provider := range a.Providers {
		if provider.ProviderType == ProviderInternal {
			return true
		}
	}
	return len(a.Providers) == 0
}

// Types of [AuthProvider].
const (
	ProviderInternal = "internal"
	ProviderOIDC     = "oidc"
)

// AuthProvider is one way to sign in.
type AuthProvider struct {
	ProviderType        string            `yaml:"provider_type" config:"required"` // internal, oidc
	DisplayName         string            `yaml:"display_name"`                    // default: its key
	IssuerURL           string            `yaml:"issuer_url"`
	ClientID            string            `yaml:"client_id"`
	ClientSecret        Secret            `yaml:"client_secret"`
	Scopes              []string          `yaml:"scopes"`                // beside openid, email, profile
	AllowedEmailDomains []string          `yaml:"allowed_email_domains"` // none: all
	AssumeEmailVerified bool              `yaml:"assume_email_verified"` // of a provider that does not say
	DefaultRole         string            `yaml:"default_role"`          // admin, operator, viewer
	RoleClaim           string            `yaml:"role_claim"`            // path, as realm_access.roles
	RoleMap             map[string]string `yaml:"role_map"`              // value of the claim -> role
	GroupsClaim         string            `yaml:"groups_claim"`          // path; default groups
}

// InitialUser is created when the server starts and no user has its address.
type InitialUser struct {
	Email    string `yaml:"email" config:"required"`
	Password Secret `yaml:"password" config:"required"`
}

// Format hides the secrets also from verbs that do not fit a pointer, for which fmt shows what is behind it.
func (a Auth) Format(f fmt.State, _ rune) { printYAML(f, a) }

// Format is as that of [Auth].
func (u InitialUser) Format(f fmt.State, _ rune) { printYAML(f, u) }

func printYAML(w io.Writer, v any) {
	text, err := yaml.Marshal(v)
	if err != nil {
		text = []byte(redacted)
	}
	_, _ = w.Write(text)
}

func (a *Auth) validate(p *problems) {
	if n := len(a.JWTSecret); n > 0 && n < 32 {
		p.add("auth.jwt_secret", "has %d bytes and needs at least 32, as from: openssl rand -base64 48", n)
	}
	p.url("auth.base_url", a.BaseURL)
	if a.InitialUser != nil && a.InitialUser.Password != "" && utf8.RuneCountInString(a.InitialUser.Password.Reveal()) < 8 {
		p.add("auth.initial_user.password", "needs at least 8 characters")
	}
	if a.InitialUser != nil && a.InitialUser.Email != "" && !strings.Contains(a.InitialUser.Email, "@") {
		p.add("auth.initial_user.email", "%q is not an e-mail address", a.InitialUser.Email)
	}
	for _, name := range slices.Sorted(maps.Keys(a.Providers)) {
		provider := a.Providers[name]
		if provider.ProviderType == ProviderOIDC && a.BaseURL == "" {
			p.add("auth.base_url", "is required for provider %s, unless public_url is set: the address of this server as browsers "+
				"see it, to which the provider sends them back", name)
		}
		if provider.DisplayName == "" {
			provider.DisplayName = name
			a.Providers[name] = provider
		}
		provider.validate(p, "auth.providers."+name)
		if provider.ProviderType == ProviderOIDC && !workspaceName.MatchString(name) {
			p.add("auth.providers."+name, "a name that is part of an address starts with a letter, a digit or _, goes on with these, . "+
				"and -, and has at most 100 characters")
		}
	}
}

func (a *AuthProvider) validate(p *problems, key string) {
	switch a.ProviderType {
	case ProviderInternal, "":
	case ProviderOIDC:
		p.issuer(key+".issuer_url", a.IssuerURL)
		for name, value := range map[string]string{
			"issuer_url": a.IssuerURL, "client_id": a.ClientID, "client_secret": a.ClientSecret.Reveal(),
		} {
			if value == "" {
				p.add(key+"."+name, "is required for provider_type oidc")
			}
		}
		a.validateClaims(p, key)
	default:
		p.add(key+".provider_type", "%q is neither internal nor oidc", a.ProviderType)
	}
	roles := []string{"admin", "operator", "viewer"}
	p.oneOf(key+".default_role", a.DefaultRole, roles...)
	for value, role := range a.RoleMap {
		if !slices.Contains(roles, role) {
			p.add(key+".role_map."+value, "%q is not one of %s", role, strings.Join(roles, ", "))
		}
	}
}

func (a *AuthProvider) validateClaims(p *problems, key string) {
	for _, scope := range a.Scopes {
		if scope == "" || strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			p.add(key+".scopes", "%q is not a scope; each is an entry of the list", scope)
		}
	}
	for _, domain := range a.AllowedEmailDomains {
		if domain == "" || strings.ContainsAny(domain, "@*/: ") || strings.HasPrefix(domain, ".") {
			p.add(key+".allowed_email_domains", "%q is not a domain, such as example.com; those below it are entries of their own", domain)
		}
	}
	if a.RoleClaim == "" && len(a.RoleMap) > 0 {
		p.add(key+".role_map", "needs role_claim, the claim whose values it maps")
	}
	if a.RoleClaim != "" && len(a.RoleMap) == 0 {
		p.add(key+".role_claim", "needs role_map, which says what role its values stand for")
	}
}

// issuer is an address whose answers are believed.
func (p *problems) issuer(key, value string) {
	p.url(key, value)
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Host == "":
	case u.RawQuery != "" || u.Fragment != "":
		p.add(key, "must have neither ? nor #")
	case u.Scheme == "http" && !loopback(net.JoinHostPort(u.Hostname(), "0")):
		p.add(key, "must start with https://, unless the provider is on this machine")
	}
}
