package httpapi_test

import (
	"context"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/auth"
	"github.com/stroem/stroem/core/httpapi"
	"github.com/stroem/stroem/core/ratelimit"
)

// refusing is a provider that nobody comes back from.
type refusing struct{}

func (refusing) Providers() []api.OIDCProvider { return nil }

func (refusing) Begin(context.Context, string) (redirect, cookie string, err error) {
	return "https://provider.example.org", "cookie", nil
}

func (refusing) Finish(context.Context, string, url.Values, string) (auth.Identity, error) {
	return auth.Identity{}, core.Errorf(core.CodeInvalid, "oidc_cookie_missing", "There is no cookie")
}

// Who asks again and again in vain does not fill the audit log, and is not forgotten in it.
func TestAFloodOfLoginsIsBounded(t *testing.T) {
	t.Parallel()
	const flood = 300
	for name, c := range map[string]call{
		"password": {method: "POST", path: "/api/auth/login", body: `{"email":"nobody@example.org","password":"x"}`},
		"provider": {method: "GET", path: "/api/auth/oidc/corp/callback"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, secured, func(_ *bundle, c *httpapi.Config) { c.Logins, c.SignIn = ratelimit.NewLogins(1), refusing{} })
			for range flood {
				b.do(c)
			}
			noted := len(into[[]api.AuditEntry](t, b.as("admin").get("/api/audit?limit=500&action=auth.login")))
			require.GreaterOrEqual(t, noted, 100)
			require.Less(t, noted, flood)
		})
	}
}
