package oidc_test

import (
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/oidc"
	"github.com/stroem/stroem/tests/openid"
)

// TestIDTokens has the provider, or whoever stands in its place, send ID tokens that prove nothing.
func TestIDTokens(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	with := func(name string, value any) func(openid.Token) string {
		return func(honest openid.Token) string { return honest.With(map[string]any{name: value}) }
	}
	symmetric := func(method jwt.SigningMethod, key func(openid.Token) any) func(openid.Token) string {
		return func(honest openid.Token) string {
			token := jwt.NewWithClaims(method, jwt.MapClaims(honest.Claims))
			token.Header["kid"] = honest.KeyID()
			text, err := token.SignedString(key(honest))
			if err != nil {
				return err.Error()
			}
			return text
		}
	}
	publicPEM := func(honest openid.Token) any {
		der, err := x509.MarshalPKIXPublicKey(honest.PublicKey())
		if err != nil {
			return nil
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}
	others := []string{openid.ClientID, "others"}

	for name, c := range map[string]struct {
		forge  func(openid.Token) string
		reason string
		says   string // in the log
	}{
		"missing":             {func(openid.Token) string { return "" }, oidc.ReasonIDTokenMissing, "no ID token"},
		"garbage":             {func(openid.Token) string { return "garbage" }, oidc.ReasonIDTokenInvalid, "malformed"},
		"wrong nonce":         {with("nonce", "another"), oidc.ReasonIDTokenInvalid, "nonce"},
		"no nonce":            {with("nonce", nil), oidc.ReasonIDTokenInvalid, "nonce"},
		"wrong issuer":        {with("iss", "https://other.example"), oidc.ReasonIDTokenInvalid, "issued by a different provider"},
		"issuer with a slash": {with("iss", d.provider.Issuer+"/"), oidc.ReasonIDTokenInvalid, "issued by a different provider"},
		"wrong audience":      {with("aud", "others"), oidc.ReasonIDTokenInvalid, "expected audience"},
		"no audience":         {with("aud", nil), oidc.ReasonIDTokenInvalid, "expected audience"},
		"part of our name":    {with("aud", openid.ClientID[:3]), oidc.ReasonIDTokenInvalid, "expected audience"},
		"others, no azp": {func(honest openid.Token) string {
			return honest.With(map[string]any{"aud": others, "azp": nil})
		}, oidc.ReasonIDTokenInvalid, "azp"},
		"others, their azp": {func(honest openid.Token) string {
			return honest.With(map[string]any{"aud": others, "azp": "others"})
		}, oidc.ReasonIDTokenInvalid, "azp"},
		"expired":              {with("exp", time.Now().Add(-time.Minute).Unix()), oidc.ReasonIDTokenInvalid, "expired"},
		"no expiry":            {with("exp", nil), oidc.ReasonIDTokenInvalid, "expired"},
		"not yet":              {with("nbf", time.Now().Add(time.Hour).Unix()), oidc.ReasonIDTokenInvalid, "nbf"},
		"no subject":           {with("sub", nil), oidc.ReasonIDTokenInvalid, "subject"},
		"subject of two lines": {with("sub", "a\nb"), oidc.ReasonIDTokenInvalid, "subject"},
		"other access token":   {with("at_hash", "AAAA"), oidc.ReasonIDTokenInvalid, "access token hash"},
		"alg none": {
			symmetric(jwt.SigningMethodNone, func(openid.Token) any { return jwt.UnsafeAllowNoneSignatureType }),
			oidc.ReasonIDTokenInvalid, "malformed",
		},
		"HS256 with the client's secret": {
			symmetric(jwt.SigningMethodHS256, func(openid.Token) any { return []byte(openid.ClientSecret) }),
			oidc.ReasonIDTokenInvalid, "malformed",
		},
		"HS256 with the public key": {symmetric(jwt.SigningMethodHS256, publicPEM), oidc.ReasonIDTokenInvalid, "malformed"},
		"unknown key":               {func(honest openid.Token) string { return honest.SignedByStranger(uuid.NewString()) }, oidc.ReasonIDTokenInvalid, "signature"},
		"key under another's id":    {func(honest openid.Token) string { return honest.SignedByStranger(honest.KeyID()) }, oidc.ReasonIDTokenInvalid, "signature"},
		"key without an id":         {func(honest openid.Token) string { return honest.SignedByStranger("") }, oidc.ReasonIDTokenInvalid, "signature"},
	} {
		query, cookie := d.begin("ada")
		d.provider.Lie(openid.Lies{IDToken: func(honest openid.Token) string {
			d.log.secrets(honest.Raw)
			return c.forge(honest)
		}})
		_, err := d.finish(query, cookie)
		d.provider.Lie(openid.Lies{})
		require.ErrorContains(t, d.refusal(err, c.reason), c.says, name)
	}

	// The same machinery with a token that is right.
	for name, forge := range map[string]func(openid.Token) string{
		"as it was": func(honest openid.Token) string { return honest.Raw },
		"others, our azp": func(honest openid.Token) string {
			return honest.With(map[string]any{"aud": others, "azp": openid.ClientID})
		},
	} {
		d.provider.Lie(openid.Lies{IDToken: forge})
		_, err := d.signIn("ada")
		require.NoError(t, err, name)
	}
}

// TestAlgorithmsOfDiscovery: what a provider announces without a key pair does not count.
func TestAlgorithmsOfDiscovery(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	lies := openid.Lies{
		Discovery: func(document map[string]any) {
			document["id_token_signing_alg_values_supported"] = []string{"none", "HS256"}
		},
		IDToken: func(honest openid.Token) string {
			text, _ := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(honest.Claims)).SignedString([]byte(openid.ClientSecret))
			return text
		},
	}
	d.provider.Lie(lies)
	_, err := d.signIn("ada")
	d.requireReason(err, oidc.ReasonIDTokenInvalid)
	lies.IDToken = nil
	d.provider.Lie(lies)
	_, err = d.signIn("ada")
	require.NoError(t, err, "RS256 is always there")

	lies.Discovery = func(document map[string]any) { document["id_token_signing_alg_values_supported"] = []string{"ES256"} }
	d.provider.Lie(lies)
	d.SignIn = d.replica(nil)
	_, err = d.signIn("ada")
	d.requireReason(err, oidc.ReasonIDTokenInvalid)
}

// TestKeysRotate: new keys are fetched when a token names one; old ones are good for as long as they are published.
func TestKeysRotate(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	signIn := func() error {
		_, err := d.signIn("ada")
		return err
	}
	require.NoError(t, signIn())
	d.provider.RotateKey(t)
	d.provider.Lie(openid.Lies{IDToken: openid.Token.SignedByOldest})
	require.NoError(t, signIn(), "the old key")
	d.provider.Lie(openid.Lies{})
	require.NoError(t, signIn(), "the new key, which was not known")
	d.provider.Lie(openid.Lies{IDToken: openid.Token.SignedByOldest})
	require.NoError(t, signIn(), "the old key is still published")

	// The forger has the old key; the provider has noticed, and made another one.
	old := d.provider.OldestKey()
	d.provider.RotateKey(t)
	d.provider.WithdrawOldKeys()
	d.provider.Lie(openid.Lies{})
	require.NoError(t, signIn(), "the newest key")
	d.provider.Lie(openid.Lies{IDToken: old})
	d.requireReason(signIn(), oidc.ReasonIDTokenInvalid)
}

// TestWithdrawnKeyIsForgotten though no token has come with a new one: whoever looks at a provider again takes its keys anew.
func TestWithdrawnKeyIsForgotten(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(o *oidc.Options) { o.Refresh = 10 * time.Millisecond })
	_, err := d.signIn("ada")
	require.NoError(t, err)
	old := d.provider.OldestKey()
	d.provider.RotateKey(t)
	d.provider.WithdrawOldKeys()
	d.provider.Lie(openid.Lies{IDToken: old})
	_, err = d.signIn("ada")
	require.NoError(t, err, "nobody has said that it was withdrawn")
	run(t, d.SignIn)
	for n, next := d.provider.Discoveries(); n < 3; n, next = d.provider.Discoveries() { // the second one is over when the third begins
		<-next
	}
	_, err = d.signIn("ada")
	d.requireReason(err, oidc.ReasonIDTokenInvalid)
}
