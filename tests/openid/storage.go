package openid

import (
	"context"
	"slices"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// storage is what the library asks of a provider; what belongs to flows that we have no use for is refused.
type storage struct{ p *Provider }

type accessToken struct {
	subject string
	scopes  []string
}

func (s storage) CreateAuthRequest(_ context.Context, asked *oidc.AuthRequest, _ string) (op.AuthRequest, error) {
	r := &request{id: uuid.NewString(), asked: asked}
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.requests[r.id] = r
	return *r, nil
}

func (s storage) AuthRequestByID(_ context.Context, id string) (op.AuthRequest, error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	r, ok := s.p.requests[id]
	if !ok {
		return nil, errUnknown
	}
	return *r, nil
}

func (s storage) AuthRequestByCode(ctx context.Context, code string) (op.AuthRequest, error) {
	s.p.mu.Lock()
	id := s.p.codes[code]
	s.p.mu.Unlock()
	return s.AuthRequestByID(ctx, id)
}

func (s storage) SaveAuthCode(_ context.Context, id, code string) error {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.codes[code] = id
	return nil
}

// DeleteAuthRequest makes a code good for one use: the library calls it when it has made the tokens.
func (s storage) DeleteAuthRequest(_ context.Context, id string) error {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	delete(s.p.requests, id)
	return nil
}

func (s storage) CreateAccessToken(_ context.Context, r op.TokenRequest) (string, time.Time, error) {
	id := uuid.NewString()
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.tokens[id] = accessToken{subject: r.GetSubject(), scopes: r.GetScopes()}
	return id, time.Now().Add(5 * time.Minute), nil
}

// SetUserinfoFromScopes is for older callers.
func (s storage) SetUserinfoFromScopes(context.Context, *oidc.UserInfo, string, string, []string) error {
	return nil
}

// SetUserinfoFromRequest says what is in an ID token.
func (s storage) SetUserinfoFromRequest(_ context.Context, info *oidc.UserInfo, r op.IDTokenRequest, scopes []string) error {
	if lies, _ := s.p.now(); lies.Thin {
		info.Subject = r.GetSubject()
		return nil
	}
	return s.describe(info, r.GetSubject(), scopes)
}

// SetUserinfoFromToken says what the user info endpoint says.
func (s storage) SetUserinfoFromToken(_ context.Context, info *oidc.UserInfo, id, _, _ string) error {
	s.p.mu.Lock()
	token, ok := s.p.tokens[id]
	s.p.mu.Unlock()
	if !ok {
		return errUnknown
	}
	return s.describe(info, token.subject, token.scopes)
}

func (s storage) describe(info *oidc.UserInfo, subject string, scopes []string) error {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	for _, user := range s.p.users {
		if user.Subject != subject {
			continue
		}
		info.Subject = subject
		for name, value := range user.Claims {
			if (name == "email" || name == "email_verified") && !slices.Contains(scopes, oidc.ScopeEmail) ||
				name == "name" && !slices.Contains(scopes, oidc.ScopeProfile) {
				continue
			}
			info.AppendClaims(name, value)
		}
		return nil
	}
	return errUnknown
}

func (s storage) SigningKey(context.Context) (op.SigningKey, error) {
	_, keys := s.p.now()
	return keys[len(keys)-1], nil
}

func (s storage) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.RS256}, nil
}

func (s storage) KeySet(context.Context) ([]op.Key, error) {
	_, keys := s.p.now()
	published := make([]op.Key, len(keys))
	for i, k := range keys {
		published[i] = publicKey{k}
	}
	return published, nil
}

type publicKey struct{ key }

func (k publicKey) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k publicKey) Use() string                        { return "sig" }
func (k publicKey) Key() any                           { return k.pair.Public() }

func (s storage) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if id != ClientID {
		return nil, errUnknown
	}
	return client{redirects: s.p.redirects}, nil
}

func (s storage) AuthorizeClientIDSecret(_ context.Context, id, secret string) error {
	if id != ClientID || secret != ClientSecret {
		return errUnknown
	}
	return nil
}

func (s storage) CreateAccessAndRefreshTokens(context.Context, op.TokenRequest, string) (string, string, time.Time, error) {
	return "", "", time.Time{}, errUnknown
}

func (s storage) TokenRequestByRefreshToken(context.Context, string) (op.RefreshTokenRequest, error) {
	return nil, op.ErrInvalidRefreshToken
}

func (s storage) GetRefreshTokenInfo(context.Context, string, string) (string, string, error) {
	return "", "", op.ErrInvalidRefreshToken
}

func (s storage) TerminateSession(context.Context, string, string) error { return nil }

func (s storage) RevokeToken(context.Context, string, string, string) *oidc.Error { return nil }

func (s storage) SetIntrospectionFromToken(context.Context, *oidc.IntrospectionResponse, string, string, string) error {
	return errUnknown
}

func (s storage) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return nil, nil //nolint:nilnil // there are none
}

func (s storage) GetKeyByIDAndClientID(context.Context, string, string) (*jose.JSONWebKey, error) {
	return nil, errUnknown
}

func (s storage) ValidateJWTProfileScopes(context.Context, string, []string) ([]string, error) {
	return nil, errUnknown
}

func (s storage) Health(context.Context) error { return nil }

var (
	_ op.Storage                   = storage{}
	_ op.CanSetUserinfoFromRequest = storage{}
)
