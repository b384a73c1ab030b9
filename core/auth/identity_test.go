package auth_test

import (
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/access"
	"github.com/stroem/stroem/core/auth"
)

func TestProvision(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	grace := auth.Identity{Provider: "corp", Subject: "1", Email: "grace@example.org", Name: "Grace", EmailVerified: true, Groups: []string{"dev"}}
	u, err := r.Provision(t.Context(), grace)
	require.NoError(t, err)
	require.Equal(t, core.RoleOperator, u.Role, "as everybody")
	require.Equal(t, []string{"dev"}, u.Groups)
	require.Empty(t, u.PasswordHash)

	grace.Email, grace.EmailVerified = "hopper@example.org", false
	again, err := r.Provision(t.Context(), grace)
	require.NoError(t, err)
	require.Equal(t, u.ID, again.ID, "the subject counts, whatever the address has become")
	require.Equal(t, "grace@example.org", again.Email)

	ada, err := r.Provision(t.Context(), auth.Identity{Provider: "corp", Subject: "2", Email: "ADA@example.org", EmailVerified: true, Role: core.RoleAdmin})
	require.NoError(t, err)
	require.Equal(t, r.ada.ID, ada.ID, "linked by the address")
	require.Equal(t, core.RoleAdmin, ada.Role)
	stored, err := r.store.User(t.Context(), ada.ID)
	require.NoError(t, err)
	require.Equal(t, []string{"corp"}, stored.Providers)
	require.NotEmpty(t, stored.PasswordHash)
}

// Whoever says that an address is theirs is not its owner for that.
func TestProvisionOfAnUnverifiedAddress(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	for _, email := range []string{r.ada.Email, "new@example.org"} {
		_, err := r.Provision(t.Context(), auth.Identity{Provider: "corp", Subject: "1", Email: email})
		requireReason(t, err, "email_not_verified")
	}
	_, total, err := r.store.Users(t.Context(), 10, 0)
	require.NoError(t, err)
	require.Equal(t, 1, total)
}

func TestProvisionOfSomebodyDisabled(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	disabled := true
	_, err := r.Change(t.Context(), r.ada.ID, core.UserChange{Disabled: &disabled})
	require.NoError(t, err)
	_, err = r.Provision(t.Context(), auth.Identity{Provider: "corp", Subject: "1", Email: r.ada.Email, EmailVerified: true})
	requireReason(t, err, "user_disabled")
}

func TestProvisionAtOnce(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	ids := make([]uuid.UUID, 6)
	var group sync.WaitGroup
	for i := range ids {
		group.Go(func() {
			u, err := r.Provision(t.Context(), auth.Identity{Provider: "corp", Subject: "1", Email: "new@example.org", EmailVerified: true})
			if err == nil {
				ids[i] = u.ID
			}
		})
	}
	group.Wait()
	for _, id := range ids {
		require.Equal(t, ids[0], id)
	}
	require.NotEqual(t, uuid.Nil, ids[0])
}

// What the provider says counts at each sign-in. Where it says nothing, whatever an admin has decided stays.
func TestRolesAtEachSignIn(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	signIn := func(i auth.Identity) core.Role {
		i.Provider, i.Subject, i.Email, i.EmailVerified = "corp", "1", "new@example.org", true
		u, err := r.Provision(t.Context(), i)
		require.NoError(t, err)
		stored, err := r.store.User(t.Context(), u.ID)
		require.NoError(t, err)
		require.Equal(t, u.Role, stored.Role)
		return u.Role
	}
	require.Equal(t, core.RoleViewer, signIn(auth.Identity{FirstRole: core.RoleViewer}))
	u, err := r.store.UserByEmail(t.Context(), "new@example.org")
	require.NoError(t, err)
	admin := core.RoleAdmin
	_, err = r.Change(t.Context(), u.ID, core.UserChange{Role: &admin})
	require.NoError(t, err)
	require.Equal(t, core.RoleAdmin, signIn(auth.Identity{FirstRole: core.RoleViewer}))
	require.Equal(t, core.RoleAdmin, signIn(auth.Identity{Role: core.RoleViewer, Groups: []string{"a"}}), "the last admin stays")
	require.True(t, r.initial("root@example.org", "the first one"))
	require.Equal(t, core.RoleViewer, signIn(auth.Identity{Role: core.RoleViewer, Groups: []string{"a"}}))
	require.Equal(t, core.RoleOperator, signIn(auth.Identity{Role: core.RoleOperator}))
}

// Who is who does not depend on the language of the database, and rules and limits agree with it.
func TestAddressesDifferByLettersBeyondASCII(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	eve, err := r.Create(t.Context(), auth.NewUser{Email: "ève@example.org", Role: core.RoleOperator})
	require.NoError(t, err)
	other, err := r.Create(t.Context(), auth.NewUser{Email: "Ève@example.org", Role: core.RoleOperator})
	require.NoError(t, err)
	kelvin, err := r.Create(t.Context(), auth.NewUser{Email: "\u212aelvin@example.org", Role: core.RoleOperator})
	require.NoError(t, err)
	for email, want := range map[string]core.User{"èVE@EXAMPLE.org": eve, "ÈVE@example.org": other, "\u212aELVIN@example.org": kelvin} {
		found, err := r.store.UserByEmail(t.Context(), email)
		require.NoError(t, err, email)
		require.Equal(t, want.ID, found.ID, email)
	}
	_, err = r.Create(t.Context(), auth.NewUser{Email: "èvE@example.org", Role: core.RoleOperator})
	requireReason(t, err, "email_taken")
	policy := access.New([]access.Rule{{Workspace: "*", Users: []string{"èVE@example.org", "kelvin@example.org"}, Allow: access.LevelView}})
	for _, u := range []core.User{eve, other, kelvin} {
		require.Equal(t, u.ID == eve.ID, policy.For(u).Narrowed(), u.Email)
	}
}
