package oidc_test

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/oidc"
	"github.com/stroem/stroem/tests/openid"
)

func TestSignIn(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	identity, err := d.signIn("ada")
	require.NoError(t, err)
	require.Equal(t, oidc.Identity{
		Provider: "corp", Subject: "ada-1", Email: "Ada@Example.com", EmailVerified: true, Name: "Ada Lovelace",
	}, identity)
}

func TestBegin(t *testing.T) {
	t.Parallel()
	d := newDesk(t, with(func(p *oidc.Provider) { p.Scopes = []string{"groups", "email"} }))
	redirect, cookie, err := d.Begin(t.Context(), "corp")
	require.NoError(t, err)
	u, err := url.Parse(redirect)
	require.NoError(t, err)
	require.Equal(t, d.provider.Issuer+"/authorize", "http://"+u.Host+u.Path)
	query := u.Query()
	require.Equal(t, "code", query.Get("response_type"))
	require.Equal(t, "openid email profile groups", query.Get("scope"))
	require.Equal(t, "S256", query.Get("code_challenge_method"))
	require.Equal(t, callback, query.Get("redirect_uri"))
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		require.GreaterOrEqual(t, len(query.Get(name)), 43, name)
	}
	require.Less(t, len(cookie), 1024)

	again, _, err := d.Begin(t.Context(), "corp")
	require.NoError(t, err)
	other, err := url.Parse(again)
	require.NoError(t, err)
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		require.NotEqual(t, query.Get(name), other.Query().Get(name), name)
	}
}

func TestUnknownProvider(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	_, _, err := d.Begin(t.Context(), "nobody")
	require.Equal(t, core.CodeNotFound, core.ErrorCode(err))
	_, err = d.Finish(t.Context(), "nobody", nil, "")
	require.Equal(t, core.CodeNotFound, core.ErrorCode(err))
}

func TestList(t *testing.T) {
	t.Parallel()
	s, err := oidc.New(oidc.Options{CallbackBase: base, Key: key, Providers: map[string]oidc.Provider{
		"z":  {DisplayName: "A", Issuer: "https://a.example", ClientID: "c"},
		"b2": {DisplayName: "B", Issuer: "https://b.example", ClientID: "c"},
		"b1": {DisplayName: "B", Issuer: "https://b.example", ClientID: "c"},
		"c":  {Issuer: "https://c.example", ClientID: "c"},
	}})
	require.NoError(t, err)
	require.Equal(t, []oidc.Listed{{"z", "A"}, {"b1", "B"}, {"b2", "B"}, {"c", "c"}}, s.List())
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	good := func() oidc.Options {
		return oidc.Options{CallbackBase: base, Key: key, Providers: map[string]oidc.Provider{
			"corp": {Issuer: "https://id.example", ClientID: "c"},
		}}
	}
	_, err := oidc.New(good())
	require.NoError(t, err)
	for name, change := range map[string]func(*oidc.Options){
		"the key has 31 bytes":                        func(o *oidc.Options) { o.Key = key[:31] },
		"not the address of a server":                 func(o *oidc.Options) { o.CallbackBase = "stroem" },
		"http://id.example must start with https://":  with(func(p *oidc.Provider) { p.Issuer = "http://id.example" }),
		"http://127.0.0.1.example must start with":    with(func(p *oidc.Provider) { p.Issuer = "http://127.0.0.1.example" }),
		"is not the URL of a server":                  with(func(p *oidc.Provider) { p.Issuer = "id.example" }),
		"a client ID is needed":                       with(func(p *oidc.Provider) { p.ClientID = "" }),
		`default role: there is no role "root"`:       with(func(p *oidc.Provider) { p.DefaultRole = "root" }),
		`role of "sre": there is no role "superuser"`: with(func(p *oidc.Provider) { p.RoleMap = map[string]core.Role{"sre": "superuser"} }),
	} {
		o := good()
		change(&o)
		_, err := oidc.New(o)
		require.ErrorContains(t, err, name)
	}
}

// TestProviderIsDownAtStart: nobody can sign in, until it is there.
func TestProviderIsDownAtStart(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.provider.Lie(openid.Lies{Down: true})
	run(t, d.SignIn)
	_, _, err := d.Begin(t.Context(), "corp")
	refusal := d.refusal(err, oidc.ReasonUnavailable)
	require.Equal(t, core.CodeUnavailable, refusal.Code)
	require.Contains(t, refusal.Message, "Corp cannot be reached")
	require.NotContains(t, refusal.Message, "127.0.0.1")

	d.provider.Lie(openid.Lies{})
	_, err = d.signIn("ada") // asks by itself
	require.NoError(t, err)
}

// TestRunKeepsAsking: a provider that is down is asked again in the background, and again once it is known.
func TestRunKeepsAsking(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(o *oidc.Options) { o.Refresh = 10 * time.Millisecond })
	d.provider.Lie(openid.Lies{Down: true})
	run(t, d.SignIn)
	asked := func(times int) {
		for {
			n, next := d.provider.Discoveries()
			if n >= times {
				return
			}
			<-next
		}
	}
	asked(2)
	require.Contains(t, d.log.String(), "an OpenID provider cannot be used")
	d.provider.Lie(openid.Lies{})
	n, _ := d.provider.Discoveries()
	asked(n + 5)
	require.Contains(t, d.log.String(), "an OpenID provider answers again")
	_, err := d.signIn("ada")
	require.NoError(t, err)

	// What is known stays in use while it is down.
	d.provider.Lie(openid.Lies{Down: true})
	n, _ = d.provider.Discoveries()
	asked(n + 2)
	_, _, err = d.Begin(t.Context(), "corp")
	require.NoError(t, err)
}

// TestManyAsk: those who come at the same time share one look at the provider.
func TestManyAsk(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	const people = 50
	arrived := make(chan struct{})
	d.provider.Lie(openid.Lies{Discovery: func(map[string]any) { <-arrived }})
	var wait sync.WaitGroup
	var failed atomic.Int64
	for range people {
		wait.Go(func() {
			if _, _, err := d.Begin(t.Context(), "corp"); err != nil {
				failed.Add(1)
			}
		})
	}
	n, next := d.provider.Discoveries()
	if n == 0 {
		<-next
	}
	close(arrived)
	wait.Wait()
	require.Zero(t, failed.Load())
	n, _ = d.provider.Discoveries()
	require.Equal(t, 1, n)
}

// TestWhoeverGivesUpTakesNobodyAlong: a browser that leaves while its request looks at the provider.
func TestWhoeverGivesUpTakesNobodyAlong(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	hold := make(chan struct{})
	d.provider.Lie(openid.Lies{Discovery: func(map[string]any) { <-hold }})
	_, asked := d.provider.Discoveries()
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, _, err := d.Begin(ctx, "corp")
		left <- err
	}()
	<-asked
	stays := make(chan error)
	go func() {
		_, _, err := d.Begin(t.Context(), "corp")
		stays <- err
	}()
	leave()
	require.Error(t, <-left)
	close(hold)
	require.NoError(t, <-stays)
}

// TestDiscoveryThatLies: what would send secrets elsewhere, or take them unencrypted, is refused.
func TestDiscoveryThatLies(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"issuer":                 "https://other.example",
		"token_endpoint":         "http://id.example/token",
		"jwks_uri":               "http://id.example/keys",
		"userinfo_endpoint":      "ftp://id.example/userinfo",
		"authorization_endpoint": "",
	} {
		d := newDesk(t, nil)
		d.provider.Lie(openid.Lies{Discovery: func(document map[string]any) { document[name] = value }})
		_, _, err := d.Begin(t.Context(), "corp")
		d.requireReason(err, oidc.ReasonUnavailable)
	}
}

// TestHugeAnswer: a provider that sends without end takes no memory.
func TestHugeAnswer(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.provider.Lie(openid.Lies{Discovery: func(document map[string]any) { document["x"] = strings.Repeat("x", 2<<20) }})
	_, _, err := d.Begin(t.Context(), "corp")
	require.ErrorContains(t, d.refusal(err, oidc.ReasonUnavailable), "longer than")
}

// TestClientAuthentication: the secret goes where the provider wants it, and never to both.
func TestClientAuthentication(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"client_secret_basic", "client_secret_post"} {
		d := newDesk(t, nil)
		d.provider.Lie(openid.Lies{Discovery: func(document map[string]any) {
			document["token_endpoint_auth_methods_supported"] = []string{method}
		}})
		_, err := d.signIn("ada")
		require.NoError(t, err, method)
		require.Equal(t, []string{method}, d.provider.Authentications())
	}
}

// run has providers looked at until the test ends.
func run(t *testing.T, s *oidc.SignIn) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}
