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
)

// vouching is a provider who says of everybody what it was told to.
type vouching struct {
	refusing

	who auth.Identity
}

func (v *vouching) Finish(context.Context, string, url.Values, string) (auth.Identity, error) {
	return v.who, nil
}

// What a sign-in makes of users is in the audit log as what admins make of them.
func TestWhatSignInsMakeOfUsersIsAudited(t *testing.T) {
	t.Parallel()
	provider := &vouching{}
	b := newBundle(t, secured, func(_ *bundle, c *httpapi.Config) { c.SignIn = provider })
	signIn := func(who auth.Identity) {
		who.Provider, who.Subject, who.EmailVerified = "corp", who.Email, true
		provider.who = who
		b.get("/api/auth/oidc/corp/callback") // whose page is another part's
	}
	signIn(auth.Identity{Email: "new@example.org", Role: core.RoleViewer, Groups: []string{"a"}})
	signIn(auth.Identity{Email: "new@example.org", Role: core.RoleAdmin, Groups: []string{"a", "b"}})
	signIn(auth.Identity{Email: "operator@example.org"})
	signIn(auth.Identity{Email: "operator@example.org"})
	list := into[[]api.AuditEntry](t, b.as("admin").get("/api/audit?action=user."))
	for i := range list {
		list[i] = api.AuditEntry{Actor: list[i].Actor, Action: list[i].Action, Target: list[i].Target, Details: list[i].Details}
	}
	require.Equal(t, []api.AuditEntry{
		{Actor: "operator@example.org", Action: "user.link", Target: "operator@example.org", Details: map[string]any{"method": "corp"}},
		{Actor: "new@example.org", Action: "user.change", Target: "new@example.org", Details: map[string]any{"method": "corp", "role": "admin", "groups": "a, b"}},
		{Actor: "new@example.org", Action: "user.create", Target: "new@example.org", Details: map[string]any{"method": "corp", "role": "viewer"}},
	}, list)
}
