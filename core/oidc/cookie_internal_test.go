package oidc

import (
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// FuzzCookie: nothing is taken for a cookie but what was made here, to the letter.
func FuzzCookie(f *testing.F) {
	now := time.Unix(1_700_000_000, 0)
	c := cookies{key: []byte("0123456789abcdef0123456789abcdef"), now: func() time.Time { return now }}
	made := attempt{State: "s", Nonce: "n", Verifier: "v", Provider: "p"}
	good, err := c.make(made)
	require.NoError(f, err)
	header, rest, _ := strings.Cut(good, ".")
	for _, seed := range []string{
		good, good + "=", good + "\n", header + "." + rest[:len(rest)-1], "eyJhbGciOiJub25lIn0." + rest, "..", "a.b.c", "",
		strings.ToUpper(good), good + "." + good,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := c.read(text)
		if text == good {
			require.NoError(t, err)
			require.Equal(t, made, got)
			return
		}
		require.Error(t, err, "taken for a cookie: %q", text)
		require.Equal(t, attempt{}, got)
	})
}

// TestCookieAlgorithm: the key alone does not make a cookie.
func TestCookieAlgorithm(t *testing.T) {
	t.Parallel()
	c := cookies{key: []byte("0123456789abcdef0123456789abcdef"), now: time.Now}
	good, err := c.make(attempt{State: "s", Nonce: "n", Verifier: "v", Provider: "p"})
	require.NoError(t, err)
	var claims cookieClaims
	_, _, err = jwt.NewParser().ParseUnverified(good, &claims)
	require.NoError(t, err)
	for _, method := range []jwt.SigningMethod{jwt.SigningMethodHS256, jwt.SigningMethodHS384, jwt.SigningMethodHS512} {
		text, err := jwt.NewWithClaims(method, claims).SignedString(c.key)
		require.NoError(t, err)
		_, err = c.read(text)
		require.Equal(t, method == jwt.SigningMethodHS256, err == nil, "%s: %v", method.Alg(), err)
	}
	for name, change := range map[string]func(*cookieClaims){
		"issuer":    func(c *cookieClaims) { c.Issuer = "other" },
		"audience":  func(c *cookieClaims) { c.Audience = jwt.ClaimStrings{"stroem"} },
		"no expiry": func(c *cookieClaims) { c.ExpiresAt = nil },
		"no nonce":  func(c *cookieClaims) { c.Nonce = "" },
	} {
		changed := claims
		change(&changed)
		text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, changed).SignedString(c.key)
		require.NoError(t, err)
		_, err = c.read(text)
		require.Error(t, err, name)
	}
}

// FuzzPrintable: whatever others write becomes one bounded line.
func FuzzPrintable(f *testing.F) {
	f.Add("a\r\nb\x00\x1b[0m\u202e\xff<b>")
	f.Fuzz(func(t *testing.T, text string) {
		line := printable(text, 100)
		require.LessOrEqual(t, len([]rune(line)), 101)
		require.Equal(t, line, printable(line, 101))
		require.NotRegexp(t, `[\x00-\x1f\x7f-\x9f\x{2028}\x{2029}\x{202a}-\x{202e}\x{2066}-\x{2069}]`, line)
	})
}

func TestSpentIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	s := spent{now: func() time.Time { return now }}
	require.True(t, s.take("first"))
	require.False(t, s.take("first"))
	now = now.Add(Lifetime)
	require.True(t, s.take("first"), "its cookie is no good any more")
	for range maxSpent + 10 {
		require.True(t, s.take(random()))
	}
	require.Len(t, s.order, maxSpent)
	require.Len(t, s.known, maxSpent)
}
