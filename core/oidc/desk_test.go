package oidc_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/oidc"
	"github.com/stroem/stroem/tests/openid"
)

const (
	base     = "http://127.0.0.1:1"
	callback = base + "/api/auth/oidc/corp/callback"
)

var key = []byte("0123456789abcdef0123456789abcdef")

// desk is where people sign in with one provider, corp. What it logs holds no secrets, whatever a test does.
type desk struct {
	*oidc.SignIn
	t        *testing.T
	provider *openid.Provider
	log      *record
	ahead    *atomic.Int64 // of the clock
}

// ada is somebody who can sign in.
var ada = openid.User{Subject: "ada-1", Password: "pw", Claims: map[string]any{
	"email": "Ada@Example.com", "email_verified": true, "name": "Ada Lovelace",
}}

func newDesk(t *testing.T, change func(*oidc.Options)) desk {
	t.Helper()
	provider := openid.Start(t, callback)
	provider.SetUser("ada", ada)
	d := desk{t: t, provider: provider, log: &record{}, ahead: &atomic.Int64{}}
	d.SignIn = d.replica(change)
	return d
}

// replica is another process with the same configuration.
func (d desk) replica(change func(*oidc.Options)) *oidc.SignIn {
	d.t.Helper()
	transport := &http.Transport{}
	d.t.Cleanup(transport.CloseIdleConnections)
	o := oidc.Options{
		Providers: map[string]oidc.Provider{"corp": {
			DisplayName: "Corp", Issuer: d.provider.Issuer, ClientID: openid.ClientID, ClientSecret: openid.ClientSecret,
		}},
		CallbackBase: base, Key: key, Logger: slog.New(slog.NewTextHandler(d.log, nil)),
		HTTPClient: &http.Client{Transport: transport},
		Now:        func() time.Time { return time.Now().Add(time.Duration(d.ahead.Load())) },
	}
	if change != nil {
		change(&o)
	}
	s, err := oidc.New(o)
	require.NoError(d.t, err)
	return s
}

// with changes the provider's configuration.
func with(change func(*oidc.Provider)) func(*oidc.Options) {
	return func(o *oidc.Options) {
		p := o.Providers["corp"]
		change(&p)
		o.Providers["corp"] = p
	}
}

// begin sends a browser to the provider, signs in as the user, and returns what the browser comes back with.
func (d desk) begin(user string) (query url.Values, cookie string) {
	d.t.Helper()
	redirect, cookie, err := d.Begin(d.t.Context(), "corp")
	require.NoError(d.t, err)
	back, err := d.provider.Approve(d.t.Context(), redirect, user, "pw")
	require.NoError(d.t, err)
	require.Equal(d.t, callback, base+back.Path)
	query = back.Query()
	d.log.secrets(openid.ClientSecret, query.Get("code"), query.Get("state"), cookie)
	return query, cookie
}

// signIn signs in as the user.
func (d desk) signIn(user string) (oidc.Identity, error) {
	d.t.Helper()
	query, cookie := d.begin(user)
	return d.finish(query, cookie)
}

func (d desk) finish(query url.Values, cookie string) (oidc.Identity, error) {
	d.t.Helper()
	identity, err := d.Finish(d.t.Context(), "corp", query, cookie)
	d.log.check(d.t)
	return identity, err
}

// requireReason checks why a sign-in has failed, and that the log says so too.
func (d desk) requireReason(err error, reason string) {
	d.t.Helper()
	require.NotNil(d.t, d.refusal(err, reason))
}

// refusal is requireReason, for those who want to look at the rest.
func (d desk) refusal(err error, reason string) *core.Error {
	d.t.Helper()
	var refusal *core.Error
	require.ErrorAs(d.t, err, &refusal)
	require.Equal(d.t, reason, refusal.Reason, refusal.Error())
	require.Contains(d.t, d.log.String(), "reason="+reason)
	return refusal
}

// record is a log.
type record struct {
	mu     sync.Mutex
	text   bytes.Buffer
	hidden []string
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func (r *record) secrets(texts ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hidden = append(r.hidden, texts...)
}

func (r *record) check(t *testing.T) {
	t.Helper()
	text := r.String()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, secret := range r.hidden {
		require.NotEmpty(t, secret)
		require.NotContains(t, text, secret)
	}
}
