package oidc_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/oidc"
	"github.com/stroem/stroem/tests/openid"
)

// TestAnswers takes what a browser comes back with and changes it.
func TestAnswers(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	for name, c := range map[string]struct {
		change func(url.Values)
		reason string
		text   string
	}{
		"no state":          {func(q url.Values) { q.Del("state") }, oidc.ReasonStateMissing, "Start again"},
		"empty state":       {func(q url.Values) { q.Set("state", "") }, oidc.ReasonStateMissing, ""},
		"wrong state":       {func(q url.Values) { q.Set("state", "x"+q.Get("state")[1:]) }, oidc.ReasonStateMismatch, "another sign-in"},
		"part of the state": {func(q url.Values) { q.Set("state", q.Get("state")[:10]) }, oidc.ReasonStateMismatch, ""},
		"two states":        {func(q url.Values) { q["state"] = []string{q.Get("state"), "x"} }, oidc.ReasonStateMismatch, ""},
		"no code":           {func(q url.Values) { q.Del("code") }, oidc.ReasonCodeMissing, "no code"},
		"two codes":         {func(q url.Values) { q["code"] = []string{q.Get("code"), "x"} }, oidc.ReasonCodeMissing, ""},
		"wrong code":        {func(q url.Values) { q.Set("code", "x") }, oidc.ReasonExchangeFailed, "did not accept"},
		"other issuer":      {func(q url.Values) { q.Set("iss", "https://evil.example") }, oidc.ReasonIssuerMismatch, "does not come from Corp"},
		"empty issuer":      {func(q url.Values) { q.Set("iss", "") }, oidc.ReasonIssuerMismatch, ""},
		"two issuers":       {func(q url.Values) { q["iss"] = []string{d.provider.Issuer, "https://evil.example"} }, oidc.ReasonIssuerMismatch, ""},
		"error and code":    {func(q url.Values) { q.Set("error", "access_denied") }, oidc.ReasonProviderError, "Corp says: access_denied"},
		"error of somebody": {func(q url.Values) { q.Set("error", "call 555"); q.Del("state") }, oidc.ReasonStateMissing, ""},
	} {
		query, cookie := d.begin("ada")
		c.change(query)
		_, err := d.finish(query, cookie)
		refusal := d.refusal(err, c.reason)
		require.Contains(t, refusal.Message, c.text, name)
		require.NotContains(t, refusal.Message, "555", name)
	}

	query, cookie := d.begin("ada")
	query.Set("iss", d.provider.Issuer)
	_, err := d.finish(query, cookie)
	require.NoError(t, err, "its own issuer")
}

// TestIssuerIsAnnounced: a provider that says that it puts its issuer into every answer has to.
func TestIssuerIsAnnounced(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.provider.Lie(openid.Lies{Discovery: func(document map[string]any) {
		document["authorization_response_iss_parameter_supported"] = true
	}})
	query, cookie := d.begin("ada")
	_, err := d.finish(query, cookie)
	d.requireReason(err, oidc.ReasonIssuerMismatch)
	query, cookie = d.begin("ada")
	query.Set("iss", d.provider.Issuer)
	_, err = d.finish(query, cookie)
	require.NoError(t, err)
}

// TestMixUp: a provider that is trusted as well does not get its people in as those of another one.
func TestMixUp(t *testing.T) {
	t.Parallel()
	const theirs = base + "/api/auth/oidc/other/callback"
	other := openid.Start(t, theirs)
	other.SetUser("mallory", openid.User{Subject: "ada-1", Password: "pw", Claims: ada.Claims})
	d := newDesk(t, func(o *oidc.Options) {
		p := o.Providers["corp"]
		p.Issuer = other.Issuer
		o.Providers["other"] = p
	})
	answer := func() url.Values {
		redirect, _, err := d.Begin(t.Context(), "other")
		require.NoError(t, err)
		back, err := other.Approve(t.Context(), redirect, "mallory", "pw")
		require.NoError(t, err)
		return back.Query()
	}
	for name, c := range map[string]struct {
		change func(foreign, own url.Values)
		reason string
	}{
		"as it is":       {func(url.Values, url.Values) {}, oidc.ReasonStateMismatch},
		"with our state": {func(foreign, own url.Values) { foreign.Set("state", own.Get("state")) }, oidc.ReasonExchangeFailed},
		"with its own name": {func(foreign, own url.Values) {
			foreign.Set("state", own.Get("state"))
			foreign.Set("iss", other.Issuer)
		}, oidc.ReasonIssuerMismatch},
		"with the right one": {func(foreign, own url.Values) {
			foreign.Set("state", own.Get("state"))
			foreign.Set("iss", d.provider.Issuer)
		}, oidc.ReasonExchangeFailed},
	} {
		own, cookie := d.begin("ada")
		foreign := answer()
		c.change(foreign, own)
		_, err := d.finish(foreign, cookie)
		require.NotNil(t, d.refusal(err, c.reason), name)
	}

	// Its ID token, signed by itself and for us, in the place of ours.
	var stolen string
	other.Lie(openid.Lies{IDToken: func(honest openid.Token) string {
		stolen = honest.Raw
		return honest.Raw
	}})
	redirect, cookie, err := d.Begin(t.Context(), "other")
	require.NoError(t, err)
	back, err := other.Approve(t.Context(), redirect, "mallory", "pw")
	require.NoError(t, err)
	_, err = d.Finish(t.Context(), "other", back.Query(), cookie)
	require.NoError(t, err)
	d.provider.Lie(openid.Lies{IDToken: func(openid.Token) string { return stolen }})
	_, err = d.signIn("ada")
	d.requireReason(err, oidc.ReasonIDTokenInvalid)
}

// TestProviderError: what a provider says is shown as one short line, and without the state of the sign-in not at all.
func TestProviderError(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	query, cookie := d.begin("ada")
	query.Del("code")
	query.Set("error", "access_denied")
	query.Set("error_description", "no <script>alert(1)</script>\r\nSet-Cookie: a=b\x00\x1b[31m \u202egnp "+strings.Repeat("long ", 1000)+"\xff")
	_, err := d.finish(query, cookie)
	refusal := d.refusal(err, oidc.ReasonProviderError)
	require.Equal(t, core.CodeUnauthenticated, refusal.Code)
	require.True(t, strings.HasPrefix(refusal.Message, "Corp says: access_denied: no <script>alert(1)</script> Set-Cookie: a=b[31m gnp long"), refusal.Message)
	require.Less(t, len(refusal.Message), 500)
	require.NotRegexp(t, `[\x00-\x1f\x7f\x{202e}]`, refusal.Message)
	// As a fragment of an address it is only text.
	u := url.URL{Path: "/login/callback", Fragment: "error=" + refusal.Message}
	require.NotRegexp(t, "[<>\" ]", u.String())
}

// TestUsedTwice: the replica that has seen an answer refuses it, another one is told so by the provider.
func TestUsedTwice(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	query, cookie := d.begin("ada")
	_, err := d.finish(query, cookie)
	require.NoError(t, err)
	_, err = d.finish(query, cookie)
	d.requireReason(err, oidc.ReasonUsed)

	other := d
	other.SignIn = d.replica(nil)
	_, err = other.finish(query, cookie)
	refusal := other.refusal(err, oidc.ReasonExchangeFailed)
	require.ErrorContains(t, refusal, "invalid_grant")
	require.NotContains(t, refusal.Message, "invalid_grant")

	// One that has failed is used up too.
	query, cookie = d.begin("ada")
	code := query.Get("code")
	query.Set("code", "x")
	_, err = d.finish(query, cookie)
	d.requireReason(err, oidc.ReasonExchangeFailed)
	query.Set("code", code)
	_, err = d.finish(query, cookie)
	d.requireReason(err, oidc.ReasonUsed)
}

// TestAnotherReplicaFinishes what one has begun, though it has never asked the provider.
func TestAnotherReplicaFinishes(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	query, cookie := d.begin("ada")
	d.SignIn = d.replica(nil)
	_, err := d.finish(query, cookie)
	require.NoError(t, err)
}

// TestCodeOfSomebodyElse: who puts the code of their own sign-in into the browser of another is refused by PKCE and nonce.
func TestCodeOfSomebodyElse(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	theirs, _ := d.begin("ada")
	query, cookie := d.begin("ada")
	query.Set("code", theirs.Get("code"))
	_, err := d.finish(query, cookie)
	d.requireReason(err, oidc.ReasonExchangeFailed)
}

func TestCookies(t *testing.T) {
	t.Parallel()
	second := func(o *oidc.Options) {
		p := o.Providers["corp"]
		o.Providers["other"] = p
	}
	d := newDesk(t, second)
	now := time.Now()
	// What somebody may sign who knows the key of access tokens, but not that of cookies.
	claims := func() jwt.MapClaims {
		return jwt.MapClaims{
			"state": "s", "nonce": "n", "pkce_verifier": "v", "provider": "corp", "iss": "stroem", "aud": "stroem/oidc",
			"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
		}
	}
	signed := func(method jwt.SigningMethod, key any) string {
		text, err := jwt.NewWithClaims(method, claims()).SignedString(key)
		require.NoError(t, err)
		return text
	}
	foreign := d.replica(func(o *oidc.Options) { o.Key = []byte(strings.Repeat("x", 32)) })
	_, ofForeign, err := foreign.Begin(t.Context(), "corp")
	require.NoError(t, err)
	_, ofOther, err := d.Begin(t.Context(), "other")
	require.NoError(t, err)

	for name, c := range map[string]struct {
		change func(cookie string) string
		reason string
	}{
		"none":             {func(string) string { return "" }, oidc.ReasonCookieMissing},
		"garbage":          {func(string) string { return "garbage" }, oidc.ReasonCookieInvalid},
		"long":             {func(c string) string { return c + strings.Repeat("x", 5000) }, oidc.ReasonCookieInvalid},
		"of a foreign key": {func(string) string { return ofForeign }, oidc.ReasonCookieInvalid},
		"of another provider": {
			func(string) string { return ofOther }, oidc.ReasonProviderMismatch,
		},
		"tampered payload": {func(c string) string {
			i := strings.IndexByte(c, '.') + 10
			return c[:i] + string(c[i]^1) + c[i+1:]
		}, oidc.ReasonCookieInvalid},
		"tampered signature": {func(c string) string { return c[:len(c)-5] + "AAAAA" }, oidc.ReasonCookieInvalid},
		"without signature":  {func(c string) string { return c[:strings.LastIndexByte(c, '.')+1] }, oidc.ReasonCookieInvalid},
		"alg none":           {func(string) string { return signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType) }, oidc.ReasonCookieInvalid},
		"key of tokens":      {func(string) string { return signed(jwt.SigningMethodHS256, key) }, oidc.ReasonCookieInvalid},
		"HS512":              {func(string) string { return signed(jwt.SigningMethodHS512, key) }, oidc.ReasonCookieInvalid},
	} {
		query, cookie := d.begin("ada")
		_, err := d.finish(query, c.change(cookie))
		require.NotEmpty(t, d.refusal(err, c.reason).Message, name)
		// It says nothing about the one that was asked for.
		_, err = d.finish(query, cookie)
		require.NoError(t, err, name)
	}
}

func TestCookieExpires(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	query, cookie := d.begin("ada")
	d.ahead.Store(int64(oidc.Lifetime + time.Second))
	_, err := d.finish(query, cookie)
	require.Contains(t, d.refusal(err, oidc.ReasonCookieExpired).Message, "10 minutes")
	d.ahead.Store(int64(oidc.Lifetime - time.Minute))
	d.provider.Lie(openid.Lies{IDToken: func(honest openid.Token) string {
		return honest.With(map[string]any{"exp": time.Now().Add(time.Hour).Unix()})
	}})
	_, err = d.finish(query, cookie)
	require.NoError(t, err)

	d.provider.Lie(openid.Lies{})
	_, err = d.signIn("ada")
	d.requireReason(err, oidc.ReasonIDTokenInvalid) // by the same clock its five minutes have passed
}

// TestProviderGoesAway between the two: an answer that cannot be checked is refused, without a word of it in the log.
func TestProviderGoesAway(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	query, cookie := d.begin("ada")
	d.provider.Lie(openid.Lies{Down: true})
	_, err := d.finish(query, cookie)
	d.requireReason(err, oidc.ReasonExchangeFailed)
}
