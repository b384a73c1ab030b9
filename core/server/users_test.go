package server_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	apiv1 "github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/auth"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/config"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/server"
)

const withUsers = "auth: {jwt_secret: a secret of at least thirty-two bytes, initial_user: {email: root@example.org, password: the first one}}"

func openUsers(t *testing.T, database string) *server.Users {
	t.Helper()
	users, err := server.OpenUsers(t.Context(), config.DB{URL: config.Secret(database), Timeout: patience}, "root")
	require.NoError(t, err)
	t.Cleanup(users.Close)
	return users
}

// What an operator changes in the database holds at the server that runs.
func TestUsersOfARunningServer(t *testing.T) {
	t.Parallel()
	database := coretest.Postgres(t)
	api, _ := start(t, load(t, database, withUsers))
	users := openUsers(t, database)
	ctx := t.Context()
	const email = "ada@example.org"
	added, err := users.Add(ctx, auth.NewUser{Email: email, Name: "Ada", Password: "correct horse", Role: core.RoleViewer})
	require.NoError(t, err)
	require.Equal(t, []string{"password"}, added.AuthMethods)
	_, err = users.Add(ctx, auth.NewUser{Email: "Ada@Example.org", Role: core.RoleViewer})
	require.Equal(t, core.CodeConflict, core.ErrorCode(err))

	login := func(password string) (apiv1.Tokens, error) {
		return api.Login(ctx, apiv1.Login{Email: email, Password: password})
	}
	requireEnded := func(tokens apiv1.Tokens) {
		t.Helper()
		_, err := api.ContinueSession(ctx, tokens.RefreshToken)
		require.True(t, client.IsCode(err, "refresh_invalid"), "%v", err)
	}
	tokens, err := login("correct horse")
	require.NoError(t, err)
	_, err = users.SetRole(ctx, email, core.RoleOperator)
	require.NoError(t, err)
	requireEnded(tokens)

	tokens, err = login("correct horse")
	require.NoError(t, err)
	changed, err := users.SetDisabled(ctx, email, true)
	require.NoError(t, err)
	require.True(t, changed.Disabled)
	requireEnded(tokens)
	_, err = login("correct horse")
	require.True(t, client.IsCode(err, "login_failed"), "%v", err)
	_, err = users.SetDisabled(ctx, email, false)
	require.NoError(t, err)

	tokens, err = login("correct horse")
	require.NoError(t, err)
	_, err = users.SetPassword(ctx, email, "battery staple")
	require.NoError(t, err)
	requireEnded(tokens)
	_, err = login("correct horse")
	require.True(t, client.IsCode(err, "login_failed"), "%v", err)
	_, err = login("battery staple")
	require.NoError(t, err)

	got, err := users.Get(ctx, "ADA@EXAMPLE.ORG")
	require.NoError(t, err)
	require.Equal(t, "operator", got.Role)
	require.Equal(t, "Ada", *got.Name)
	require.NotNil(t, got.LastLoginAt)
	_, err = users.SetDisabled(ctx, "root@example.org", true)
	require.ErrorContains(t, err, "the only admin who can sign in")
}

func TestAllUsersAreListed(t *testing.T) {
	t.Parallel()
	users := openUsers(t, coretest.Postgres(t))
	list, err := users.List(t.Context())
	require.NoError(t, err)
	require.Empty(t, list)
	const n = 501 // one more than are read at once
	for i := range n {
		_, err := users.Add(t.Context(), auth.NewUser{Email: fmt.Sprintf("u%d@example.org", i), Role: core.RoleViewer})
		require.NoError(t, err)
	}
	list, err = users.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, n)
	seen := map[string]bool{}
	for _, u := range list {
		seen[u.Email] = true
	}
	require.Len(t, seen, n)
}

func TestADatabaseWithoutTables(t *testing.T) {
	t.Parallel()
	_, err := server.OpenUsers(t.Context(), config.DB{URL: config.Secret(coretest.EmptySchema(t)), Timeout: patience}, "root")
	require.ErrorContains(t, err, "migrations, from 20261124080000_jobs on: start stroem-server once")
	_, err = server.OpenUsers(t.Context(), config.DB{URL: "postgres://u:hidden@127.0.0.1:1/x", Timeout: patience}, "root")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hidden")
}
