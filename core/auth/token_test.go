package auth_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/auth"
)

// good are the claims of a token of ours.
func (r *replicas) good() jwt.MapClaims {
	now := r.clock.Now()
	return jwt.MapClaims{
		"iss": "stroem", "aud": []string{"stroem-api"}, "sub": r.ada.ID.String(), "email": r.ada.Email, "epoch": 0,
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
}

func sign(t testing.TB, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	text, err := jwt.NewWithClaims(method, claims).SignedString(key)
	require.NoError(t, err)
	return text
}

func TestForgedTokens(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	r.requireIn(r.Authenticator, sign(t, jwt.SigningMethodHS256, key, r.good()))
	_, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	good := sign(t, jwt.SigningMethodHS256, key, r.good())
	parts := strings.Split(good, ".")
	with := func(change jwt.MapClaims) string {
		claims := r.good()
		maps.Copy(claims, change)
		return sign(t, jwt.SigningMethodHS256, key, claims)
	}
	without := func(name string) string {
		claims := r.good()
		delete(claims, name)
		return sign(t, jwt.SigningMethodHS256, key, claims)
	}
	header := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	now := r.clock.Now()
	for name, token := range map[string]string{
		"empty":            "",
		"garbage":          "a.b.c",
		"alg none":         sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, r.good()),
		"alg none, signed": header(`{"alg":"none"}`) + "." + parts[1] + "." + parts[2],
		"alg nOnE":         header(`{"alg":"nOnE"}`) + "." + parts[1] + ".",
		"HS512":            sign(t, jwt.SigningMethodHS512, key, r.good()),
		"EdDSA":            sign(t, jwt.SigningMethodEdDSA, private, r.good()),
		"another key":      sign(t, jwt.SigningMethodHS256, []byte("another key, which is long enough"), r.good()),
		"no signature":     parts[0] + "." + parts[1] + ".",
		"other claims":     parts[0] + "." + strings.Split(with(jwt.MapClaims{"epoch": 1}), ".")[1] + "." + parts[2],
		"expired":          with(jwt.MapClaims{"exp": now.Add(-2 * time.Minute).Unix()}),
		"no expiry":        without("exp"),
		"of the future":    with(jwt.MapClaims{"iat": now.Add(time.Hour).Unix()}),
		"not before":       with(jwt.MapClaims{"nbf": now.Add(time.Hour).Unix()}),
		"another issuer":   with(jwt.MapClaims{"iss": "stroem-oidc"}),
		"no issuer":        without("iss"),
		"another audience": with(jwt.MapClaims{"aud": "else"}),
		"no audience":      without("aud"),
		"nobody":           with(jwt.MapClaims{"sub": "00000000-0000-4000-8000-000000000000"}),
		"no subject":       without("sub"),
		"another epoch":    with(jwt.MapClaims{"epoch": 7}),
		"negative epoch":   with(jwt.MapClaims{"epoch": -1}),
		"more text":        good + ".x",
		"padding":          good + "=",
	} {
		for range 2 { // what is refused once is refused again
			_, err := r.Authenticate(t.Context(), token)
			require.Error(t, err, name)
			requireReason(t, err, "token_invalid")
		}
	}
}

func TestAccessTokensExpire(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	pair := r.login()
	r.clock.pass(auth.AccessLife)
	r.requireIn(r.Authenticator, pair.Access) // clocks may differ by a minute
	r.clock.pass(time.Minute + time.Second)
	r.requireOut(r.Authenticator, pair.Access, "token_invalid")
}

func FuzzAuthenticate(f *testing.F) {
	store := emptyStore{}
	a := auth.New(auth.Options{Store: store, Key: key})
	claims := jwt.MapClaims{"iss": "stroem", "aud": "stroem-api", "sub": "00000000-0000-4000-8000-000000000000", "iat": 1, "exp": 1}
	f.Add(sign(f, jwt.SigningMethodHS256, key, claims))
	f.Add(sign(f, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims))
	f.Add("strm_0123456789abcdef0123456789abcdef")
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		_, err := a.Authenticate(t.Context(), token)
		require.Error(t, err) // there is nobody
	})
}
