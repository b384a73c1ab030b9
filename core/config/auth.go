package config

import (
	"fmt"
	"io"
	"maps"
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
	AllowedEmailDomains []string          `yaml:"allowed_email_domains"`
	DefaultRole         string            `yaml:"default_role"` // admin, operator, viewer
	RoleClaim           string            `yaml:"role_claim"`
	RoleMap             map[string]string `yaml:"role_map"` // value of the claim -> role
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
		if provider.DisplayName == "" {
			provider.DisplayName = name
			a.Providers[name] = provider
		}
		provider.validate(p, "auth.providers."+name)
	}
}

func (a *AuthProvider) validate(p *problems, key string) {
	switch a.ProviderType {
	case ProviderInternal, "":
	case ProviderOIDC:
		p.url(key+".issuer_url", a.IssuerURL)
		for name, value := range map[string]string{
			"issuer_url": a.IssuerURL, "client_id": a.ClientID, "client_secret": a.ClientSecret.Reveal(),
		} {
			if value == "" {
				p.add(key+"."+name, "is required for provider_type oidc")
			}
		}
	default:
		p.add(key+".provider_type", "%q is neither internal nor oidc", a.ProviderType)
	}
	roles := []string{"admin", "operator", "viewer"}
	p.oneOf(key+".default_role", a.DefaultRole, roles...)
	for claim, role := range a.RoleMap {
		p.oneOf(key+".role_map."+claim, role, roles...)
	}
}
